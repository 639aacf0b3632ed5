//! Tests the checks of the generated policies, as the API server stores them.

use std::collections::BTreeSet;

use scan_admission::engine::cel::Cel;
use scan_admission::policies::digest_of_spec;
use scan_admission::rules::RULES;
use serde_json::{Value, json};

use super::How::{Change, Delete, Status};
use super::{CONFIG, Object, Sabotage, Setup, VALIDATING, assert_found, named};
use crate::controlplane::User;
use crate::installed::program;

const GROUP: &str = "admissionregistration.k8s.io/v1";
const ERRORS: Object = (GROUP, "ValidatingAdmissionPolicy", "scan-errors", false);
const ERRORS_BINDING: Object = (GROUP, "ValidatingAdmissionPolicyBinding", "scan-errors", false);
const WARNINGS: Object = (GROUP, "ValidatingAdmissionPolicy", "scan-warnings", false);
const SPEC_ERRORS: Object = (GROUP, "ValidatingAdmissionPolicy", "scan-spec-errors", false);
const SPEC_ERRORS_BINDING: Object = (GROUP, "ValidatingAdmissionPolicyBinding", "scan-spec-errors", false);
const MUTATIONS: Object = (GROUP, "MutatingAdmissionPolicy", "scan-mutations", false);
const MUTATIONS_BINDING: Object = (GROUP, "MutatingAdmissionPolicyBinding", "scan-mutations", false);

/// The sabotages of an installation with webhooks and policies, which both deny.
pub const SABOTAGES: &[Sabotage] = &[
    ("the policies without a webhook", Delete(VALIDATING), 1, &["configuration-missing"]),
    (
        "the policies without a webhook of the status",
        Change(VALIDATING, |it| drop(super::webhooks(it).remove(0))),
        1,
        &["webhook-missing"],
    ),
    (
        "a binding that only audits",
        Change(ERRORS_BINDING, |it| it["spec"]["validationActions"] = json!(["Audit"])),
        0,
        &["policy-edited"],
    ),
    (
        "a policy that never denies",
        Change(ERRORS, |it| drop(it["spec"].as_object_mut().unwrap().remove("validations"))),
        1,
        &["policy-edited"],
    ),
    (
        "a policy of another release",
        Change(ERRORS, |it| it["metadata"]["annotations"]["scan-admission.dev/version"] = json!("0.0.1")),
        1,
        &["policy-and-webhook", "policy-version"],
    ),
    (
        "a mutating policy of other rules",
        Change(MUTATIONS, |it| it["metadata"]["annotations"]["scan-admission.dev/rules"] = json!("0123456789ab")),
        1,
        &["policy-and-webhook", "policy-version"],
    ),
    (
        "a policy that never applies",
        Change(WARNINGS, |it| {
            add_to(&mut it["spec"]["matchConditions"], json!({"name": "never", "expression": "false"}))
        }),
        1,
        &["policy-and-webhook", "policy-edited"],
    ),
    (
        "a mutating policy with another order",
        Change(MUTATIONS, |it| it["spec"]["mutations"].as_array_mut().unwrap().reverse()),
        1,
        &["policy-and-webhook", "policy-edited"],
    ),
    (
        "no annotations",
        Change(SPEC_ERRORS, |it| it["metadata"]["annotations"] = json!({})),
        1,
        &["policy-and-webhook", "policy-version", "policy-edited"],
    ),
    (
        "a binding for some namespaces",
        Change(SPEC_ERRORS_BINDING, |it| {
            it["spec"]["matchResources"] = json!({"namespaceSelector": {"matchLabels": {"judged": "yes"}}});
        }),
        0,
        &["policy-and-webhook", "policy-edited"],
    ),
    ("the user's own binding", Change(SPEC_ERRORS_BINDING, with_other_namespaces), 0, &["policy-and-webhook"]),
    ("no binding", Delete(ERRORS_BINDING), 1, &["policy-unbound"]),
    ("no mutating binding", Delete(MUTATIONS_BINDING), 1, &["policy-and-webhook", "policy-unbound"]),
    ("no policy", Delete(ERRORS), 1, &["policy-unbound"]),
    ("no mutating policy", Delete(MUTATIONS), 1, &["policy-and-webhook", "policy-unbound"]),
    (
        "another mode in the configuration of the webhook",
        Change(CONFIG, |it| it["data"]["config.yaml"] = json!("rules: {phase-unknown: warn}\n")),
        1,
        &["policy-and-webhook", "policy-config"],
    ),
    (
        "a webhook that only warns",
        Change(CONFIG, |it| it["data"]["config.yaml"] = json!(every_rule("warn"))),
        1,
        &["policy-config"],
    ),
    (
        "a configuration that makes the same policies",
        Change(CONFIG, |it| it["data"]["config.yaml"] = json!("# The defaults.\nlimits: {connections: 100}\n")),
        0,
        &["policy-and-webhook"],
    ),
    (
        "a configuration with other faults",
        Change(CONFIG, |it| it["data"]["config.yaml"] = json!("faults: allow\n")),
        1,
        &["policy-and-webhook", "policy-config", "policy-faults"],
    ),
    (
        "an invalid configuration",
        Change(CONFIG, |it| it["data"]["config.yaml"] = json!("statusWriter: somebody\n")),
        2,
        &["match-conditions", "policy-and-webhook", "policy-config"],
    ),
    (
        "errors that are ignored",
        Change(ERRORS, |it| it["spec"]["failurePolicy"] = json!("Ignore")),
        1,
        &["policy-and-webhook", "policy-edited", "policy-faults"],
    ),
    (
        "warnings that deny",
        Change(WARNINGS, |it| it["spec"]["failurePolicy"] = json!("Fail")),
        1,
        &["policy-and-webhook", "policy-edited", "policy-faults"],
    ),
    (
        "mutations that deny",
        Change(MUTATIONS, |it| it["spec"]["failurePolicy"] = json!("Fail")),
        1,
        &["policy-and-webhook", "policy-edited", "policy-faults"],
    ),
    (
        "parameters",
        Change(SPEC_ERRORS, |it| it["spec"]["paramKind"] = json!({"apiVersion": "v1", "kind": "ConfigMap"})),
        1,
        &["policy-and-webhook", "policy-edited", "policy-faults"],
    ),
    // No controller of this cluster checks types.
    (
        "a type error",
        Status(ERRORS, |it| {
            it["status"] = json!({"typeChecking": {"expressionWarnings": [
                {"fieldRef": "spec.validations[0].expression", "warning": "undefined field 'phases'"}]}});
        }),
        1,
        &["policy-and-webhook", "policy-type-checking"],
    ),
    (
        "types without an error",
        Status(ERRORS, |it| it["status"] = json!({"observedGeneration": 1, "typeChecking": {}})),
        0,
        &["policy-and-webhook"],
    ),
];

fn add_to(list: &mut Value, one: Value) {
    list.as_array_mut().unwrap().push(one);
}

/// Without our labels, so that nobody has generated it.
fn with_other_namespaces(binding: &mut Value) {
    binding["metadata"]["labels"] = json!({});
    binding["spec"]["matchResources"] = json!({"namespaceSelector": {"matchLabels": {"judged": "yes"}}});
}

/// A configuration with the same mode for all rules, except for the one that needs a list of users and those that policies
/// cannot judge.
fn every_rule(mode: &str) -> String {
    let rules = RULES.iter().filter(|rule| rule.id != "status-writer" && !matches!(rule.cel, Cel::Never(_)));
    rules.fold("rules:\n".to_owned(), |text, rule| format!("{text}  {}: {mode}\n", rule.id))
}

/// Writes the policies for a configuration to a folder, and returns its path.
fn generate(setup: &Setup, name: &str, config: &str) -> String {
    let (folder, file) = (setup.folder.join(name), setup.folder.join("policies.config.yaml"));
    std::fs::write(&file, config).unwrap();
    let mut command = program(&["generate", "policies", "--to"]);
    command.arg(&folder);
    if !config.is_empty() {
        command.arg("--config").arg(&file);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    folder.to_str().unwrap().to_owned()
}

pub fn with_policies(setup: &Setup) {
    let folder = generate(setup, "policies", "");
    setup.cluster.kubectl(User::Admin).args(["apply", "--server-side", "-k", &folder]).run().ok();
    the_api_server_stores_what_is_generated(setup);

    let at = setup.at();
    let (code, report) = setup.report([&at, &at], &[]);
    assert_eq!((code, named(&report)), (Some(0), BTreeSet::from(["policy-and-webhook"])), "{report:#}");
    assert_eq!(report["diagnostics"][0]["level"], "note");
    assert_found(setup, SABOTAGES);
    let (code, report) = setup.report([&at, &at], &[]);
    assert_eq!((code, named(&report)), (Some(0), BTreeSet::from(["policy-and-webhook"])), "{report:#}");
    the_messages_name_the_policies(setup);
    setup.cluster.kubectl(User::Admin).args(["delete", "--ignore-not-found", "-k", &folder]).run().ok();
}

/// Each default is spelled out, so that the digest of a stored spec is the generated one.
fn the_api_server_stores_what_is_generated(setup: &Setup) {
    let overridden = "overrides: [{namespaces: [a-*], rules: {phase-unknown: off}}]\n".to_owned();
    let lists =
        ["statusWriters: [somebody]\n".to_owned(), "faults: allow\nhelp: https://example.com/help\n".to_owned()];
    let modes = ["warn", "audit", "off"].map(every_rule);
    for (index, config) in [String::new(), overridden].iter().chain(&lists).chain(&modes).enumerate() {
        let folder = generate(setup, &format!("policies-{index}"), config);
        let apply = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-o", "json", "-k", &folder];
        let output = setup.cluster.kubectl(User::Admin).args(apply).run();
        let stored: Value = serde_json::from_str(output.ok()).unwrap();
        let objects = stored["items"].as_array().unwrap();
        assert_eq!(objects.len(), 12, "{config}");
        for object in objects {
            let annotation = &object["metadata"]["annotations"]["scan-admission.dev/spec"];
            let (kind, name) = (&object["kind"], &object["metadata"]["name"]);
            assert_eq!(*annotation, digest_of_spec(object), "{kind} {name} with {config}: {:#}", object["spec"]);
        }
    }
}

/// The messages of one installation with several faults.
fn the_messages_name_the_policies(setup: &Setup) {
    let at = setup.at();
    for policy in [ERRORS, MUTATIONS] {
        setup.change(policy, false, |it| it["metadata"]["annotations"]["scan-admission.dev/version"] = json!("0.0.1"));
    }
    setup.delete(SPEC_ERRORS_BINDING);
    let (code, report) = setup.report([&at, &at], &[]);
    let messages: Vec<&str> =
        report["diagnostics"].as_array().unwrap().iter().map(|one| one["message"].as_str().unwrap()).collect();
    assert_eq!((code, messages.len()), (Some(1), 3), "{report:#}");
    assert_eq!(
        messages[0],
        "the ValidatingAdmissionPolicyBinding scan-errors and status.validate.scan-admission.dev of \
         ValidatingWebhookConfiguration scan-admission both deny a status: choose one of them"
    );
    assert!(messages[1].starts_with("the release 0.0.1 with the rules "), "{report:#}");
    assert!(messages[1].contains(" generated scan-errors, scan-mutations: this program is "), "{report:#}");
    assert_eq!(messages[2], "the ValidatingAdmissionPolicy scan-spec-errors has no binding");
}
