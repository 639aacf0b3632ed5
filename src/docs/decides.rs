//! The page `docs/decides.md`: how a status is judged, by which webhooks, in which order, and the tables behind the
//! rules.

use super::Page;
use super::rules::{NOTE, mutates};
use crate::engine::cel::capitalised;
use crate::engine::{Downgrade, Expectation, Part, Rule, Severity};
use crate::offline::example::parsed;
use crate::rules::tables::conditions::{ErrorText, Message, VOCABULARIES};
use crate::rules::tables::phases::{self, PhaseMeaning};

const BEGINNING: &str = "\
# How it decides

[Start here](README.md)

The [glossary](glossary.md) explains the terms.

## In which order

1. **Decode.** The webhook reads the review. If it cannot be read, the webhook answers as [`faults`](config.md#faults) says. A field
   of the wrong type is not a fault: the rule for that field reports it.
2. **Mutate**, at `/mutate`. The webhook applies the mutations in the order of the table of rules below. Each mutation sees the
   result of the ones before it. The webhook repeats this until no mutation changes anything. It skips a mutation that would cause
   an error. It also skips a mutation that would make the write fail because of an error that is downgraded without it. The mutating
   webhook denies no write, but if a body has no uid, the answer is an HTTP error and the failurePolicy decides.
3. **Validate**, at `/validate`. The webhook checks every rule about the parts that the request can change. It reports all findings
   at once, each with its rule in [brackets].
4. **Downgrade.** An error does not deny the write if that would do harm ([below](#when-an-error-is-downgraded)), or if the
   [mode](config.md#modes) of its rule is `warn` or `audit`.
5. **Answer.** If an error is left, the webhook denies the write, with one cause for each such error. The other findings are shown
   as warnings, or with the mode `audit` only written to an audit annotation.
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
    let mut text = "\n## Which webhook checks which rules\n\n| webhook | request | rules |\n|---|---|---|\n".to_owned();
    for part in [Part::Status, Part::Writer, Part::Spec, Part::Create] {
        let (webhook, request) = match part {
            Part::Status => {
                ("`/validate`", "updates of the status, and other requests that contain or change a status")
            }
            Part::Writer => {
                ("`/validate`", "requests that contain or change a status, if `statusWriters` is configured")
            }
            Part::Spec => ("`/validate`", "creations, and updates of the scan itself"),
            Part::Create => {
                ("`/mutate`", "creation: only this webhook sees the status, since the API server then drops it")
            }
        };
        let named = rules.iter().filter(|rule| rule.part == part).map(|rule| format!("`{}`", rule.id));
        let named =
            if part == Part::Status { "all other rules".to_owned() } else { named.collect::<Vec<_>>().join(", ") };
        text += &format!("| {webhook} | {request} | {named} |\n");
    }
    text + "| `/mutate` | updates of the status | the mutations of all rules that have one |\n\n\
        Both webhooks allow deletions, and all requests for other kinds.\n"
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
        A finding of a rule is an `{}` or a `{}`. An error denies the write. A warning is only shown to the client. An error is \
        downgraded, so that it does not deny the write, for one of these reasons. The message names the reason, and so does \
        the label `downgraded` of the metric `scan_admission_findings_total`:\n\n",
        Severity::Error.name(),
        Severity::Warning.name()
    );
    for downgrade in Downgrade::ALL {
        let when = match downgrade {
            Downgrade::Mode => "The mode of the rule is `warn` or `audit`.",
            Downgrade::PreExisting => {
                "The old object has the same error at the same path, and no field that the rule read for it has changed. So an \
                old error never blocks its controller (the [ratchet](glossary.md#ratchet)). If the type of a condition is \
                missing, malformed or repeated, the condition is recognised by its contents, at any index."
            }
            Downgrade::Deleting => "The object is being deleted.",
        };
        text += &format!("- `{}`: {when}\n", downgrade.name());
    }
    text + "\nThe rule `status-writer` is about rights: only its mode downgrades its errors.\n"
}

fn mutations(rules: &[Rule]) -> String {
    let mut text = "\n## What the mutations write\n\n\
        A mutation fills in an absent value or recomputes a derived value. It never changes a value that a controller observed. \
        The table lists examples from the pages of the rules, and the paths that the mutation writes:\n\n\
        | rule | example | paths |\n|---|---|---|\n"
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
        "\n## What each condition may say\n\n\
        *Any* means that every value is allowed.\n\n| type | status | reason | message | error |\n|---|---|---|---|---|\n"
            .to_owned();
    for vocabulary in VOCABULARIES {
        for row in vocabulary.rows {
            let message = row.message.expected().unwrap_or_else(|| match row.message {
                Message::Explains => "any; the message or the error should explain the failure".to_owned(),
                _ => "any".to_owned(),
            });
            let error = match row.error {
                ErrorText::Empty => "absent or empty",
                ErrorText::Open => "any",
                ErrorText::Explains => "any; should explain the failure",
            };
            let (name, reason) = (vocabulary.condition.name(), row.reason.unwrap_or("any"));
            text += &format!("| {name} | {} | {reason} | {message} | {error} |\n", row.status.name());
        }
    }
    text
}

fn lifecycle() -> String {
    let mut text = "\n## What goes with each phase\n\n\
        A scan that runs again may keep the results of its earlier run. A condition of an earlier run is *stale*. A condition is \
        stale in these cases: its `observedGeneration` is lower than that of the status; `Scanning` is True, and the time of the \
        condition is not later than that of `Scanning`; it is a `PolicySucceeded` whose time is earlier than that of `Scanning` \
        or `Succeeded`. Every other condition is *current*. On Completed and Failed the run has ended, so only a \
        `PolicySucceeded` can be stale, and only while `spec.scanPolicy` is not set.\n\n\
        The picture shows whether a phase and a status of one condition can go together. Each is judged with the other \
        conditions at their best.\n\n\
        ![For each phase, the statuses of each condition that fit, those that are a warning, and those that are an \
        error](phases.svg)\n\n\
        The table lists what contradicts each phase. A row applies if everything in its second column is true. Where a rule \
        requires a condition, a stale one is enough. A stale condition never causes an error or a warning. A malformed \
        condition counts neither as present nor as absent. The table uses these terms:\n\n\
        - The status is *caught up* if `status.observedGeneration` and `metadata.generation` are both present and equal.\n\
        - The *phase of the verdict* is Completed if `PolicySucceeded` is True, Failed if it is False, and Error if it is \
        Unknown.\n\
        - The *phase of the result* is Error if `Succeeded` is False. If `Succeeded` is True, it is the phase of the verdict, or \
        Completed if `spec.scanPolicy` is not set.\n\
        - The *phase of the finished run* is the phase of its result.\n\
        - A *verdict is awaited* if `spec.scanPolicy` is set, the status is caught up, and there is no current \
        `PolicySucceeded`.\n\n\
        | phase | is wrong while | severity | message: the phase must | message: hint |\n|---|---|---|---|---|\n"
        .to_owned();
    for row in phases::ROWS {
        let (phase, severity) = (row.phase.name(), row.severity.name());
        text += &format!("| {phase} | {} | {severity} | {} | {} |\n", row.description(), row.must, row.hint);
    }
    text
}

/// Returns the picture of the changes between phases, and the meanings of the phases.
fn diagram() -> String {
    let mut text = "\n## The lifecycle\n\n\
        A scan can leave every phase again. The picture shows the changes of phase that are expected. Any other change skips a run \
        and is a warning (`phase-jump`).\n\n\
        ![The phases and the expected changes between them](lifecycle.svg)\n\n\
        | phase | what it means | what happens next |\n|---|---|---|\n"
        .to_owned();
    for PhaseMeaning { phase, meaning, next } in phases::MEANINGS {
        text += &format!("| {} | {meaning} | {next} |\n", phase.name());
    }
    text
}
