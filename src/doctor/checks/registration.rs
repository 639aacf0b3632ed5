//! Both configurations are there, and they are what the manifests contain.

use std::collections::BTreeSet;

use k8s_openapi::api::admissionregistration::v1::{MutatingWebhook, RuleWithOperations};

use crate::admission::Webhook;
use crate::doctor::check::{Check, Diagnostics};
use crate::doctor::expected::configuration_kind;
use crate::doctor::lookup::Lookup;
use crate::doctor::snapshot::{OurWebhook, Snapshot};
use crate::doctor::target::path;
use crate::scan::{GROUP, Kind};

pub const CHECKS: &[Check] = &[
    Check {
        id: "configuration-missing",
        title: "Both webhook configurations are there.",
        causes: "Without the validating one every status is stored as it is written; without the mutating one nothing is filled in.",
        remedy: "Apply the manifests again: `kubectl apply -k manifests/mine`.",
        run: configuration_missing,
    },
    Check {
        id: "webhook-missing",
        title: "Each configuration has the webhooks of the manifests.",
        causes: "What the missing webhook is asked about is not judged, or not filled in.",
        remedy: "Apply the manifests again, and look for an overlay or another tool that removes it.",
        run: webhook_missing,
    },
    Check {
        id: "webhook-unknown",
        title: "Each configuration has no other webhooks than those of the manifests.",
        causes: "Requests are judged twice, or by a webhook of another release that nobody keeps up.",
        remedy: "Remove it, or move it to a configuration of its own; `kubectl apply` does not remove what it did not write.",
        run: webhook_unknown,
    },
    Check {
        id: "rules-too-narrow",
        title: "Each webhook is asked about all that the manifests name.",
        causes: "Writes of the missing resources, operations or versions pass unjudged. `*` does not match a subresource: without `sourcescans/status` no status is ever judged.",
        remedy: "Apply the manifests again: the rules of each webhook are theirs.",
        run: rules_too_narrow,
    },
    Check {
        id: "rules-too-wide",
        title: "Each webhook is asked about nothing else.",
        causes: "Every such write waits for the webhook, and fails with it where its failurePolicy is Fail; the answer is a warning and no verdict.",
        remedy: "Apply the manifests again: the rules of each webhook are theirs.",
        run: rules_too_wide,
    },
    Check {
        id: "failure-policy",
        title: "Each failurePolicy is that of the manifests.",
        causes: "With Ignore at the status, contradictions are stored whenever no replica answers in time, and nobody hears of it; with Fail elsewhere, an outage holds up spec edits, finalizers and the deletion of namespaces.",
        remedy: "Apply the manifests again. Only for kinds without a status subresource is Fail right at the spec, too.",
        run: failure_policy,
    },
    Check {
        id: "path",
        title: "Each webhook is called at its own path.",
        causes: "The validating webhook mutates nothing and the mutating webhook denies nothing: at the wrong path there is no effect. At any other path there is no answer.",
        remedy: "Apply the manifests again: `clientConfig.service.path` is theirs.",
        run: wrong_path,
    },
    Check {
        id: "reinvocation",
        title: "The mutating webhook is asked again when a later one has changed the status.",
        causes: "A total that is right when we see it can be wrong when it is stored, and the write is then denied.",
        remedy: "Set `reinvocationPolicy: IfNeeded`, as the manifests do.",
        run: reinvocation,
    },
    Check {
        id: "side-effects",
        title: "Each webhook says that it has no side effects and speaks admission.k8s.io/v1.",
        causes: "Dry runs (`kubectl apply --dry-run=server`, `kubectl diff`) are rejected by the API server without asking, or it speaks a version that gets no answer.",
        remedy: "Set `sideEffects: None` and `admissionReviewVersions: [v1]`, as the manifests do.",
        run: side_effects,
    },
    Check {
        id: "other-webhooks",
        title: "No other webhook is asked about the same resources.",
        causes: "Mutating configurations are gone through by name: one after ours changes what ours has written, one before ours what it sees. A denial may be theirs.",
        remedy: "Nothing, if you know of it. Else find out whose it is, and name yours to come last among those that write a status.",
        run: other_webhooks,
    },
];

fn configuration_missing(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for (kind, all) in Webhook::BOTH.map(configuration_kind).into_iter().zip(&snapshot.configurations) {
        let name = &snapshot.expected.configuration;
        match all {
            Lookup::Found(all) if all.iter().any(|found| found.name == *name) => {}
            Lookup::Found(_) | Lookup::Absent => diagnostics.problem(format!("there is no {kind} {name}")),
            Lookup::Unknown(why) => diagnostics.unknown(format!("the {kind}s cannot be listed: {why}")),
        }
    }
}

fn webhook_missing(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for found in snapshot.ours() {
        for expected in &snapshot.expected.webhooks[found.kind as usize] {
            if !found.webhooks.iter().any(|webhook| webhook.name == expected.name) {
                diagnostics.problem(format!("{} has no webhook {}", found.id(), expected.name));
            }
        }
    }
}

fn webhook_unknown(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for OurWebhook { configuration: found, webhook, expected } in snapshot.webhooks() {
        if expected.is_none() {
            diagnostics.problem(format!(
                "{} has a webhook {} that is none of the manifests'",
                found.id(),
                webhook.name
            ));
        }
    }
}

/// One operation on one resource of one group and version, each of which may be `*`.
type Asked = [String; 4];

fn asked(rules: Option<&Vec<RuleWithOperations>>) -> BTreeSet<Asked> {
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

/// Whether a rule takes in all that another does.
fn covers(rule: &Asked, other: &Asked) -> bool {
    let [.., operation] = rule;
    let resource = match rule[2].split_once('/') {
        // `*/*` is everything, `*` what is no subresource, `pods/*` all of pods' subresources.
        Some((before, after)) => {
            let (name, part) = other[2].split_once('/').unwrap_or((&other[2], ""));
            (before == "*" || before == name) && (after == "*" || after == part)
        }
        None => rule[2] == other[2] || (rule[2] == "*" && !other[2].contains('/')),
    };
    let is = |index: usize| rule[index] == "*" || rule[index] == other[index];
    is(0) && is(1) && resource && (operation == "*" || *operation == other[3])
}

fn list(asked: &[&Asked]) -> String {
    let all = asked.iter().map(|[group, version, resource, operation]| {
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
            diagnostics.problem(format!("{id} is not asked about {}", list(&missing)));
        }
    });
}

fn rules_too_wide(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    compare_rules(snapshot, |id, live, expected| {
        let more: Vec<_> = live.iter().filter(|live| !expected.iter().any(|rule| covers(rule, live))).collect();
        if !more.is_empty() {
            diagnostics.problem(format!("{id} is also asked about {}", list(&more)));
        }
    });
}

/// Goes through our webhooks that the manifests have, with what each is asked about and should be.
fn compare_rules(snapshot: &Snapshot, mut compare: impl FnMut(String, &BTreeSet<Asked>, &BTreeSet<Asked>)) {
    for ours @ OurWebhook { webhook, expected, .. } in snapshot.webhooks() {
        if let Some(expected) = expected {
            let id = ours.id();
            compare(id, &asked(webhook.rules.as_ref()), &asked(expected.rules.as_ref()));
        }
    }
}

/// Says which of our webhooks have another value than the manifests. Values that are absent are those of the API.
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
    // Where a status is written with the scan itself, what is judged there may well be as strict.
    let may_be_strict = |webhook: &MutatingWebhook| snapshot.lacks_status_subresource() && judges_scans(webhook);
    compare(snapshot, diagnostics, "failurePolicy", |webhook| {
        let policy = webhook.failure_policy.clone().unwrap_or("Fail".to_owned());
        if policy == "Fail" && may_be_strict(webhook) { "Ignore".to_owned() } else { policy }
    });
}

/// Whether it is asked about updates of the scans themselves.
pub fn judges_scans(webhook: &MutatingWebhook) -> bool {
    let update = [GROUP, "*", Kind::SourceScan.plural(), "UPDATE"].map(str::to_owned);
    asked(webhook.rules.as_ref()).iter().any(|rule| covers(rule, &update))
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
    let expected: BTreeSet<Asked> =
        snapshot.expected.webhooks.iter().flatten().flat_map(|webhook| asked(webhook.rules.as_ref())).collect();
    for all in snapshot.configurations.iter().filter_map(Lookup::found) {
        let ours = all.iter().position(|found| found.name == snapshot.expected.configuration);
        for (index, found) in all.iter().enumerate().filter(|(index, _)| Some(*index) != ours) {
            for webhook in &found.webhooks {
                let rules = asked(webhook.rules.as_ref());
                let same: Vec<_> =
                    expected.iter().filter(|expected| rules.iter().any(|rule| covers(rule, expected))).collect();
                if same.is_empty() {
                    continue;
                }
                let order = match (found.kind, ours) {
                    (Webhook::Validating, _) | (_, None) => "",
                    (Webhook::Mutating, Some(ours)) if index < ours => ", before ours",
                    (Webhook::Mutating, Some(_)) => ", after ours",
                };
                let webhook = &webhook.name;
                diagnostics.note(format!(
                    "the webhook {webhook} of {} is asked about {}{order}",
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
    fn stars_cover_what_the_api_server_says() {
        let asked = |resource: &str| ["g", "v1", resource, "UPDATE"].map(str::to_owned);
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
            assert_eq!(covers(&asked(rule), &asked(other)), is_covered, "{rule} {other}");
        }
    }
}
