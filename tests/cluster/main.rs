//! Tests with a real API server and the real kubectl. All tests share one cluster, and each has its own namespace.
//! Without Go, the tests are reported as ignored with the reason. With CI set, they fail.

mod audit;
mod bare_cluster;
mod ca_rotation;
mod captured_review;
mod certificates;
mod chart;
mod client_auth;
mod controlplane;
mod denials;
mod describe;
mod doctor;
mod events;
mod failing_webhooks;
mod faulty_proxy;
mod forwarder;
mod helm;
mod installed;
mod kubectl_messages;
mod lifecycle_fixtures;
mod lifecycles;
mod nodes;
mod outage;
mod page_commands;
mod policies;
mod policies_installed;
mod readme_picture;
mod reconciliation;
mod recorded_reviews;
mod recording_webhook;
mod registration;
mod replay;
mod replicas;
mod reports;
mod requests_and_answers;
mod rolling_restart;
mod stand_in_webhook;
#[path = "../support"]
mod support {
    pub mod client;
    pub mod controlplane;
    pub mod count_names;
    pub mod fixtures;
    pub mod folder;
    pub mod http;
    pub mod in_process;
    pub mod page;
    pub mod panicking_rule;
    pub mod pki;
    pub mod process;
    pub mod program;
    pub mod review_edits;
    pub mod reviews;
    pub mod session;
    pub mod signals;
    pub mod states;
    pub mod status_edits;
    pub mod waits;
}
mod unusual_registrations;
mod ways_of_writing;

use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use controlplane::{ClusterError, Kubectl, Namespace, User};
use installed::Installed;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use serde_json::{Value, json};

type Test = fn(&Namespace<'_>);

/// Which webhooks judge the scans in a test's namespace.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hooks {
    /// Our webhooks, as installed for the whole cluster.
    Installed,
    /// Webhooks that the test registers itself.
    Own,
}

/// The tests of each file.
const TESTS: &[(Hooks, &[(&str, Test)])] = &[
    (Hooks::Own, bare_cluster::TESTS),
    (Hooks::Installed, installed::TESTS),
    (Hooks::Installed, registration::TESTS),
    (Hooks::Own, outage::TESTS),
    (Hooks::Own, certificates::TESTS),
    (Hooks::Own, client_auth::TESTS),
    (Hooks::Installed, denials::TESTS),
    (Hooks::Installed, requests_and_answers::TESTS),
    (Hooks::Own, unusual_registrations::TESTS),
    (Hooks::Own, recorded_reviews::TESTS),
    (Hooks::Installed, lifecycles::TESTS),
    (Hooks::Own, ca_rotation::TESTS),
    (Hooks::Own, events::TESTS),
    (Hooks::Own, rolling_restart::TESTS),
    (Hooks::Own, reconciliation::TESTS),
    (Hooks::Own, audit::TESTS),
    (Hooks::Own, reports::TESTS),
    (Hooks::Own, replay::TESTS),
    (Hooks::Own, describe::TESTS),
    (Hooks::Own, doctor::TESTS),
    (Hooks::Own, kubectl_messages::TESTS),
    (Hooks::Own, page_commands::TESTS),
    (Hooks::Installed, readme_picture::TESTS),
];

fn main() -> ExitCode {
    let shared = Arc::new(OnceLock::new());
    let tests = TESTS.iter().flat_map(|&(hooks, tests)| tests.iter().map(move |&(name, test)| (hooks, name, test)));
    let tests = tests.map(|(hooks, name, test)| {
        let shared = shared.clone();
        Trial::ignorable_test(name, move || match shared.get_or_init(|| set_up(Installed::new)) {
            Ok(installed) => {
                test(&installed.namespace(name, hooks));
                Ok(Completion::Completed)
            }
            Err(error) => result_without_cluster(error),
        })
    });
    let pages = page_commands::pages().map(|page| {
        let name = format!("the-commands-of-{}", page.path);
        Trial::ignorable_test(name, move || match page_commands::run(&page) {
            Ok(()) => Ok(Completion::Completed),
            Err(error) => result_without_cluster(&error),
        })
    });
    let programs = policies::TESTS.iter().chain(policies_installed::OTHERS).map(with_programs);
    let measurements = policies_installed::MEASUREMENTS.iter().map(|test| with_programs(test).with_ignored_flag(true));
    let with_policies = Arc::new(OnceLock::new());
    let policies = policies_installed::TESTS.iter().map(|&(name, test)| {
        let with_policies = with_policies.clone();
        Trial::ignorable_test(name, move || match with_policies.get_or_init(|| set_up(policies_installed::installed)) {
            Ok(cluster) => {
                test(&cluster.namespace(name, &json!({})));
                Ok(Completion::Completed)
            }
            Err(error) => result_without_cluster(error),
        })
    });
    let chart = chart::TESTS.iter().map(|&(name, test)| {
        Trial::ignorable_test(name, move || match test() {
            Ok(()) => Ok(Completion::Completed),
            Err(error) => result_without_cluster(&error),
        })
    });
    let all = pages.chain(tests).chain(chart).chain(programs).chain(policies).chain(measurements).collect();
    let conclusion = libtest_mimic::run(&Arguments::from_args(), all);
    // These are the last references: the clusters stop here, before the process reports its result.
    drop((shared, with_policies));
    conclusion.exit_code()
}

/// Returns the result of a test that has no cluster.
fn result_without_cluster(error: &ClusterError) -> Result<Completion, Failed> {
    match error {
        ClusterError::MissingTools(why) if env::var_os("CI").is_none() => Ok(Completion::ignored_with(why)),
        ClusterError::MissingTools(why) | ClusterError::Broken(why) => Err(Failed::from(why)),
    }
}

/// Returns a test that runs programs of the control plane itself.
fn with_programs(&(name, test): &(&'static str, fn(&Path))) -> Trial {
    Trial::ignorable_test(name, move || match controlplane::policy_evaluator() {
        Ok(program) => {
            test(&program);
            Ok(Completion::Completed)
        }
        Err(error) => result_without_cluster(error),
    })
}

/// Turns a panic of the set-up into an error, so that it is reported once.
fn set_up<T>(start: fn() -> Result<T, ClusterError>) -> Result<T, ClusterError> {
    std::panic::catch_unwind(start).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        Err(ClusterError::Broken(format!("the cluster could not be set up: {words}")))
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

/// The `namespaceSelector` of a webhook or policy that is for one test.
fn only(namespace: &Namespace<'_>) -> Value {
    json!({"matchLabels": {"kubernetes.io/metadata.name": namespace.name}})
}

/// Returns a kubectl with the break-glass group, whose writes our webhooks do not review.
fn break_glass(namespace: &Namespace<'_>) -> Kubectl {
    let groups = ["--as-group=system:masters", "--as-group=scan-admission:break-glass"];
    namespace.kubectl(User::Admin).args(["--as=somebody"]).args(groups)
}
