//! Treats members without a value as absent, such as `rules:` if all its entries are commented out.
//!
//! Such members are replaced with spaces before the text is parsed. This covers every member, and positions in errors
//! stay correct.

use std::collections::HashSet;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StructureStyle};

/// A list or mapping that is being read.
struct OpenNode {
    is_mapping: bool,
    is_block: bool,
    /// The key whose value comes next.
    key: Option<MemberKey>,
    /// The number of members with a value.
    kept: usize,
    /// The number of members that were replaced with spaces.
    blanked: usize,
}

/// A key and its byte range in the text.
#[derive(Clone, Copy)]
struct MemberKey {
    start: usize,
    end: usize,
    is_known: bool,
}

/// Replaces null members with spaces if their keys are in `known`. Unknown keys remain, so that they are reported. A
/// text that is not YAML is returned unchanged.
pub fn without_nulls(text: &str, known: &HashSet<String>) -> String {
    let mut blanked = text.as_bytes().to_vec();
    let mut open: Vec<OpenNode> = Vec::new();
    for event in Parser::new_from_str_with_options(text, Options::default()) {
        let Ok((event, span)) = event else { return text.to_owned() };
        match event {
            Event::MappingStart(style, ..) => open.push(open_node(true, style)),
            Event::SequenceStart(style, ..) => open.push(open_node(false, style)),
            Event::MappingEnd | Event::SequenceEnd => {
                let is_null = open.pop().is_some_and(|ended| ended.is_block && ended.kept == 0 && ended.blanked > 0);
                end_value(&mut open, is_null, None, &mut blanked);
            }
            Event::Scalar(scalar, style, anchor, tag) => {
                if let Some(OpenNode { is_mapping: true, key: key @ None, .. }) = open.last_mut() {
                    let is_known = known.contains(&*scalar);
                    *key = byte_range(&span).map(|(start, end)| MemberKey { start, end, is_known });
                    continue;
                }
                let is_plain = style == ScalarStyle::Plain && anchor == 0 && tag.is_none();
                let is_null = is_plain && matches!(&*scalar, "" | "~" | "null" | "Null" | "NULL");
                end_value(&mut open, is_null, byte_range(&span), &mut blanked);
            }
            Event::Alias(_) => end_value(&mut open, false, None, &mut blanked),
            _ => {}
        }
    }
    String::from_utf8(blanked).unwrap_or_else(|_| text.to_owned())
}

fn open_node(is_mapping: bool, style: StructureStyle) -> OpenNode {
    OpenNode { is_mapping, is_block: style == StructureStyle::Block, key: None, kept: 0, blanked: 0 }
}

fn byte_range(span: &Span) -> Option<(usize, usize)> {
    span.start.byte_offset().zip(span.end.byte_offset())
}

/// Ends a value, and replaces its member with spaces if the value is null.
fn end_value(open: &mut [OpenNode], is_null: bool, written: Option<(usize, usize)>, text: &mut [u8]) {
    let Some(parent) = open.last_mut() else { return };
    let Some(key) = parent.key.take().filter(|key| is_null && key.is_known) else {
        parent.kept += 1;
        return;
    };
    parent.blanked += 1;
    let Some(colon) = text[key.end..].iter().position(|byte| *byte == b':') else { return };
    let mut end = key.end + colon + 1;
    if let Some((start, written_end)) = written.filter(|(start, end)| start < end) {
        text[start..written_end].fill(b' ');
        end = end.max(written_end);
    }
    text[key.start..key.end + colon + 1].fill(b' ');
    if !parent.is_block {
        let rest = &mut text[end..];
        let next = rest.iter().position(|byte| !byte.is_ascii_whitespace());
        if let Some(comma) = next.and_then(|at| rest.get_mut(at)).filter(|byte| **byte == b',') {
            *comma = b' ';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_without_a_value_are_replaced_with_spaces() {
        let known = HashSet::from(["a", "b", "c"].map(str::to_owned));
        for (text, expected) in [
            ("a:\nb: 1\n", "  \nb: 1\n"),
            ("a: ~ # c\n# d\nb: null\n", "     # c\n# d\n       \n"),
            ("a:\n  b:\n  # - x\n", "  \n    \n  # - x\n"),
            ("a:\n- b:\n  c: 1\n", "a:\n-   \n  c: 1\n"),
            ("{a: , b: 1}", "{     b: 1}"),
            ("{\"a\": null,\n \"b\": ~}", "{          \n       }"),
            ("a: {b: null, c: {a: }}", "a: {         c: {   }}"),
            ("d:\nd2: ~\n", "d:\nd2: ~\n"),
            ("a: ''\nb: [~]\nc: {}\n", "a: ''\nb: [~]\nc: {}\n"),
            ("a: &x\nb: *x\n", "a: &x\nb: *x\n"),
            ("a: [", "a: ["),
        ] {
            assert_eq!(without_nulls(text, &known), expected, "{text}");
        }
    }
}
