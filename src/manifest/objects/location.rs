//! Where the fields of an object are in the document.

use std::ops::Range;

use super::super::path;
use super::super::position::{Position, Region};
use super::super::yaml::Mark;
use super::Manifest;

impl Manifest<'_> {
    /// Returns the position of a field of an object or, if the field is absent, of the innermost part around it.
    pub fn field_position(&self, object: &str, path: &str) -> Position {
        self.position(path::find(object, path))
    }

    /// Returns the region of the value of a field of an object or, if the field is absent, of the innermost value around
    /// it.
    ///
    /// The region of a string includes its quotes, the region of a block scalar its header. A list or mapping in block
    /// style is from its first dash or key to the end of its last value. The region of an alias is the alias, and an
    /// empty value has an empty region after its colon. Anchors, tags and comments after the value are not included.
    pub fn value_region(&self, object: &str, path: &str) -> Region {
        self.region(&self.span(path::innermost_value(object, path)))
    }

    /// The region of some bytes of the document.
    pub fn region(&self, bytes: &Range<usize>) -> Region {
        Region { start: self.positions.at(bytes.start), end: self.positions.at(bytes.end) }
    }

    /// The position of a part of the JSON text.
    pub(super) fn position(&self, part: &str) -> Position {
        self.positions.at(self.document_offset(part))
    }

    /// The offset in the document of a part of the JSON text: a key, an entry of a list, or the whole.
    pub(in super::super) fn document_offset(&self, part: &str) -> usize {
        self.mark(part).map_or_else(|| self.json_offset(part), |mark| mark.yaml as usize)
    }

    /// Whether a change of these bytes of the document would change other parts of it too.
    pub(in super::super) fn is_shared(&self, bytes: &Range<usize>) -> bool {
        let shared = &self.sharing.shared;
        let before = shared.partition_point(|span| span.start as usize <= bytes.start);
        before.checked_sub(1).is_some_and(|last| bytes.end <= shared[last].end as usize)
    }

    /// The bytes of the tag of the value at this offset of the document.
    pub(in super::super) fn tag(&self, value: usize) -> Option<Range<usize>> {
        let tags = &self.sharing.tags;
        let at = tags.partition_point(|tagged| (tagged.value as usize) < value);
        let tag = tags.get(at).filter(|tagged| tagged.value as usize == value)?.tag;
        (tag.end as usize <= value).then_some(tag.start as usize..tag.end as usize)
    }

    /// The bytes of a value of the JSON text in the document.
    pub(in super::super) fn span(&self, value: &str) -> Range<usize> {
        if let Some(Mark { value, .. }) = self.mark(value) {
            return value.start as usize..value.end as usize;
        }
        let start = self.json_offset(value.trim_ascii_start());
        start..start + value.trim_ascii().len()
    }

    /// The last mark up to a part of the JSON text, if the document is YAML. It is that of the key or the entry that the part
    /// belongs to.
    fn mark(&self, part: &str) -> Option<&Mark> {
        let (marks, offset) = (self.marks.as_ref()?, self.json_offset(part));
        let next = marks.partition_point(|mark| mark.json as usize <= offset);
        marks.get(next.checked_sub(1)?)
    }

    /// The offset of a part in the JSON text.
    pub(in super::super) fn json_offset(&self, part: &str) -> usize {
        part.as_ptr().addr() - self.json.as_ptr().addr()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::documents::Documents;
    use super::*;

    fn region(text: &str, path: &str) -> Region {
        let mut documents = Documents::new(text.as_bytes());
        let document = documents.next_document().unwrap().unwrap();
        let manifest = Manifest::read(&document).unwrap();
        manifest.value_region(manifest.json(), path)
    }

    /// Returns the text of a region.
    fn text(text: &str, Region { start, end }: Region) -> &str {
        let offset = |position: Position| {
            let line: usize = text.split_inclusive('\n').take(position.line - 1).map(str::len).sum();
            line + text[line..].chars().take(position.column - 1).map(char::len_utf8).sum::<usize>()
        };
        &text[offset(start)..offset(end)]
    }

    #[test]
    fn the_region_of_a_value_is_found() {
        for (document, path, expected) in [
            ("a: x # c\n", "a", "x"),
            ("# c\n\na : \"x # c\" # c\n", "a", "\"x # c\""),
            ("é: 'ü\n  it''s'\n", "é", "'ü\n  it''s'"),
            ("a: x\n  y\n  z # c\n# d\nb: 1", "a", "x\n  y\n  z"),
            ("a:\nb: 1\n", "a", ""),
            ("a: # c\nb: 1\n", "a", ""),
            ("a: ~\r\nb: 1\r\n", "a", "~"),
            ("x: &x 1\na: *x # c\n", "a", "*x"),
            ("x: &x {b: [1]}\na: *x\n", "a", "*x"),
            ("x: &x {b: [1]}\na: *x\n", "a.b", "[1]"),
            ("x: &x {b: [1]}\na:\n  <<: *x\n  c: 2\n", "a.b", "[1]"),
            ("x: &x {b: 1}\na:\n  <<: *x\n  b: 2 # c\n", "a", "<<: *x\n  b: 2"),
            ("a: 1\na: 2\n", "a", "2"),
            ("a: &x !!str 1\n", "a", "1"),
            ("a: {b: 1, c : [ x ] }\n", "a", "{b: 1, c : [ x ] }"),
            ("a: {b: 1, c : [ x ] }\n", "a.c", "[ x ]"),
            ("a: {b: 1, c : [ x ] }\n", "a.d", "{b: 1, c : [ x ] }"),
            ("a: {b: , c}\n", "a.b", ""),
            ("a: [b: 1, c]\n", "a[0]", "b: 1"),
            ("a: &x\n  # c\n  b: 1\n  c: # c\n    d: 'x'  # c\n\n# c\ne: 1\n", "a", "b: 1\n  c: # c\n    d: 'x'"),
            ("a:\n  b: 1\n  c:\n  # d\ne: 1\n", "a", "b: 1\n  c:"),
            ("a:\n  b: 1\n", "a.c.d", "b: 1"),
            ("a:\n  - b: 1\n    c: 2\n  -\n  # c\n  - d\n", "a", "- b: 1\n    c: 2\n  -\n  # c\n  - d"),
            ("a:\n  - b: 1\n    c: 2\n  -\n", "a[0]", "b: 1\n    c: 2"),
            ("a:\n  - b: 1\n  -\n", "a[1]", ""),
            ("a:\n  - b: 1\n  -\n", "a[2]", "- b: 1\n  -"),
            // Dashes as far to the left as the key.
            ("a: # -\n- # c\n  b: 1\n- c # c\nd: 1\n", "a", "- # c\n  b: 1\n- c"),
            ("a:\n-\n- b\n", "a", "-\n- b"),
            ("a:\n- - b\n  - c\n", "a", "- - b\n  - c"),
            ("a:\n- - b\n  - c\n", "a[0]", "- b\n  - c"),
            ("- é:\n  - 1\n", "[0].é", "- 1"),
            ("a: |\n  x\n\n   y \n\n# c\nb: 1\n", "a", "|\n  x\n\n   y "),
            ("a: &x # |\n  !!str\n  >- # > c\n\n  x\nb: 1\n", "a", ">- # > c\n\n  x"),
            ("a: |\nb: 1\n", "a", "|"),
            ("a:\n- # |\n  |+2 \n    x\r\n\r\n- |2\n   x", "a[0]", "|+2 \n    x\r\n"),
            ("a:\n- # |\n  |+2 \n    x\r\n\r\n- |2\n   x", "a[1]", "|2\n   x"),
            ("a:\n  b: |\n    x\n\nc: 1\n", "a", "b: |\n    x"),
            ("--- |\n x\n", "", "|\n x"),
            ("--- # c\n&x\na: 1 # c\n...\n", "", "a: 1"),
            ("{\"a\": {\"b\" : [1, \"x\"] , \"c\": null}}", "a.b", "[1, \"x\"]"),
            ("{\"a\": {\"b\" : [1, \"x\"] , \"c\": null}}", "a.c", "null"),
            ("{\"a\": {\"b\" : [1, \"x\"] , \"c\": null}}", "a.b[1]", "\"x\""),
            ("{ \"a\": 1, \"a\": 2 }\n", "a", "2"),
            (" { \"a\": 1 }\n", "b", "{ \"a\": 1 }"),
        ] {
            assert_eq!(text(document, region(document, path)), expected, "{path} in {document:?}");
        }
    }

    #[test]
    fn a_region_has_lines_and_columns_in_characters() {
        let stream = "# c\n%YAML 1.1\n# c\n---\n\u{1F600}: {é: 'ü',\n  b: }\n";
        for (path, start, end) in
            [("\u{1F600}", (5, 4), (6, 7)), ("\u{1F600}.é", (5, 8), (5, 11)), ("\u{1F600}.b", (6, 5), (6, 5))]
        {
            let Region { start: from, end: to } = region(stream, path);
            assert_eq!(((from.line, from.column), (to.line, to.column)), (start, end), "{path}");
        }
    }
}
