//! Runs the commands of each page that needs a cluster, each page on a cluster of its own.

use std::env;
use std::ffi::OsString;
use std::process::Command;

use crate::controlplane::{ClusterError, ControlPlane, Namespace, User, eventually};
use crate::installed::{generate, install_kinds};
use crate::nodes::Nodes;
use crate::support::folder::Folder;
use crate::support::page::{self, Block, Environment, Page};
use crate::support::program::clean;
use crate::support::session::{self, SessionSettings};
use crate::{Test, scan};

pub const TESTS: &[(&str, Test)] =
    &[("an-installation-without-an-image-blocks-no-writes", an_installation_without_an_image_blocks_no_writes)];

pub fn pages() -> impl Iterator<Item = Page> {
    page::pages().into_iter().filter(|page| needs(page, &Environment::Cluster) || needs(page, &Environment::NewCluster))
}

/// Whether some of its commands need such a cluster.
fn needs(page: &Page, environment: &Environment<'_>) -> bool {
    page.consoles().any(|block| block.environment() == *environment)
}

pub fn run(page: &Page) -> Result<(), ClusterError> {
    // Such a page begins with the audit log of the cluster.
    let policy = format!("--audit-policy-file={}", page::root().join("manifests/audit/policy.yaml").display());
    let flags = [policy.as_str()];
    let flags = if needs(page, &Environment::NewCluster) { &flags[..] } else { &[] };
    let nodes = Nodes::start(ControlPlane::start_with(flags)?);
    prepare(&nodes, needs(page, &Environment::NewCluster));
    let settle = || nodes.settle();
    match session::run(page, &settings(&nodes, &settle)) {
        Ok(skipped) => skipped.iter().for_each(|why| eprintln!("skipped: {why}")),
        Err(error) => panic!("{error}\n{}", nodes.log()),
    }
    Ok(())
}

/// Creates the kinds, a scan without a status, a scan with an invalid status, and the webhook unless the page installs
/// it.
fn prepare(nodes: &Nodes, is_new: bool) {
    let folder = Folder::new();
    generate(folder.path());
    let admin = || nodes.cluster.kubectl(User::Admin);
    install_kinds(&nodes.cluster, folder.path());
    for name in ["failed", "old"] {
        let scan = scan(name).to_string();
        eventually("the kinds are served", || {
            Some(admin().args(["create", "-f", "-"]).input(scan.as_str()).run())
                .filter(|printed| printed.code == Some(0))
        });
    }
    let fault = r#"{"status": {"phase": "Complete"}}"#;
    admin().args(["patch", "sourcescan", "old", "--subresource=status", "--type=merge", "--patch", fault]).run().ok();
    if !is_new {
        admin().args(["apply", "-k"]).args([folder.join("base")]).run().ok();
        let rollout = ["rollout", "status", "deployment/scan-admission", "--namespace=scan-admission", "--timeout=2m"];
        admin().args(rollout).run().ok();
    }
}

fn settings<'a>(nodes: &Nodes, settle: &'a dyn Fn()) -> SessionSettings<'a> {
    let variables = vec![
        ("KUBECONFIG", nodes.cluster.kubeconfig(User::Admin).into()),
        ("KUBECACHEDIR", nodes.cluster.folder().join("kubectl-cache").into()),
        ("KUBECTL_KUBERC", OsString::from("false")),
    ];
    let links = vec![("audit/control-plane-1/audit.log", nodes.cluster.ready().audit_log.clone())];
    SessionSettings { variables, links, settle, kubectl: Some(nodes.cluster.kubectl_path().to_owned()) }
}

/// Installs by the commands of the pages where the image cannot be pulled. In this cluster no pod ever runs.
fn an_installation_without_an_image_blocks_no_writes(_: &Namespace<'_>) {
    for page in ["README.md", "docs/install.md"] {
        let page = Page::read(page);
        let commands: Vec<_> = page.consoles().flat_map(Block::commands).map(|shown| shown.command).collect();
        let overlay = commands.iter().find(|command| command.contains("> manifests/mine/kustomization.yaml")).unwrap();
        let install = commands.iter().find(|command| command.contains("rollout status")).unwrap();
        let cluster = ControlPlane::start().unwrap_or_else(|error| panic!("{error:?}"));
        let folder = Folder::new();
        generate(&folder.join("manifests"));
        install_kinds(&cluster, &folder.join("manifests"));
        let admin = |arguments: &[&str]| cluster.kubectl(User::Admin).args(arguments).run();
        eventually("the kinds are served", || {
            let create = cluster.kubectl(User::Admin).args(["create", "-f", "-"]).input(scan("one").to_string()).run();
            (create.code == Some(0)).then_some(())
        });

        let mut path = cluster.kubectl_path().parent().unwrap().as_os_str().to_owned();
        path.push(":");
        path.push(env::var_os("PATH").unwrap_or_default());
        let mut shell = Command::new("bash");
        clean(&mut shell);
        // The commands are pasted as a block, so the shell continues after one that fails.
        let script = format!("mkdir -p manifests/mine; touch manifests/mine/config.yaml\n{overlay}\n{install}\n");
        let script = script.replace("--timeout=2m", "--timeout=2s");
        shell.args(["--noprofile", "--norc", "-c", &script]).current_dir(folder.path());
        shell.env("PATH", path).env("HOME", folder.path()).env("KUBECONFIG", cluster.kubeconfig(User::Admin));
        let output = shell.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains("timed out waiting for the condition"), "{errors}");

        admin(&["get", "deployment", "scan-admission", "--namespace=scan-admission"]).ok();
        let hooks = admin(&["get", "validatingwebhookconfigurations,mutatingwebhookconfigurations"]);
        assert!(hooks.stderr.contains("No resources found"), "{hooks:?}");
        let status = r#"{"status": {"phase": "Pending"}}"#;
        admin(&["patch", "sourcescan", "one", "--subresource=status", "--type=merge", "--patch", status]).ok();
    }
}
