//! The book: what the table of rules says, for people and for machines.

mod decides;

use serde_json::{Value, json};

use super::{Example, Rule, Verdict};

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
    let way = "[Start here](../README.md) · [How it decides](../decides.md)\n\n";
    let rule = |rule: &Rule| (format!("rules/{}.md", rule.id), format!("{note}{way}{}", page(rule)));
    let mut pages = vec![("decides.md".to_owned(), format!("{note}{}", decides::page(rules)))];
    pages.extend(rules.iter().map(rule));
    pages
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
