//! Judges the scans in documents, and reports the findings with positions.

use std::io::{self, Read};

use super::fix::{FieldFix, Fixer};
use super::input::{Input, with_name};
use super::judge::with_any_policy;
use super::non_strings;
use crate::engine::Part;
use crate::engine::finding::FINDINGS_SHOWN;
use crate::manifest::{
    Document, Documents, Edit, FieldEdit, FoundObject, Manifest, ManifestError, Position, ScanManifest, ScanPart, path,
};
use crate::report::finding::Replacement;
use crate::report::{FindingSink, Location, ReportedError, ReportedFinding, ReportedObject, Subject};
use crate::scan::{Kind, Scan};

/// Judges every scan of a file. A file that an argument names must hold objects; a file that was found in a folder may
/// hold anything. If the fixer has a kind, a status alone in a named file is judged as the status of a scan of this
/// kind. A finding that the fixer repairs is reported with the edit. `contents` are those of the input, if it was read
/// before.
pub fn check_file(
    input: &Input,
    contents: Option<&[u8]>,
    fixer: &Fixer<'_>,
    reports: &mut impl FindingSink,
) -> io::Result<()> {
    let name = &input.name();
    let opened: io::Result<Box<dyn Read + '_>> = match contents {
        Some(contents) => Ok(Box::new(contents)),
        None => input.open().map(|reader| reader as _),
    };
    let reader = match opened {
        Ok(reader) => reader,
        Err(error) => return reports.error(&ReportedError::unreadable(name, &error)),
    };
    reports.count_file();
    let file = CheckedFile { name, is_found: input.is_found(), status_kind: fixer.status_kind(input), fixer };
    file.check(reader, reports)
}

/// Returns whether an input has a document with a Kubernetes object, or cannot be read.
pub fn holds_objects(input: &Input) -> bool {
    let Ok(reader) = input.open() else { return true };
    let mut documents = Documents::new(reader);
    loop {
        let manifest = match documents.next_document() {
            Ok(Some(document)) => Manifest::read(&document),
            Ok(None) => return false,
            Err(_) => return true,
        };
        let is_object = |found: &FoundObject<'_>| matches!(found, FoundObject::Scan(_) | FoundObject::Other(_));
        if manifest.is_ok_and(|manifest| manifest.objects(None).iter().any(is_object)) {
            return true;
        }
    }
}

struct CheckedFile<'a> {
    name: &'a str,
    is_found: bool,
    status_kind: Option<Kind>,
    fixer: &'a Fixer<'a>,
}

impl CheckedFile<'_> {
    fn check(&self, reader: impl Read, reports: &mut impl FindingSink) -> io::Result<()> {
        let mut documents = Documents::new(reader);
        let mut is_empty = true;
        loop {
            match documents.next_document() {
                Ok(Some(document)) => is_empty &= !self.document(&document, reports)?,
                Ok(None) => break,
                Err(error) => {
                    return reports.error(&ReportedError::unreadable(self.name, &with_name(self.name, &error)));
                }
            }
        }
        match (is_empty, self.is_found) {
            (false, _) => Ok(()),
            (true, true) => {
                reports.skip_object();
                Ok(())
            }
            (true, false) => {
                let message = "expected a Kubernetes object with apiVersion and kind, found none".to_owned();
                reports
                    .error(&ReportedError::in_document(self.name, ManifestError { position: Position::START, message }))
            }
        }
    }

    /// Judges the scans of a document, and returns whether the document has contents.
    fn document(&self, document: &Document<'_>, reports: &mut impl FindingSink) -> io::Result<bool> {
        let manifest = match Manifest::read(document) {
            Ok(manifest) => manifest,
            Err(error) => {
                reports.error(&ReportedError::in_document(self.name, error))?;
                return Ok(true);
            }
        };
        let objects = manifest.objects(self.status_kind);
        self.repeated_keys_around(&manifest, &objects, reports)?;
        let fixes =
            if reports.need_fixes() { self.fixer.checked_fixes(&manifest, document, &objects) } else { Vec::new() };
        for (index, object) in objects.iter().enumerate() {
            match object {
                FoundObject::Other(_) => reports.skip_object(),
                FoundObject::EmptyList => {}
                FoundObject::Unidentified(_) if self.is_found => reports.skip_object(),
                FoundObject::Unidentified(error) | FoundObject::Error(error) => {
                    reports.error(&ReportedError::in_document(self.name, error.clone()))?;
                }
                FoundObject::Scan(scan) => {
                    let fixes = fixes.get(index).map_or(&[][..], Vec::as_slice);
                    self.scan(&manifest, scan, fixes, reports)?;
                }
            }
        }
        Ok(!objects.is_empty())
    }

    fn scan(
        &self,
        manifest: &Manifest<'_>,
        found: &ScanManifest<'_>,
        fixes: &[FieldFix],
        reports: &mut impl FindingSink,
    ) -> io::Result<()> {
        let scan = match found.scan() {
            Ok(scan) => scan,
            Err(error) => {
                let message = format!("the scan cannot be read: {}", error.message(found.json));
                return reports.error(&ReportedError::in_document(self.name, manifest.error(found.json, message)));
            }
        };
        let findings = match found.part {
            ScanPart::Whole => self.findings(found, &scan, &[Part::Spec, Part::Status]),
            ScanPart::Status | ScanPart::StatusMembers => self.findings_in_status(found, scan),
        };
        let located = located_findings(self.name, manifest, found, findings, fixes);
        let subject = Subject { kind: found.kind, namespace: &found.namespace, name: &found.name };
        let position = Some(manifest.field_position(found.json, ""));
        reports.object(&ReportedObject { file: Some(self.name), subject: Some(subject), position, findings: &located })
    }

    fn findings(&self, found: &ScanManifest<'_>, scan: &Scan<'_>, parts: &[Part]) -> Vec<ReportedFinding> {
        self.fixer.judge.judge(found.kind, scan, &found.namespace, parts, |findings| {
            findings.list().iter().map(ReportedFinding::from).collect()
        })
    }

    /// Returns the findings in a status whose spec is unknown: those both with and without a policy, with the milder
    /// action.
    fn findings_in_status(&self, found: &ScanManifest<'_>, scan: Scan<'_>) -> Vec<ReportedFinding> {
        let without_policy = self.findings(found, &scan, &[Part::Status]);
        let mut with_policy = self.findings(found, &with_any_policy(scan), &[Part::Status]);
        let both = without_policy.into_iter().filter_map(|finding| {
            let is_same = |other: &ReportedFinding| other.rule == finding.rule && other.path == finding.path;
            let other = with_policy.swap_remove(with_policy.iter().position(is_same)?);
            Some(if other.action < finding.action { other } else { finding })
        });
        both.collect()
    }

    /// Reports repeated keys outside of the objects, such as those of a List.
    fn repeated_keys_around(
        &self,
        manifest: &Manifest<'_>,
        objects: &[FoundObject<'_>],
        reports: &mut impl FindingSink,
    ) -> io::Result<()> {
        let mut warnings = Vec::new();
        let mut start = 0;
        let json = manifest.json();
        for object in objects {
            let object = match object {
                FoundObject::Scan(scan) => scan.json,
                FoundObject::Other(object) => object,
                // The document holds no object.
                FoundObject::Unidentified(_) => return Ok(()),
                FoundObject::EmptyList | FoundObject::Error(_) => continue,
            };
            let at = object.as_ptr().addr() - json.as_ptr().addr();
            warnings.extend(repeated_keys(self.name, manifest, &json[start..at], json));
            start = at + object.len();
        }
        warnings.extend(repeated_keys(self.name, manifest, &json[start..], json));
        warnings.truncate(FINDINGS_SHOWN);
        reports.object(&ReportedObject { file: Some(self.name), subject: None, position: None, findings: &warnings })
    }
}

/// Returns the findings of the rules in a scan, and those about how it is written, in the order of their positions. A finding
/// that one of the fixes repairs has the edit.
pub fn located_findings(
    name: &str,
    manifest: &Manifest<'_>,
    found: &ScanManifest<'_>,
    mut findings: Vec<ReportedFinding>,
    fixes: &[FieldFix],
) -> Vec<ReportedFinding> {
    non_strings::add_warnings(found, &mut findings);
    let mut located = repeated_keys(name, manifest, found.json, found.json);
    for mut finding in findings {
        non_strings::explain(manifest, found, &mut finding);
        let path = found.path(&finding.path).unwrap_or_default();
        let (position, region) = (manifest.field_position(found.json, path), manifest.value_region(found.json, path));
        let edit = fixes.iter().filter(|fix| fix.path == finding.path).find_map(|fix| fix.edit.as_ref().ok());
        finding.fix = edit.map(|FieldEdit { document: Edit { range, text }, .. }| Replacement {
            region: manifest.region(range),
            text: text.clone(),
        });
        located.push(finding.at(Location { position, region }));
    }
    located.sort_by_key(|finding| finding.location.map(|location| location.position));
    located
}

/// Returns warnings about the repeated keys in a part of an object, each at the position of the last occurrence.
fn repeated_keys(name: &str, manifest: &Manifest<'_>, part: &str, object: &str) -> Vec<ReportedFinding> {
    let warnings = manifest.repeated_keys(part).take(FINDINGS_SHOWN).map(|(json, position, first)| {
        let Position { line, column } = first;
        let message = format!(
            "duplicate field: first set at {name}:{line}:{column}, but only the last value is used; remove the others"
        );
        let path = path::to(object, json);
        let region = manifest.value_region(object, &path);
        ReportedFinding::warning(path, message).at(Location { position, region })
    });
    warnings.collect()
}
