//! The scans in documents, judged and reported with their positions.

use std::io::{self, Read, Write};

use super::input::with_name;
use super::judge::Judge;
use crate::manifest::{Document, Documents, FoundObject, Manifest, ScanManifest};
use crate::report::Subject;
use crate::report::documents::DocumentReport;

/// Judges every scan of a file.
pub fn check_file(
    name: &str,
    reader: impl Read,
    judge: &Judge,
    report: &mut DocumentReport<impl Write>,
) -> io::Result<()> {
    report.counts.files += 1;
    let mut documents = Documents::new(reader);
    loop {
        match documents.next_document() {
            Ok(Some(document)) => check_document(name, &document, judge, report)?,
            Ok(None) => return Ok(()),
            Err(error) => {
                report.unreadable(name, &with_name(name, &error));
                return Ok(());
            }
        }
    }
}

fn check_document(
    name: &str,
    document: &Document<'_>,
    judge: &Judge,
    report: &mut DocumentReport<impl Write>,
) -> io::Result<()> {
    let manifest = match Manifest::read(document) {
        Ok(manifest) => manifest,
        Err(error) => {
            report.error(name, error);
            return Ok(());
        }
    };
    for object in manifest.objects() {
        match object {
            FoundObject::Other => report.counts.skipped += 1,
            FoundObject::Error(error) => report.error(name, error),
            FoundObject::Scan(scan) => check_scan(name, &manifest, &scan, judge, report)?,
        }
    }
    Ok(())
}

fn check_scan(
    name: &str,
    manifest: &Manifest<'_>,
    found: &ScanManifest<'_>,
    judge: &Judge,
    report: &mut DocumentReport<impl Write>,
) -> io::Result<()> {
    let scan = match found.scan() {
        Ok(scan) => scan,
        Err(error) => {
            let message = format!("this scan cannot be read: {}", error.message(found.json));
            report.error(name, manifest.error(found.json, message));
            return Ok(());
        }
    };
    let subject = Subject { kind: found.kind, namespace: &found.namespace, name: &found.name };
    judge.judge(found.kind, &scan, &found.namespace, |findings| {
        report.scan(name, &subject, findings, |path| manifest.field(found.json, path))
    })
}
