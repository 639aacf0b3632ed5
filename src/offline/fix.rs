//! Fixes scans in files: makes the writes of the mutating webhook as edits of the text.

use std::collections::HashSet;

use super::Judge;
use super::input::Input;
use super::judge::with_any_policy;
use crate::engine::{PatchOperation, Rule};
use crate::manifest::edit::in_order;
use crate::manifest::splice::splice_file;
use crate::manifest::{
    Document, Documents, Edit, EditError, FieldEdit, FieldToSet, FoundObject, Manifest, ManifestError, Position,
    ScanManifest, ScanPart,
};
use crate::rules::RULES;
use crate::scan::{ConditionMember, Conditions, Count, Entry, Field, Kind, Scan};

/// The rule whose mutation writes the current time: without an old object, it is the time of every change.
const WRITES_NOW: &str = "condition-fields";

/// The usual members of a status in the order in which they are written. A member that is inserted follows those before
/// it.
const STATUS_ORDER: [&str; 9] = [
    "observedGeneration",
    "phase",
    "conditions",
    "cveCount",
    "CVECount",
    "metadataUrl",
    "metadataURL",
    "scannedBy",
    "scannedAt",
];

/// Fixes the scans in files.
pub struct Fixer<'j> {
    pub judge: &'j Judge,
    status_kind: Option<Kind>,
    rules: Vec<Rule>,
}

/// A write of a mutation, as an edit.
pub struct FieldFix {
    /// The path of the field, as in findings.
    pub path: String,
    pub edit: Result<FieldEdit, EditError>,
}

/// A file after the fixes.
#[derive(Default)]
pub struct FixedFile {
    /// The contents; `None` if they did not change.
    pub contents: Option<Vec<u8>>,
    /// The paths of the fields that were set, document by document.
    pub paths: Vec<String>,
    /// What was left, and why.
    pub left: Vec<ManifestError>,
    pub errors: Vec<ManifestError>,
}

impl<'j> Fixer<'j> {
    /// Absent times of conditions are only set if `sets_times`. With `status_kind`, a status alone is fixed as the status
    /// of a scan of this kind.
    pub fn new(judge: &'j Judge, status_kind: Option<Kind>, sets_times: bool) -> Self {
        let without_now = |rule: &Rule| Rule { mutate: rule.mutate.filter(|_| rule.id != WRITES_NOW), ..*rule };
        let rules = RULES.iter().map(|rule| if sets_times { Rule { ..*rule } } else { without_now(rule) }).collect();
        Fixer { judge, status_kind, rules }
    }

    /// Returns the kind of the scan whose status may stand alone in an input. A file that was found in a folder is not
    /// meant to hold one.
    pub fn status_kind(&self, input: &Input) -> Option<Kind> {
        self.status_kind.filter(|_| !input.is_found())
    }

    /// Returns the contents of a file with its scans fixed. Documents that cannot be read stay as they are.
    pub fn fix(&self, input: &Input, file: &[u8]) -> FixedFile {
        let status_kind = self.status_kind(input);
        let mut fixed = FixedFile::default();
        let mut edits = Vec::new();
        let mut documents = Documents::new(file);
        // Reading from memory cannot fail.
        while let Ok(Some(document)) = documents.next_document() {
            let offset = usize::try_from(document.offset).unwrap_or(usize::MAX);
            edits.extend(
                self.document(&document, status_kind, &mut fixed)
                    .into_iter()
                    .map(|Edit { range, text }| Edit { range: range.start + offset..range.end + offset, text }),
            );
        }
        if edits.is_empty() {
            return fixed;
        }
        fixed.contents = splice_file(file, &edits);
        if fixed.contents.is_none() {
            fixed.paths.clear();
            let message = "not fixed: the file cannot be written in its encoding; save it as UTF-8".to_owned();
            fixed.errors.push(ManifestError { position: Position::START, message });
        }
        fixed
    }

    /// Returns the edits of a document.
    fn document(&self, document: &Document<'_>, status_kind: Option<Kind>, fixed: &mut FixedFile) -> Vec<Edit> {
        let Ok(manifest) = Manifest::read(document) else { return Vec::new() };
        let objects = manifest.objects(status_kind);
        let (mut places, mut fixes) = (Vec::new(), Vec::new());
        for object in &objects {
            let FoundObject::Scan(found) = object else { continue };
            let of_scan = self.fixes(&manifest, found);
            if found.is_wrapped && !of_scan.is_empty() {
                let message =
                    "not fixed: the object of an AdmissionReview or of a watch event is not changed".to_owned();
                fixed.left.push(manifest.error(found.json, message));
                continue;
            }
            places.extend(of_scan.iter().map(|_| found));
            fixes.extend(of_scan);
        }
        keep_checked(&manifest, document, &mut fixes.iter_mut().collect::<Vec<_>>());
        let mut edits = Vec::new();
        for (found, FieldFix { path, edit }) in places.into_iter().zip(&fixes) {
            match edit {
                Ok(edit) => {
                    fixed.paths.push(path.clone());
                    edits.push(edit);
                }
                Err(error) => {
                    let position = manifest.field_position(found.json, found.path(path).unwrap_or_default());
                    let message = format!("{} {path}: not fixed: {error}", found.name).trim_start().to_owned();
                    fixed.left.push(ManifestError { position, message });
                }
            }
        }
        in_order(&edits, |edit| &edit.document)
    }

    /// Returns the writes of the mutating webhook to each object of a document, as edits, each of which can be made by
    /// itself. The objects of reviews and of watch events have none.
    ///
    /// An edit is checked together with edits of other scans of the document, but without those of its own scan, so that a
    /// List of many scans is not read once for each of them.
    pub fn checked_fixes(
        &self,
        manifest: &Manifest<'_>,
        document: &Document<'_>,
        objects: &[FoundObject<'_>],
    ) -> Vec<Vec<FieldFix>> {
        let fixes = |object: &FoundObject<'_>| match object {
            FoundObject::Scan(found) if !found.is_wrapped => self.fixes(manifest, found),
            _ => Vec::new(),
        };
        let mut all: Vec<Vec<FieldFix>> = objects.iter().map(fixes).collect();
        for index in 0..all.iter().map(Vec::len).max().unwrap_or(0) {
            let mut one_of_each: Vec<_> = all.iter_mut().filter_map(|fixes| fixes.get_mut(index)).collect();
            keep_checked(manifest, document, &mut one_of_each);
        }
        all
    }

    /// Returns the writes of the mutating webhook to a scan of a document, as edits.
    fn fixes(&self, manifest: &Manifest<'_>, found: &ScanManifest<'_>) -> Vec<FieldFix> {
        let Ok(scan) = found.scan() else { return Vec::new() };
        field_fixes(manifest, found, &scan, self.mutations(found, &scan))
    }

    /// Returns the last write to each field. The spec of a status alone is unknown, so only those writes are made that are
    /// the same with and without a policy.
    fn mutations(&self, found: &ScanManifest<'_>, scan: &Scan<'_>) -> Vec<PatchOperation> {
        let of = |scan: &Scan<'_>| last_writes(self.judge.mutations(found.kind, scan, &found.namespace, &self.rules));
        let mut operations = of(scan);
        if found.part != ScanPart::Whole {
            let with_policy = of(&with_any_policy(scan.clone()));
            operations
                .retain(|one| with_policy.iter().any(|other| one.field == other.field && one.value == other.value));
        }
        operations
    }
}

/// Returns the last write to each field.
pub fn last_writes(mut operations: Vec<PatchOperation>) -> Vec<PatchOperation> {
    let mut later = HashSet::new();
    operations.reverse();
    operations.retain(|operation| later.insert(operation.field));
    operations.reverse();
    operations
}

/// Returns writes to a scan of a document as edits. There is one write to each field.
pub fn field_fixes(
    manifest: &Manifest<'_>,
    found: &ScanManifest<'_>,
    scan: &Scan<'_>,
    operations: Vec<PatchOperation>,
) -> Vec<FieldFix> {
    let conditions = Conditions::of(scan);
    let fixes = operations.into_iter().filter_map(|operation| {
        let PatchOperation { field, value, .. } = operation;
        let pointer = field.pointer()?;
        let pointer = if found.part == ScanPart::StatusMembers { pointer.strip_prefix("/status")? } else { &pointer };
        let order = order(&field);
        let edit = manifest.edit(found.json, &FieldToSet { pointer, value: &value.to_json(), order: &order });
        let path = match field {
            Field::ConditionMember { entry: Entry::Index(index), member } => {
                Field::ConditionMember { entry: conditions.name(index), member }.to_string()
            }
            _ => field.to_string(),
        };
        Some(FieldFix { path, edit })
    });
    fixes.collect()
}

/// Turns edits that cannot be made together with the others into errors.
pub fn keep_checked(manifest: &Manifest<'_>, document: &Document<'_>, fixes: &mut [&mut FieldFix]) {
    let edits: Vec<FieldEdit> = fixes.iter().filter_map(|fix| fix.edit.clone().ok()).collect();
    let with_edits = fixes.iter_mut().filter(|fix| fix.edit.is_ok());
    for (fix, can_be_made) in with_edits.zip(manifest.check_edits(document, &edits)) {
        if !can_be_made {
            fix.edit = Err(EditError::Misread);
        }
    }
}

/// The usual order of the members beside a field.
fn order(field: &Field<'_>) -> Vec<&'static str> {
    match field {
        Field::Count { key, .. } => Count::ALL.map(|count| count.name(*key)).into(),
        Field::ConditionMember { .. } => ConditionMember::ALL.map(ConditionMember::name).into(),
        _ => STATUS_ORDER.into(),
    }
}
