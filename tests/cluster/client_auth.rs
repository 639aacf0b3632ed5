//! Tests `--client-ca` with the API server as the client, configured as certs/README.md says.

use std::fs;
use std::path::Path;

use crate::controlplane::{Namespace, User, eventually};
use crate::outage::register;
use crate::support::folder::Folder;
use crate::support::process::Process;
use crate::support::program;
use crate::support::waits::metric;
use crate::{Test, scan};

pub const TESTS: &[(&str, Test)] = &[
    ("the-api-server-presents-its-client-certificate", the_api_server_presents_its_client_certificate),
    ("the-docs-show-the-files-that-the-api-server-reads", the_docs_show_the_files_that_the_api_server_reads),
];

fn the_api_server_presents_its_client_certificate(namespace: &Namespace<'_>) {
    let client = &namespace.cluster.ready().webhook_client;
    let folder = Folder::new();
    let start = |listen: &str, name: &str| {
        let ca = format!("--client-ca={}", client.ca.display());
        let mut command = program::command(folder.path(), &[&ca, "--client-name", name]);
        command.env("SCAN_ADMISSION_LISTEN", listen);
        Process::start(command, folder.join("errors"))
    };
    let server = start("127.0.0.1:0", &client.name);
    let address = server.address.to_string();
    register(namespace, &server, &fs::read(folder.join("certs/ca.crt")).unwrap());
    namespace.kubectl(User::Developer).args(["create", "-f", "-"]).input(scan("two").to_string()).run().ok();
    let status = || {
        let wrong = r#"{"status": {"phase": "Complete"}}"#;
        let patch = ["patch", "sourcescan", "two", "--subresource=status", "--type=merge", "--patch", wrong];
        namespace.kubectl(User::ScanController).args(patch).run()
    };
    let judged = |words: &'static str| {
        eventually(words, || Some(status()).filter(|output| output.code == Some(1) && output.stderr.contains(words)))
    };
    judged("[phase-unknown]");
    let of = |server: &Process, name: &str| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(metric(server.admin, name))
    };
    assert_eq!(of(&server, "scan_admission_clients_rejected_total"), Some(0.0));

    drop(server);
    let server = start(&address, "somebody-else");
    judged("failed calling webhook \"status.validate.scan-admission.dev\"");
    assert!(of(&server, "scan_admission_clients_rejected_total") > Some(0.0));
    let words = format!("none of the names of its certificate is a --client-name: [{:?}]", client.name);
    assert!(server.errors().contains(&words), "{}", server.errors());
}

/// Returns the first block of this file below a heading of certs/README.md.
fn block(heading: &str, file: &str) -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("certs/README.md")).unwrap();
    let section = page.split_once(heading).expect("the page has the heading").1;
    let begin = format!("```yaml\n# {file}\n");
    section
        .split_once(&begin)
        .expect("the section has the file")
        .1
        .split_once("```")
        .expect("the block ends")
        .0
        .to_owned()
}

fn the_docs_show_the_files_that_the_api_server_reads(namespace: &Namespace<'_>) {
    let folder = &namespace.cluster.folder();
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let value = |yaml: &str| serde_saphyr::from_str::<serde_json::Value>(yaml).unwrap();
    let heading = "## Only the API server may call";

    let mut shown = value(&block(heading, "admission.yaml"));
    let kubeconfig = folder.join("webhooks.kubeconfig").display().to_string();
    for plugin in shown["plugins"].as_array_mut().unwrap() {
        plugin["configuration"]["kubeConfigFile"] = kubeconfig.as_str().into();
    }
    assert_eq!(shown, value(&read("admission.yaml")));

    let shown = value(&block(heading, "webhooks.kubeconfig"));
    let used = value(&read("webhooks.kubeconfig"));
    let files = |kubeconfig: &serde_json::Value| {
        let user = &kubeconfig["users"][0]["user"];
        user.as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(files(&shown), files(&used));
    assert_eq!((&shown["apiVersion"], &shown["kind"]), (&used["apiVersion"], &used["kind"]));
}
