//! Tests that `check` reports the engine's findings at the right positions for any scan, however its manifest is
//! written.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use scan_admission::engine::{Change, Findings, Part, validate};
use scan_admission::rules::RULES;
use scan_admission::scan::{Container, Kind, Member, Scan, reader, time};
use serde_json::{Value, json};

use super::runner;

/// A JSON value that keeps its text: a leaf is the text of a number, string, boolean or null.
#[derive(Debug, Clone)]
enum Tree {
    Leaf(String),
    List(Vec<Tree>),
    Map(BTreeMap<String, Tree>),
}

impl From<&Value> for Tree {
    fn from(value: &Value) -> Self {
        match value {
            Value::Array(entries) => Tree::List(entries.iter().map(Tree::from).collect()),
            Value::Object(members) => {
                Tree::Map(members.iter().map(|(name, value)| (name.clone(), Tree::from(value))).collect())
            }
            leaf => Tree::Leaf(leaf.to_string()),
        }
    }
}

/// The places at which a test puts another value.
const PATHS: &[&str] = &[
    "spec",
    "spec.blob",
    "spec.blob.url",
    "spec.git.url",
    "spec.registry.image",
    "spec.scanTemplate",
    "spec.scanPolicy",
    "metadata.generation",
    "metadata.namespace",
    "metadata.deletionTimestamp",
    "status",
    "status.phase",
    "status.conditions",
    "status.conditions.0",
    "status.conditions.1",
    "status.conditions.0.type",
    "status.conditions.1.status",
    "status.conditions.1.reason",
    "status.conditions.0.message",
    "status.conditions.1.error",
    "status.conditions.0.lastTransitionTime",
    "status.conditions.1.observedGeneration",
    "status.conditions.2",
    "status.cveCount",
    "status.cveCount.critical",
    "status.cveCount.total",
    "status.cveCount.CVETOTAL",
    "status.cveCount.a b",
    "status.CVECount",
    "status.CVECount.HIGH",
    "status.metadataUrl",
    "status.metadataURL",
    "status.scannedBy",
    "status.scannedBy.scanner.name",
    "status.scannedAt",
    "status.observedGeneration",
    "status.artifact",
    "status.artifact.blob.url",
    "status.compliantArtifact.git",
    "status.other",
];

impl Tree {
    fn set(&mut self, path: &str, value: Tree) {
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let place = match (&mut *self, name.parse::<usize>()) {
            (Tree::List(entries), Ok(index)) if index <= entries.len() => {
                if index == entries.len() {
                    entries.push(Tree::Leaf("null".to_owned()));
                }
                &mut entries[index]
            }
            (Tree::Map(members), _) => members.entry(name.to_owned()).or_insert(Tree::Map(BTreeMap::new())),
            // A value that was put here before has no such member.
            _ => return,
        };
        match rest {
            None => *place = value,
            Some(rest) => place.set(rest, value),
        }
    }

    /// Returns compact JSON, or JSON with `indent` at every level.
    fn json(&self, indent: Option<&str>, level: usize) -> String {
        let line = |level: usize| indent.map_or(String::new(), |indent| format!("\n{}", indent.repeat(level)));
        let space = if indent.is_some() { " " } else { "" };
        let join = |parts: Vec<String>, open: &str, close: &str| match parts.as_slice() {
            [] => format!("{open}{close}"),
            parts => {
                format!(
                    "{open}{}{}{}{close}",
                    line(level + 1),
                    parts.join(&format!(",{}", line(level + 1))),
                    line(level)
                )
            }
        };
        match self {
            Tree::Leaf(text) => text.clone(),
            Tree::List(entries) => join(entries.iter().map(|entry| entry.json(indent, level + 1)).collect(), "[", "]"),
            Tree::Map(members) => {
                let member = |(name, value): (&String, &Tree)| {
                    format!("{}:{space}{}", Value::from(name.as_str()), value.json(indent, level + 1))
                };
                join(members.iter().map(member).collect(), "{", "}")
            }
        }
    }

    /// Returns YAML in block style, to follow `key:` or `-`.
    fn yaml(&self, level: usize) -> String {
        let line = format!("\n{}", "  ".repeat(level));
        match self {
            Tree::List(entries) if !entries.is_empty() => {
                entries.iter().map(|entry| format!("{line}-{}", entry.yaml(level + 1))).collect()
            }
            Tree::Map(members) if !members.is_empty() => members
                .iter()
                .map(|(name, value)| format!("{line}{}:{}", Value::from(name.as_str()), value.yaml(level + 1)))
                .collect(),
            other => format!(" {}", other.json(None, 0)),
        }
    }
}

fn valid_scan() -> Tree {
    let time = "2026-11-20T08:03:00Z";
    Tree::from(&json!({
        "metadata": {"generation": 1},
        "spec": {"blob": {"url": "https://example.com/code.tar.gz"}, "scanTemplate": "t"},
        "status": {
            "phase": "Completed",
            "conditions": [
                {"type": "Scanning", "status": "False", "reason": "JobFinished", "message": "The scan job terminated", "lastTransitionTime": time},
                {"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "done", "lastTransitionTime": time},
            ],
            "cveCount": {"critical": 1, "total": 1},
            "scannedBy": {"scanner": {"name": "Grype", "version": "v0.37.0"}},
            "scannedAt": time,
        },
    }))
}

/// Values with the same text in JSON and in YAML.
fn leaf() -> BoxedStrategy<Tree> {
    const WORDS: &[&str] = &[
        "null",
        "true",
        "false",
        "0",
        "1",
        "-1",
        "7",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "\"\"",
        "\"True\"",
        "\"False\"",
        "\"Succeeded\"",
        "\"Scanning\"",
        "\"Failed\"",
        "\"Error\"",
        "\"yes\"",
        "\"~\"",
        "\"1\"",
        "\"2026-11-21T08:03:00Z\"",
        "\"https://example.com/\"",
        "\"a: b # c\"",
        "\"- x\"",
        "\"\\u001b[1m\"",
    ];
    let text = "[ -~é\u{1F600}\u{A0}\n\t]{0,12}".prop_map(|text: String| Value::from(text).to_string());
    prop_oneof![proptest::sample::select(WORDS).prop_map(str::to_owned), text].prop_map(Tree::Leaf).boxed()
}

/// Values that only JSON can express. They must reach the engine unchanged.
fn json_leaf() -> BoxedStrategy<Tree> {
    const WORDS: &[&str] = &[
        "1e400",
        "1.0",
        "-0",
        "1E5",
        "123456789012345678901234567890",
        r#""\ud83d\ude00""#,
        r#""\u0041\/\b\f""#,
        r#""Comp\u006Ceted""#,
        "\"\u{7F}\u{85}\u{2028}\u{FEFF}\"",
    ];
    prop_oneof![leaf(), proptest::sample::select(WORDS).prop_map(|word| Tree::Leaf(word.to_owned()))].boxed()
}

fn tree(leaf: BoxedStrategy<Tree>) -> impl Strategy<Value = Tree> {
    let name = prop_oneof![
        proptest::sample::select(&["type", "status", "total", "high", "url", "a.b", "x[0]"][..])
            .prop_map(str::to_owned),
        "[ -~é\u{1F600}]{0,8}",
    ];
    leaf.prop_recursive(3, 12, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Tree::List),
            proptest::collection::btree_map(name.clone(), inner, 0..4).prop_map(Tree::Map),
        ]
    })
}

/// Returns scans in which some values are replaced.
fn scans(leaf: fn() -> BoxedStrategy<Tree>) -> impl Strategy<Value = Vec<Tree>> {
    let damage = (proptest::sample::select(PATHS), prop_oneof![leaf(), tree(leaf()).boxed()]);
    let scan = (proptest::collection::vec(damage, 0..4), any::<bool>());
    proptest::collection::vec(scan, 1..12).prop_map(|scans| {
        let scans = scans.into_iter().enumerate().map(|(index, (damages, is_source))| {
            let mut scan = valid_scan();
            for (path, value) in damages {
                scan.set(path, value);
            }
            let text = |text: &str| Tree::Leaf(Value::from(text).to_string());
            scan.set("apiVersion", text("scanning.apps.tanzu.vmware.com/v1beta1"));
            scan.set("kind", text(if is_source { "SourceScan" } else { "ImageScan" }));
            scan.set("metadata.name", text(&format!("n{index}")));
            scan
        });
        scans.collect()
    })
}

/// Returns the findings of the engine: the name of the scan, and the members of the finding.
fn engine(text: &str) -> Vec<[String; 5]> {
    let kind = if text.contains("\"ImageScan\"") { Kind::ImageScan } else { Kind::SourceScan };
    let value: Value = serde_json::from_str(&text.replace("1e400", "0")).unwrap();
    let scan: Container<'_, Scan<'_>> = reader::read(text).unwrap();
    let scan = scan.value().unwrap();
    let change = Change::new(kind, &scan, None, time::parse(runner::NOW).unwrap());
    let mut findings = Findings::default();
    validate(RULES, Part::Spec, &change, &mut findings);
    if !matches!(scan.status, Member::Absent) {
        validate(RULES, Part::Status, &change, &mut findings);
    }
    let name = value["metadata"]["name"].as_str().unwrap_or_default();
    let found = findings.list().iter().map(|finding| {
        let message = finding.explained().into_owned();
        [name.to_owned(), finding.field.to_string(), finding.rule.to_owned(), finding.action.name().to_owned(), message]
    });
    found.collect()
}

/// Compares the findings of `check` in a manifest with those of the engine in the texts of its scans.
fn compare(manifest: &str, texts: &[String]) -> Result<(), TestCaseError> {
    let (code, report) = runner::report(&[], manifest.as_bytes());
    let due: Vec<_> = texts.iter().map(|text| engine(text)).collect();
    prop_assert_eq!(report["counts"]["scans"].as_u64(), Some(due.len() as u64), "{}", manifest);
    prop_assert_eq!(report["errors"].as_array().map(Vec::len), Some(0), "{}", report["errors"]);
    let mut due: Vec<_> = due.into_iter().flatten().collect();
    let mut found = Vec::new();
    let lines: Vec<&str> = manifest.split('\n').collect();
    // The engine's message precedes the hint about YAML. A finding about the document itself has no rule.
    let without_hint = |message: String| message.split("; quote it, since YAML reads ").next().unwrap().to_owned();
    for finding in report["findings"].as_array().unwrap().iter().filter(|finding| !finding["rule"].is_null()) {
        let text = |key: &str| finding[key].as_str().unwrap().to_owned();
        let number = |key: &str| usize::try_from(finding[key].as_u64().unwrap()).unwrap();
        found.push([text("name"), text("path"), text("rule"), text("action"), without_hint(text("message"))]);
        // All names are quoted, so the text at the position is one of the last names of the path, or a list item or the
        // whole scan.
        let here: String = lines[number("line") - 1].chars().skip(number("column") - 1).collect();
        let name: Option<String> = serde_json::Deserializer::from_str(&here).into_iter().next().and_then(Result::ok);
        let is_whole =
            here.starts_with(['{', '[', '-']) || name.as_deref() == Some("apiVersion") || text("path").contains('[');
        prop_assert!(
            is_whole || name.is_some_and(|name| text("path").contains(&name)),
            "{} is not at {}",
            finding,
            here
        );
    }
    due.sort();
    found.sort();
    prop_assert_eq!(&found, &due, "{}", manifest);
    let is_denied = due.iter().any(|finding| finding[3] == "deny");
    prop_assert_eq!(code, i32::from(is_denied));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, rng_seed: RngSeed::Fixed(4), failure_persistence: None, ..ProptestConfig::default() })]

    /// JSON reaches the engine unchanged, with its numbers and escapes.
    #[test]
    fn json_is_judged_as_it_is_written(scans in scans(json_leaf), indent in proptest::sample::select(&[None, Some("  "), Some("\t"), Some("")][..])) {
        let texts: Vec<_> = scans.iter().map(|scan| scan.json(indent, 0)).collect();
        compare(&texts.concat(), &texts)?;
        compare(&texts.join("\n---\n"), &texts)?;
        let list = |kind: &str| Tree::Map(BTreeMap::from([
            ("apiVersion".to_owned(), Tree::Leaf("\"v1\"".to_owned())),
            ("kind".to_owned(), Tree::Leaf(format!("\"{kind}\""))),
            ("items".to_owned(), Tree::List(scans.clone())),
        ]));
        let texts: Vec<_> = scans.iter().map(|scan| scan.json(indent, 2)).collect();
        compare(&list("List").json(indent, 0), &texts)?;
    }

    /// YAML has the same findings as the equivalent JSON.
    #[test]
    fn yaml_is_judged_as_its_json(scans in scans(leaf)) {
        let texts: Vec<_> = scans.iter().map(|scan| scan.json(None, 0)).collect();
        let blocks: Vec<_> = scans.iter().map(|scan| scan.yaml(0)).collect();
        compare(&blocks.join("\n---"), &texts)?;
        let items: String = scans.iter().map(|scan| format!("\n-{}", scan.yaml(1))).collect();
        compare(&format!("apiVersion: v1\nkind: List\nitems:{items}\n"), &texts)?;
        // JSON within YAML is parsed as YAML, which allows no tabs for indentation. Neither does kubectl.
        for indent in [None, Some("  ")] {
            let items: String = scans.iter().map(|scan| format!("\n- {}", scan.json(indent, 1))).collect();
            compare(&format!("apiVersion: v1\nkind: List\nitems:{items}\n"), &texts)?;
        }
    }
}
