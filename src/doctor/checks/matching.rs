//! Which requests of those that the rules name reach the webhooks, and for how long they wait.

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
        title: "The matchConditions are those of the manifests.",
        causes: "A matchCondition that is not in the manifests lets writes pass unjudged. Without those of the manifests, nobody can write past the webhook in an emergency, and scans that are being deleted wait for it. With `statusWriters`, the status webhook must not have `not-being-deleted`: with it any user may write the status of a scan that is being deleted.",
        remedy: "Apply the manifests again; with `statusWriters` with the component `status-writers`. What should not be judged is better set in the configuration of the webhook, where it is counted.",
        run: match_conditions,
    },
    Check {
        id: "match-policy",
        title: "The matchPolicy is Equivalent.",
        causes: "With Exact, writes by another version or group of the same kind pass unjudged.",
        remedy: "Set `matchPolicy: Equivalent`, as the manifests do.",
        run: match_policy,
    },
    Check {
        id: "selects-nothing",
        title: "The namespaceSelector of each webhook selects some namespace.",
        causes: "The webhook is never asked.",
        remedy: "Correct the selector, or label the namespaces: `kubectl get namespaces --selector …` shows whom it selects.",
        run: selects_nothing,
    },
    Check {
        id: "namespace-selector",
        title: "The namespaceSelector leaves out no namespace.",
        causes: "In the namespaces that are left out nothing is judged. That may be meant so, as while the webhook is taken up step by step.",
        remedy: "Nothing, if it is meant so. Modes of rules by namespace (docs/config.md) do the same, and are counted.",
        run: namespace_selector,
    },
    Check {
        id: "object-selector",
        title: "No objectSelector is set.",
        causes: "Whoever writes a scan sets its labels, and so chooses whether it is judged.",
        remedy: "Remove it; leave out namespaces by namespaceSelector instead.",
        run: object_selector,
    },
    Check {
        id: "timeout",
        title: "The timeouts are those of the manifests.",
        causes: "A longer one holds up writes for as long while a replica hangs; a shorter one gives up on answers that were to come. Other values may be right for your network.",
        remedy: "Nothing, if it is meant so; a status that takes more than 1 s to judge has another cause.",
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
                "{id} has the matchCondition {}, `{}`, that the manifests do not have",
                one.name, one.expression
            ));
        }
        for one in &expected {
            match (needs(snapshot, webhook, one), is_in(&live, one)) {
                (Need::Present, false) => {
                    diagnostics.problem(format!("{id} lacks the matchCondition {}, `{}`", one.name, one.expression));
                }
                (Need::Absent, true) => diagnostics.problem(format!(
                    "{id} has the matchCondition {}, but statusWriters is configured: anybody may write the status of a \
                     scan that is being deleted",
                    one.name
                )),
                (Need::Unknown(why), _) => {
                    diagnostics.unknown(format!("whether {id} needs the matchCondition {}: {why}", one.name));
                }
                (Need::Present, true) | (Need::Absent, false) => {}
            }
        }
    }
}

/// The name of the condition that exempts objects that are being deleted.
const NOT_BEING_DELETED: &str = "not-being-deleted";

/// Whether a condition of the manifests has to be there.
enum Need<'s> {
    Present,
    Absent,
    Unknown(&'s str),
}

fn needs<'s>(snapshot: &'s Snapshot, webhook: &MutatingWebhook, condition: &MatchCondition) -> Need<'s> {
    if condition.name != NOT_BEING_DELETED || !judges_status(snapshot, webhook) {
        return Need::Present;
    }
    match &snapshot.has_status_writers {
        // Status writers are checked during a deletion, too.
        Lookup::Found(true) => Need::Absent,
        Lookup::Found(false) | Lookup::Absent => Need::Present,
        Lookup::Unknown(why) => Need::Unknown(why),
    }
}

/// Whether a webhook is called for writes of a status. Without a subresource the status is written with the scan itself.
fn judges_status(snapshot: &Snapshot, webhook: &MutatingWebhook) -> bool {
    let mut resources = webhook.rules.iter().flatten().flat_map(|rule| rule.resources.iter().flatten());
    resources.any(|resource| resource.ends_with("/status"))
        || (snapshot.lacks_status_subresource() && judges_scans(webhook))
}

fn match_policy(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for OurWebhook { configuration: found, webhook, .. } in snapshot.webhooks() {
        if let Some(policy) = webhook.match_policy.as_ref().filter(|policy| *policy != "Equivalent") {
            diagnostics.problem(format!("matchPolicy of {} in {} is {policy}", webhook.name, found.id()));
        }
    }
}

/// What a namespaceSelector selects.
enum Selection {
    /// Every namespace: there is no selector, or an empty one.
    All,
    /// So many namespaces.
    Some {
        selected: usize,
        left_out: usize,
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
            Selection::Some { selected, left_out: all.len() - selected }
        }
        Lookup::Absent => Selection::All,
        Lookup::Unknown(why) => Selection::Unknown(format!("the namespaces cannot be listed: {why}")),
    }
}

fn selects_nothing(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for OurWebhook { configuration: found, webhook, .. } in snapshot.webhooks() {
        match selection(webhook, snapshot) {
            Selection::Some { selected: 0, left_out } => diagnostics.problem(format!(
                "the namespaceSelector of {} in {} selects none of the {left_out} namespaces",
                webhook.name,
                found.id()
            )),
            Selection::Unknown(why) => {
                diagnostics.unknown(format!("whom the namespaceSelector of {} selects: {why}", webhook.name));
            }
            Selection::Some { .. } | Selection::All => {}
        }
    }
}

fn namespace_selector(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for OurWebhook { configuration: found, webhook, .. } in snapshot.webhooks() {
        // A selector that selects all namespaces may be set by the cluster: AKS adds one to each webhook.
        if let Selection::Some { selected: selected @ 1.., left_out: left_out @ 1.. } = selection(webhook, snapshot) {
            let (id, all) = (format!("{} in {}", webhook.name, found.id()), selected + left_out);
            diagnostics.note(format!("the namespaceSelector of {id} leaves out {left_out} of {all} namespaces"));
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
        // Without one the API server waits for 10 s.
        let seconds = |timeout: Option<i32>| timeout.unwrap_or(10);
        let (is, expected) =
            (seconds(webhook.timeout_seconds), expected.map_or(0, |expected| seconds(expected.timeout_seconds)));
        if expected != 0 && is != expected {
            diagnostics.note(format!("{} of {} has {is} s: the manifests have {expected} s", webhook.name, found.id()));
        }
    }
}
