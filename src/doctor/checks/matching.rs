//! The conditions under which the API server calls the webhooks, and their timeouts.

use k8s_openapi::api::admissionregistration::v1::{MatchCondition, MutatingWebhook};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt as _};

use super::registration::judges_scans;
use crate::doctor::check::{Check, Diagnostics};
use crate::doctor::lookup::Lookup;
use crate::doctor::snapshot::{OurWebhook, Snapshot};

pub const CHECKS: &[Check] = &[
    Check {
        id: "match-conditions",
        title: "The matchConditions of each webhook are those of the manifests.",
        causes: "A matchCondition that the manifests do not have lets writes pass unjudged. Without those of the manifests, no write can bypass the webhook in an emergency, and scans that are being deleted wait for it. With `statusWriters`, the status webhook must not have `not-being-deleted`: with it any user may write the status of a scan that is being deleted.",
        remedy: "Apply the manifests again; with `statusWriters`, include the component `status-writers`. Exempt requests in the configuration of the webhook instead, where they are counted.",
        run: match_conditions,
    },
    Check {
        id: "match-policy",
        title: "The matchPolicy of each webhook is Equivalent.",
        causes: "With Exact, writes through another version or group of the same kind pass unjudged.",
        remedy: "Set `matchPolicy: Equivalent`, as the manifests do.",
        run: match_policy,
    },
    Check {
        id: "selects-nothing",
        title: "The namespaceSelector of each webhook selects at least one namespace.",
        causes: "The webhook is never called.",
        remedy: "Correct the selector, or label the namespaces. `kubectl get namespaces --selector …` lists the namespaces that it selects.",
        run: selects_nothing,
    },
    Check {
        id: "namespace-selector",
        title: "The namespaceSelector of each webhook excludes no namespace.",
        causes: "Writes in the excluded namespaces are not judged. This may be intended, for instance while the webhook is introduced step by step.",
        remedy: "Nothing, if it is intended. Modes of rules by namespace (docs/config.md) have the same effect, and are counted.",
        run: namespace_selector,
    },
    Check {
        id: "object-selector",
        title: "No webhook has an objectSelector.",
        causes: "A user who writes a scan sets its labels, and so decides whether it is judged.",
        remedy: "Remove the objectSelector; exclude namespaces with a namespaceSelector instead.",
        run: object_selector,
    },
    Check {
        id: "timeout",
        title: "The timeout of each webhook is that of the manifests.",
        causes: "With a longer timeout, writes wait longer for a replica that hangs. With a shorter one, calls fail although their answer would arrive. Other values may suit your network.",
        remedy: "Nothing, if it is intended. A review that takes longer than 1 s has another cause.",
        run: timeouts,
    },
];

fn match_conditions(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    let is_in =
        |list: &[MatchCondition], one: &MatchCondition| list.iter().any(|other| other.expression == one.expression);
    for ours @ OurWebhook { webhook, expected, .. } in snapshot.webhooks() {
        let Some(expected) = expected else { continue };
        let id = ours.id();
        let conditions = |of: &MutatingWebhook| of.match_conditions.clone().unwrap_or_default();
        let (live, expected) = (conditions(webhook), conditions(expected));
        for one in live.iter().filter(|one| !is_in(&expected, one)) {
            diagnostics.problem(format!(
                "{id} has the matchCondition {}, `{}`, which the manifests do not have",
                one.name, one.expression
            ));
        }
        for one in &expected {
            match (needs(snapshot, webhook, one), is_in(&live, one)) {
                (Need::Present, false) => {
                    diagnostics.problem(format!("{id} lacks the matchCondition {}, `{}`", one.name, one.expression));
                }
                (Need::Absent, true) => diagnostics.problem(format!(
                    "{id} has the matchCondition {}, but statusWriters is configured: any user may write the status of \
                     a scan that is being deleted",
                    one.name
                )),
                (Need::Unknown(why), _) => {
                    diagnostics
                        .unknown(format!("cannot tell whether {id} needs the matchCondition {}: {why}", one.name));
                }
                (Need::Present, true) | (Need::Absent, false) => {}
            }
        }
    }
}

/// The name of the condition that exempts objects that are being deleted.
const NOT_BEING_DELETED: &str = "not-being-deleted";

/// Whether a webhook must have a condition of the manifests.
enum Need<'s> {
    Present,
    Absent,
    Unknown(&'s str),
}

/// Returns whether a webhook must have a condition of the manifests.
fn needs<'s>(snapshot: &'s Snapshot, webhook: &MutatingWebhook, condition: &MatchCondition) -> Need<'s> {
    if condition.name != NOT_BEING_DELETED || !judges_status(snapshot, webhook) {
        return Need::Present;
    }
    match &snapshot.settings {
        // Status writers are checked during a deletion, too.
        Lookup::Found(settings) if !settings.status_writers.is_empty() => Need::Absent,
        Lookup::Found(_) | Lookup::Absent => Need::Present,
        Lookup::Unknown(why) => Need::Unknown(why),
    }
}

/// Returns whether a webhook is called for writes of a status. Without a status subresource, that is the webhook for
/// scans.
pub fn judges_status(snapshot: &Snapshot, webhook: &MutatingWebhook) -> bool {
    let mut resources = webhook.rules.iter().flatten().flat_map(|rule| rule.resources.iter().flatten());
    resources.any(|resource| resource.ends_with("/status"))
        || (snapshot.lacks_status_subresource() && judges_scans(webhook))
}

fn match_policy(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for OurWebhook { configuration: found, webhook, .. } in snapshot.webhooks() {
        if let Some(policy) = webhook.match_policy.as_ref().filter(|policy| *policy != "Equivalent") {
            diagnostics.problem(format!(
                "matchPolicy of {} in {} is {policy}: the manifests have Equivalent",
                webhook.name,
                found.id()
            ));
        }
    }
}

/// The namespaces that a namespaceSelector selects.
enum Selection {
    /// Every namespace: there is no selector, or an empty one.
    All,
    /// The numbers of selected and of excluded namespaces.
    Some {
        selected: usize,
        excluded: usize,
    },
    Unknown(String),
}

fn selection(webhook: &MutatingWebhook, snapshot: &Snapshot) -> Selection {
    let selector = webhook.namespace_selector.as_ref().filter(|selector| **selector != LabelSelector::default());
    let Some(selector) = selector else { return Selection::All };
    let selector = match Selector::try_from(selector.clone()) {
        Ok(selector) => selector,
        Err(error) => return Selection::Unknown(error.to_string()),
    };
    match &snapshot.namespaces {
        Lookup::Found(all) => {
            let selected = all.iter().filter(|labels| selector.matches(labels)).count();
            Selection::Some { selected, excluded: all.len() - selected }
        }
        Lookup::Absent => Selection::All,
        Lookup::Unknown(why) => Selection::Unknown(format!("the namespaces cannot be listed: {why}")),
    }
}

fn selects_nothing(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for OurWebhook { configuration: found, webhook, .. } in snapshot.webhooks() {
        match selection(webhook, snapshot) {
            Selection::Some { selected: 0, excluded } => diagnostics.problem(format!(
                "the namespaceSelector of {} in {} selects none of the {excluded} namespaces",
                webhook.name,
                found.id()
            )),
            Selection::Unknown(why) => {
                diagnostics.unknown(format!(
                    "cannot tell which namespaces the namespaceSelector of {} selects: {why}",
                    webhook.name
                ));
            }
            Selection::Some { .. } | Selection::All => {}
        }
    }
}

fn namespace_selector(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for OurWebhook { configuration: found, webhook, .. } in snapshot.webhooks() {
        // A selector that selects all namespaces may be set by the cluster: AKS adds one to each webhook.
        if let Selection::Some { selected: selected @ 1.., excluded: excluded @ 1.. } = selection(webhook, snapshot) {
            let (id, all) = (format!("{} in {}", webhook.name, found.id()), selected + excluded);
            diagnostics.note(format!("the namespaceSelector of {id} excludes {excluded} of {all} namespaces"));
        }
    }
}

fn object_selector(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for OurWebhook { configuration: found, webhook, .. } in snapshot.webhooks() {
        if webhook.object_selector.as_ref().is_some_and(|selector| *selector != LabelSelector::default()) {
            diagnostics.problem(format!("{} of {} has an objectSelector", webhook.name, found.id()));
        }
    }
}

fn timeouts(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for OurWebhook { configuration: found, webhook, expected } in snapshot.webhooks() {
        // The default of the API.
        let seconds = |timeout: Option<i32>| timeout.unwrap_or(10);
        let (is, expected) =
            (seconds(webhook.timeout_seconds), expected.map_or(0, |expected| seconds(expected.timeout_seconds)));
        if expected != 0 && is != expected {
            diagnostics.note(format!(
                "timeoutSeconds of {} in {} is {is}: the manifests have {expected}",
                webhook.name,
                found.id()
            ));
        }
    }
}
