//! Checks edits: reads the edited document again.

use std::ops::Range;

use super::super::documents::Document;
use super::super::json;
use super::super::objects::Manifest;
use super::super::splice::{Edit, splice};
use super::FieldEdit;

/// The number of bytes that the checks of a document read in all: four documents of the greatest size. A document that
/// needs more has many edits that are misread; those that are not checked are not made.
const READ_MAX_BYTES: usize = 256 << 20;

impl Manifest<'_> {
    /// Returns for each edit of the document whether it can be made, together with all others that can. An edit can be made
    /// if the edited document is then read as the edited JSON.
    pub fn check_edits(&self, document: &Document<'_>, edits: &[FieldEdit]) -> Vec<bool> {
        let mut check = EditCheck { manifest: self, document, edits, accepted: Vec::new(), bytes_read: 0 };
        check.accept(0..edits.len());
        let mut can_be_made = vec![false; edits.len()];
        check.accepted.iter().for_each(|index| can_be_made[*index] = true);
        can_be_made
    }

    /// Whether the document with the edits is read as the JSON with the edits.
    fn is_read_as_intended(&self, document: &Document<'_>, edits: &[&FieldEdit]) -> bool {
        let in_json = in_order(edits, |edit| &edit.json);
        let bytes = splice(document.bytes, &in_order(edits, |edit| &edit.document));
        let expected = splice(self.json().as_bytes(), &in_json).and_then(|json| String::from_utf8(json).ok());
        let (Some(bytes), Some(expected)) = (bytes, expected) else { return false };
        let Ok(edited) = Manifest::read(&Document { bytes: &bytes, ..*document }) else { return false };
        match self.is_yaml() {
            true => edited.is_yaml() && edited.json() == expected,
            false => !edited.is_yaml() && json::has_same_tokens(edited.json(), &expected),
        }
    }
}

/// Returns the edits of the document, or those of its JSON, in order.
pub fn in_order(edits: &[&FieldEdit], of: fn(&FieldEdit) -> &Edit) -> Vec<Edit> {
    let mut edits = edits.to_vec();
    edits.sort_by_key(|edit| (of(edit).range.start, edit.rank));
    edits.into_iter().map(|edit| of(edit).clone()).collect()
}

/// Finds the edits that can be made together.
struct EditCheck<'c> {
    manifest: &'c Manifest<'c>,
    document: &'c Document<'c>,
    edits: &'c [FieldEdit],
    /// The indices of edits that can be made together.
    accepted: Vec<usize>,
    bytes_read: usize,
}

impl EditCheck<'_> {
    /// Accepts the edits of a range if they can be made with those that were accepted before. Otherwise tries each half of
    /// the range.
    fn accept(&mut self, range: Range<usize>) {
        if range.is_empty() || self.bytes_read > READ_MAX_BYTES {
            return;
        }
        self.bytes_read += self.document.bytes.len();
        let before = self.accepted.len();
        self.accepted.extend(range.clone());
        let edits: Vec<_> = self.accepted.iter().map(|index| &self.edits[*index]).collect();
        if self.manifest.is_read_as_intended(self.document, &edits) {
            return;
        }
        self.accepted.truncate(before);
        if range.len() > 1 {
            let middle = range.start + range.len() / 2;
            self.accept(range.start..middle);
            self.accept(middle..range.end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::documents::Documents;
    use super::*;

    /// An edit of the document that the same edit of the JSON does not describe is never made.
    #[test]
    fn edits_are_made_only_if_the_document_is_then_read_as_intended() {
        for (text, at, in_json) in
            [("a: 1\nb: [x, 2]\n", 3, 5), ("{\"a\" : 1, \"b\": [\"x\", 2]}", 7, 7), ("- 1\n- ' # '\n", 2, 1)]
        {
            let mut documents = Documents::new(text.as_bytes());
            let document = documents.next_document().unwrap().unwrap();
            let manifest = Manifest::read(&document).unwrap();
            assert_eq!((&text[at..=at], &manifest.json()[in_json..=in_json]), ("1", "1"));
            let edit = |at: usize, text: &str| Edit { range: at..at + 1, text: text.to_owned() };
            let checked = |document_text: &str, json_text: &str| {
                let edit = FieldEdit { rank: 0, document: edit(at, document_text), json: edit(in_json, json_text) };
                manifest.check_edits(&document, &[edit]) == [true]
            };
            assert!(checked("3", "3") && checked(" 3", "3"), "{text}");
            for (document_text, json_text) in
                [("3", "4"), ("'3'", "3"), ("3 # ", "4"), ("\"3\"", "3"), ("[", "3"), ("1", "1 ]")]
            {
                assert!(!checked(document_text, json_text), "{text}: {document_text} {json_text}");
            }
            let twice = vec![FieldEdit { rank: 0, document: edit(at, "3"), json: edit(in_json, "3") }; 2];
            assert_eq!(manifest.check_edits(&document, &twice), [true, false]);
        }
    }
}
