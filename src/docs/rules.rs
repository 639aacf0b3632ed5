//! The pages of the rules, and the table of rules as Markdown and as JSON.

use serde_json::{Value, json};

use super::Page;
use crate::engine::cel::capitalised;
use crate::engine::{Cel, Example, Expectation, Rule};
use crate::offline::example::parsed;
use crate::policies::{policies_of, variable_name};

/// Returns the page of a rule, in Markdown with fixed headings.
pub fn page(rule: &Rule) -> String {
    let mut page = format!("# {}\n\n{}\n", rule.id, rule.title);
    for (head, text) in [
        ("What it checks", rule.checks),
        ("Why it matters", rule.why),
        ("What goes wrong if the rule is violated", rule.breaks),
        ("How to repair", rule.repair),
    ] {
        page += &format!("\n## {head}\n\n{text}\n");
    }
    page += &format!("\n## As a policy\n\n{}\n", policy_section(rule));
    page += EXAMPLES;
    for example in rule.examples {
        page += &self::example(rule, example);
    }
    page
}

/// Describes the rule's twin in CEL.
fn policy_section(rule: &Rule) -> String {
    let (extent, differences) = match rule.cel {
        Cel::Exact(_) => ("has the same findings as the webhook", String::new()),
        Cel::Near(_, differences) => {
            ("has the same findings as the webhook, with one exception", format!(" {differences}"))
        }
        Cel::Never(why) => return format!("No policy in CEL judges this rule. {why}"),
    };
    let policies = policies_of(rule).iter().map(|policy| format!("`{}`", policy.name())).collect::<Vec<_>>();
    let policies = match policies.split_last() {
        Some((last, others)) if !others.is_empty() => format!("policies {} and {last}", others.join(", ")),
        _ => format!("policy {}", policies.concat()),
    };
    format!(
        "As a policy in CEL, which needs no server, this rule {extent}.{differences} It is the variable `{}` of the {policies}. \
         `scan-admission generate policies` writes them.",
        variable_name(rule)
    )
}

const EXAMPLES: &str = "\n## Examples\n\n\
    Each example shows only the members that matter. The rest of the scan, such as `metadata` and the other members of \
    `spec`, is valid.\n";

/// Returns the section about an example.
fn example(rule: &Rule, example: &Example) -> String {
    let title = capitalised(example.title);
    let new = parsed(example.new);
    let old = example.old.map(|old| format!("Before:\n\n```json\n{:#}\n```\n\n", parsed(old))).unwrap_or_default();
    let expect = match example.expect {
        Expectation::Passes => "The write is allowed.".to_owned(),
        Expectation::Warns(_) => format!("The write is allowed, with this warning:\n\n{}", findings(rule, example)),
        Expectation::Denies(_) => format!("The write is denied:\n\n{}", findings(rule, example)),
        Expectation::Mutates(patch) => format!("The mutation writes:\n\n```json\n{:#}\n```", parsed(patch)),
    };
    let after = if old.is_empty() { "" } else { "After:\n\n" };
    format!("\n### {title}\n\n{old}{after}```json\n{new:#}\n```\n\n{expect}\n")
}

fn findings(rule: &Rule, example: &Example) -> String {
    format!("```text\n{}\n```", crate::offline::example::findings(rule, example).join("\n"))
}

/// Returns a page for each rule.
pub fn pages(rules: &[Rule]) -> Vec<Page> {
    let head = format!("{NOTE}[Start here](../README.md) · [How it decides](../decides.md)");
    let page = |rule: &Rule| {
        let playground = format!("[In the playground](../playground/playground.html#{})", rule.id);
        Page { path: format!("rules/{}.md", rule.id), text: format!("{head} · {playground}\n\n{}", page(rule)) }
    };
    rules.iter().map(page).collect()
}

pub(super) const NOTE: &str = "<!-- Generated from the table of rules by `scan-admission generate docs`. -->\n\n";

fn policy_json(cel: Cel) -> Value {
    match cel {
        Cel::Exact(_) => json!({"twin": "exact"}),
        Cel::Near(_, differences) => json!({"twin": "near", "differences": differences}),
        Cel::Never(why) => json!({"twin": "never", "why": why}),
    }
}

pub(super) fn mutates(rule: &Rule) -> &'static str {
    if rule.mutate.is_some() { "yes" } else { "" }
}

/// Returns the table of rules in Markdown.
pub fn table(rules: &[Rule]) -> String {
    let mut table = "| rule | what it says | mutates |\n|---|---|---|\n".to_owned();
    for rule in rules {
        table += &format!("| `{}` | {} | {} |\n", rule.id, rule.title, mutates(rule));
    }
    table
}

/// Returns the whole documentation of each rule as a JSON list.
pub fn json(rules: &[Rule]) -> String {
    let expect = |expect: Expectation| match expect {
        Expectation::Passes => json!({"passes": true}),
        Expectation::Warns(path) => json!({"warns": path}),
        Expectation::Denies(path) => json!({"denies": path}),
        Expectation::Mutates(patch) => json!({"mutates": parsed(patch)}),
    };
    let rules: Vec<Value> = rules
        .iter()
        .map(|rule| {
            let examples = rule.examples.iter().map(|example| {
                json!({
                    "title": example.title,
                    "old": example.old.map(parsed),
                    "new": parsed(example.new),
                    "expect": expect(example.expect),
                })
            });
            json!({
                "id": rule.id,
                "title": rule.title,
                "checks": rule.checks,
                "why": rule.why,
                "breaks": rule.breaks,
                "repair": rule.repair,
                "mutates": rule.mutate.is_some(),
                "policy": policy_json(rule.cel),
                "examples": examples.collect::<Vec<_>>(),
            })
        })
        .collect();
    format!("{:#}\n", Value::from(rules))
}
