//! Which requests of those that the rules name reach the webhooks, and for how long they wait.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt as _};

use super::super::world::{Seen, World};
use super::super::{Check, Findings};

pub const CHECKS: &[Check] = &[
    Check {
        id: "match-conditions",
        title: "The matchConditions are those of the manifests.",
        causes: "One that is more than the manifests' lets writes pass unjudged. Without the manifests' own, nobody can write past the webhook in an emergency, and scans that are being deleted wait for it.",
        remedy: "Apply the manifests again. What should not be judged is better set in the configuration of the webhook, where it is counted.",
        look: match_conditions,
    },
    Check {
        id: "match-policy",
        title: "The matchPolicy is Equivalent.",
        causes: "With Exact, writes by another version or group of the same kind pass unjudged.",
        remedy: "Set `matchPolicy: Equivalent`, as the manifests do.",
        look: match_policy,
    },
    Check {
        id: "selects-nothing",
        title: "The namespaceSelector of each webhook selects some namespace.",
        causes: "The webhook is never asked.",
        remedy: "Correct the selector, or label the namespaces: `kubectl get namespaces --selector …` shows whom it selects.",
        look: selects_nothing,
    },
    Check {
        id: "namespace-selector",
        title: "The namespaceSelector leaves out no namespace.",
        causes: "In the namespaces that are left out nothing is judged. That may be meant so, as while the webhook is taken up step by step.",
        remedy: "Nothing, if it is meant so. Modes of rules by namespace (docs/config.md) do the same, and are counted.",
        look: namespace_selector,
    },
    Check {
        id: "object-selector",
        title: "No objectSelector is set.",
        causes: "Whoever writes a scan sets its labels, and so chooses whether it is judged.",
        remedy: "Remove it; leave out namespaces by namespaceSelector instead.",
        look: object_selector,
    },
    Check {
        id: "timeout",
        title: "The timeouts are those of the manifests.",
        causes: "A longer one holds up writes for as long while a replica hangs; a shorter one gives up on answers that were to come. Other values may be right for your network.",
        remedy: "Nothing, if it is meant so; a status that takes more than 1 s to judge has another cause.",
        look: timeouts,
    },
];

fn match_conditions(world: &World, findings: &mut Findings) {
    for (found, webhook, due) in world.webhooks() {
        let Some(due) = due else { continue };
        let id = format!("{} of {}", webhook.name, found.id());
        let conditions = |of: &k8s_openapi::api::admissionregistration::v1::MutatingWebhook| {
            of.match_conditions.clone().unwrap_or_default()
        };
        let (live, due) = (conditions(webhook), conditions(due));
        for one in live.iter().filter(|one| !due.iter().any(|due| due.expression == one.expression)) {
            findings.fault(format!(
                "{id} has the matchCondition {}, `{}`, that the manifests do not have",
                one.name, one.expression
            ));
        }
        for one in due.iter().filter(|one| !live.iter().any(|live| live.expression == one.expression)) {
            findings.fault(format!("{id} lacks the matchCondition {}, `{}`", one.name, one.expression));
        }
    }
}

fn match_policy(world: &World, findings: &mut Findings) {
    for (found, webhook, _) in world.webhooks() {
        if let Some(policy) = webhook.match_policy.as_ref().filter(|policy| *policy != "Equivalent") {
            findings.fault(format!("matchPolicy of {} in {} is {policy}", webhook.name, found.id()));
        }
    }
}

/// How many namespaces a selector takes and leaves out, where it is not empty.
fn selected(selector: Option<&LabelSelector>, world: &World) -> Option<Result<(usize, usize), String>> {
    let selector = selector.filter(|selector| **selector != LabelSelector::default())?;
    let selector = match Selector::try_from(selector.clone()) {
        Ok(selector) => selector,
        Err(error) => return Some(Err(error.to_string())),
    };
    match &world.namespaces {
        Seen::Is(all) => {
            let taken = all.iter().filter(|labels| selector.matches(labels)).count();
            Some(Ok((taken, all.len() - taken)))
        }
        Seen::Absent => None,
        Seen::Unknown(why) => Some(Err(format!("the namespaces cannot be listed: {why}"))),
    }
}

fn selects_nothing(world: &World, findings: &mut Findings) {
    for (found, webhook, _) in world.webhooks() {
        match selected(webhook.namespace_selector.as_ref(), world) {
            Some(Ok((0, out))) => findings.fault(format!(
                "the namespaceSelector of {} in {} selects none of the {out} namespaces",
                webhook.name,
                found.id()
            )),
            Some(Err(why)) => {
                findings.unknown(format!("whom the namespaceSelector of {} selects: {why}", webhook.name));
            }
            Some(Ok(_)) | None => {}
        }
    }
}

fn namespace_selector(world: &World, findings: &mut Findings) {
    for (found, webhook, _) in world.webhooks() {
        if let Some(Ok((taken @ 1.., out))) = selected(webhook.namespace_selector.as_ref(), world) {
            let id = format!("{} in {}", webhook.name, found.id());
            findings.note(format!("the namespaceSelector of {id} leaves out {out} of {} namespaces", taken + out));
        }
    }
}

fn object_selector(world: &World, findings: &mut Findings) {
    for (found, webhook, _) in world.webhooks() {
        if webhook.object_selector.as_ref().is_some_and(|selector| *selector != LabelSelector::default()) {
            findings.fault(format!("{} of {} has an objectSelector", webhook.name, found.id()));
        }
    }
}

fn timeouts(world: &World, findings: &mut Findings) {
    for (found, webhook, due) in world.webhooks() {
        // Without one the API server waits for 10 s.
        let seconds = |timeout: Option<i32>| timeout.unwrap_or(10);
        let (is, due) = (seconds(webhook.timeout_seconds), due.map_or(0, |due| seconds(due.timeout_seconds)));
        if due != 0 && is != due {
            findings.note(format!("{} of {} has {is} s: the manifests have {due} s", webhook.name, found.id()));
        }
    }
}
