//! Inserts a member into a mapping, in the layout of the members around it.

use super::super::objects::Manifest;
use super::super::splice::Edit;
use super::super::yaml::span::line_start;
use super::{FieldEdit, FieldToSet, Mapping, scalar_text};

/// White space within a line.
const BLANKS: [char; 2] = [' ', '\t'];

/// Where a member is inserted.
#[derive(Clone, Copy)]
enum Placement<'m> {
    /// After the member with this key and value.
    After(&'m str, &'m str),
    /// Before the member with this key and value.
    Before(&'m str, &'m str),
    /// In a mapping that has no members of its own.
    Alone,
}

/// Returns the edit that inserts a member.
pub(super) fn insert(manifest: &Manifest<'_>, mapping: &Mapping<'_>, name: &str, field: &FieldToSet<'_>) -> FieldEdit {
    let insertion = Insertion { manifest, text: manifest.text(), mapping, name, value: field.value };
    let placement = insertion.placement(field.order);
    let document = match (insertion.is_flow(), placement) {
        (false, Placement::After(_, value)) => insertion.line_after(manifest.span(value).end),
        (false, Placement::Before(key, _)) => insertion.line_before(manifest.document_offset(key)),
        (false, Placement::Alone) => insertion.line_after(mapping.span.end),
        (true, Placement::After(key, value)) => insertion.flow_after(key, value),
        (true, Placement::Before(key, value)) => insertion.flow_before(key, value),
        (true, Placement::Alone) => insertion.flow_alone(),
    };
    let rank = field.order.iter().position(|known| *known == name).unwrap_or(field.order.len());
    FieldEdit { rank, document, json: insertion.in_json(placement) }
}

/// Returns the number of characters between the start of the line and `at`.
pub(super) fn indent(text: &str, at: usize) -> usize {
    text[line_start(text, at)..at].chars().count()
}

/// Returns the offset at which a key begins with its properties (a tag and an anchor) and the `?` before them, as far as they
/// are on its line.
pub(super) fn key_start(text: &str, key: usize) -> usize {
    let mut start = key;
    loop {
        let line = line_start(text, start);
        let before = text[line..start].trim_end_matches(BLANKS);
        let token = before.rsplit([' ', '\t', '{', '[', ',']).next().unwrap_or_default();
        if line + before.len() == start || !token.starts_with(['?', '&', '!']) {
            return start;
        }
        start = line + before.len() - token.len();
    }
}

/// Returns the offset and the text of the line end after `at`. The last line may have none; then it is that of the line
/// before.
pub(super) fn line_end(text: &str, at: usize) -> (usize, &str) {
    let end = text[at..].find('\n').map_or(text.len(), |line_feed| at + line_feed);
    let is_crlf = |at: usize| text[..at].ends_with('\r');
    if end < text.len() {
        return if is_crlf(end) { (end - 1, "\r\n") } else { (end, "\n") };
    }
    let before = text.rfind('\n').is_some_and(is_crlf);
    (end, if before { "\r\n" } else { "\n" })
}

/// Returns a line without its comment. A `#` in a string is taken for one too.
fn without_comment(line: &str) -> &str {
    let comment = line.match_indices('#').find(|(at, _)| *at == 0 || line[..*at].ends_with(BLANKS));
    comment.map_or(line, |(at, _)| &line[..at])
}

/// The layout of a member in flow style.
struct Layout<'m> {
    /// The colon and the white space around it.
    colon: &'m str,
    /// What follows the comma between two members: white space, or a line end and the indentation.
    gap: String,
    /// Whether the member begins its line.
    is_on_own_line: bool,
}

struct Insertion<'i> {
    manifest: &'i Manifest<'i>,
    text: &'i str,
    mapping: &'i Mapping<'i>,
    name: &'i str,
    value: &'i str,
}

impl<'i> Insertion<'i> {
    /// Chooses the place by the usual order of the members: after the nearest one before the new member, else before the
    /// nearest one after it, else at the end.
    fn placement(&self, order: &[&str]) -> Placement<'i> {
        let direct =
            |name: &&str| self.mapping.member(name).filter(|(key, _)| self.manifest.is_direct(self.mapping, key));
        let at = order.iter().position(|name| *name == self.name).unwrap_or(order.len());
        let (before, after) = order.split_at(at);
        let previous = before.iter().rev().find_map(direct);
        let next = after.iter().find_map(direct);
        let last = || self.mapping.members.iter().rfind(|(key, _)| self.manifest.is_direct(self.mapping, key)).copied();
        match (previous, next) {
            (None, Some((key, value))) => Placement::Before(key, value),
            _ => match previous.or_else(last) {
                Some((key, value)) if self.cannot_be_followed(key, value) => Placement::Before(key, value),
                Some((key, value)) => Placement::After(key, value),
                None => Placement::Alone,
            },
        }
    }

    fn is_flow(&self) -> bool {
        !self.manifest.is_yaml() || self.text[self.mapping.span.clone()].starts_with('{')
    }

    /// Whether inserting after this member would change it: a block scalar at the end of a file without a line end would
    /// get one, and a comma after a comment would be part of the comment.
    fn cannot_be_followed(&self, key: &str, value: &str) -> bool {
        let span = self.manifest.span(value);
        if self.is_flow() {
            return self.layout(key, value).is_on_own_line
                && self.text[span.end..].trim_start_matches(BLANKS).starts_with('#');
        }
        // White space without a line end may be part of such a scalar too.
        let is_last = !self.text.ends_with('\n') && self.text[span.end..].trim_ascii().is_empty();
        is_last && self.text[span.start..].contains('\n')
    }

    /// The member with the quotes of the key at `sibling`.
    fn member(&self, sibling: &str, colon: &str) -> String {
        let quote = sibling.chars().next().filter(|c| ['"', '\''].contains(c));
        let quote = quote.map(String::from).unwrap_or_default();
        let value = if self.manifest.is_yaml() {
            scalar_text::of(self.value, None, sibling.starts_with('"'))
        } else {
            self.value.to_owned()
        };
        format!("{quote}{}{quote}{colon}{value}", self.name)
    }

    fn line_after(&self, at: usize) -> Edit {
        let (end, line_end) = line_end(self.text, at);
        let first = self.mapping.span.start;
        let indent = " ".repeat(indent(self.text, first));
        Edit { range: end..end, text: format!("{line_end}{indent}{}", self.member(&self.text[first..], ": ")) }
    }

    fn line_before(&self, key: usize) -> Edit {
        let at = key_start(self.text, key);
        let indent = " ".repeat(indent(self.text, at));
        let (_, line_end) = line_end(self.text, key);
        Edit { range: at..at, text: format!("{}{line_end}{indent}", self.member(&self.text[key..], ": ")) }
    }

    fn flow_after(&self, key: &str, value: &str) -> Edit {
        let layout = self.layout(key, value);
        let member = self.member(&self.text[self.manifest.document_offset(key)..], layout.colon);
        let gap = &layout.gap;
        let end = self.manifest.span(value).end;
        let rest = self.text[end..].trim_start_matches(BLANKS);
        if layout.is_on_own_line
            && let Some(after_comma) = rest.strip_prefix(',')
            && after_comma.trim_start_matches(BLANKS).starts_with(['\r', '\n', '#'])
        {
            // The comma and the comment of the member stay on its line.
            let (line_end, _) = line_end(self.text, end);
            return Edit { range: line_end..line_end, text: format!("{gap}{member},") };
        }
        if !self.text[..end].ends_with(':') {
            return Edit { range: end..end, text: format!(",{gap}{member}") };
        }
        // The value is empty. A comma right after the colon would be part of the key, and a comment needs white
        // space before it.
        let at = if rest.starts_with('#') { end } else { self.text.len() - rest.len() };
        let space = if at == end { " " } else { "" };
        Edit { range: at..at, text: format!("{space},{gap}{member}") }
    }

    fn flow_before(&self, key: &str, value: &str) -> Edit {
        let layout = self.layout(key, value);
        let key = self.manifest.document_offset(key);
        let at = key_start(self.text, key);
        Edit { range: at..at, text: format!("{},{}", self.member(&self.text[key..], layout.colon), layout.gap) }
    }

    /// Inserts the member into `{}`, or after merge keys.
    fn flow_alone(&self) -> Edit {
        let end = self.mapping.span.end - "}".len();
        let is_json = !self.manifest.is_yaml();
        let is_compact = is_json && !self.text[..end].contains("\": ");
        let member = self.member(if is_json { "\"" } else { "" }, if is_compact { ":" } else { ": " });
        let lines = self.text[self.mapping.span.start..end].lines().rev();
        let last = lines.filter_map(|line| without_comment(line).trim_end().chars().last()).next();
        // Several members may be inserted here.
        let text = match last {
            Some('{') => member,
            Some(',') => format!(" {member},"),
            _ => format!(", {member}"),
        };
        Edit { range: end..end, text }
    }

    fn layout(&self, key: &str, value: &str) -> Layout<'i> {
        let (key, value) = (self.manifest.document_offset(key), self.manifest.span(value));
        let start = key_start(self.text, key);
        let before = self.text[..start].trim_end_matches(BLANKS);
        let between = &self.text[key..value.start];
        // With the white space around it.
        let colon = between.rfind(':').map_or("", |colon| &between[between[..colon].trim_end_matches(BLANKS).len()..]);
        let needs_blank = value.is_empty() || !between.starts_with(['"', '\'']);
        let is_usable = colon.trim_matches(BLANKS) == ":" && !(needs_blank && colon.ends_with(':'));
        let colon = if is_usable { colon } else { ": " };
        if before.ends_with('\n') {
            let (_, line_end) = line_end(self.text, before.len() - 1);
            let indent = &self.text[line_start(self.text, start)..start];
            return Layout { colon, gap: format!("{line_end}{indent}"), is_on_own_line: true };
        }
        let rest = &self.text[value.end..];
        let blank = |text: &'i str| &text[..text.len() - text.trim_start_matches(BLANKS).len()];
        let gap = if before.ends_with(',') {
            &self.text[before.len()..start]
        } else if let Some(next) = rest.trim_start_matches(BLANKS).strip_prefix(',') {
            blank(next)
        } else {
            &colon[colon.trim_end_matches(BLANKS).len()..]
        };
        Layout { colon, gap: gap.to_owned(), is_on_own_line: false }
    }

    fn in_json(&self, placement: Placement<'_>) -> Edit {
        let name = format!("\"{}\":{}", self.name, self.value);
        let (at, text) = match placement {
            Placement::After(_, value) => (self.manifest.json_offset(value) + value.len(), format!(",{name}")),
            Placement::Before(key, _) => (self.manifest.json_offset(key), format!("{name},")),
            Placement::Alone => {
                let end = self.manifest.json_offset(self.mapping.json) + self.mapping.json.len() - "}".len();
                (end, if self.mapping.members.is_empty() { name } else { format!(",{name}") })
            }
        };
        Edit { range: at..at, text }
    }
}
