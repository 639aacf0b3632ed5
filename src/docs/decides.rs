//! The page `docs/decides.md`: how a status is judged, by which webhooks, in which order, and the tables behind the
//! rules.

use super::Page;
use super::examples::parsed;
use super::rules::{NOTE, capitalised, mutates};
use crate::engine::{Downgrade, Expectation, Part, Rule, Severity};
use crate::rules::tables::conditions::{ErrorText, Message, VOCABULARIES};
use crate::rules::tables::phases;
use crate::scan::Phase;

const BEGINNING: &str = "\
# How it decides

[Start here](README.md)

The [glossary](glossary.md) explains the terms.

## In which order

1. **Decode.** The review is read. If the body is not an AdmissionReview, it is answered as [`faults`](config.md#faults) says. A
   field of the wrong type is not a fault: the rule of that field reports it.
2. **Mutate**, at `/mutate`. The mutations are applied in the order of the table below, each to the result of the ones before it,
   until none has anything to write. A mutation is left out if it would cause an error, or if an error that is downgraded without
   it would then deny the write. The mutating webhook never denies.
3. **Validate**, at `/validate`. Every rule about the parts that the request can change is asked. All findings are reported at
   once, each with its rule in [brackets].
4. **Downgrade.** An error does not deny the write if that would do harm ([below](#when-an-error-is-downgraded)), or if the
   [mode](config.md#modes) of its rule says so.
5. **Answer.** If an error is left, the write is denied, with a cause for each such error. All other findings are warnings.
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
    text + "| `/mutate` | updates of the status | the mutations of all rules that have one |\n\n\
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
        A finding of a rule is an `{}`, which denies the write, or a `{}`, which is shown to the client. An error is downgraded, \
        and does not deny the write, for one of these reasons. The message has the reason, and so has the label `downgraded` of the \
        metric `scan_admission_findings_total`:\n\n",
        Severity::Error.name(),
        Severity::Warning.name()
    );
    for downgrade in Downgrade::ALL {
        let when = match downgrade {
            Downgrade::Mode => "The mode of the rule is `warn` or `audit`.",
            Downgrade::PreExisting => {
                "The old object has the same error at the same path, and nothing that the rule read for it has changed. So an \
                old error never blocks its controller (the [ratchet](glossary.md#ratchet)). A condition whose type is missing, \
                malformed or there twice is recognised by its contents, at any index."
            }
            Downgrade::Deleting => "The object is being deleted.",
        };
        text += &format!("- `{}`: {when}\n", downgrade.name());
    }
    text + "\n`status-writer` is about rights: only its mode downgrades it.\n"
}

fn mutations(rules: &[Rule]) -> String {
    let mut text = "\n## What the mutations write\n\n\
        An absent value is filled in, and a derived value is recomputed. A value that a controller observed is never changed. \
        These are the examples of the rules, with the paths that are written:\n\n\
        | rule | example | where |\n|---|---|---|\n"
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
        A new run may keep results of an earlier run beside its own. Such a condition is stale: it has an older generation, or a \
        time no later than the start of the current run, or it is a `PolicySucceeded` that is earlier than `Scanning` or \
        `Succeeded`. A stale condition satisfies a requirement but never violates one. On Completed and Failed the run has ended, so \
        no condition is stale, except a `PolicySucceeded` of a scan that has no scan policy any more.\n\n\
        A malformed condition counts neither as present nor as absent. A status is caught up when `observedGeneration` equals \
        `metadata.generation`.\n\n\
        | phase | must not be set while | severity | the phase must | hint |\n|---|---|---|---|---|\n"
        .to_owned();
    for row in phases::ROWS {
        let when: Vec<_> = row.when.iter().map(|when| when.description()).collect();
        let (phase, severity) = (row.phase.name(), row.severity.name());
        text += &format!("| {phase} | {} | {severity} | {} | {} |\n", when.join(" and "), row.must, row.hint);
    }
    text
}

/// Returns the diagram of the phase transitions that do not skip a run.
fn diagram() -> String {
    let mut text = "\n## The lifecycle\n\n\
        No phase is the last one. A step that is not drawn skips a run, which is a warning (`phase-jump`).\n\n\
        ```mermaid\nstateDiagram-v2\n    [*] --> Pending\n"
        .to_owned();
    for from in Phase::ALL {
        for to in Phase::ALL.into_iter().filter(|to| *to != from && !phases::JUMPS.contains(&(from, *to))) {
            text += &format!("    {} --> {}\n", from.name(), to.name());
        }
    }
    text + "```\n"
}
