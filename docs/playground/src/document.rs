//! The documents of a text, and edits of them.

use scan_admission::engine::PatchOperation;
use scan_admission::manifest::edit::in_order;
use scan_admission::manifest::splice::{splice, splice_file};
use scan_admission::manifest::{
    Document, Documents, Edit, FoundObject, Manifest, ManifestError, Position, ScanManifest, ScanPart,
};
use scan_admission::offline::fix::{field_fixes, keep_checked, last_writes};
use scan_admission::scan::Kind;

/// The kind of a status that stands alone. The kinds differ in what the spec names, and not in their statuses.
pub const STATUS_KIND: Kind = Kind::SourceScan;

/// Passes each document to `then` until that returns true. Returns why documents cannot be read.
pub fn each_document(text: &str, mut then: impl FnMut(&Document<'_>, &Manifest<'_>) -> bool) -> Vec<ManifestError> {
    let mut documents = Documents::new(text.as_bytes());
    let mut errors = Vec::new();
    // Reading from memory cannot fail.
    while let Ok(Some(document)) = documents.next_document() {
        match Manifest::read(&document) {
            Ok(manifest) if then(&document, &manifest) => break,
            Ok(_) => {}
            Err(error) => errors.push(error),
        }
    }
    errors
}

/// Returns the first scan of a document, or why there is none.
pub fn first_scan<'m>(manifest: &'m Manifest<'_>) -> Result<ScanManifest<'m>, Vec<ManifestError>> {
    let mut errors = Vec::new();
    for object in manifest.objects(Some(STATUS_KIND)) {
        match object {
            FoundObject::Scan(found) => return Ok(found),
            FoundObject::Unidentified(error) | FoundObject::Error(error) => errors.push(error),
            FoundObject::Other(json) => {
                errors.push(manifest.error(json, "expected a SourceScan or an ImageScan".to_owned()));
            }
            FoundObject::EmptyList => {}
        }
    }
    Err(errors)
}

/// Returns the JSON of a scan as a whole object.
pub fn whole(found: &ScanManifest<'_>) -> String {
    match found.part {
        ScanPart::Whole | ScanPart::Status => found.json.to_owned(),
        ScanPart::StatusMembers => format!("{{\"status\":{}}}", found.json),
    }
}

/// Returns the JSON of the first scan of a text as a whole object; `None` if the text is empty.
pub fn object(text: &str) -> Result<Option<String>, Vec<ManifestError>> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let mut object = None;
    let mut errors = each_document(text, |_, manifest| {
        match first_scan(manifest) {
            Ok(found) => object = Some(Ok(whole(&found))),
            Err(why) => object = Some(Err(why)),
        }
        true
    });
    match object {
        Some(Ok(object)) => Ok(Some(object)),
        Some(Err(why)) => Err(why),
        None => {
            if errors.is_empty() {
                errors.push(ManifestError { position: Position::START, message: "expected a scan".to_owned() });
            }
            Err(errors)
        }
    }
}

/// A text with writes made, and the writes that cannot be made.
#[derive(Default)]
pub struct Edited {
    /// `None` if the text did not change.
    pub text: Option<String>,
    pub left: Vec<ManifestError>,
}

/// Makes the writes of mutations to a scan of a text.
pub fn edited(
    text: &str,
    document: &Document<'_>,
    manifest: &Manifest<'_>,
    found: &ScanManifest<'_>,
    operations: Vec<PatchOperation>,
) -> Edited {
    let Ok(scan) = found.scan() else { return Edited::default() };
    let mut fixes = field_fixes(manifest, found, &scan, last_writes(operations));
    keep_checked(manifest, document, &mut fixes.iter_mut().collect::<Vec<_>>());
    let (mut edits, mut left) = (Vec::new(), Vec::new());
    for fix in &fixes {
        match &fix.edit {
            Ok(edit) => edits.push(edit),
            Err(error) => {
                let position = manifest.field_position(found.json, found.path(&fix.path).unwrap_or_default());
                left.push(ManifestError { position, message: format!("{}: not fixed: {error}", fix.path) });
            }
        }
    }
    if edits.is_empty() {
        return Edited { text: None, left };
    }
    let offset = usize::try_from(document.offset).unwrap_or(usize::MAX);
    let in_text = |Edit { range, text }| Edit { range: range.start + offset..range.end + offset, text };
    let edits: Vec<Edit> = in_order(&edits, |edit| &edit.document).into_iter().map(in_text).collect();
    let text = splice_file(text.as_bytes(), &edits).and_then(|bytes| String::from_utf8(bytes).ok());
    Edited { text, left }
}

/// Makes the writes of mutations to the JSON of a scan, or of the review of one, as the API server applies a patch.
pub fn patched(json: &str, operations: Vec<PatchOperation>) -> String {
    let document =
        Document { bytes: json.as_bytes(), offset: 0, start: Position::START, is_json: true, is_truncated: false };
    let edited = Manifest::read(&document).ok().and_then(|manifest| {
        let found = first_scan(&manifest).ok()?;
        let fixes = field_fixes(&manifest, &found, &found.scan().ok()?, last_writes(operations));
        let edits: Vec<_> = fixes.iter().filter_map(|fix| fix.edit.as_ref().ok()).collect();
        String::from_utf8(splice(json.as_bytes(), &in_order(&edits, |edit| &edit.json))?).ok()
    });
    edited.unwrap_or_else(|| json.to_owned())
}
