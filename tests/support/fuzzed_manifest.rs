//! What the fuzz target `yaml` checks of an input: any bytes as a file of manifests.

use std::io;
use std::ops::Range;

use scan_admission::admission::{ReviewSettings, Webhook};
use scan_admission::manifest::{Documents, Edit, Manifest, Position, Region, encoding, splice};
use scan_admission::offline::Judge;
use scan_admission::offline::documents::check_file;
use scan_admission::offline::fix::Fixer;
use scan_admission::offline::input::Input;
use scan_admission::report::finding::Replacement;
use scan_admission::report::{FindingSink, Location, ReportedError, ReportedObject};
use scan_admission::scan::Kind;
use serde_json::Value;

use super::review_context::context;

/// Any bytes as a file that `check` reads and `check --fix` writes.
pub fn check_manifest(bytes: &[u8]) {
    let judge = Judge { now: context(Webhook::Validating).now, settings: ReviewSettings::default() };
    let text = Text(encoding::decode(bytes));
    for (status_kind, sets_times) in [(None, true), (Some(Kind::SourceScan), false)] {
        let fixer = Fixer::new(&judge, status_kind, sets_times);
        let mut reported = Reported { text: &text, replaced: Vec::new() };
        check_file(&input(), Some(bytes), &fixer, &mut reported).unwrap();
        check_fixed(&fixer, bytes, &reported);
    }
}

fn input() -> Input {
    Input::File("scans.yaml".into())
}

/// Expects that the fixed file has other values only in derived fields, that its other bytes are those of the file, and that
/// a second fix changes nothing.
fn check_fixed(fixer: &Fixer<'_>, bytes: &[u8], reported: &Reported<'_>) {
    let fixed = fixer.fix(&input(), bytes);
    for error in fixed.left.iter().chain(&fixed.errors) {
        reported.text.offset(error.position);
    }
    let Some(contents) = fixed.contents else { return };
    assert!(!fixed.paths.is_empty());
    let again = fixer.fix(&input(), &contents);
    assert!(again.contents.is_none(), "a second fix sets {:?}:\n{}", again.paths, String::from_utf8_lossy(&contents));
    let new = encoding::decode(&contents);
    check_values(&reported.text.0, &new);
    // A finding has the edit that repairs it by itself. If all edits can be made together, there are as many.
    let mut edits = reported.replaced.clone();
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    edits.dedup();
    let is_ordered = edits.windows(2).all(|pair| pair[0].range.end < pair[1].range.start);
    if edits.len() == fixed.paths.len() && is_ordered {
        let spliced = splice::splice(&reported.text.0, &edits).unwrap();
        assert_eq!(String::from_utf8_lossy(&new), String::from_utf8_lossy(&spliced));
    }
}

/// Expects that the documents of a file differ only in fields that mutations write.
fn check_values(old: &[u8], new: &[u8]) {
    let (old, new) = (values(old), values(new));
    assert_eq!(old.len(), new.len());
    for (old, new) in old.iter().zip(&new) {
        let (Some(old), Some(new)) = (old, new) else {
            assert_eq!(old, new);
            continue;
        };
        for operation in json_patch::diff(old, new).0 {
            let path = operation.path().to_string();
            let names: Vec<&str> = path.rsplit('/').collect();
            let is_derived = matches!(
                names[..],
                ["phase" | "scannedAt", ..]
                    | ["lastTransitionTime" | "reason" | "message", _, "conditions", ..]
                    | [_, "cveCount" | "CVECount", ..]
            );
            assert!(is_derived, "{path}");
        }
    }
}

/// Returns the value of each document of a file; `None` for one that cannot be read.
pub fn values(file: &[u8]) -> Vec<Option<Value>> {
    let mut documents = Documents::new(file);
    let mut values = Vec::new();
    while let Some(document) = documents.next_document().unwrap() {
        let manifest = Manifest::read(&document).ok();
        // serde_json stops at a depth of 128.
        values.push(manifest.and_then(|manifest| serde_json::from_str(manifest.json()).ok()));
    }
    values
}

/// A decoded file.
struct Text(Vec<u8>);

impl Text {
    /// Returns the offset of a position, which must be in the file or at its end.
    fn offset(&self, Position { line, column }: Position) -> usize {
        let mut lines = self.0.split_inclusive(|byte| *byte == b'\n').chain([&b""[..]]);
        let before: usize = lines.by_ref().take(line - 1).map(<[u8]>::len).sum();
        let line_text = lines.next().unwrap_or_else(|| panic!("no line {line}"));
        let is_first = |(_, byte): &(usize, &u8)| !(0x80..=0xBF).contains(*byte);
        let starts = line_text.iter().enumerate().filter(is_first).map(|(at, _)| at).chain([line_text.len()]);
        before + starts.into_iter().nth(column - 1).unwrap_or_else(|| panic!("no column {column} in line {line}"))
    }

    fn range(&self, region: Region) -> Range<usize> {
        let range = self.offset(region.start)..self.offset(region.end);
        assert!(range.start <= range.end, "{region:?}");
        range
    }
}

/// Checks the positions of what is reported, and keeps the edits.
struct Reported<'t> {
    text: &'t Text,
    replaced: Vec<Edit>,
}

impl Reported<'_> {
    /// Checks an edit: it deletes nothing but the value, its tag and white space.
    fn replacement(&mut self, value: &Range<usize>, fix: &Replacement) {
        let range = self.text.range(fix.region);
        let text = &self.text.0;
        let before = &text[range.start..range.end.min(value.start).max(range.start)];
        let after = &text[range.start.max(value.end).min(range.end)..range.end];
        let before = String::from_utf8_lossy(before);
        let tag = before.split_whitespace().next().filter(|token| token.starts_with('!')).unwrap_or_default();
        let kept = before.trim_start().strip_prefix(tag).unwrap_or_default().trim();
        assert!(fix.text.contains(kept) && after.trim_ascii().is_empty(), "{fix:?} deletes {before:?} and {after:?}");
        self.replaced.push(Edit { range, text: fix.text.clone() });
    }
}

impl FindingSink for Reported<'_> {
    fn need_fixes(&self) -> bool {
        true
    }

    fn count_file(&mut self) {}

    fn skip_object(&mut self) {}

    fn object(&mut self, object: &ReportedObject<'_>) -> io::Result<()> {
        if let Some(position) = object.position {
            self.text.offset(position);
        }
        let mut last = Position::START;
        for finding in object.findings {
            let Location { position, region } = finding.location.unwrap();
            self.text.offset(position);
            assert!(position >= last, "{position:?} follows {last:?}");
            last = position;
            let line = finding.printable();
            assert!(!line.chars().any(char::is_control), "{line:?}");
            let value = self.text.range(region);
            if let Some(fix) = &finding.fix {
                self.replacement(&value, fix);
            }
        }
        Ok(())
    }

    fn error(&mut self, error: &ReportedError) -> io::Result<()> {
        self.text.offset(error.position.unwrap());
        let line = error.printable();
        assert!(!line.chars().any(char::is_control), "{line:?}");
        Ok(())
    }
}
