//! The page `docs/decides.md`: how a status is judged, by which webhooks, in which order, and the tables behind the
//! rules.

use super::Page;
use super::rules::{NOTE, capitalised, mutates, parsed};
use crate::engine::{Downgrade, Expectation, Part, Rule, Severity};
use crate::rules::tables::conditions::{ErrorText, Message, VOCABULARIES};
use crate::rules::tables::phases;
use crate::scan::Phase;

const BEGINNING: &str = "\
# How it decides

[Start here](README.md)

## In which order

1. **Decode.** A body that is not an AdmissionReview cannot be judged. The setting
   [`faults`](config.md#when-there-is-too-much) determines the answer. A field of the wrong type does not make the
   decoding fail: the rule of the field reports it.
2. **Mutate**, at `/mutate`. The rules fill in derived fields, one rule after the other, until none has a change to
   make. Each rule sees the changes of those before it. A mutation is skipped if it would cause an error, or if the
   write would then be denied for an error that is otherwise downgraded. The mutating webhook never denies.
3. **Validate**, at `/validate`. Every rule of the parts that the request can change is applied, in the order of the
   table below. Each finding names its rule in [brackets]. All findings are reported at once.
4. **Downgrade.** An error becomes a warning if denying the write would do harm, or if the [mode](config.md#modes) of
   its rule says so.
5. **Answer.** Any remaining error denies the write, with a cause for each error. All other findings are warnings.
";

/// Returns the page.
pub fn page(rules: &[Rule]) -> Page {
    let parts = [BEGINNING.to_owned(), webhooks(rules), list(rules), downgrades(), mutations(rules)];
    let text = NOTE.to_owned() + &parts.concat() + &vocabularies() + &lifecycle() + &diagram();
    Page { path: "decides.md".to_owned(), text }
}

/// Returns the table of webhooks and rules. Rules are grouped by the part of a scan that they judge, since a request
/// that cannot change a part is not judged by its rules.
fn webhooks(rules: &[Rule]) -> String {
    let mut text = "\n## Which webhook asks which rules\n\n| webhook | request | rules |\n|---|---|---|\n".to_owned();
    for part in [Part::Status, Part::Writer, Part::Spec, Part::Create] {
        let (webhook, request) = match part {
            Part::Status => {
                ("`/validate`", "updates of the status, and other requests that contain or change a status")
            }
            Part::Writer => {
                ("`/validate`", "requests that contain or change a status, if `statusWriters` is configured")
            }
            Part::Spec => ("`/validate`", "creation and updates of the scan itself"),
            Part::Create => {
                ("`/mutate`", "creation: only this webhook sees the status, which the API server then drops")
            }
        };
        let named = rules.iter().filter(|rule| rule.part == part).map(|rule| format!("`{}`", rule.id));
        let named =
            if part == Part::Status { "all other rules".to_owned() } else { named.collect::<Vec<_>>().join(", ") };
        text += &format!("| {webhook} | {request} | {named} |\n");
    }
    text + "| `/mutate` | updates of the status | the mutations of the rules that have one |\n\n\
        Both webhooks allow deletions, and objects of other kinds.\n"
}

fn list(rules: &[Rule]) -> String {
    let mut text = "\n## The rules\n\n| rule | what it says | mutates |\n|---|---|---|\n".to_owned();
    for rule in rules {
        text += &format!("| [`{0}`](rules/{0}.md) | {1} | {2} |\n", rule.id, rule.title, mutates(rule));
    }
    text
}

fn downgrades() -> String {
    let mut text = format!(
        "\n## When an error is downgraded\n\n\
        A finding is an `{}`, which denies the write, or a `{}`, which is shown to the client. An old object with an \
        error must not block its controller. So an error does not deny the write if the old object has the same error \
        at the same path and no value that the rule read has changed, or if the object is being deleted. A condition \
        whose type is missing, malformed or repeated is compared by its contents, regardless of its index. \
        `status-writer` is about rights, so only its mode downgrades it. The message gives the reason for the \
        downgrade, and so does the label `downgraded` of the metric `scan_admission_findings_total`:\n\n",
        Severity::Error.name(),
        Severity::Warning.name()
    );
    for downgrade in Downgrade::ALL {
        let when = match downgrade {
            Downgrade::Mode => "the mode of the rule is warn or audit",
            Downgrade::PreExisting => "the old object had the same error",
            Downgrade::Deleting => "the object is being deleted",
        };
        text += &format!("- `{}`: {when}\n", downgrade.name());
    }
    text
}

fn mutations(rules: &[Rule]) -> String {
    let mut text = "\n## What the mutations write\n\n\
        Mutations fill in absent fields and recompute derived fields. They never change a field that a controller \
        observed. These are the examples of the rules, with the fields that are written:\n\n\
        | rule | example | fields |\n|---|---|---|\n"
        .to_owned();
    for rule in rules {
        for example in rule.examples {
            let Expectation::Mutates(patch) = example.expect else { continue };
            let patch = parsed(patch);
            let operations = patch.as_array().into_iter().flatten();
            let paths: Vec<_> =
                operations.map(|operation| format!("`{}`", operation["path"].as_str().unwrap_or_default())).collect();
            text += &format!("| `{}` | {} | {} |\n", rule.id, capitalised(example.title), paths.join(", "));
        }
    }
    text
}

fn vocabularies() -> String {
    let mut text =
        "\n## What each condition may say\n\n| type | status | reason | message | error |\n|---|---|---|---|---|\n"
            .to_owned();
    for vocabulary in VOCABULARIES {
        for row in vocabulary.rows {
            let message = row.message.expected().unwrap_or_else(|| match row.message {
                Message::Explains => "open; the message or the error should explain the failure".to_owned(),
                _ => "open".to_owned(),
            });
            let error = match row.error {
                ErrorText::Empty => "empty",
                ErrorText::Open => "open",
                ErrorText::Explains => "should explain the failure",
            };
            let (name, reason) = (vocabulary.condition.name(), row.reason.unwrap_or("any"));
            text += &format!("| {name} | {} | {reason} | {message} | {error} |\n", row.status.name());
        }
    }
    text
}

fn lifecycle() -> String {
    let mut text = "\n## What goes with each phase\n\n\
        A new run may keep results of the previous run: conditions of an older generation, conditions that are not \
        later than the current run, and a `PolicySucceeded` that is earlier than `Scanning` or `Succeeded`. Such a \
        condition is stale. A stale condition satisfies a requirement but never violates one: it counts where a \
        condition is required, and does not contradict the phase. In the phases Completed and Failed the controller \
        has finished, so no condition is stale, except a `PolicySucceeded` of a scan that no longer has a scan policy. \
        A malformed condition counts neither as present nor as absent. A status is caught up if `observedGeneration` \
        equals `metadata.generation`.\n\n\
        | phase | not while | severity | expected |\n|---|---|---|---|\n"
        .to_owned();
    for row in phases::ROWS {
        let when: Vec<_> = row.when.iter().map(|when| when.description()).collect();
        text +=
            &format!("| {} | {} | {} | {} |\n", row.phase.name(), when.join(" and "), row.severity.name(), row.right);
    }
    text
}

/// Returns the diagram of the phase transitions that do not skip a run.
fn diagram() -> String {
    let mut text = "\n## The lifecycle\n\n\
        No phase is terminal. A transition that is not drawn skips a run, which is a warning (`phase-jump`).\n\n\
        ```mermaid\nstateDiagram-v2\n    [*] --> Pending\n"
        .to_owned();
    for from in Phase::ALL {
        for to in Phase::ALL.into_iter().filter(|to| *to != from && !phases::JUMPS.contains(&(from, *to))) {
            text += &format!("    {} --> {}\n", from.name(), to.name());
        }
    }
    text + "```\n"
}
