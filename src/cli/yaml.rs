//! YAML to JSON with marks: the text that the API server would see, and where in the file each part of it stands.
//!
//! By the rules of kubectl's reader: anchors and merge keys are resolved, of two equal keys the last counts.

mod scalar;
mod tree;

use granit_parser::{ErrorKind, Parser};

use scalar::Scalar;
use tree::{Node, NodeId, Tree};

/// Levels that a document may have: what Go's readers of YAML and of JSON allow, so kubectl and the API server too.
pub const DEPTH_MAX: usize = 10_000;

/// A document as JSON.
#[derive(Debug)]
pub struct Json {
    pub text: String,
    /// Where a member's name, an entry or the whole begins: offset in `text`, offset in the YAML; ascending.
    pub marks: Vec<(usize, usize)>,
}

/// What is wrong with a document, and the byte where it is.
#[derive(Debug, PartialEq)]
pub struct Fault {
    pub offset: usize,
    pub words: String,
}

impl Fault {
    pub fn new(offset: usize, words: impl Into<String>) -> Self {
        Fault { offset, words: words.into() }
    }
}

/// Turns one YAML document to JSON. Of no document at all `null` is made.
pub fn to_json(yaml: &str) -> Result<Json, Fault> {
    let mut options = granit_parser::Options::default();
    options.flow_nesting_limit = DEPTH_MAX;
    options.block_nesting_limit = DEPTH_MAX;
    // As libyaml.
    options.block_scalar_eof_without_line_feed = true;
    let mut tree = Tree::default();
    for event in Parser::new_from_str_with_options(yaml, options) {
        let (event, span) = event.map_err(|error| {
            let offset = error.marker().byte_offset().unwrap_or(0);
            match error.kind() {
                ErrorKind::RecursionLimitExceeded => too_deep(offset),
                kind => Fault::new(offset, format!("this is no YAML that can be read: {kind}")),
            }
        })?;
        tree.event(event, span.start.byte_offset().unwrap_or(0))?;
    }
    write(&tree)
}

/// The fault of more levels than [`DEPTH_MAX`].
pub fn too_deep(offset: usize) -> Fault {
    Fault::new(offset, format!("this is more than {DEPTH_MAX} levels deep: no API server takes that"))
}

/// Writes the tree. Its depth is the document's choice, so this does not recurse.
fn write(tree: &Tree<'_>) -> Result<Json, Fault> {
    let Some(root) = tree.root() else { return Ok(Json { text: "null".to_owned(), marks: vec![(0, 0)] }) };
    let mut text = Vec::new();
    let mut marks = vec![(0, root.at)];
    let mut open: Vec<(NodeId, usize)> = Vec::new();
    let mut next = Some(root);
    loop {
        if let Some(entry) = next.take() {
            match tree.node(entry.value) {
                Node::Scalar(scalar) => scalar.write(&mut text).map_err(|words| Fault::new(entry.at, words))?,
                _ => open.push((entry.value, 0)),
            }
        }
        let Some((id, count)) = open.last_mut() else { break };
        let (opening, closing, child) = match tree.node(*id) {
            Node::List(entries) => (b'[', b']', entries.get(*count).copied()),
            Node::Map(members) => (b'{', b'}', members.get(*count).map(tree::Member::entry)),
            Node::Scalar(_) => break,
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
        marks.push((text.len(), child.at));
        if let Node::Map(members) = tree.node(*id) {
            Scalar::Text(members[*count].name.as_ref().into())
                .write(&mut text)
                .map_err(|words| Fault::new(child.at, words))?;
            text.push(b':');
        }
        *count += 1;
        next = Some(child);
    }
    let text = String::from_utf8(text).map_err(|_| Fault::new(root.at, "this document cannot be written as JSON"))?;
    Ok(Json { text, marks })
}
