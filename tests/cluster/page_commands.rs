//! The commands of each page that needs a cluster, on one of its own.

use std::ffi::OsString;

use crate::controlplane::{Absent, ControlPlane, User, eventually};
use crate::installed::{generate, install_kinds};
use crate::nodes::Nodes;
use crate::scan;
use crate::support::folder::Folder;
use crate::support::page::{self, Page, Place};
use crate::support::session::{self, Surroundings};

pub fn pages() -> impl Iterator<Item = Page> {
    page::pages().into_iter().filter(|page| needs(page, &Place::Cluster) || needs(page, &Place::NewCluster))
}

/// Whether some of its commands need such a cluster.
fn needs(page: &Page, place: &Place<'_>) -> bool {
    page.consoles().any(|block| block.place() == *place)
}

pub fn run(page: &Page) -> Result<(), Absent> {
    let nodes = Nodes::start(ControlPlane::start()?);
    prepare(&nodes, needs(page, &Place::NewCluster));
    let settle = || nodes.settle();
    match session::run(page, &surroundings(&nodes, &settle)) {
        Ok(skipped) => skipped.iter().for_each(|why| eprintln!("skipped: {why}")),
        Err(error) => panic!("{error}\n{}", nodes.log()),
    }
    Ok(())
}

/// The kinds, a scan without a status and one with an old fault, and the webhook unless the page itself installs it.
fn prepare(nodes: &Nodes, is_new: bool) {
    let folder = Folder::new();
    generate(folder.path());
    let admin = || nodes.cluster.kubectl(User::Admin);
    install_kinds(&nodes.cluster, folder.path());
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

fn surroundings<'a>(nodes: &Nodes, settle: &'a dyn Fn()) -> Surroundings<'a> {
    let variables = vec![
        ("KUBECONFIG", nodes.cluster.kubeconfig(User::Admin).into()),
        ("KUBECACHEDIR", nodes.cluster.ready.folder.join("kubectl-cache").into()),
        ("KUBECTL_KUBERC", OsString::from("false")),
    ];
    Surroundings { variables, settle, kubectl: Some(nodes.cluster.kubectl_path().to_owned()) }
}
