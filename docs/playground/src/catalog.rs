//! The rules with their examples, and the phases, for the lists of the page.

use scan_admission::engine::rule::EXAMPLE_WRITER;
use scan_admission::engine::{Example, Expectation, Part, Rule};
use scan_admission::offline::example::{NOW, object};
use scan_admission::rules::RULES;
use scan_admission::rules::tables::phases::MEANINGS;
use serde::Serialize;
use serde_json::Value;

use crate::request::Write;
use crate::text::yaml;

#[derive(Serialize)]
pub struct Catalog {
    rules: Vec<CatalogRule>,
    phases: Vec<CatalogPhase>,
    /// The time at which examples are judged.
    now: &'static str,
}

#[derive(Serialize)]
struct CatalogRule {
    id: &'static str,
    title: &'static str,
    checks: &'static str,
    why: &'static str,
    repair: &'static str,
    examples: Vec<CatalogExample>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CatalogExample {
    title: &'static str,
    /// The expected result: `passes`, `warns`, `denies` or `mutates`.
    expect: &'static str,
    text: String,
    old: String,
    write: Write,
    user: String,
    status_writers: Vec<&'static str>,
}

#[derive(Serialize)]
struct CatalogPhase {
    phase: &'static str,
    meaning: &'static str,
    next: &'static str,
}

pub fn catalog() -> Catalog {
    let phases =
        MEANINGS.iter().map(|row| CatalogPhase { phase: row.phase.name(), meaning: row.meaning, next: row.next });
    let rules = RULES.iter().map(|rule| {
        let Rule { id, title, checks, why, repair, .. } = *rule;
        CatalogRule {
            id,
            title,
            checks,
            why,
            repair,
            examples: rule.examples.iter().map(|it| example(rule, it)).collect(),
        }
    });
    Catalog { rules: rules.collect(), phases: phases.collect(), now: NOW }
}

fn example(rule: &Rule, example: &Example) -> CatalogExample {
    let mut new = object(example.new);
    let user = new.as_object_mut().and_then(|members| members.remove("user"));
    let user = user.as_ref().and_then(Value::as_str).unwrap_or(EXAMPLE_WRITER).to_owned();
    let (write, status_writers) = match rule.part {
        Part::Status => (Write::Status, Vec::new()),
        Part::Writer => (Write::Status, vec![EXAMPLE_WRITER]),
        Part::Spec => (Write::Scan, Vec::new()),
        Part::Create => (Write::Create, Vec::new()),
    };
    CatalogExample {
        title: example.title,
        expect: match example.expect {
            Expectation::Passes => "passes",
            Expectation::Warns(_) => "warns",
            Expectation::Denies(_) => "denies",
            Expectation::Mutates(_) => "mutates",
        },
        text: yaml(&new),
        old: example.old.map(|old| yaml(&object(old))).unwrap_or_default(),
        write,
        user,
        status_writers,
    }
}
