//! Finds values in a manifest that are not strings where a string is expected. In YAML these often look like one: `5805e10` is a
//! number, and `off` a boolean.

use crate::manifest::{Manifest, ScanManifest, path};
use crate::report::ReportedFinding;
use crate::scan::json::printable;
use crate::scan::{Json, JsonType, reader};

/// The strings outside the status; those in it have rules. An API server denies other types there by the schema.
const TEXTS: [(&str, &[&str]); 2] = [
    ("metadata", &["name", "namespace"]),
    (
        "spec",
        &[
            "blob.url",
            "blob.revision",
            "git.url",
            "git.revision",
            "git.knownHosts",
            "git.sshKeySecret",
            "git.username",
            "registry.image",
            "registry.imagePullSecret",
            "scanTemplate",
            "scanPolicy",
        ],
    ),
];

/// Members of a status whose strings YAML may take for another type.
const OPEN_TEXTS: &[&str] = &["revision", "imagePullSecret", "message", "error", "reason", "name", "vendor", "version"];

/// How many characters of a value a message shows.
const SHOWN_MAX_CHARS: usize = 64;

/// Adds warnings about values that are not strings to the findings of the rules.
pub fn add(scan: &ScanManifest<'_>, findings: &mut Vec<ReportedFinding>) {
    for (container, members) in TEXTS {
        let Some(json) = scan.value(container) else { continue };
        for member in members {
            let Some(value) = path::value(json, member) else { continue };
            let Some(found) = not_text(value) else { continue };
            let path = format!("{container}.{member}");
            if findings.iter().all(|finding| finding.path != path) {
                let shown = match found {
                    JsonType::List | JsonType::Object => found.to_string(),
                    _ => value.to_owned(),
                };
                findings.push(ReportedFinding::warning(path, format!("Invalid value: {shown}: must be a string")));
            }
        }
    }
}

/// Shows in a finding the value as it is written in the file, and says that quotes make it a string.
pub fn explain(manifest: &Manifest<'_>, scan: &ScanManifest<'_>, finding: &mut ReportedFinding) {
    let Some(value) = scan.value(&finding.path) else { return };
    let Some(found @ (JsonType::Boolean | JsonType::Number)) = not_text(value) else { return };
    let written = printable(manifest.written(value).unwrap_or(value), SHOWN_MAX_CHARS);
    if let Some((start, rest)) = finding.message.split_once(&format!(" value: {value}: ")) {
        finding.message = format!("{start} value: {written}: {rest}");
    }
    // In quotes a number would be a string, but no URL and no image.
    let member = finding.path.rsplit_once('.').map(|(_, member)| member).unwrap_or_default();
    let is_text = match finding.path.split_once('.') {
        Some((container @ ("metadata" | "spec"), rest)) => {
            let texts = TEXTS.into_iter().find(|(known, _)| *known == container);
            texts.is_some_and(|(_, members)| members.contains(&rest)) && !matches!(member, "url" | "image")
        }
        _ => OPEN_TEXTS.contains(&member),
    };
    if manifest.is_yaml() && is_text {
        finding.message += &format!("; put it in quotes, since YAML reads {written} as {found}");
    }
}

/// The type of a value that is neither a string nor absent.
fn not_text(value: &str) -> Option<JsonType> {
    let json: Json<'_> = reader::read(value).ok()?;
    (!json.is_absent() && json.json_type() != JsonType::String).then(|| json.json_type())
}
