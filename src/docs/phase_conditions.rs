//! The picture `docs/phases.svg`: which phase goes with which conditions. The rule about phases judges every combination of
//! conditions, so the picture has no table of its own.

use serde_json::{Value, json};

use super::Page;
use super::svg::picture;
use crate::engine::{Change, Findings, Rule, Severity, validate};
use crate::offline::example;
use crate::rules::tables::conditions::VOCABULARIES;
use crate::scan::{Container, Kind, Phase, Scan, reader, time};

/// The rule whose findings the picture shows.
const RULE_ID: &str = "phase-disagrees";

/// A condition may have one of these statuses; the last one is that of no condition.
const STATUSES: [&str; 4] = ["True", "False", "Unknown", "absent"];
const ABSENT: usize = 3;

/// The conditions, with the times at which a run changes them. So none of them is stale.
const CONDITIONS: [(&str, &str); 4] = [
    ("Scanning", "2026-11-20T08:01:00Z"),
    ("Succeeded", "2026-11-20T08:02:00Z"),
    ("SendingResults", "2026-11-20T08:02:00Z"),
    ("PolicySucceeded", "2026-11-20T08:03:00Z"),
];

/// A column: a condition, and whether the scan has a policy if that matters.
struct Column {
    condition: usize,
    has_policy: Option<bool>,
    title: &'static str,
    note: &'static str,
}

const COLUMNS: [Column; 5] = [
    Column { condition: 0, has_policy: None, title: "Scanning", note: "" },
    Column { condition: 1, has_policy: None, title: "Succeeded", note: "" },
    Column { condition: 3, has_policy: Some(true), title: "PolicySucceeded", note: "with spec.scanPolicy" },
    Column { condition: 3, has_policy: Some(false), title: "PolicySucceeded", note: "without spec.scanPolicy" },
    Column { condition: 2, has_policy: None, title: "SendingResults", note: "" },
];

/// A combination of conditions on a phase, and the most severe finding about it.
struct Combination {
    statuses: [usize; 4],
    has_policy: bool,
    worst: Option<Severity>,
}

const LEFT: usize = 104;
const TOP: usize = 56;
const COLUMN_WIDTH: usize = 176;
const ROW_HEIGHT: usize = 66;
const MARK: (usize, usize) = (80, 24);

pub fn page(rules: &[Rule]) -> Page {
    let mut contents = String::new();
    for (index, column) in COLUMNS.iter().enumerate() {
        let x = LEFT + index * COLUMN_WIDTH + 4;
        contents += &format!("<text x=\"{x}\" y=\"20\" font-weight=\"600\">{}</text>", column.title);
        contents += &format!("<text x=\"{x}\" y=\"38\" class=\"soft\" font-size=\"12\">{}</text>\n", column.note);
    }
    for (index, phase) in Phase::ALL.into_iter().enumerate() {
        contents += &row(rules, phase, TOP + index * ROW_HEIGHT);
    }
    let (width, bottom) = (LEFT + COLUMNS.len() * COLUMN_WIDTH, TOP + Phase::ALL.len() * ROW_HEIGHT);
    contents += &legend(bottom + 22);
    let description = "For each phase and each status of a condition: whether the rules allow both together, with the other \
        conditions at their best. The table below lists the contradictions in words.";
    let (width, height) = (u32::try_from(width).unwrap_or(0), u32::try_from(bottom + 40).unwrap_or(0));
    let text = picture(width, height, "Which phase goes with which conditions", description, &contents);
    Page { path: "phases.svg".to_owned(), text }
}

fn row(rules: &[Rule], phase: Phase, y: usize) -> String {
    let combinations = combinations(rules, phase);
    let (width, height) = (LEFT + COLUMNS.len() * COLUMN_WIDTH - 4, ROW_HEIGHT - 4);
    let mut text = format!(
        "<g class=\"row\" data-phase=\"{name}\"><rect class=\"row-box\" x=\"2\" y=\"{y}\" width=\"{width}\" height=\"{height}\" \
         rx=\"8\"/><text x=\"12\" y=\"{}\" font-weight=\"600\">{name}</text>\n",
        y + 36,
        name = phase.name(),
    );
    for (index, column) in COLUMNS.iter().enumerate() {
        let policy = column.has_policy.map(|has| format!(" data-policy=\"{has}\"")).unwrap_or_default();
        text += &format!("<g data-condition=\"{}\"{policy}>\n", column.title);
        let known = STATUSES.iter().enumerate().filter(|(_, name)| is_known(column.title, name));
        for (place, (status, name)) in known.enumerate() {
            let (x, y) = (LEFT + index * COLUMN_WIDTH + place % 2 * (MARK.0 + 4), y + 5 + place / 2 * (MARK.1 + 4));
            let (class, sign) = match best(&combinations, column, status) {
                None => ("fits", "✓"),
                Some(Severity::Warning) => ("warning", "!"),
                Some(Severity::Error) => ("error", "✕"),
            };
            text += &format!(
                "<g class=\"mark {class}\" data-status=\"{name}\"><rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" \
                 rx=\"5\"/><text x=\"{}\" y=\"{}\">{sign} {name}</text></g>\n",
                MARK.0,
                MARK.1,
                x + 6,
                y + 16,
            );
        }
        text += "</g>\n";
    }
    text + "</g>\n"
}

/// Returns whether a condition may have a status, or be absent.
fn is_known(condition: &str, status: &str) -> bool {
    let vocabulary = VOCABULARIES.iter().find(|vocabulary| vocabulary.condition.name() == condition);
    let mut rows = vocabulary.into_iter().flat_map(|vocabulary| vocabulary.rows);
    status == STATUSES[ABSENT] || rows.any(|row| row.status.name() == status)
}

fn legend(y: usize) -> String {
    format!(
        "<g class=\"fits\"><text x=\"12\" y=\"{y}\">✓ fits</text></g><g class=\"warning\"><text x=\"80\" y=\"{y}\">! at best a \
         warning</text></g><g class=\"error\"><text x=\"230\" y=\"{y}\">✕ always an error</text></g>\
         <text class=\"soft\" x=\"380\" y=\"{y}\">for conditions of the present run, and a status that is caught up</text>\n"
    )
}

/// Returns the least severe result of the combinations with a status of a condition.
fn best(combinations: &[Combination], column: &Column, status: usize) -> Option<Severity> {
    let matching = combinations.iter().filter(|combination| {
        combination.statuses[column.condition] == status
            && column.has_policy.is_none_or(|has_policy| has_policy == combination.has_policy)
    });
    matching.map(|combination| combination.worst).min().unwrap_or(None)
}

/// Judges all combinations of conditions on a phase.
fn combinations(rules: &[Rule], phase: Phase) -> Vec<Combination> {
    let mut combinations = Vec::new();
    for number in 0..STATUSES.len().pow(4) {
        let statuses = [0, 1, 2, 3].map(|place| number / STATUSES.len().pow(place) % STATUSES.len());
        for has_policy in [false, true] {
            let worst = worst(rules, &scan(phase, statuses, has_policy).to_string());
            combinations.push(Combination { statuses, has_policy, worst });
        }
    }
    combinations
}

fn scan(phase: Phase, statuses: [usize; 4], has_policy: bool) -> Value {
    let conditions = CONDITIONS.iter().zip(statuses).filter(|(_, status)| *status != ABSENT);
    let conditions: Vec<Value> = conditions
        .map(|((name, time), status)| json!({"type": name, "status": STATUSES[status], "reason": "Any", "lastTransitionTime": time}))
        .collect();
    json!({
        "metadata": {"generation": 1},
        "spec": {"scanPolicy": if has_policy { "policy" } else { "" }},
        "status": {"observedGeneration": 1, "phase": phase.name(), "conditions": conditions},
    })
}

/// Returns the severity of the most severe finding.
fn worst(rules: &[Rule], json: &str) -> Option<Severity> {
    let rule = rules.iter().find(|rule| rule.id == RULE_ID)?;
    let scan = reader::read::<Container<'_, Scan<'_>>>(json).ok()?;
    let change = Change::new(Kind::SourceScan, scan.present()?, None, time::parse(example::NOW)?);
    let mut findings = Findings::default();
    validate(std::slice::from_ref(rule), rule.part, &change, &mut findings);
    findings.list().iter().map(|finding| finding.severity).max()
}
