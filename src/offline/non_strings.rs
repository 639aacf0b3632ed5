//! Finds values of a manifest that must be strings and are not. In YAML such values often look like strings: `5805e10`
//! is a number, and `off` is a boolean.

use crate::engine::VALUE_MAX_CHARS;
use crate::manifest::{Manifest, ScanManifest, path};
use crate::report::ReportedFinding;
use crate::scan::json::printable;
use crate::scan::{Json, JsonType, reader};

/// The string fields outside of the status. The API server checks their types by the schema, and rules check the types
/// in the status.
const STRINGS: [(&str, &[&str]); 2] = [
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

/// The members of a status with free text, which YAML may read as another type.
const STATUS_STRINGS: &[&str] =
    &["revision", "imagePullSecret", "message", "error", "reason", "name", "vendor", "version"];

/// Adds warnings about values that must be strings to the findings of the rules.
pub fn add_warnings(scan: &ScanManifest<'_>, findings: &mut Vec<ReportedFinding>) {
    for (container, members) in STRINGS {
        let Some(json) = scan.value(container) else { continue };
        for member in members {
            let Some(value) = path::value(json, member) else { continue };
            let Some(found) = non_string(value) else { continue };
            let path = format!("{container}.{member}");
            if findings.iter().all(|finding| finding.path != path) {
                let message = format!("Invalid value: {}: must be a string", found.quoted(VALUE_MAX_CHARS));
                findings.push(ReportedFinding::warning(path, message));
            }
        }
    }
}

/// Shows the value of a finding as it is written in the file, and adds that quotes make it a string.
pub fn explain(manifest: &Manifest<'_>, scan: &ScanManifest<'_>, finding: &mut ReportedFinding) {
    let Some(value) = scan.value(&finding.path) else { return };
    let Some(found @ (JsonType::Boolean | JsonType::Number)) = non_string(value).map(|json| json.json_type()) else {
        return;
    };
    let written = printable(manifest.written(value).unwrap_or(value), VALUE_MAX_CHARS);
    if let Some((start, rest)) = finding.message.split_once(&format!(" value: {value}: ")) {
        finding.message = format!("{start} value: {written}: {rest}");
    }
    // Quotes make a number a string, but not a URL or an image.
    let member = finding.path.rsplit_once('.').map(|(_, member)| member).unwrap_or_default();
    let is_string = match finding.path.split_once('.') {
        Some((container @ ("metadata" | "spec"), rest)) => {
            let strings = STRINGS.into_iter().find(|(known, _)| *known == container);
            strings.is_some_and(|(_, members)| members.contains(&rest)) && !matches!(member, "url" | "image")
        }
        _ => STATUS_STRINGS.contains(&member),
    };
    if manifest.is_yaml() && is_string {
        finding.message += &format!("; quote it, since YAML reads {written} as {found}");
    }
}

/// Returns a value that is neither a string nor absent.
fn non_string(value: &str) -> Option<Json<'_>> {
    let json: Json<'_> = reader::read(value).ok()?;
    (!json.is_absent() && json.json_type() != JsonType::String).then_some(json)
}
