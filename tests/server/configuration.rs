//! Tests how a configuration changes the answers (RULES §6, "Modes").

use scan_admission::admission::{self, Answer, Context, Decision, FaultPolicy, RuleFinding, Webhook};
use scan_admission::config::Config;
use scan_admission::engine::{Action, Rule};
use serde_json::{Value, json};

use crate::support::panicking_rule::PANICS;
use crate::support::review_context::context;
use crate::support::reviews::{patch, review, scan};

const CONTROLLER: &str = "system:serviceaccount:scan-link-system:scan-link-controller";

fn config(yaml: &str) -> Config {
    Config::read(yaml.as_bytes()).unwrap_or_else(|fault| panic!("{fault}: {yaml}"))
}

fn answer(yaml: &str, review: &Value, webhook: Webhook) -> (Answer, Value) {
    let config = config(yaml);
    let answer =
        admission::answer(review.to_string().as_bytes(), &Context { settings: &config.settings, ..context(webhook) });
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    (answer, body["response"].clone())
}

/// Returns the messages of `rule` in a reply: denials, warnings, and audited findings.
fn messages(response: &Value, rule: &str) -> [Vec<String>; 3] {
    let end = format!(" [{rule}]");
    let about = |texts: Vec<String>| texts.into_iter().filter(|text| text.ends_with(&end)).collect();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let causes = list(&response["status"]["details"]["causes"]).iter().map(|cause| text(&cause["message"])).collect();
    let warnings = list(&response["warnings"]).iter().map(text).collect();
    let audited = response["auditAnnotations"]["audited"].as_str().unwrap_or_default();
    let audited = audited.split('\n').map(ToOwned::to_owned).collect();
    [about(causes), about(warnings), about(audited)]
}

/// A scan in which the validating webhook finds an error or a warning, and the field.
struct Case {
    rule: &'static str,
    review: Value,
    is_denied: bool,
}

/// Returns a denial and a warning for each webhook and each part of the object.
fn cases() -> Vec<(Webhook, Case)> {
    let update = |new: &str, old: Option<&str>| review(&scan(new), old.map(scan).as_ref());
    let create = |new: &str| {
        let mut review = update(new, None);
        review["request"]["operation"] = json!("CREATE");
        review["request"]["subResource"] = json!("");
        review
    };
    let case = |webhook, rule, is_denied, review| (webhook, Case { rule, review, is_denied });
    vec![
        case(Webhook::Validating, "phase-unknown", true, update(r#"{"status": {"phase": "Done"}}"#, None)),
        case(
            Webhook::Validating,
            "cve-total",
            true,
            update(r#"{"status": {"cveCount": {"high": 1, "total": 2}}}"#, None),
        ),
        case(Webhook::Validating, "cve-total", false, update(r#"{"status": {"cveCount": {"high": 1}}}"#, None)),
        case(Webhook::Validating, "scan-target", true, create(r#"{"spec": {"blob": null}}"#)),
        case(Webhook::Validating, "scan-template", false, create(r#"{"spec": {"scanTemplate": null}}"#)),
        case(Webhook::Validating, "phase-unknown", true, create(r#"{"status": {"phase": "Done"}}"#)),
        case(Webhook::Mutating, "status-on-create", false, create(r#"{"status": {"phase": "Pending"}}"#)),
    ]
}

#[test]
fn every_mode_applies_to_every_finding() {
    for (webhook, Case { rule, review, is_denied }) in cases() {
        let plain = messages(&answer("", &review, webhook).1, rule);
        let message = plain[usize::from(!is_denied)][0].clone();
        for mode in ["deny", "warn", "audit", "off"] {
            let (answer, response) = answer(&format!("rules: {{{rule}: {mode}}}"), &review, webhook);
            let [causes, warnings, audited] = messages(&response, rule);
            let counts = [causes.len(), warnings.len(), audited.len()];
            let expected = match (mode, is_denied) {
                ("deny", true) => [1, 0, 0],
                ("deny" | "warn", false) | ("warn", true) => [0, 1, 0],
                ("audit", _) => [0, 0, 1],
                _ => [0, 0, 0],
            };
            assert_eq!(counts, expected, "{rule} {mode} {response:#}");
            let kept = [causes, warnings, audited].concat().concat();
            let says_why = kept.contains(&format!("(not denied: the rule is set to {mode})"));
            assert_eq!(says_why, is_denied && matches!(mode, "warn" | "audit"), "{kept}");
            // Apart from this suffix, the message is the same.
            let words = message.trim_end_matches(&format!(" [{rule}]"));
            assert!(mode == "off" || kept.contains(words), "{kept} {words}");

            let rules = response["auditAnnotations"]["rules"].as_str().unwrap_or_default();
            assert_eq!(rules.split(',').any(|id| id == rule), matches!(mode, "deny" | "warn"), "{response:#}");
            let audit = |found: &&RuleFinding| found.action == Action::Audit;
            let (audited, shown): (Vec<&RuleFinding>, Vec<&RuleFinding>) =
                answer.summary.findings.iter().filter(|found| found.rule == rule).partition(audit);
            assert_eq!((!audited.is_empty(), !shown.is_empty()), (mode == "audit", matches!(mode, "deny" | "warn")));
            if rule != "cve-total" && is_denied {
                assert_eq!(answer.is_allowed, mode != "deny", "{rule} {mode} {response:#}");
            }
        }
    }
}

#[test]
fn a_mutation_is_made_where_its_rule_denies_or_warns() {
    let status =
        r#"{"status": {"cveCount": {"critical": 1, "high": 0, "medium": 0, "low": 0, "unknown": 0, "total": 3}}}"#;
    let review = review(&scan(status), None);
    for (mode, is_mutated) in [("deny", true), ("warn", true), ("audit", false), ("off", false)] {
        let (answer, response) = answer(&format!("rules: {{cve-total: {mode}}}"), &review, Webhook::Mutating);
        let made = patch(&json!({"response": response}));
        let due = json!([{"op": "replace", "path": "/status/cveCount/total", "value": 1}]);
        assert_eq!(made, if is_mutated { due } else { json!([]) }, "{mode}");
        assert_eq!(answer.summary.decision == Decision::Mutate, is_mutated);
        let [.., warnings, _] = messages(&response, "cve-total");
        assert_eq!(warnings.len(), usize::from(is_mutated), "{response:#}");
    }
}

#[test]
fn a_rule_that_is_off_is_not_evaluated() {
    const RULE: Rule = Rule { id: "phase-jump", ..PANICS };
    let body = review(&scan(r#"{"status": {"phase": "Pending"}}"#), None).to_string();
    for webhook in [Webhook::Validating, Webhook::Mutating] {
        for (yaml, is_asked) in [("", true), ("rules: {phase-jump: off}", false)] {
            let settings = &config(yaml).settings;
            let answer = admission::answer(body.as_bytes(), &Context { rules: &[RULE], settings, ..context(webhook) });
            assert_eq!(answer.summary.decision != Decision::Allow, is_asked, "{answer:?}");
        }
    }
}

/// Returns whether a write of an unknown phase is denied in this namespace and for this user.
fn is_denied(yaml: &str, namespace: &str, user: &str, groups: &[&str]) -> bool {
    let mut review = review(&scan(r#"{"status": {"phase": "Done"}}"#), None);
    review["request"]["namespace"] = json!(namespace);
    review["request"]["userInfo"] = json!({"username": user, "groups": groups});
    !answer(yaml, &review, Webhook::Validating).0.is_allowed
}

#[test]
fn an_override_is_for_requests_that_match_all_its_lists() {
    let by = |lists: &str| format!("overrides: [{{{lists}, rules: {{phase-unknown: warn}}}}]");
    for (lists, namespace, user, groups, matches) in [
        ("namespaces: [dev]", "dev", "jane", &[][..], true),
        ("namespaces: [dev]", "dev-1", "jane", &[], false),
        ("namespaces: [a, dev-*]", "dev-1", "jane", &[], true),
        ("namespaces: ['*']", "", "", &[], true),
        ("users: [jane]", "dev", "jane", &[], true),
        ("users: [jane]", "dev", "john", &["jane"], false),
        ("users: ['system:serviceaccount:dev:*']", "x", "system:serviceaccount:dev:bot", &[], true),
        ("groups: [team]", "dev", "jane", &["system:authenticated", "team"], true),
        ("groups: [team]", "dev", "team", &["system:authenticated"], false),
        ("groups: ['*']", "dev", "jane", &[], false),
        ("namespaces: [dev], users: [jane]", "dev", "jane", &[], true),
        ("namespaces: [dev], users: [jane]", "dev", "john", &[], false),
        ("namespaces: [dev], users: [jane]", "prod", "jane", &[], false),
        ("namespaces: [dev], groups: [a, b]", "dev", "jane", &["c", "b"], true),
        ("users: [jane], groups: [b]", "dev", "jane", &["c"], false),
    ] {
        assert_eq!(!is_denied(&by(lists), namespace, user, groups), matches, "{lists} {namespace} {user} {groups:?}");
    }
    // A member that the review does not have matches no list.
    let mut review = review(&scan(r#"{"status": {"phase": "Done"}}"#), None);
    for user in [json!(null), json!({"username": "jane", "groups": "team"}), json!({"groups": [7]}), json!({})] {
        review["request"]["userInfo"] = user;
        assert!(!answer(&by("groups: [team]"), &review, Webhook::Validating).0.is_allowed);
    }
}

#[test]
fn the_last_override_that_names_the_rule_counts() {
    let yaml = "
rules: {phase-unknown: warn}
overrides:
- {namespaces: ['*'], rules: {phase-unknown: deny}}
- {namespaces: [dev-*], rules: {phase-unknown: off, scan-template: off}}
- {users: [jane], rules: {phase-unknown: deny}}
- {namespaces: [dev-*], rules: {scan-template: deny}}
";
    for (namespace, user, denied) in
        [("prod", "john", true), ("dev-1", "john", false), ("dev-1", "jane", true), ("prod", "jane", true)]
    {
        assert_eq!(is_denied(yaml, namespace, user, &[]), denied, "{namespace} {user}");
    }
    assert!(
        !is_denied("rules: {phase-unknown: warn}", "prod", "john", &[]),
        "the top-level rules apply if no override matches"
    );
    let other = "{rules: {phase-unknown: warn}, overrides: [{namespaces: [prod], rules: {phase-jump: deny}}]}";
    assert!(!is_denied(other, "prod", "john", &[]), "the top-level rules apply if no matching override names the rule");
}

#[test]
fn only_configured_status_writers_may_write() {
    let status = scan(r#"{"status": {"phase": "Pending"}}"#);
    let by = |user: &str| {
        let mut review = review(&status, None);
        review["request"]["userInfo"]["username"] = json!(user);
        review
    };
    let writers = format!("statusWriters: [{CONTROLLER}, restore]\n");
    for (yaml, user, causes, warnings) in [
        ("", "jane", 0, 0),
        (writers.as_str(), CONTROLLER, 0, 0),
        (&writers, "restore", 0, 0),
        (&writers, "jane", 1, 0),
        (&writers, "", 1, 0),
        (&format!("{writers}rules: {{status-writer: warn}}"), "jane", 0, 1),
        (&format!("{writers}rules: {{status-writer: off}}"), "jane", 0, 0),
        (&format!("{writers}overrides: [{{users: [ja*], rules: {{status-writer: off}}}}]"), "jane", 0, 0),
    ] {
        let [denied, warned, _] = messages(&answer(yaml, &by(user), Webhook::Validating).1, "status-writer");
        assert_eq!((denied.len(), warned.len()), (causes, warnings), "{yaml} {user}");
    }
}

#[test]
fn only_denials_have_the_help_link() {
    let yaml = "help: https://wiki.example.com/scans";
    let denied = review(&scan(r#"{"status": {"phase": "Done", "cveCount": {"low": 1}}}"#), None);
    let response = answer(yaml, &denied, Webhook::Validating).1;
    assert_eq!(response["warnings"][0], "help: https://wiki.example.com/scans", "kubectl prints no message");
    let message = response["status"]["message"].as_str().unwrap();
    assert!(message.ends_with("; help: https://wiki.example.com/scans"), "{message}");
    for (review, webhook) in [
        (&denied, Webhook::Mutating),
        (&review(&scan(r#"{"status": {"cveCount": {"low": 1}}}"#), None), Webhook::Validating),
    ] {
        let (answer, response) = answer(yaml, review, webhook);
        assert!(answer.is_allowed && !response.to_string().contains("wiki"), "{response:#}");
    }
}

#[test]
fn the_digest_is_in_every_annotation() {
    let yaml = "faults: allow\n";
    let digest = "b7cd0e6b63c9";
    let clean = review(&scan(r#"{"status": {"phase": "Pending"}}"#), None);
    for webhook in [Webhook::Validating, Webhook::Mutating] {
        assert_eq!(answer(yaml, &clean, webhook).1["auditAnnotations"], json!({"decision": "allow", "config": digest}));
        assert_eq!(
            answer("", &clean, webhook).1["auditAnnotations"]["config"],
            "e3b0c44298fc",
            "an empty file has a digest, too"
        );
    }
    let config = config(yaml);
    let context = Context { settings: &config.settings, ..context(Webhook::Validating) };
    let fault = admission::fault(clean.to_string().as_bytes(), admission::Fault::Timeout, &context);
    assert!(fault.is_allowed && config.settings.faults == FaultPolicy::Allow);
    let body: Value = serde_json::from_slice(&fault.body).unwrap();
    assert_eq!(body["response"]["auditAnnotations"], json!({"decision": "error", "config": digest}));
}

/// Findings that are downgraded because the object is being deleted or had the error before keep that reason.
#[test]
fn a_finding_downgraded_for_another_reason_keeps_that_reason() {
    let deleting = r#"{"metadata": {"deletionTimestamp": "2026-11-24T11:00:00Z"}, "status": {"phase": "Done"}}"#;
    for mode in ["deny", "warn"] {
        let yaml = format!("rules: {{phase-unknown: {mode}}}");
        let [_, warnings, _] =
            messages(&answer(&yaml, &review(&scan(deleting), None), Webhook::Validating).1, "phase-unknown");
        assert!(warnings[0].contains("(not denied: the object is being deleted)"), "{warnings:?}");
        let standing = scan(r#"{"status": {"phase": "Done"}}"#);
        let [_, warnings, _] =
            messages(&answer(&yaml, &review(&standing, Some(&standing)), Webhook::Validating).1, "phase-unknown");
        assert!(warnings[0].contains("the old object has the same error"), "{warnings:?}");
    }
}

#[test]
fn the_annotation_of_audited_findings_is_bounded() {
    let entry = json!({"type": 7});
    let mut object = scan(r#"{"status": {}}"#);
    object["status"]["conditions"] = json!(vec![entry; 500]);
    let response = answer("rules: {condition-fields: audit}", &review(&object, None), Webhook::Validating).1;
    assert_eq!(response["allowed"], true);
    let audited = response["auditAnnotations"]["audited"].as_str().unwrap();
    assert!(audited.len() < 4096 && audited.ends_with(" more findings"), "{audited}");
    assert!(audited.contains("not denied: the rule is set to audit"), "{audited}");
}
