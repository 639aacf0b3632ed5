//! On a real API server, with the real kubectl. One cluster for all tests, a namespace for each.
//! Without Go the tests are ignored and say so; with CI set that is a failure.
#[path = "cluster/audit.rs"]
mod audit;
#[path = "cluster/captured.rs"]
mod captured;
#[path = "cluster/certificates.rs"]
mod certificates;
#[path = "support/client.rs"]
mod client;
#[path = "cluster/client_auth.rs"]
mod client_auth;
#[path = "support/controlplane.rs"]
mod controlplane;
#[path = "cluster/denials.rs"]
mod denials;
#[path = "cluster/doctor.rs"]
mod doctor;
#[path = "cluster/fleet.rs"]
mod fleet;
#[path = "support/folder.rs"]
mod folder;
#[path = "cluster/forwarder.rs"]
mod forwarder;
#[path = "cluster/healing.rs"]
mod healing;
#[path = "cluster/installed.rs"]
mod installed;
#[path = "cluster/life.rs"]
mod life;
#[path = "cluster/lives.rs"]
mod lives;
#[path = "cluster/messages.rs"]
mod messages;
#[path = "cluster/nodes.rs"]
mod nodes;
#[path = "cluster/outage.rs"]
mod outage;
#[path = "docs/page.rs"]
mod page;
#[path = "cluster/pages.rs"]
mod pages;
#[path = "support/panics.rs"]
mod panics;
#[path = "cluster/picture.rs"]
mod picture;
#[path = "support/pki.rs"]
mod pki;
#[path = "support/process.rs"]
mod process;
#[path = "cluster/recorder.rs"]
mod recorder;
#[path = "cluster/recording.rs"]
mod recording;
#[path = "cluster/registered.rs"]
mod registered;
#[path = "cluster/registration.rs"]
mod registration;
#[path = "cluster/restarts.rs"]
mod restarts;
#[path = "cluster/rotation.rs"]
mod rotation;
#[path = "support/running.rs"]
mod running;
#[path = "docs/session.rs"]
mod session;
#[path = "cluster/smoke.rs"]
mod smoke;
#[path = "cluster/stand_in.rs"]
mod stand_in;
#[path = "cluster/trouble.rs"]
mod trouble;
#[path = "cluster/wire.rs"]
mod wire;
#[path = "cluster/writing.rs"]
mod writing;

use std::env;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use controlplane::{Absent, Kubectl, Namespace, User};
use installed::Installed;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use serde_json::{Value, json};

type Test = fn(&Namespace<'_>);

/// Which webhooks judge the scans in a test's namespace.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hooks {
    /// Ours, as they were installed for the whole cluster.
    Installed,
    /// Those that the test registers itself.
    Own,
}

/// The tests of each file.
const TESTS: &[(Hooks, &[(&str, Test)])] = &[
    (Hooks::Own, smoke::TESTS),
    (Hooks::Installed, installed::TESTS),
    (Hooks::Installed, registration::TESTS),
    (Hooks::Own, outage::TESTS),
    (Hooks::Own, certificates::TESTS),
    (Hooks::Own, client_auth::TESTS),
    (Hooks::Installed, denials::TESTS),
    (Hooks::Installed, wire::TESTS),
    (Hooks::Own, registered::TESTS),
    (Hooks::Own, recording::TESTS),
    (Hooks::Installed, lives::TESTS),
    (Hooks::Own, rotation::TESTS),
    (Hooks::Own, restarts::TESTS),
    (Hooks::Own, healing::TESTS),
    (Hooks::Own, audit::TESTS),
    (Hooks::Own, doctor::TESTS),
    (Hooks::Own, messages::TESTS),
    (Hooks::Own, pages::TESTS),
    (Hooks::Installed, picture::TESTS),
];

fn main() -> ExitCode {
    let shared = Arc::new(OnceLock::new());
    let tests = TESTS.iter().flat_map(|&(hooks, tests)| tests.iter().map(move |&(name, test)| (hooks, name, test)));
    let tests = tests.map(|(hooks, name, test)| {
        let shared = shared.clone();
        Trial::ignorable_test(name, move || match shared.get_or_init(installed) {
            Ok(installed) => {
                test(&installed.namespace(name, hooks));
                Ok(Completion::Completed)
            }
            Err(absent) => without(absent),
        })
    });
    let pages = pages::pages().map(|page| {
        let name = format!("the-commands-of-{}", page.path);
        Trial::ignorable_test(name, move || match pages::run(&page) {
            Ok(()) => Ok(Completion::Completed),
            Err(absent) => without(&absent),
        })
    });
    let conclusion = libtest_mimic::run(&Arguments::from_args(), pages.chain(tests).collect());
    // The last owner: the cluster stops here, before the process says that it is done.
    drop(shared);
    conclusion.exit_code()
}

/// What a test without a cluster is.
fn without(absent: &Absent) -> Result<Completion, Failed> {
    match absent {
        Absent::Tools(why) if env::var_os("CI").is_none() => Ok(Completion::ignored_with(why)),
        Absent::Tools(why) | Absent::Broken(why) => Err(Failed::from(why)),
    }
}

/// A set-up that panics does so once.
fn installed() -> Result<Installed, Absent> {
    std::panic::catch_unwind(Installed::new).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        Err(Absent::Broken(format!("the cluster could not be set up: {words}")))
    })
}

fn scan(name: &str) -> Value {
    json!({
        "apiVersion": "scanning.apps.tanzu.vmware.com/v1beta1",
        "kind": "SourceScan",
        "metadata": {"name": name},
        "spec": {"blob": {"url": "https://example.com/code.tar.gz"}, "scanTemplate": "blob-source-scan-template"},
    })
}

/// `namespaceSelector` of a hook or policy that one test has for itself.
fn only(namespace: &Namespace<'_>) -> Value {
    json!({"matchLabels": {"kubernetes.io/metadata.name": namespace.name}})
}

/// A kubectl of somebody whom our webhooks let pass: it writes what they would deny.
fn break_glass(namespace: &Namespace<'_>) -> Kubectl {
    let groups = ["--as-group=system:masters", "--as-group=scan-admission:break-glass"];
    namespace.kubectl(User::Admin).args(["--as=somebody"]).args(groups)
}
