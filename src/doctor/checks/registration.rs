//! The registration: both webhook configurations exist, and are those of the manifests.

use std::collections::BTreeSet;

use k8s_openapi::api::admissionregistration::v1::{MutatingWebhook, RuleWithOperations};

use crate::admission::{FaultPolicy, ReviewSettings, Webhook};
use crate::doctor::check::{Check, Diagnostics};
use crate::doctor::expected::{configuration_kind, function};
use crate::doctor::lookup::Lookup;
use crate::doctor::snapshot::{OurWebhook, Snapshot};
use crate::doctor::target::path;
use crate::engine::{Mode, Part, Rule};
use crate::rules::RULES;
use crate::scan::{GROUP, Kind};

pub const CHECKS: &[Check] = &[
    Check {
        id: "configuration-missing",
        title: "Both webhook configurations exist.",
        causes: "Without the validating configuration every status is stored as it is written; without the mutating one nothing is filled in.",
        remedy: "Apply the manifests again: `kubectl apply -k manifests/mine`.",
        run: configuration_missing,
    },
    Check {
        id: "webhook-missing",
        title: "Each configuration has the webhooks of the manifests.",
        causes: "Requests that the missing webhook matches are not judged, or derived fields are not filled in.",
        remedy: "Apply the manifests again, and find the overlay or the tool that removes the webhook.",
        run: webhook_missing,
    },
    Check {
        id: "webhook-unknown",
        title: "Each configuration has only the webhooks of the manifests.",
        causes: "Requests are judged twice, or by a webhook of another release that is no longer maintained.",
        remedy: "Remove the webhook, or move it to a configuration of its own. `kubectl apply` does not remove webhooks that it did not write.",
        run: webhook_unknown,
    },
    Check {
        id: "rules-too-narrow",
        title: "The rules of each webhook match all requests that those of the manifests match.",
        causes: "Writes of the missing resources, operations or versions pass unjudged. `*` does not match a subresource: without `sourcescans/status` no status is judged.",
        remedy: "Apply the manifests again; they contain the rules of each webhook.",
        run: rules_too_narrow,
    },
    Check {
        id: "rules-too-wide",
        title: "The rules of each webhook match no other requests.",
        causes: "Each such write waits for the webhook, and fails with it if the failurePolicy is Fail. The webhook does not judge it, and answers with a warning.",
        remedy: "Apply the manifests again; they contain the rules of each webhook.",
        run: rules_too_wide,
    },
    Check {
        id: "failure-policy",
        title: "The failurePolicy of each webhook is that of the manifests.",
        causes: "With Ignore on the status webhook, which is correct while the configuration denies nothing, contradictory statuses are stored whenever no replica answers in time, and no client is told. With Fail on another webhook, an outage blocks changes of specs, finalizers and the deletion of namespaces.",
        remedy: "Apply the manifests again. Fail on the spec webhook is correct only for kinds without a status subresource.",
        run: failure_policy,
    },
    Check {
        id: "path",
        title: "Each webhook is called at its own path.",
        causes: "The validating webhook does not mutate and the mutating webhook does not deny, so a webhook at the path of the other has no effect. At any other path each call fails.",
        remedy: "Apply the manifests again; they contain `clientConfig.service.path`.",
        run: wrong_path,
    },
    Check {
        id: "reinvocation",
        title: "The mutating webhook is called again after a later webhook has changed the status.",
        causes: "A later webhook can change a count after the total was filled in. The write is then denied for a wrong total.",
        remedy: "Set `reinvocationPolicy: IfNeeded`, as the manifests do.",
        run: reinvocation,
    },
    Check {
        id: "side-effects",
        title: "Each webhook declares its side effects, and that it supports admission.k8s.io/v1.",
        causes: "`status.validate.scan-admission.dev` has a side effect, except on dry runs: with `--events` it writes Events. A webhook that declares less misleads the readers of the registration. In another version, reviews get no answer.",
        remedy: "Set `sideEffects: NoneOnDryRun` at `status.validate.scan-admission.dev`, `sideEffects: None` at the others, and `admissionReviewVersions: [v1]`, as the manifests do.",
        run: side_effects,
    },
    Check {
        id: "other-webhooks",
        title: "No other webhook matches the same requests.",
        causes: "The API server calls mutating configurations in the order of their names: one after ours changes what ours has written, one before ours changes what ours reads. A denial may come from the other webhook.",
        remedy: "Nothing, if the webhook is intended. Otherwise find its owner, and name our configuration so that it is the last of those that write a status.",
        run: other_webhooks,
    },
];

fn configuration_missing(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for (kind, all) in Webhook::BOTH.map(configuration_kind).into_iter().zip(&snapshot.configurations) {
        let name = &snapshot.expected.configuration;
        match all {
            Lookup::Found(all) if all.iter().any(|found| found.name == *name) => {}
            Lookup::Found(_) | Lookup::Absent => diagnostics.problem(format!("the {kind} {name} does not exist")),
            Lookup::Unknown(why) => diagnostics.unknown(format!("the {kind}s cannot be listed: {why}")),
        }
    }
}

fn webhook_missing(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for found in snapshot.ours() {
        for expected in &snapshot.expected.webhooks[found.kind as usize] {
            if !found.webhooks.iter().any(|webhook| function(&webhook.name) == function(&expected.name)) {
                diagnostics.problem(format!("{} has no webhook {}", found.id(), expected.name));
            }
        }
    }
}

fn webhook_unknown(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for OurWebhook { configuration: found, webhook, expected } in snapshot.webhooks() {
        if expected.is_none() {
            diagnostics.problem(format!(
                "{} has the webhook {}, which the manifests do not have",
                found.id(),
                webhook.name
            ));
        }
    }
}

/// A group, version, resource and operation that a webhook matches. Each may be `*`.
type RuleEntry = [String; 4];

/// Returns each combination in the rules of a webhook.
fn entries(rules: Option<&Vec<RuleWithOperations>>) -> BTreeSet<RuleEntry> {
    let mut all = BTreeSet::new();
    for rule in rules.into_iter().flatten() {
        for group in rule.api_groups.iter().flatten() {
            for version in rule.api_versions.iter().flatten() {
                for resource in rule.resources.iter().flatten() {
                    for operation in rule.operations.iter().flatten() {
                        all.insert([group, version, resource, operation].map(Clone::clone));
                    }
                }
            }
        }
    }
    all
}

/// Returns whether one entry matches every request that another matches.
fn covers(rule: &RuleEntry, other: &RuleEntry) -> bool {
    let [.., operation] = rule;
    let resource = match rule[2].split_once('/') {
        // `*/*` matches everything, `*` every resource but no subresource, `pods/*` all subresources of pods.
        Some((before, after)) => {
            let (name, part) = other[2].split_once('/').unwrap_or((&other[2], ""));
            (before == "*" || before == name) && (after == "*" || after == part)
        }
        None => rule[2] == other[2] || (rule[2] == "*" && !other[2].contains('/')),
    };
    let is = |index: usize| rule[index] == "*" || rule[index] == other[index];
    is(0) && is(1) && resource && (operation == "*" || *operation == other[3])
}

/// Lists entries in a message.
fn list(entries: &[&RuleEntry]) -> String {
    let all = entries.iter().map(|[group, version, resource, operation]| {
        let version = if version == "*" { String::new() } else { format!(" {version}") };
        format!("{operation} {resource} ({group}{version})")
    });
    all.collect::<Vec<_>>().join(", ")
}

fn rules_too_narrow(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    compare_rules(snapshot, |id, live, expected| {
        let missing: Vec<_> =
            expected.iter().filter(|expected| !live.iter().any(|rule| covers(rule, expected))).collect();
        if !missing.is_empty() {
            diagnostics.problem(format!("the rules of {id} do not match {}", list(&missing)));
        }
    });
}

fn rules_too_wide(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    compare_rules(snapshot, |id, live, expected| {
        let more: Vec<_> = live.iter().filter(|live| !expected.iter().any(|rule| covers(rule, live))).collect();
        if !more.is_empty() {
            diagnostics.problem(format!("the rules of {id} also match {}", list(&more)));
        }
    });
}

/// Calls `compare` for each of our webhooks that the manifests have, with its entries and those of the manifests.
fn compare_rules(snapshot: &Snapshot, mut compare: impl FnMut(String, &BTreeSet<RuleEntry>, &BTreeSet<RuleEntry>)) {
    for ours @ OurWebhook { webhook, expected, .. } in snapshot.webhooks() {
        if let Some(expected) = expected {
            let id = ours.id();
            compare(id, &entries(webhook.rules.as_ref()), &entries(expected.rules.as_ref()));
        }
    }
}

/// Reports each of our webhooks where a field differs from the manifests. `value` returns the field, or its default in
/// the Kubernetes API if it is absent.
fn compare(
    snapshot: &Snapshot,
    diagnostics: &mut Diagnostics,
    field: &str,
    value: impl Fn(&MutatingWebhook) -> String,
) {
    for OurWebhook { configuration: found, webhook, expected } in snapshot.webhooks() {
        let Some(expected) = expected.map(&value) else { continue };
        let is = value(webhook);
        if is != expected {
            diagnostics.problem(format!(
                "{field} of {} in {} is {is}: the manifests have {expected}",
                webhook.name,
                found.id()
            ));
        }
    }
}

fn failure_policy(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    // Where a status is written with the scan itself, the webhook that judges scans may also have Fail.
    let may_be_strict = |webhook: &MutatingWebhook| snapshot.lacks_status_subresource() && judges_scans(webhook);
    // Where a finding denies nothing, an outage need not deny either.
    let denies = snapshot.settings.found().is_none_or(|settings| denies(settings));
    let may_be_lenient = |webhook: &MutatingWebhook| !denies && function(&webhook.name) == "status.validate";
    compare(snapshot, diagnostics, "failurePolicy", |webhook| {
        let policy = webhook.failure_policy.clone().unwrap_or("Fail".to_owned());
        match policy.as_str() {
            "Fail" if may_be_strict(webhook) => "Ignore".to_owned(),
            "Ignore" if may_be_lenient(webhook) => "Fail".to_owned(),
            _ => policy,
        }
    });
}

/// Returns whether a review can be denied with these settings.
fn denies(settings: &ReviewSettings) -> bool {
    let is_judged = |rule: &&Rule| match rule.part {
        Part::Create => false,
        Part::Writer => !settings.status_writers.is_empty(),
        Part::Status | Part::Spec => true,
    };
    let is_denied = |rule: &Rule| Mode::of(rule.id, &[&settings.modes]) == Mode::Deny;
    let overrides = settings.overrides.iter().flat_map(|over| &over.modes);
    RULES.iter().filter(is_judged).any(is_denied)
        || overrides.into_iter().any(|set| set.mode == Mode::Deny)
        || settings.faults == FaultPolicy::Deny
}

/// Returns whether a webhook matches updates of the scans themselves.
pub fn judges_scans(webhook: &MutatingWebhook) -> bool {
    let update = [GROUP, "*", Kind::SourceScan.plural(), "UPDATE"].map(str::to_owned);
    entries(webhook.rules.as_ref()).iter().any(|rule| covers(rule, &update))
}

fn wrong_path(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    compare(snapshot, diagnostics, "the path", |webhook| path(&webhook.client_config).unwrap_or("none".to_owned()));
}

fn reinvocation(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    compare(snapshot, diagnostics, "reinvocationPolicy", |webhook| {
        webhook.reinvocation_policy.clone().unwrap_or("Never".to_owned())
    });
}

fn side_effects(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    compare(snapshot, diagnostics, "sideEffects", |webhook| webhook.side_effects.clone());
    compare(snapshot, diagnostics, "admissionReviewVersions", |webhook| webhook.admission_review_versions.join(", "));
}

fn other_webhooks(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    let expected: BTreeSet<RuleEntry> =
        snapshot.expected.webhooks.iter().flatten().flat_map(|webhook| entries(webhook.rules.as_ref())).collect();
    for all in snapshot.configurations.iter().filter_map(Lookup::found) {
        let ours = all.iter().position(|found| found.name == snapshot.expected.configuration);
        for (index, found) in all.iter().enumerate().filter(|(index, _)| Some(*index) != ours) {
            for webhook in &found.webhooks {
                let rules = entries(webhook.rules.as_ref());
                let same: Vec<_> =
                    expected.iter().filter(|expected| rules.iter().any(|rule| covers(rule, expected))).collect();
                if same.is_empty() {
                    continue;
                }
                let order = match (found.kind, ours) {
                    (Webhook::Validating, _) | (_, None) => "",
                    (Webhook::Mutating, Some(ours)) if index < ours => "; it is called before ours",
                    (Webhook::Mutating, Some(_)) => "; it is called after ours",
                };
                let webhook = &webhook.name;
                diagnostics.note(format!(
                    "the webhook {webhook} of {} also matches {}{order}",
                    found.id(),
                    list(&same)
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_in_the_api_server() {
        let entry = |resource: &str| ["g", "v1", resource, "UPDATE"].map(str::to_owned);
        for (rule, other, is_covered) in [
            ("scans/status", "scans/status", true),
            ("scans", "scans/status", false),
            ("*", "scans", true),
            ("*", "scans/status", false),
            ("*/*", "scans", true),
            ("*/*", "scans/status", true),
            ("*/status", "scans/status", true),
            ("*/status", "scans", false),
            ("scans/*", "scans/status", true),
            ("scans/*", "others/status", false),
        ] {
            assert_eq!(covers(&entry(rule), &entry(other)), is_covered, "{rule} {other}");
        }
    }
}
