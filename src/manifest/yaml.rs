//! Converts YAML to the JSON that the API server would see, and maps each part of the JSON to its offset in the file.
//!
//! The conversion follows kubectl's parser: anchors and merge keys are resolved, and the last of repeated keys is used.
//! The known differences concern YAML that no tool writes: U+0085, U+2028 and U+2029 do not break lines; `{a:}` has the
//! key `a` rather than `a:`; `[?a]` and `[:a]` hold text; `[-]`, `{# c` and an entry of a flow collection that a tab
//! indents are errors; a comment that a tab indents is none. kubectl adds a line end to a file that has none, which becomes
//! part of a block scalar at its end. It has errors where names of anchors have other characters than letters, digits, `-`
//! and `_`, where a tag has no space before the next indicator, and where `:` or `?` begin a text in a flow collection. A
//! block scalar without indentation that is a document is empty for it.

mod scalar;
pub mod span;
mod tree;

use std::collections::HashSet;

use granit_parser::{ErrorKind, Parser};

use scalar::Scalar;
use span::ByteSpan;
use tree::{Node, NodeId, TaggedValue, Tree, TreeEntry};

/// The number of levels that a document may be nested: the limit of Go's YAML and JSON decoders, and therefore of
/// kubectl and the API server.
pub const DEPTH_MAX: usize = 10_000;

/// A document as JSON.
#[derive(Debug)]
pub struct ConvertedYaml {
    pub text: String,
    /// The offsets of each key, each entry of a list and the whole document, in ascending order.
    pub marks: Vec<Mark>,
    /// The numbers, booleans and nulls whose text in the YAML differs from the JSON, in ascending order.
    pub written: Vec<WrittenScalar>,
    /// The repeated keys of objects, in ascending order.
    pub repeated_keys: Vec<RepeatedKey>,
    pub sharing: Sharing,
}

/// The parts of a YAML document whose text is more than their value.
#[derive(Debug, Default)]
pub struct Sharing {
    /// The bytes whose change would change other parts too, in ascending order: aliases, the values of their anchors,
    /// and the values of merge keys.
    pub shared: Vec<ByteSpan>,
    /// The tags of values, in the order of the values.
    pub tags: Vec<TaggedValue>,
}

/// A scalar: its offset in the JSON, and its text in the YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenScalar {
    pub json: usize,
    pub text: String,
}

/// A repeated key of an object: the offset in the JSON of the last occurrence, whose value is used, and the offset in
/// the document of the first occurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepeatedKey {
    pub json: usize,
    pub first: usize,
}

/// A part of the document in the JSON and in the YAML. A document may have one for every two of its bytes, so offsets
/// have four bytes each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub json: u32,
    /// The offset in the YAML: of the key if the part is a member, otherwise of the value.
    pub yaml: u32,
    /// The bytes of the value in the YAML. For an alias, they are those of the alias.
    pub value: ByteSpan,
}

impl Mark {
    fn new(json: usize, part: &TreeEntry) -> Self {
        Mark { json: span::offset(json), yaml: span::offset(part.at), value: part.span }
    }
}

/// An error in a document and its offset.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct YamlError {
    pub offset: usize,
    pub message: String,
}

impl YamlError {
    pub fn new(offset: usize, message: impl Into<String>) -> Self {
        YamlError { offset, message: message.into() }
    }
}

/// Converts one YAML document to JSON. An empty text becomes `null`.
pub fn to_json(yaml: &str) -> Result<ConvertedYaml, YamlError> {
    let mut options = granit_parser::Options::default();
    options.flow_nesting_limit = DEPTH_MAX;
    options.block_nesting_limit = DEPTH_MAX;
    // As in libyaml.
    options.block_scalar_eof_without_line_feed = true;
    let mut tree = Tree::new(yaml);
    for event in Parser::new_from_str_with_options(yaml, options) {
        let (event, span) = event.map_err(|error| {
            let offset = error.marker().byte_offset().unwrap_or(0);
            match error.kind() {
                ErrorKind::RecursionLimitExceeded => too_deep(offset),
                kind => YamlError::new(offset, format!("invalid YAML: {kind}; the mistake is here or just before")),
            }
        })?;
        let start = span.start.byte_offset().unwrap_or(0);
        if let Some(tag) = span.tag_span()
            && let (Some(first), Some(end)) = (tag.start.byte_offset(), tag.end.byte_offset())
        {
            tree.tag(start, first..end);
        }
        tree.event(event, start..span.end.byte_offset().unwrap_or(start))?;
    }
    write(&tree)
}

/// Whether a plain scalar with this text is a string.
pub fn is_plain_text(text: &str) -> bool {
    matches!(scalar::resolve(text.into(), true, None), Ok(Scalar::Text(_)))
}

/// Returns the error for a document with more than [`DEPTH_MAX`] levels.
pub fn too_deep(offset: usize) -> YamlError {
    YamlError::new(offset, format!("nested more than {DEPTH_MAX} levels deep, which no API server accepts"))
}

/// Writes the tree as JSON. The document determines the depth of the tree, so this does not recurse.
fn write(tree: &Tree<'_>) -> Result<ConvertedYaml, YamlError> {
    let Some(root) = tree.root() else {
        let marks = vec![Mark { json: 0, yaml: 0, value: ByteSpan { start: 0, end: 0 } }];
        let (written, repeated_keys, sharing) = Default::default();
        return Ok(ConvertedYaml { text: "null".to_owned(), marks, written, repeated_keys, sharing });
    };
    let mut text = Vec::new();
    let mut marks = vec![Mark::new(0, &root)];
    let (mut written, mut repeated_keys) = (Vec::new(), Vec::new());
    let mut open: Vec<(NodeId, usize)> = Vec::new();
    let mut next = Some(root);
    loop {
        if let Some(entry) = next.take() {
            match tree.node(entry.value) {
                Node::Scalar { value, written: found } => {
                    let json = text.len();
                    value.write(&mut text).map_err(|error| YamlError::new(entry.at, error.to_string()))?;
                    let found = found.as_deref().filter(|found| found.as_bytes() != &text[json..]);
                    written.extend(found.map(|found| WrittenScalar { json, text: found.to_owned() }));
                }
                _ => open.push((entry.value, 0)),
            }
        }
        let Some((id, count)) = open.last_mut() else { break };
        let (opening, closing, child) = match tree.node(*id) {
            Node::List(entries) => (b'[', b']', entries.get(*count).copied()),
            Node::Map(members) => (b'{', b'}', members.get(*count).map(tree::TreeMember::entry)),
            Node::Scalar { .. } => break,
        };
        if *count == 0 {
            text.push(opening);
        }
        let Some(child) = child else {
            text.push(closing);
            open.pop();
            continue;
        };
        if *count > 0 {
            text.push(b',');
        }
        marks.push(Mark::new(text.len(), &child));
        if let Node::Map(members) = tree.node(*id) {
            repeated_keys.extend(tree.first_occurrence(child.at).map(|first| RepeatedKey { json: text.len(), first }));
            Scalar::Text(members[*count].key.as_ref().into())
                .write(&mut text)
                .map_err(|error| YamlError::new(child.at, error.to_string()))?;
            text.push(b':');
        }
        *count += 1;
        next = Some(child);
    }
    let text =
        String::from_utf8(text).map_err(|_| YamlError::new(root.at, "the document cannot be written as JSON"))?;
    // The value of an anchor is written once for every alias, but its repeated keys are reported once.
    let mut reported = HashSet::new();
    repeated_keys.retain(|key: &RepeatedKey| reported.insert(key.first));
    let sharing = Sharing { shared: tree.shared(), tags: tree.tags().to_vec() };
    Ok(ConvertedYaml { text, marks, written, repeated_keys, sharing })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expects the output of sigs.k8s.io/yaml 1.6, which kubectl 1.36 uses; `-` stands for an error.
    #[test]
    fn yaml_is_converted_as_by_kubectl() {
        for (yaml, json) in [
            ("[y, Yes, on, TRUE, n, No, OFF, false]", "[true,true,true,true,false,false,false,false]"),
            ("[tRUE, 'yes', \"no\", !!str on, ! off, yeS]", r#"["tRUE","yes","no","on","off","yeS"]"#),
            ("[~, null, Null, NULL, nULL, '~', ]", r#"[null,null,null,null,"nULL","~"]"#),
            ("a:\nb: ''", r#"{"a":null,"b":""}"#),
            ("[1, +1, -0, 010, 0o17, 0x1F, 0b11, 1_000, -0x10]", "[1,1,0,8,15,31,3,1000,-16]"),
            ("[08, 09.5, 1e3, 22.0, .5, 5., -1.5, 1e21, 1e-7]", "[8,9.5,1000,22,0.5,5,-1.5,1e+21,1e-7]"),
            ("[9223372036854775808, 18446744073709551615]", "[9223372036854775808,18446744073709551615]"),
            ("[18446744073709551616, -9223372036854775809]", "[18446744073709552000,-9223372036854776000]"),
            ("[1e400, 0x, 1_, _1, 12:30:45, +-1, 1.2.3]", r#"["1e400","0x",1,"_1","12:30:45","+-1","1.2.3"]"#),
            ("[2026-11-20, 2026-11-20T08:03:00Z]", r#"["2026-11-20","2026-11-20T08:03:00Z"]"#),
            (".inf", "-"),
            ("[.nan]", "-"),
            ("[!!int '7', !!float 7, !!bool 'yes', !!null '', !!binary aGk=]", r#"[7,7,true,null,"hi"]"#),
            ("!!int x", "-"),
            ("!!binary '*'", "-"),
            ("[!own 7, !!set x]", r#"["7","x"]"#),
            ("{1: a, 1.5: b, yes: c, 0x10: d}", r#"{"1":"a","1.5":"b","true":"c","16":"d"}"#),
            ("~: a", "-"),
            ("[a]: b", "-"),
            ("{a: 1, b: 2, a: 3}", r#"{"b":2,"a":3}"#),
            ("x: &x {a: 1, b: 2}\nz: {<<: *x, b: 3}", r#"{"x":{"a":1,"b":2},"z":{"a":1,"b":3}}"#),
            ("x: &x {a: 1}\nz: {a: 3, <<: *x}", r#"{"x":{"a":1},"z":{"a":1}}"#),
            ("<<: [{a: 1}, {a: 2, b: 2}]", r#"{"b":2,"a":1}"#),
            ("'<<': 1", r#"{"<<":1}"#),
            ("<<: 1", "-"),
            ("a: <<", r#"{"a":"<<"}"#),
            ("[&a x, *a, &a z, *a]", r#"["x","x","z","z"]"#),
            ("&a [*a]", "-"),
            ("a: |\n  x\n   y\n", "{\"a\":\"x\\n y\\n\"}"),
            ("a: >-\n  x\n  y\n\n  z\n", "{\"a\":\"x y\\nz\"}"),
            ("a: |+\n  x\n\n", "{\"a\":\"x\\n\\n\"}"),
            ("a: |\n  x", r#"{"a":"x"}"#),
            ("a: \"x\\\n  y\\t\\u00e9\\U0001F600\"", "{\"a\":\"xy\\té\u{1F600}\"}"),
            ("a: 'it''s'\nb: x # c\nc: x#c", r#"{"a":"it's","b":"x","c":"x#c"}"#),
            ("a: 1\n\tb: 2", "-"),
            ("a: b: c", "-"),
            // A key without `?` is on one line with its colon.
            ("[a\n: 1]", "-"),
            ("x: {a\r\n: 1}", "-"),
            ("[\"a\" # c\n : 1]", "-"),
            ("x: {&k\n a: 1}", "-"),
            ("x: {\"a\n b\": 1}", "-"),
            ("x: &x a\nb: {*x\n : 1}", "-"),
            ("b: {<<\n : {c: 1}}", "-"),
            ("{? a # c\n: 1, ? # c\n &k b\n : 2}", r#"{"a":1,"b":2}"#),
            ("? &k\n  a\n: 1", r#"{"a":1}"#),
            ("x: {a\n b, c\n , d\n}", r#"{"x":{"a b":null,"c":null,"d":null}}"#),
            ("- &x\n  &y a: 1\n- !!map # c\n  !!str a: 1\n- !!map\n  a: 1", r#"[{"a":1},{"a":1},{"a":1}]"#),
            ("# nothing", "null"),
        ] {
            let converted = to_json(yaml).map_or_else(|_| "-".to_owned(), |converted| converted.text);
            assert_eq!(converted, json, "{yaml}");
        }
    }

    #[test]
    fn depth_and_aliases_are_limited() {
        for deep in ["[", "{a: ", "- ", "? "] {
            let error = to_json(&deep.repeat(1_000_000)).unwrap_err();
            assert!(error.message.contains("more than 10000 levels"), "{deep}: {error:?}");
        }
        let nest = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert_eq!(to_json(&nest(DEPTH_MAX)).unwrap().text, nest(DEPTH_MAX));
        // An alias is as deep and as large as the value of its anchor.
        let error = to_json(&format!("[&a {}, [*a]]", nest(DEPTH_MAX - 1))).unwrap_err();
        assert!(error.message.contains("more than 10000 levels"), "{error:?}");
        let laughs = (1..10)
            .map(|n| format!("l{n}: &l{n} [{}]\n", (0..10).map(|_| format!("*l{},", n - 1)).collect::<String>()));
        let error = to_json(&("l0: &l0 lol\n".to_owned() + &laughs.collect::<String>())).unwrap_err();
        assert!(error.message.contains("8 MiB"), "{error:?}");
        let big = format!("a: &a {}\nb: [{}]", "x".repeat(1 << 20), ["*a"; 9].join(","));
        assert!(to_json(&big).is_err());
        let merges = format!("a: &a {{k: {}}}\nb: [{}]", "x".repeat(1 << 20), ["{<<: *a}"; 9].join(","));
        assert!(to_json(&merges).is_err());
    }

    #[test]
    fn repeated_keys_and_texts_that_differ_are_recorded() {
        let yaml = "a: 5805e10\nb: &x {c: 0x10, c: yes, d: 7, c: 1_0}\na: *x\ne: {<<: *x, c: 'no'}\n\"d\": {d: ~, <<: [*x, *x]}\n";
        let converted = to_json(yaml).unwrap();
        assert_eq!(
            converted.text,
            r#"{"b":{"d":7,"c":10},"a":{"d":7,"c":10},"e":{"d":7,"c":"no"},"d":{"d":7,"c":10}}"#
        );
        let json = |at: usize, count: usize| converted.text[at..].chars().take(count).collect::<String>();
        let written: Vec<_> =
            converted.written.iter().map(|scalar| (json(scalar.json, 2), scalar.text.as_str())).collect();
        assert_eq!(written, [("10".to_owned(), "1_0"), ("10".to_owned(), "1_0"), ("10".to_owned(), "1_0")]);
        let repeated: Vec<_> =
            converted.repeated_keys.iter().map(|key| (json(key.json, 3), &yaml[key.first..][..4])).collect();
        assert_eq!(repeated, [("\"c\"".to_owned(), "c: 0"), ("\"a\"".to_owned(), "a: 5")]);
    }

    #[test]
    fn marks_are_the_offsets_of_keys_and_entries() {
        let yaml = "a: &x\n  - é: 1\n  -\n    b\nc: *x\n\"d\" : {<<: {e: 1}}\n";
        let converted = to_json(yaml).unwrap();
        let marked: Vec<_> = converted
            .marks
            .iter()
            .map(|mark| {
                (
                    converted.text[mark.json as usize..].chars().take(3).collect::<String>(),
                    yaml[mark.yaml as usize..].trim_end().split('\n').next().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            marked.iter().map(|(json, yaml)| (json.as_str(), *yaml)).collect::<Vec<_>>(),
            [
                ("{\"a", "a: &x"),
                ("\"a\"", "a: &x"),
                ("{\"é", "é: 1"),
                ("\"é\"", "é: 1"),
                ("\"b\"", "b"),
                ("\"c\"", "c: *x"),
                ("{\"é", "é: 1"),
                ("\"é\"", "é: 1"),
                ("\"b\"", "b"),
                ("\"d\"", "\"d\" : {<<: {e: 1}}"),
                ("\"e\"", "e: 1}}"),
            ]
        );
    }
}
