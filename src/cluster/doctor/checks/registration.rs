//! Both configurations are there, and what they say is what the manifests say.

use std::collections::BTreeSet;

use k8s_openapi::api::admissionregistration::v1::{MutatingWebhook, RuleWithOperations};

use super::super::target::path;
use super::super::world::{Door, Seen, World};
use super::super::{Check, Findings};
use crate::scan::{GROUP, Kind};

pub const CHECKS: &[Check] = &[
    Check {
        id: "configuration-missing",
        title: "Both webhook configurations are there.",
        causes: "Without the validating one every status is stored as it is written; without the mutating one nothing is filled in.",
        remedy: "Apply the manifests again: `kubectl apply -k manifests/mine`.",
        look: configuration_missing,
    },
    Check {
        id: "webhook-missing",
        title: "Each configuration has the webhooks of the manifests.",
        causes: "What the missing webhook is asked about is not judged, or not filled in.",
        remedy: "Apply the manifests again, and look for an overlay or another tool that removes it.",
        look: webhook_missing,
    },
    Check {
        id: "webhook-unknown",
        title: "Each configuration has no other webhooks than those of the manifests.",
        causes: "Requests are judged twice, or by a webhook of another release that nobody keeps up.",
        remedy: "Remove it, or move it to a configuration of its own; `kubectl apply` does not remove what it did not write.",
        look: webhook_unknown,
    },
    Check {
        id: "rules-too-narrow",
        title: "Each webhook is asked about all that the manifests name.",
        causes: "Writes of the missing resources, operations or versions pass unjudged. `*` does not match a subresource: without `sourcescans/status` no status is ever judged.",
        remedy: "Apply the manifests again: the rules of each webhook are theirs.",
        look: rules_too_narrow,
    },
    Check {
        id: "rules-too-wide",
        title: "Each webhook is asked about nothing else.",
        causes: "Every such write waits for the webhook, and fails with it where its failurePolicy is Fail; the answer is a warning and no verdict.",
        remedy: "Apply the manifests again: the rules of each webhook are theirs.",
        look: rules_too_wide,
    },
    Check {
        id: "failure-policy",
        title: "Each failurePolicy is that of the manifests.",
        causes: "With Ignore at the status, contradictions are stored whenever no replica answers in time, and nobody hears of it; with Fail elsewhere, an outage holds up spec edits, finalizers and the deletion of namespaces.",
        remedy: "Apply the manifests again. Only for kinds without a status subresource is Fail right at the spec, too.",
        look: failure_policy,
    },
    Check {
        id: "path",
        title: "Each webhook is called at the path of its door.",
        causes: "The validating door mends nothing and the mutating door refuses nothing: at the wrong one there is no effect. At any other path there is no answer.",
        remedy: "Apply the manifests again: `clientConfig.service.path` is theirs.",
        look: wrong_path,
    },
    Check {
        id: "reinvocation",
        title: "The webhook that mends is asked again when a later one has changed the status.",
        causes: "A total that is right when we see it can be wrong when it is stored, and the write is then refused.",
        remedy: "Set `reinvocationPolicy: IfNeeded`, as the manifests do.",
        look: reinvocation,
    },
    Check {
        id: "side-effects",
        title: "Each webhook says that it has no side effects and speaks admission.k8s.io/v1.",
        causes: "Dry runs (`kubectl apply --dry-run=server`, `kubectl diff`) are refused by the API server without asking, or it speaks a version that gets no answer.",
        remedy: "Set `sideEffects: None` and `admissionReviewVersions: [v1]`, as the manifests do.",
        look: side_effects,
    },
    Check {
        id: "other-webhooks",
        title: "No other webhook is asked about the same resources.",
        causes: "Mutating configurations are gone through by name: one after ours changes what we have mended, one before ours what we see. A refusal may be theirs.",
        remedy: "Nothing, if you know of it. Else find out whose it is, and name yours to come last among those that write a status.",
        look: other_webhooks,
    },
];

fn configuration_missing(world: &World, findings: &mut Findings) {
    for (door, all) in Door::BOTH.into_iter().zip(&world.configurations) {
        let name = &world.expected.configuration;
        match all {
            Seen::Is(all) if all.iter().any(|found| found.name == *name) => {}
            Seen::Is(_) | Seen::Absent => findings.fault(format!("there is no {} {name}", door.kind())),
            Seen::Unknown(why) => findings.unknown(format!("the {}s cannot be listed: {why}", door.kind())),
        }
    }
}

fn webhook_missing(world: &World, findings: &mut Findings) {
    for found in world.ours() {
        for due in &world.expected.webhooks[found.door as usize] {
            if !found.webhooks.iter().any(|webhook| webhook.name == due.name) {
                findings.fault(format!("{} has no webhook {}", found.id(), due.name));
            }
        }
    }
}

fn webhook_unknown(world: &World, findings: &mut Findings) {
    for (found, webhook, due) in world.webhooks() {
        if due.is_none() {
            findings.fault(format!("{} has a webhook {} that is none of the manifests'", found.id(), webhook.name));
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

fn told(asked: &[&Asked]) -> String {
    let words = asked.iter().map(|[group, version, resource, operation]| {
        let version = if version == "*" { String::new() } else { format!(" {version}") };
        format!("{operation} {resource} ({group}{version})")
    });
    words.collect::<Vec<_>>().join(", ")
}

fn rules_too_narrow(world: &World, findings: &mut Findings) {
    compare_rules(world, |id, live, due| {
        let missing: Vec<_> = due.iter().filter(|due| !live.iter().any(|rule| covers(rule, due))).collect();
        if !missing.is_empty() {
            findings.fault(format!("{id} is not asked about {}", told(&missing)));
        }
    });
}

fn rules_too_wide(world: &World, findings: &mut Findings) {
    compare_rules(world, |id, live, due| {
        let more: Vec<_> = live.iter().filter(|live| !due.iter().any(|rule| covers(rule, live))).collect();
        if !more.is_empty() {
            findings.fault(format!("{id} is also asked about {}", told(&more)));
        }
    });
}

/// Goes through our webhooks that the manifests have, with what each is asked about and should be.
fn compare_rules(world: &World, mut compare: impl FnMut(String, &BTreeSet<Asked>, &BTreeSet<Asked>)) {
    for (found, webhook, due) in world.webhooks() {
        if let Some(due) = due {
            let id = format!("{} of {}", webhook.name, found.id());
            compare(id, &asked(webhook.rules.as_ref()), &asked(due.rules.as_ref()));
        }
    }
}

/// Says which of our webhooks have another value than the manifests. Values that are absent are those of the API.
fn compare(world: &World, findings: &mut Findings, field: &str, value: impl Fn(&MutatingWebhook) -> String) {
    for (found, webhook, due) in world.webhooks() {
        let Some(due) = due.map(&value) else { continue };
        let is = value(webhook);
        if is != due {
            findings.fault(format!("{field} of {} in {} is {is}: the manifests have {due}", webhook.name, found.id()));
        }
    }
}

fn failure_policy(world: &World, findings: &mut Findings) {
    // Where a status is written with the scan itself, what is judged there may well be as strict.
    let may_be_strict = |webhook: &MutatingWebhook| world.lacks_status_subresource() && judges_scans(webhook);
    compare(world, findings, "failurePolicy", |webhook| {
        let policy = webhook.failure_policy.clone().unwrap_or("Fail".to_owned());
        if policy == "Fail" && may_be_strict(webhook) { "Ignore".to_owned() } else { policy }
    });
}

/// Whether it is asked about updates of the scans themselves.
pub fn judges_scans(webhook: &MutatingWebhook) -> bool {
    let update = [GROUP, "*", Kind::SourceScan.plural(), "UPDATE"].map(str::to_owned);
    asked(webhook.rules.as_ref()).iter().any(|rule| covers(rule, &update))
}

fn wrong_path(world: &World, findings: &mut Findings) {
    compare(world, findings, "the path", |webhook| path(&webhook.client_config).unwrap_or("none".to_owned()));
}

fn reinvocation(world: &World, findings: &mut Findings) {
    compare(world, findings, "reinvocationPolicy", |webhook| {
        webhook.reinvocation_policy.clone().unwrap_or("Never".to_owned())
    });
}

fn side_effects(world: &World, findings: &mut Findings) {
    compare(world, findings, "sideEffects", |webhook| webhook.side_effects.clone());
    compare(world, findings, "admissionReviewVersions", |webhook| webhook.admission_review_versions.join(", "));
}

fn other_webhooks(world: &World, findings: &mut Findings) {
    let due: BTreeSet<Asked> =
        world.expected.webhooks.iter().flatten().flat_map(|webhook| asked(webhook.rules.as_ref())).collect();
    for all in world.configurations.iter().filter_map(Seen::is) {
        let ours = all.iter().position(|found| found.name == world.expected.configuration);
        for (place, found) in all.iter().enumerate().filter(|(place, _)| Some(*place) != ours) {
            for webhook in &found.webhooks {
                let rules = asked(webhook.rules.as_ref());
                let same: Vec<_> = due.iter().filter(|due| rules.iter().any(|rule| covers(rule, due))).collect();
                if same.is_empty() {
                    continue;
                }
                let order = match (found.door, ours) {
                    (Door::Validate, _) | (_, None) => "",
                    (Door::Mutate, Some(ours)) if place < ours => ", before ours",
                    (Door::Mutate, Some(_)) => ", after ours",
                };
                let webhook = &webhook.name;
                findings.note(format!("the webhook {webhook} of {} is asked about {}{order}", found.id(), told(&same)));
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
