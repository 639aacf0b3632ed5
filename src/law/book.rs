//! The book: what the table of rules says, for people and for machines.

use serde_json::{Value, json};

use super::vocabulary::{ErrorText, Message, VOCABULARIES};
use super::{Example, Rule, Verdict, lifecycle};
use crate::scan::Phase;

/// The page of one rule, in Markdown with fixed heads.
pub fn page(rule: &Rule) -> String {
    let mut page = format!("# {}\n\n{}\n", rule.id, rule.title);
    for (head, text) in [
        ("What it checks", rule.checks),
        ("Why it matters", rule.why),
        ("What breaks when it is broken", rule.breaks),
        ("How to repair", rule.repair),
    ] {
        page += &format!("\n## {head}\n\n{text}\n");
    }
    page += "\n## Examples\n";
    for example in rule.examples {
        page += &self::example(example);
    }
    page
}

fn example(example: &Example) -> String {
    let says = capitalised(example.says);
    let new = parsed(example.new);
    let old = example.old.map(|old| format!("before:\n\n```json\n{:#}\n```\n\n", parsed(old))).unwrap_or_default();
    let verdict = match example.verdict {
        Verdict::Passes => "This passes.".to_owned(),
        Verdict::Advised(field) => format!("This is advice at `{field}`."),
        Verdict::Refused(field) => format!("This is refused at `{field}`."),
        Verdict::Mended(patch) => format!("This is mended:\n\n```json\n{:#}\n```", parsed(patch)),
    };
    let after = if old.is_empty() { "" } else { "after:\n\n" };
    format!("\n### {says}\n\n{old}{after}```json\n{new:#}\n```\n\n{verdict}\n")
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// Every page of the book with its path below `docs/`.
pub fn pages(rules: &[Rule]) -> Vec<(String, String)> {
    let note = "<!-- Generated from the table of rules by `scan-admission generate docs`. -->\n\n";
    let rule = |rule: &Rule| (format!("rules/{}.md", rule.id), format!("{note}{}", page(rule)));
    let mut pages = vec![("law.md".to_owned(), format!("{note}{}", overview(rules)))];
    pages.extend(rules.iter().map(rule));
    pages
}

/// How a status is judged: the rules and the two tables behind them.
fn overview(rules: &[Rule]) -> String {
    let mut text = "# How a status is judged\n\n\
        Every finding names its rule in [brackets]. `refuse` denies the write, advice becomes a warning. On an update a \
        refusal is softened to advice where the old object was as bad at the same place and nothing that matters there \
        changed, and on an object that is being deleted.\n\n## The rules\n\n"
        .to_owned();
    text += "| rule | what it says | mends |\n|---|---|---|\n";
    for rule in rules {
        text += &format!("| [`{0}`](rules/{0}.md) | {1} | {2} |\n", rule.id, rule.title, mends(rule));
    }
    text += "\n## What each condition may say\n\n| type | status | reason | message | error |\n|---|---|---|---|---|\n";
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
    text += "\n## What goes with each phase\n\n\
        Conditions that are left over from an earlier run excuse and never accuse.\n\n\
        | phase | not while | verdict | what would be right |\n|---|---|---|---|\n";
    for row in lifecycle::ROWS {
        let when: Vec<_> = row.when.iter().map(|when| when.words()).collect();
        text +=
            &format!("| {} | {} | {} | {} |\n", row.phase.name(), when.join(" and "), row.severity.name(), row.right);
    }
    text + &diagram()
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

fn mends(rule: &Rule) -> &'static str {
    if rule.mend.is_some() { "yes" } else { "" }
}

/// The table of rules in Markdown.
pub fn table(rules: &[Rule]) -> String {
    let mut table = "| rule | what it says | mends |\n|---|---|---|\n".to_owned();
    for rule in rules {
        table += &format!("| `{}` | {} | {} |\n", rule.id, rule.title, mends(rule));
    }
    table
}

/// Everything that is said about each rule, as a JSON list.
pub fn json(rules: &[Rule]) -> String {
    let verdict = |verdict: Verdict| match verdict {
        Verdict::Passes => json!({"passes": true}),
        Verdict::Advised(field) => json!({"advised": field}),
        Verdict::Refused(field) => json!({"refused": field}),
        Verdict::Mended(patch) => json!({"mended": parsed(patch)}),
    };
    let rules: Vec<Value> = rules
        .iter()
        .map(|rule| {
            let examples = rule.examples.iter().map(|example| {
                json!({
                    "says": example.says,
                    "old": example.old.map(parsed),
                    "new": parsed(example.new),
                    "verdict": verdict(example.verdict),
                })
            });
            json!({
                "id": rule.id,
                "title": rule.title,
                "checks": rule.checks,
                "why": rule.why,
                "breaks": rule.breaks,
                "repair": rule.repair,
                "mends": rule.mend.is_some(),
                "examples": examples.collect::<Vec<_>>(),
            })
        })
        .collect();
    format!("{:#}\n", Value::from(rules))
}

/// The JSON of an example, which a test parses.
fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or(Value::Null)
}
