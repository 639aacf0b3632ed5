//! How a status is judged: doors, order, the rules and the tables behind them, for `docs/decides.md`.

use crate::law::vocabulary::{ErrorText, Message, VOCABULARIES};
use crate::law::{Part, Rule, Severity, Softened, Verdict, lifecycle};
use crate::scan::Phase;

const BEGINNING: &str = "\
# How it decides

[Start here](README.md)

## In which order

1. **Read.** What is no AdmissionReview cannot be judged, and is answered as [`faults`](config.md#when-there-is-too-much) says. A
   field of the wrong type is no such fault: its rule names it.
2. **Mend**, at `/mutate`. Rule after rule fills in what is derived, each on what the ones before it left, until nothing is
   left to do. A mend that would have a status refused which passes without it is left out. The door never refuses.
3. **Judge**, at `/validate`. Every rule of the parts that the request can change is asked, in the order of the table below,
   and each finding names its rule in [brackets]. All are told at once.
4. **Soften.** A refusal becomes advice where refusing would do harm, or where the [mode](config.md#modes) of its rule says so.
5. **Answer.** One refusal that is left denies the write, with a cause for each; advice is a warning.
";

/// The whole page.
pub fn page(rules: &[Rule]) -> String {
    let parts = [BEGINNING.to_owned(), doors(rules), list(rules), softened(), mends(rules)];
    parts.concat() + &vocabularies() + &lifecycle() + &diagram()
}

/// By the parts of a scan, since a request that cannot change a part has no rule of it asked.
fn doors(rules: &[Rule]) -> String {
    let mut text = "\n## Which door asks which rules\n\n| door | request | rules |\n|---|---|---|\n".to_owned();
    for part in [Part::Status, Part::Spec, Part::Create] {
        let (door, request) = match part {
            Part::Status => ("`/validate`", "updates of the status, and other requests that change or bring one"),
            Part::Spec => ("`/validate`", "creation and updates of the scan itself"),
            Part::Create => ("`/mutate`", "creation: the only one that sees a status which the API server then drops"),
        };
        let named = rules.iter().filter(|rule| rule.part == part).map(|rule| format!("`{}`", rule.id));
        let named = if part == Part::Status { "all others".to_owned() } else { named.collect::<Vec<_>>().join(", ") };
        text += &format!("| {door} | {request} | {named} |\n");
    }
    text + "| `/mutate` | updates of the status | the mends of those that have one |\n\n\
        Deletions, and kinds that are no scans, are allowed at either door.\n"
}

fn list(rules: &[Rule]) -> String {
    let mut text = "\n## The rules\n\n| rule | what it says | mends |\n|---|---|---|\n".to_owned();
    for rule in rules {
        text += &format!("| [`{0}`](rules/{0}.md) | {1} | {2} |\n", rule.id, rule.title, super::mends(rule));
    }
    text
}

fn softened() -> String {
    let mut text = format!(
        "\n## When a refusal is softened\n\n\
        What a rule finds is `{}`, which denies the write, or `{}`, which is a warning. One old bad object must never \
        freeze its controller, so a refusal becomes advice where the old object was as bad at the same place and nothing \
        that the rule read for it changed, and where the object is being deleted. The warning, or the audit annotation, \
        says so:\n\n",
        Severity::Refuse.name(),
        Severity::Advise.name()
    );
    for why in Softened::ALL {
        text += &format!("- {}\n", why.words());
    }
    text
}

fn mends(rules: &[Rule]) -> String {
    let mut text = "\n## What is mended\n\n\
        What is absent is filled in, and what is derived is recomputed; what a controller observed is never changed. These \
        are the examples of the rules, with what is written:\n\n\
        | rule | example | where |\n|---|---|---|\n"
        .to_owned();
    for rule in rules {
        for example in rule.examples {
            let Verdict::Mended(patch) = example.verdict else { continue };
            let patch = super::parsed(patch);
            let operations = patch.as_array().into_iter().flatten();
            let paths: Vec<_> =
                operations.map(|operation| format!("`{}`", operation["path"].as_str().unwrap_or_default())).collect();
            text += &format!("| `{}` | {} | {} |\n", rule.id, super::capitalised(example.says), paths.join(", "));
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
            let message = row.message.due().unwrap_or_else(|| match row.message {
                Message::Explains => "open; it or the error should say something".to_owned(),
                _ => "open".to_owned(),
            });
            let error = match row.error {
                ErrorText::Empty => "empty",
                ErrorText::Open => "open",
                ErrorText::Explains => "should say something",
            };
            let (name, reason) = (vocabulary.condition.name(), row.reason.unwrap_or("any"));
            text += &format!("| {name} | {} | {reason} | {message} | {error} |\n", row.status.name());
        }
    }
    text
}

fn lifecycle() -> String {
    let mut text = "\n## What goes with each phase\n\n\
        A new run may keep results of the one before beside its own: conditions of an older generation, or no later than the \
        run that is under way. Such a condition is left over. It excuses and never accuses: where one has to be there, it \
        counts; it is not held against the phase.\n\n\
        | phase | not while | verdict | what would be right |\n|---|---|---|---|\n"
        .to_owned();
    for row in lifecycle::ROWS {
        let when: Vec<_> = row.when.iter().map(|when| when.words()).collect();
        text +=
            &format!("| {} | {} | {} | {} |\n", row.phase.name(), when.join(" and "), row.severity.name(), row.right);
    }
    text
}

/// The steps between phases that need no run between them.
fn diagram() -> String {
    let mut text = "\n## The lifecycle\n\n\
        No phase is terminal. A step that is not drawn skips a run, which is advice (`phase-jump`).\n\n\
        ```mermaid\nstateDiagram-v2\n    [*] --> Pending\n"
        .to_owned();
    for from in Phase::ALL {
        for to in Phase::ALL.into_iter().filter(|to| *to != from && !lifecycle::JUMPS.contains(&(from, *to))) {
            text += &format!("    {} --> {}\n", from.name(), to.name());
        }
    }
    text + "```\n"
}
