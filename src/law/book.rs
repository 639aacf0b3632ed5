//! The book: what the table of rules says, for people and for machines.

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
    let verdict = match example.verdict {
        Verdict::Passes => "passes".to_owned(),
        Verdict::Advised(field) => format!("advice at `{field}`"),
        Verdict::Refused(field) => format!("refused at `{field}`"),
        Verdict::Mended(patch) => format!("mended by\n\n```json\n{patch}\n```"),
    };
    let old = example.old.map(|old| format!("\nbefore\n\n```json\n{old}\n```\n")).unwrap_or_default();
    let sentence = if verdict.ends_with('`') && !verdict.contains('\n') { "." } else { "" };
    let sentence = if verdict == "passes" { "." } else { sentence };
    format!("\n{}: {verdict}{sentence}\n{old}\n```json\n{}\n```\n", capitalised(example.says), example.new)
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// The table of rules in Markdown.
pub fn table(rules: &[Rule]) -> String {
    let mut table = "| rule | what it says | mends |\n|---|---|---|\n".to_owned();
    for rule in rules {
        let mends = if rule.mend.is_some() { "yes" } else { "" };
        table += &format!("| `{}` | {} | {mends} |\n", rule.id, rule.title);
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
