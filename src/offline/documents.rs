//! Judges the scans in documents, and reports their findings with positions.

use std::io::{self, Read, Write};

use super::input::{Input, with_name};
use super::judge::Judge;
use super::plain_values;
use crate::engine::Part;
use crate::engine::finding::FINDINGS_SHOWN;
use crate::manifest::{
    Document, Documents, FoundObject, Manifest, ManifestError, Position, ScanManifest, ScanPart, path,
};
use crate::report::documents::DocumentReport;
use crate::report::{ReportedFinding, Subject};
use crate::scan::{Json, Kind, Member, Scan, Spec};

/// Judges every scan of a file. A file that is named has to hold objects; one that was found in a folder may hold anything. With
/// `status_of`, a status without a scan around it is judged as that of a scan of this kind.
pub fn check_file(
    input: &Input,
    status_of: Option<Kind>,
    judge: &Judge,
    report: &mut DocumentReport<impl Write>,
) -> io::Result<()> {
    let name = &input.name();
    let reader = match input.open() {
        Ok(reader) => reader,
        Err(error) => {
            report.unreadable(name, &error);
            return Ok(());
        }
    };
    report.counts.files += 1;
    let file =
        CheckedFile { name, is_found: input.is_found(), status_of: status_of.filter(|_| !input.is_found()), judge };
    file.check(reader, report)
}

struct CheckedFile<'a> {
    name: &'a str,
    is_found: bool,
    status_of: Option<Kind>,
    judge: &'a Judge,
}

impl CheckedFile<'_> {
    fn check(&self, reader: impl Read, report: &mut DocumentReport<impl Write>) -> io::Result<()> {
        let mut documents = Documents::new(reader);
        let mut is_empty = true;
        loop {
            match documents.next_document() {
                Ok(Some(document)) => is_empty &= !self.document(&document, report)?,
                Ok(None) => break,
                Err(error) => {
                    report.unreadable(self.name, &with_name(self.name, &error));
                    return Ok(());
                }
            }
        }
        match (is_empty, self.is_found) {
            (false, _) => {}
            (true, true) => report.counts.skipped += 1,
            (true, false) => {
                let message = "there is no object in it: pipe or name a manifest, with apiVersion and kind".to_owned();
                report.error(self.name, ManifestError { position: Position::START, message });
            }
        }
        Ok(())
    }

    /// Judges the scans of a document, and returns whether the document has contents.
    fn document(&self, document: &Document<'_>, report: &mut DocumentReport<impl Write>) -> io::Result<bool> {
        let manifest = match Manifest::read(document) {
            Ok(manifest) => manifest,
            Err(error) => {
                report.error(self.name, error);
                return Ok(true);
            }
        };
        let objects = manifest.objects(self.status_of);
        self.doubled_around(&manifest, &objects, report)?;
        for object in &objects {
            match object {
                FoundObject::Other(_) => report.counts.skipped += 1,
                FoundObject::EmptyList => {}
                FoundObject::Nothing(_) if self.is_found => report.counts.skipped += 1,
                FoundObject::Nothing(error) | FoundObject::Error(error) => report.error(self.name, error.clone()),
                FoundObject::Scan(scan) => self.scan(&manifest, scan, report)?,
            }
        }
        Ok(!objects.is_empty())
    }

    fn scan(
        &self,
        manifest: &Manifest<'_>,
        found: &ScanManifest<'_>,
        report: &mut DocumentReport<impl Write>,
    ) -> io::Result<()> {
        let scan = match found.scan() {
            Ok(scan) => scan,
            Err(error) => {
                let message = format!("this scan cannot be read: {}", error.message(found.json));
                report.error(self.name, manifest.error(found.json, message));
                return Ok(());
            }
        };
        let mut findings = match found.part {
            ScanPart::Whole => self.findings(found, &scan, &[Part::Spec, Part::Status]),
            ScanPart::Status | ScanPart::StatusMembers => self.findings_in_status(found, scan),
        };
        plain_values::add(found, &mut findings);
        let mut with_positions = self.doubled(manifest, found.json, found.json);
        for mut finding in findings {
            plain_values::explain(manifest, found, &mut finding);
            let path = found.path(&finding.path).unwrap_or_default();
            with_positions.push((manifest.field(found.json, path), finding));
        }
        let subject = Subject { kind: found.kind, namespace: &found.namespace, name: &found.name };
        report.scan(self.name, &subject, with_positions)
    }

    fn findings(&self, found: &ScanManifest<'_>, scan: &Scan<'_>, parts: &[Part]) -> Vec<ReportedFinding> {
        self.judge.judge(found.kind, scan, &found.namespace, parts, |findings| {
            findings.list().iter().map(ReportedFinding::from).collect()
        })
    }

    /// The findings in a status whose spec is not known. Rules read of the spec mainly whether it names a policy, so the status is
    /// judged with and without one, and what both find is reported, with the milder action.
    fn findings_in_status(&self, found: &ScanManifest<'_>, mut scan: Scan<'_>) -> Vec<ReportedFinding> {
        let without_policy = self.findings(found, &scan, &[Part::Status]);
        scan.spec = Member::Present(Spec { scan_policy: Json::from_text("any"), ..Spec::default() });
        let mut with_policy = self.findings(found, &scan, &[Part::Status]);
        let both = without_policy.into_iter().filter_map(|finding| {
            let is_same = |other: &ReportedFinding| other.rule == finding.rule && other.path == finding.path;
            let other = with_policy.swap_remove(with_policy.iter().position(is_same)?);
            Some(if other.action < finding.action { other } else { finding })
        });
        both.collect()
    }

    /// Reports names that are there twice outside of the objects, as in a List.
    fn doubled_around(
        &self,
        manifest: &Manifest<'_>,
        objects: &[FoundObject<'_>],
        report: &mut DocumentReport<impl Write>,
    ) -> io::Result<()> {
        let mut around = Vec::new();
        let mut start = 0;
        let json = manifest.json();
        for object in objects {
            let object = match object {
                FoundObject::Scan(scan) => scan.json,
                FoundObject::Other(object) => object,
                // The document holds no object.
                FoundObject::Nothing(_) => return Ok(()),
                FoundObject::EmptyList | FoundObject::Error(_) => continue,
            };
            let at = object.as_ptr().addr() - json.as_ptr().addr();
            around.extend(self.doubled(manifest, &json[start..at], json));
            start = at + object.len();
        }
        around.extend(self.doubled(manifest, &json[start..], json));
        around.truncate(FINDINGS_SHOWN);
        report.findings(self.name, None, around)
    }

    /// Warnings about the names that are there twice in a part of an object, each at the last one.
    fn doubled(&self, manifest: &Manifest<'_>, part: &str, object: &str) -> Vec<(Position, ReportedFinding)> {
        let warnings = manifest.doubled(part).take(FINDINGS_SHOWN).map(|(json, position, first)| {
            let Position { line, column } = first;
            let message =
                format!("is there twice, first at {}:{line}:{column}, and the last one counts: remove one", self.name);
            (position, ReportedFinding::warning(path::to(object, json), message))
        });
        warnings.collect()
    }
}
