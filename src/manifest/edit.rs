//! Edits of a document: the change of its text that sets a field, and nothing else, to a value.
//!
//! A value is replaced where it is. An absent field is inserted beside its siblings: in block style as a line with the
//! indentation and the line end around it, in flow style and JSON with a comma, in the layout around it.

mod check;
mod insertion;
mod scalar_text;

pub use check::in_order;

use std::borrow::Cow;
use std::ops::Range;

use super::objects::Manifest;
use super::path;
use super::splice::Edit;

/// A field that an edit sets: a JSON Pointer (RFC 6901) from the object, whose keys need no escaping.
#[derive(Debug, Clone, Copy)]
pub struct FieldToSet<'a> {
    pub pointer: &'a str,
    /// The JSON of the value: a number, or a string of ASCII characters.
    pub value: &'a str,
    /// The names of the container's members in their usual order. A member that is inserted follows those before it.
    pub order: &'a [&'a str],
}

/// The edit that sets a field. Of edits at one place, the one with the lower `rank` comes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldEdit {
    pub rank: usize,
    /// The edit of the document.
    pub document: Edit,
    /// The same edit of the document's JSON.
    pub json: Edit,
}

/// The reason why a field cannot be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    #[error("other values share it through an anchor, an alias or a merge key; write the value out, or fix it by hand")]
    Shared,
    #[error("the value around it was not found")]
    NotFound,
    #[error("the edited document would not be read as intended; fix it by hand")]
    Misread,
}

/// A mapping of a document.
struct Mapping<'m> {
    json: &'m str,
    /// The bytes of the mapping in the document.
    span: Range<usize>,
    /// The key and the value of each member.
    members: Vec<(&'m str, &'m str)>,
}

impl Manifest<'_> {
    /// Returns the edit that sets a field of an object.
    pub fn edit(&self, object: &str, field: &FieldToSet<'_>) -> Result<FieldEdit, EditError> {
        let (pointer, name) = field.pointer.rsplit_once('/').ok_or(EditError::NotFound)?;
        let mapping = self.mapping(object, pointer)?;
        if let Some((key, value)) = mapping.member(name) {
            let span = self.span(value);
            if !self.is_direct(&mapping, key) || self.is_shared(&span) {
                return Err(EditError::Shared);
            }
            let at = self.json_offset(value);
            let json = Edit { range: at..at + value.len(), text: field.value.to_owned() };
            return Ok(FieldEdit { rank: 0, document: self.replacement(&mapping, key, value, field.value), json });
        }
        Ok(insertion::insert(self, &mapping, name, field))
    }

    /// Returns the mapping at a pointer from the object.
    fn mapping<'m>(&self, object: &'m str, pointer: &str) -> Result<Mapping<'m>, EditError> {
        let mut json = object;
        for name in pointer.split('/').skip(1) {
            let mapping = self.container(json)?;
            json = if let Some((key, value)) = mapping.member(name) {
                if !self.is_direct(&mapping, key) {
                    return Err(EditError::Shared);
                }
                value
            } else {
                let index: usize = name.parse().map_err(|_| EditError::NotFound)?;
                path::entries(json).get(index).copied().ok_or(EditError::NotFound)?
            };
        }
        self.container(json)
            .and_then(|mapping| if json.starts_with('{') { Ok(mapping) } else { Err(EditError::NotFound) })
    }

    /// Returns the members of a mapping, or none for a list, if no other value shares the container.
    fn container<'m>(&self, json: &'m str) -> Result<Mapping<'m>, EditError> {
        let (json, span) = (json.trim_ascii(), self.span(json));
        if self.is_shared(&span) {
            return Err(EditError::Shared);
        }
        Ok(Mapping { json, span, members: path::members(json) })
    }

    /// Whether a member is written in the mapping itself, rather than merged into it.
    fn is_direct(&self, mapping: &Mapping<'_>, key: &str) -> bool {
        let at = self.document_offset(key);
        mapping.span.contains(&at) && !self.is_shared(&(at..at + 1))
    }

    fn replacement(&self, mapping: &Mapping<'_>, key: &str, value: &str, new: &str) -> Edit {
        let (text, mut range) = (self.text(), self.span(value));
        if !self.is_yaml() {
            return Edit { range, text: new.to_owned() };
        }
        let key = self.document_offset(key);
        let old = &text[range.clone()];
        let mut new =
            scalar_text::of(new, old.chars().next().filter(|c| ['"', '\''].contains(c)), text[key..].starts_with('"'));
        let from_key = &text[key..range.start];
        let colon = from_key.find(':').map(|colon| key + colon + 1);
        let is_block = value.starts_with(['{', '[']) && !old.starts_with(['{', '[']);
        // The dashes of a list may be as far to the left as the key, which a scalar may not.
        let is_left = || insertion::indent(text, range.start) <= insertion::indent(text, mapping.span.start);
        if let Some(tag) = self.tag(range.start) {
            // The new value has its own type. An anchor and a comment after the tag stay.
            let between = text[tag.end..range.start].trim_start();
            if is_block && between.contains('\n') && is_left() {
                new.insert_str(0, "  ");
            }
            new.insert_str(0, between);
            range.start = tag.start;
        } else if range.is_empty() {
            let (start, (_, line_end)) = (insertion::key_start(text, key), insertion::line_end(text, key));
            match colon {
                None if text[start..].starts_with('?') && !text[mapping.span.clone()].starts_with('{') => {
                    let indent = " ".repeat(insertion::indent(text, start));
                    new.insert_str(0, &format!("{line_end}{indent}: "));
                }
                None => new.insert_str(0, ": "),
                Some(_) => new.insert(0, ' '),
            }
        } else if is_block {
            // A list or a mapping in block style is on the lines after its key.
            match colon.filter(|colon| text[*colon..range.start].trim().is_empty()) {
                Some(colon) => {
                    range.start = colon;
                    new.insert(0, ' ');
                }
                None if is_left() => new.insert_str(0, "  "),
                None => {}
            }
        }
        Edit { range, text: new }
    }
}

impl<'m> Mapping<'m> {
    /// Returns the key and the value of a member: of the last one, if its key is repeated.
    fn member(&self, name: &str) -> Option<(&'m str, &'m str)> {
        let is_named = |key: &str| serde_json::from_str::<Cow<'_, str>>(key).is_ok_and(|key| key == name);
        self.members.iter().rev().find(|(key, _)| is_named(key)).copied()
    }
}
