//! The commands of the pages, on a cluster for each page that needs one. PAGE names the only page to be
//! run, and has what it prints shown.

use std::env;
use std::ffi::OsString;

use crate::controlplane::{ControlPlane, Namespace, User, eventually};
use crate::folder::Folder;
use crate::installed::generate;
use crate::nodes::Nodes;
use crate::page::{Page, Place, pages};
use crate::session::{Surroundings, run};
use crate::{Test, scan};

pub const TESTS: &[(&str, Test)] =
    &[("the-commands-of-the-pages-do-what-is-shown", the_commands_of_the_pages_do_what_is_shown)];

fn the_commands_of_the_pages_do_what_is_shown(_: &Namespace<'_>) {
    let only = env::var("PAGE").ok();
    let is_due = |page: &&Page| {
        (page.needs(&Place::Cluster) || page.needs(&Place::NewCluster))
            && only.as_ref().is_none_or(|only| *only == page.path)
    };
    let mut wrong = Vec::new();
    for page in pages().iter().filter(is_due) {
        let nodes = Nodes::start(ControlPlane::start().unwrap_or_else(|absent| panic!("{absent:?}")));
        prepare(&nodes, page.needs(&Place::NewCluster));
        match run(page, &surroundings(&nodes)) {
            Ok(skipped) => skipped.iter().for_each(|why| eprintln!("skipped: {why}")),
            Err(error) => wrong.push(format!("{error}\n{}", nodes.log())),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n\n"));
}

/// The kinds, a scan without a status and one with an old fault, and the webhook unless the page itself installs it.
fn prepare(nodes: &Nodes, is_new: bool) {
    let folder = Folder::new();
    generate(folder.path());
    let admin = || nodes.cluster.kubectl(User::Admin);
    admin().args(["apply", "-k"]).args([folder.join("base/crds")]).run().ok();
    admin().args(["wait", "--for=condition=Established", "--timeout=30s", "--all", "crd"]).run().ok();
    for name in ["failed", "old"] {
        let scan = scan(name).to_string();
        eventually("the kinds are served", || {
            Some(admin().args(["create", "-f", "-"]).input(scan.as_str()).run()).filter(|said| said.code == Some(0))
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

fn surroundings(nodes: &Nodes) -> Surroundings {
    let variables = vec![
        ("KUBECONFIG", nodes.cluster.kubeconfig(User::Admin).into()),
        ("KUBECACHEDIR", nodes.cluster.ready.folder.join("kubectl-cache").into()),
        ("KUBECTL_KUBERC", OsString::from("false")),
    ];
    Surroundings { variables, kubectl: Some(nodes.cluster.kubectl_path().to_owned()) }
}
