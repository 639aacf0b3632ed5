//! The report as SARIF 2.1.0, for code review. GitHub drops a whole file for one result without a location, so every
//! result has one.
//!
//! The crate `serde-sarif` generates its types while it is built, with forty crates; this report needs a tenth of them.

use std::collections::HashMap;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Value, json};

use super::Report;
use super::finding::{Replacement, ReportedError, ReportedFinding, ReportedObject};
use super::relative_path::{RelativePath, RelativePaths};
use super::sarif_uri::artifact_location;
use super::totals::Totals;
use super::worst::WorstFirst;
use crate::engine::{Expectation, Rule};
use crate::manifest::{Position, Region};
use crate::rules::RULES;
use crate::scan::json::printable;

/// The most results: GitHub shows 5,000 results of a file.
const RESULTS_MAX: usize = 5_000;

/// The most inputs that could not be read. Each is a notification of the run.
const ERRORS_MAX: usize = 1_000;

/// The id of findings about the document rather than the scan, such as a duplicate field.
const DOCUMENT: &str = "document";

/// The address of the pages.
const PAGES: &str = "https://scan-admission.dev/docs";

/// Keeps the most severe results in memory, about 1 KB each.
pub struct SarifReport<W> {
    out: W,
    results: WorstFirst<SarifResult>,
    errors: WorstFirst<Value>,
    /// The number of findings with each fingerprint, by the hash of the file: GitHub compares alerts of the same file.
    fingerprints: HashMap<(u64, u64), u32>,
    paths: RelativePaths,
}

/// A result, as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Value,
    locations: [Value; 1],
    partial_fingerprints: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fixes: Vec<Value>,
}

impl<W: Write> SarifReport<W> {
    pub fn new(out: W) -> Self {
        let (results, errors) = (WorstFirst::new(RESULTS_MAX), WorstFirst::new(ERRORS_MAX));
        Self { out, results, errors, fingerprints: HashMap::new(), paths: RelativePaths::default() }
    }

    fn result(&mut self, object: &ReportedObject<'_>, finding: &ReportedFinding) -> SarifResult {
        let rule_id = finding.rule.unwrap_or(DOCUMENT);
        // The last rule is that of findings about the document.
        let rule_index = RULES.iter().position(|rule| rule.id == rule_id).unwrap_or(RULES.len());
        let start = Region { start: Position::START, end: Position::START };
        let region = finding.location.map_or(start, |location| location.region);
        let path = self.paths.of(object.file.unwrap_or_default());
        let (artifact, name) = (artifact_location(path), logical_name(object, path, finding));
        SarifResult {
            rule_id,
            rule_index,
            level: finding.level(),
            message: json!({"text": text(&format!("{} {}: {}", object.title(), finding.path, finding.message))}),
            partial_fingerprints: json!({"primaryLocationLineHash": self.fingerprint(object.file, rule_id, &name)}),
            locations: [json!({
                "physicalLocation": {"artifactLocation": artifact, "region": sarif_region(region)},
                "logicalLocations": [{"fullyQualifiedName": name}],
            })],
            fixes: fixes(&artifact, finding),
        }
    }

    /// Returns the fingerprint of a finding: the hash of its rule, object and path, and the number of its occurrence in the
    /// file. It stays the same when lines move.
    fn fingerprint(&mut self, file: Option<&str>, rule: &str, name: &str) -> String {
        let hash = fnv_1a(&format!("{rule}\n{name}"));
        let count = self.fingerprints.entry((file.map_or(0, fnv_1a), hash)).or_default();
        *count += 1;
        format!("{hash:016x}:{count}")
    }
}

impl<W: Write> Report for SarifReport<W> {
    fn object(&mut self, object: &ReportedObject<'_>) -> io::Result<()> {
        for finding in object.findings {
            let result = self.result(object, finding);
            self.results.push(finding.action, result);
        }
        Ok(())
    }

    fn error(&mut self, error: &ReportedError) -> io::Result<()> {
        let path = self.paths.of(error.file.as_deref().unwrap_or_default());
        let mut place = json!({"artifactLocation": artifact_location(path)});
        if let Some(Position { line, column }) = error.position {
            place["region"] = json!({"startLine": line, "startColumn": column});
        }
        let notification = json!({
            "level": "error",
            "message": {"text": text(&error.message)},
            "locations": [{"physicalLocation": place}],
        });
        self.errors.push(crate::engine::Action::Deny, notification);
        Ok(())
    }

    fn needs_fixes(&self) -> bool {
        true
    }

    fn finish(mut self: Box<Self>, totals: &Totals) -> io::Result<()> {
        let ((results, omitted_results), (errors, omitted_errors)) = (self.results.finish(), self.errors.finish());
        let log = SarifLog {
            schema: "https://json.schemastore.org/sarif-2.1.0.json",
            version: "2.1.0",
            runs: [SarifRun {
                tool: tool(),
                invocations: [json!({
                    "executionSuccessful": totals.errors == 0,
                    "toolExecutionNotifications": errors,
                })],
                column_kind: "unicodeCodePoints",
                original_uri_base_ids: json!({
                    "%SRCROOT%": {"description": {"text": "The folder in which the program ran: the root of the repository."}},
                }),
                results,
                properties: json!({"omittedResults": omitted_results, "omittedNotifications": omitted_errors}),
            }],
        };
        serde_json::to_writer_pretty(&mut self.out, &log)?;
        self.out.write_all(b"\n")?;
        self.out.flush()
    }
}

#[derive(Serialize)]
struct SarifLog {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [SarifRun; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifRun {
    tool: Value,
    invocations: [Value; 1],
    column_kind: &'static str,
    original_uri_base_ids: Value,
    results: Vec<SarifResult>,
    properties: Value,
}

/// Returns the program and its rules.
fn tool() -> Value {
    let document = rule(
        DOCUMENT,
        "A document is written as it is meant.",
        "A key of a document is not repeated, and a value that must be a string is one.",
        "YAML reads the last of repeated keys, and a value such as `5805e10` as a number.",
        "Remove the other occurrences of the key, or quote the value.",
        "warning",
        &format!("{PAGES}/command-line.md"),
    );
    let rules: Vec<Value> = RULES.iter().map(rule_of).chain([document]).collect();
    json!({"driver": {
        "name": "scan-admission",
        "version": env!("CARGO_PKG_VERSION"),
        "semanticVersion": env!("CARGO_PKG_VERSION"),
        "informationUri": "https://scan-admission.dev/",
        "rules": rules,
    }})
}

fn rule_of(rule: &Rule) -> Value {
    let can_deny = rule.examples.iter().any(|example| matches!(example.expect, Expectation::Denies(_)));
    self::rule(
        rule.id,
        rule.title,
        rule.checks,
        rule.why,
        rule.repair,
        if can_deny { "error" } else { "warning" },
        &format!("{PAGES}/rules/{}.md", rule.id),
    )
}

/// Returns the description of a rule. Its texts are Markdown.
fn rule(id: &str, title: &str, checks: &str, why: &str, repair: &str, level: &str, page: &str) -> Value {
    let markdown = format!("{checks}\n\n**Why it matters**\n\n{why}\n\n**How to repair**\n\n{repair}\n");
    json!({
        "id": id,
        "shortDescription": {"text": title},
        "fullDescription": {"text": checks},
        "help": {"text": markdown.replace("**", ""), "markdown": markdown},
        "helpUri": page,
        "defaultConfiguration": {"level": level},
    })
}

/// Returns a name of the object and the field that does not depend on their place in the file.
fn logical_name(object: &ReportedObject<'_>, path: &RelativePath, finding: &ReportedFinding) -> String {
    let object = match &object.subject {
        Some(subject) if !subject.name.is_empty() => {
            format!("{}/{}/{}", subject.kind.name(), subject.namespace, subject.name)
        }
        _ => path.joined(),
    };
    printable(&format!("{object}/{}", finding.path), usize::MAX)
}

fn sarif_region(Region { start, end }: Region) -> Value {
    json!({"startLine": start.line, "startColumn": start.column, "endLine": end.line, "endColumn": end.column})
}

/// Returns the list of fixes of a finding: one or none.
fn fixes(artifact: &Value, finding: &ReportedFinding) -> Vec<Value> {
    let fix = finding.fix.as_ref().map(|Replacement { region, text }| {
        let replacement = json!({"deletedRegion": sarif_region(*region), "insertedContent": {"text": text}});
        json!({
            "description": {"text": format!("Write {} as the mutating webhook does.", finding.path)},
            "artifactChanges": [{"artifactLocation": artifact, "replacements": [replacement]}],
        })
    });
    fix.into_iter().collect()
}

/// Returns text for a message of SARIF, in which `[text](target)` would be a link.
fn text(text: &str) -> String {
    let text = printable(text, usize::MAX);
    if text.contains("](") { text.replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]") } else { text }
}

/// The hash FNV-1a of 64 bits. Fingerprints have to be the same in every version of the program.
fn fnv_1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        // The test vectors of the authors.
        for (text, hash) in
            [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)]
        {
            assert_eq!(fnv_1a(text), hash, "{text}");
        }
    }

    #[test]
    fn a_message_has_no_link() {
        assert_eq!(text("a [b](c) \\"), "a \\[b\\](c) \\\\");
        assert_eq!(text("conditions[Ready] \\"), "conditions[Ready] \\");
    }
}
