//! The captured reviews, and random edits of their judged fields.

use std::fmt;
use std::path::Path;
use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use super::count_names::{DOCUMENTED_COUNTS, WIRE_COUNTS};

/// A captured review.
pub struct Captured {
    pub name: String,
    /// The review as it was sent.
    pub text: String,
    /// The review without managedFields, which no rule reads.
    pub lean: Value,
}

impl fmt::Debug for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Returns every captured review, in the order of the names.
pub fn captured() -> &'static [Captured] {
    static ALL: OnceLock<Vec<Captured>> = OnceLock::new();
    ALL.get_or_init(|| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/reviews");
        let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| read(path)).collect()
    })
}

fn read(path: &Path) -> Captured {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lean: Value = serde_json::from_str(&text).unwrap();
    for object in ["object", "oldObject"] {
        if let Some(metadata) = lean["request"][object]["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
    }
    Captured { name: path.file_stem().unwrap().to_string_lossy().into_owned(), text, lean }
}

/// The fields of the review outside its objects.
pub const ENVELOPE: &[&str] = &[
    "/apiVersion",
    "/kind",
    "/request",
    "/request/uid",
    "/request/kind",
    "/request/kind/group",
    "/request/kind/version",
    "/request/kind/kind",
    "/request/resource",
    "/request/subResource",
    "/request/name",
    "/request/namespace",
    "/request/operation",
    "/request/userInfo",
    "/request/userInfo/username",
    "/request/object",
    "/request/oldObject",
    "/request/dryRun",
    "/request/options",
    "/more",
];

/// The fields of an object outside its status.
pub const OUTSIDE: &[&str] = &[
    "/apiVersion",
    "/kind",
    "/metadata",
    "/metadata/name",
    "/metadata/generation",
    "/metadata/deletionTimestamp",
    "/spec",
    "/spec/blob",
    "/spec/blob/url",
    "/spec/blob/revision",
    "/spec/git",
    "/spec/git/url",
    "/spec/registry",
    "/spec/registry/image",
    "/spec/scanTemplate",
    "/spec/scanPolicy",
    "/status",
];

/// Returns `/status` and every field below it.
pub fn status_fields() -> &'static [String] {
    static ALL: OnceLock<Vec<String>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all: Vec<String> =
            ["phase", "conditions", "metadataUrl", "metadataURL", "scannedAt", "observedGeneration", "more"]
                .map(String::from)
                .into();
        for entry in 0..5 {
            all.push(format!("conditions/{entry}"));
            for member in
                ["type", "status", "reason", "message", "error", "lastTransitionTime", "observedGeneration", "more"]
            {
                all.push(format!("conditions/{entry}/{member}"));
            }
        }
        for container in ["cveCount", "CVECount"] {
            all.push(container.to_owned());
            for key in WIRE_COUNTS.iter().chain(DOCUMENTED_COUNTS).chain(&["negligible"]) {
                all.push(format!("{container}/{key}"));
            }
        }
        for scanner in ["scannedBy", "scannedBy/scanner"] {
            all.push(scanner.to_owned());
            all.extend(["name", "vendor", "version"].map(|member| format!("{scanner}/{member}")));
        }
        for artifact in ["artifact", "compliantArtifact"] {
            all.push(artifact.to_owned());
            for source in ["blob", "git", "registry"] {
                all.push(format!("{artifact}/{source}"));
                for member in ["url", "revision", "image", "imagePullSecret"] {
                    all.push(format!("{artifact}/{source}/{member}"));
                }
            }
        }
        all.iter_mut().for_each(|field| field.insert_str(0, "/status/"));
        all.push("/status".to_owned());
        all
    })
}

/// JSON texts that some rule compares with, so that edits often lead to a legal value.
const KNOWN: &[&str] = &[
    r#""Pending""#,
    r#""Scanning""#,
    r#""Completed""#,
    r#""Failed""#,
    r#""Error""#,
    r#""Succeeded""#,
    r#""SendingResults""#,
    r#""PolicySucceeded""#,
    r#""True""#,
    r#""False""#,
    r#""Unknown""#,
    r#""JobStarted""#,
    r#""JobFinished""#,
    r#""EvaluationPassed""#,
    r#""EvaluationFailed""#,
    r#""The scan job is running""#,
    r#""The scan job terminated""#,
    r#""No CVEs were found that violated the policy""#,
    r#""No noncompliant vulnerabilities found""#,
    r#""Policy violated because of 3 CVEs""#,
    r#""An error has occurred""#,
    r#""2026-11-20T08:01:00Z""#,
    r#""2026-11-20T08:03:00Z""#,
    r#""2026-11-20T09:30:00.5+01:00""#,
    r#""2062-11-20T08:03:00Z""#,
    r#""9999-12-31T23:59:59-23:59""#,
    r#""0000-01-01T00:00:00+23:59""#,
    r#""https://example.com/code.tar.gz""#,
    r#""registry.example.com:5000/team/app@sha256:0""#,
    r#""status""#,
    r#""CREATE""#,
    r#""UPDATE""#,
    r#""DELETE""#,
    r#""SourceScan""#,
    r#""ImageScan""#,
    r#""scanning.apps.tanzu.vmware.com""#,
    "0",
    "1",
    "2",
    "12",
    "22",
];

/// JSON texts that are difficult for decoders.
const ODD: &[&str] = &[
    "null",
    "true",
    "false",
    r#""""#,
    "{}",
    "[]",
    "[null]",
    "[{}]",
    r#"{"":null}"#,
    r#"{"a":1,"a":{"a":[]}}"#,
    "-0",
    "-1",
    "1.0",
    "1e3",
    "-1e-999",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "100000000000000000000000000000000000000000",
    r#""\u0000\u001b[31m\r\n""#,
    r#""\u202e\u2028\ufeff""#,
    r#""\ud83d\ude00\"\\\/""#,
    r#"{"\ud800":1}"#,
    r#"{"\u0070hase":"Completed"}"#,
    r#""Compl\u0065ted""#,
    r#""é漢字🦀""#,
];

/// JSON texts that no decoder reads as a string or a number. In place of an object or a list they make the whole review
/// invalid JSON to the program too; that is left so, because the API server never sends them.
const UNREADABLE: &[&str] = &["1e999", r#""\ud800""#];

/// A JSON text: a known one, an odd one or a random one.
pub fn json() -> impl Strategy<Value = String> {
    prop_oneof![
        5 => select(KNOWN).prop_map(str::to_owned),
        4 => select(ODD).prop_map(str::to_owned),
        1 => any::<i64>().prop_map(|integer| integer.to_string()),
        1 => any::<f64>().prop_filter_map("not a JSON number", |float| Value::from(float).as_f64().map(|float| format!("{float:e}"))),
        2 => ".{0,40}".prop_map(|text| Value::from(text).to_string()),
        1 => (1_usize..5000, select(&['x', '\u{7}', '漢', '"'][..])).prop_map(|(count, char)| Value::from(char.to_string().repeat(count)).to_string()),
        1 => (1_usize..200).prop_map(|depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth))),
        1 => (1_usize..200).prop_map(|depth| format!("{}0{}", "{\"a\":".repeat(depth), "}".repeat(depth))),
        2 => proptest::collection::vec((select(&["a", "type", "reason", "critical", "url"][..]), select(ODD)), 0..4).prop_map(|members| {
            let members: Vec<_> = members.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
            format!("{{{}}}", members.join(","))
        }),
        2 => proptest::collection::vec(select(ODD), 0..80).prop_map(|items| format!("[{}]", items.join(","))),
    ]
}

/// A field, and the JSON text to write there; None removes the field.
pub type Edit = (String, Option<String>);

/// Edits of a whole review.
pub fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let object = |name: &'static str| {
        prop_oneof![2 => select(OUTSIDE).prop_map(str::to_owned), 8 => select(status_fields())]
            .prop_map(move |field| format!("/request/{name}{field}"))
    };
    let field = prop_oneof![
        1 => select(ENVELOPE).prop_map(str::to_owned),
        1 => Just("/request/object/metadata/deletionTimestamp".to_owned()),
        6 => object("object"),
        3 => object("oldObject"),
    ];
    proptest::collection::vec((field, value()), 1..6).prop_map(without_unreadable_values)
}

pub fn value() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        5 => Just(None),
        15 => json().prop_map(Some),
        1 => select(UNREADABLE).prop_map(|json| Some(json.to_owned())),
    ]
}

/// Removes the edits that write an unreadable text to a field other than a string or a count.
pub fn without_unreadable_values(mut edits: Vec<Edit>) -> Vec<Edit> {
    const LEAVES: &[&str] =
        &["uid", "name", "url", "image", "phase", "scannedAt", "reason", "message", "error", "type"];
    edits.retain(|(field, json)| {
        let is_leaf =
            LEAVES.iter().chain(WIRE_COUNTS).chain(DOCUMENTED_COUNTS).any(|leaf| field.ends_with(&format!("/{leaf}")));
        is_leaf || !json.as_deref().is_some_and(|json| UNREADABLE.contains(&json))
    });
    edits
}

/// Applies the edits to `value` and returns the JSON text. The text of an edit is not reformatted.
pub fn edited(value: &Value, edits: &[Edit]) -> String {
    let mut value = value.clone();
    for (number, (field, json)) in edits.iter().enumerate() {
        write(&mut value, field, json.as_ref().map(|_| Value::from(format!("<edit {number}>"))));
    }
    let mut text = value.to_string();
    for (number, (_, json)) in edits.iter().enumerate() {
        text = text.replace(&format!("\"<edit {number}>\""), json.as_deref().unwrap_or_default());
    }
    text
}

/// Writes a value at a pointer. Missing objects on the path are added; a path through another value is ignored.
fn write(value: &mut Value, pointer: &str, new: Option<Value>) {
    let (first, rest) = pointer[1..].split_once('/').map_or((&pointer[1..], None), |(first, rest)| (first, Some(rest)));
    let target = match value {
        Value::Null => {
            *value = serde_json::json!({ first: null });
            &mut value[first]
        }
        Value::Object(members) => match (rest, &new) {
            (None, None) => return drop(members.remove(first)),
            _ => members.entry(first).or_insert(Value::Null),
        },
        Value::Array(entries) => {
            let Ok(index) = first.parse::<usize>() else { return };
            match (rest, &new) {
                (None, None) if index < entries.len() => return drop(entries.remove(index)),
                _ if index < entries.len() => {}
                _ => entries.push(Value::Null),
            }
            let index = index.min(entries.len() - 1);
            &mut entries[index]
        }
        _ => return,
    };
    match rest {
        Some(rest) => write(target, &format!("/{rest}"), new),
        None => *target = new.unwrap_or(Value::Null),
    }
}
