//! A YAML document as a tree. Aliases and merge keys are resolved, within limits.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

use granit_parser::{Event, ScalarStyle, StructureStyle, Tag};

use super::scalar::{self, Scalar, TAGS};
use super::span::{self, ByteSpan};
use super::{DEPTH_MAX, YamlError, too_deep};
use crate::admission::BODY_MAX_BYTES;

/// The number of bytes that aliases may add to a document: the limit of a review. Objects have at most 3 MiB, so no
/// manifest needs more. Without a limit, nine lines of aliases to aliases could exhaust the memory.
const ALIASED_MAX_BYTES: usize = BODY_MAX_BYTES;

pub type NodeId = usize;

/// A value of a document.
#[derive(Debug)]
pub enum Node<'a> {
    Scalar {
        value: Scalar<'a>,
        /// The text in the YAML, unless the value is a string.
        written: Option<Cow<'a, str>>,
    },
    List(Vec<TreeEntry>),
    Map(Vec<TreeMember<'a>>),
}

/// An entry of a list.
#[derive(Debug, Clone, Copy)]
pub struct TreeEntry {
    /// The offset in the document: of the key if it is a member of a mapping, otherwise of the value.
    pub at: usize,
    pub value: NodeId,
    /// The bytes of the value. For an alias, they are those of the alias.
    pub span: ByteSpan,
}

/// A member of a mapping.
#[derive(Debug, Clone)]
pub struct TreeMember<'a> {
    pub key: Cow<'a, str>,
    /// The offset of the key in the document.
    pub at: usize,
    pub value: NodeId,
    pub span: ByteSpan,
    /// Whether the member was merged from another mapping with `<<`.
    is_merged: bool,
}

impl TreeMember<'_> {
    pub fn entry(&self) -> TreeEntry {
        TreeEntry { at: self.at, value: self.value, span: self.span }
    }
}

/// The size of a node with its aliases expanded.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    levels: usize,
    bytes: usize,
}

/// A list or mapping that is being read.
struct OpenCollection<'a> {
    node: Node<'a>,
    is_block: bool,
    anchor: usize,
    /// The offset of the first key, the first dash or the bracket.
    start: usize,
    key: Option<TreeKey<'a>>,
    extent: Extent,
}

enum TreeKey<'a> {
    /// The key and its offset in the document.
    Text(Cow<'a, str>, usize),
    /// `<<`: the members of the value become members of this mapping.
    Merge,
}

/// A document that is being read. An alias shares the node of its anchor, so the tree has no more nodes than the YAML.
pub struct Tree<'a> {
    yaml: &'a str,
    /// The end of the last scalar, alias or bracket.
    last_end: usize,
    nodes: Vec<(Node<'a>, Extent)>,
    /// The nodes of anchors, and their bytes, by the parser's id. `None` while the node is still open.
    anchors: Vec<Option<(NodeId, ByteSpan)>>,
    open: Vec<OpenCollection<'a>>,
    root: Option<TreeEntry>,
    aliased_bytes: usize,
    /// The repeated keys of mappings: the offset of the last occurrence, whose value is used, and of the first
    /// occurrence.
    repeated_keys: HashMap<usize, usize>,
    /// The aliases, the values of their anchors, and the values of merge keys.
    shared: Vec<ByteSpan>,
    tags: Vec<TaggedValue>,
}

/// A value with a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaggedValue {
    /// The offset of the value in the document.
    pub value: u32,
    pub tag: ByteSpan,
}

impl<'a> Tree<'a> {
    pub fn new(yaml: &'a str) -> Self {
        let (nodes, anchors, open, repeated_keys, shared, tags) = Default::default();
        Tree { yaml, last_end: 0, nodes, anchors, open, root: None, aliased_bytes: 0, repeated_keys, shared, tags }
    }

    /// Adds the tag of the parser's next event.
    pub fn tag(&mut self, value: usize, tag: Range<usize>) {
        self.tags.push(TaggedValue { value: span::offset(value), tag: tag.into() });
    }

    /// Adds the parser's next event, which is at `range` in the document.
    pub fn event(&mut self, event: Event<'a>, range: Range<usize>) -> Result<(), YamlError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => self.scalar(text, style, anchor, tag.as_deref(), range),
            Event::SequenceStart(style, anchor, _) => self.start(Node::List(Vec::new()), style, anchor, range),
            Event::MappingStart(style, anchor, _) => self.start(Node::Map(Vec::new()), style, anchor, range),
            Event::SequenceEnd | Event::MappingEnd => self.end(range.end),
            Event::Alias(anchor) => self.alias(anchor, range),
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(YamlError::new(range.start, "a second document begins here: put a line `---` before it"))
            }
            Event::DocumentStart(true, _) => {
                self.last_end = range.end;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        text: Cow<'a, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        mut range: Range<usize>,
    ) -> Result<(), YamlError> {
        if let ScalarStyle::Literal | ScalarStyle::Folded = style {
            range = span::of_block_scalar(self.yaml, self.last_end, range);
        } else if range.is_empty() && anchor == 0 && tag.is_none() && self.is_after_key() {
            range = span::of_empty_value(self.yaml, self.last_end);
        } else if range.is_empty() {
            range = span::of_empty_scalar(self.yaml, range.start);
        }
        self.check_key(&range)?;
        self.last_end = range.end;
        let is_plain = style == ScalarStyle::Plain;
        let is_merge_tag = tag.is_some_and(|tag| tag.suffix_in_namespace(TAGS).as_deref() == Some("merge"));
        if let Some(OpenCollection { node: Node::Map(_), key: key @ None, .. }) = self.open.last_mut()
            && text == "<<"
            && (is_merge_tag || is_plain && tag.is_none())
        {
            *key = Some(TreeKey::Merge);
            return Ok(());
        }
        let value = scalar::resolve(text.clone(), is_plain, tag)
            .map_err(|error| YamlError::new(range.start, error.to_string()))?;
        let extent = Extent { levels: 0, bytes: value.size() };
        let written = (!matches!(value, Scalar::Text(_))).then_some(text);
        let id = self.add(Node::Scalar { value, written }, extent, anchor, &range);
        self.attach(id, range, false)
    }

    fn start(
        &mut self,
        node: Node<'a>,
        style: StructureStyle,
        anchor: usize,
        range: Range<usize>,
    ) -> Result<(), YamlError> {
        let mut start = range.start;
        self.check_levels(1, start)?;
        let is_block = style == StructureStyle::Block;
        if let Some(OpenCollection { node: Node::Map(_), start: map, is_block: true, .. }) = self.open.last()
            && let (Node::List(_), true) = (&node, is_block)
        {
            start = span::start_of_block_sequence(self.yaml, *map, start);
            if let Some(tagged) = self.tags.last_mut().filter(|tagged| tagged.value == span::offset(range.start)) {
                tagged.value = span::offset(start);
            }
        }
        self.last_end = if is_block { self.last_end } else { range.end };
        self.open.push(OpenCollection { node, is_block, anchor, start, key: None, extent: Extent::default() });
        Ok(())
    }

    /// Ends the innermost list or mapping. `end` is the end of its bracket, if it has one.
    fn end(&mut self, end: usize) -> Result<(), YamlError> {
        let Some(OpenCollection { mut node, is_block, anchor, start, extent, .. }) = self.open.pop() else {
            return Ok(());
        };
        if let Node::Map(members) = &mut node {
            last_wins(members, &mut self.repeated_keys);
        }
        if !is_block {
            self.last_end = end;
        }
        let extent = Extent { levels: extent.levels + 1, bytes: extent.bytes + "{}".len() };
        let range = start..self.last_end;
        let id = self.add(node, extent, anchor, &range);
        self.attach(id, range, false)
    }

    fn alias(&mut self, anchor: usize, range: Range<usize>) -> Result<(), YamlError> {
        let at = range.start;
        let Some((id, anchored)) = self.anchors.get(anchor).copied().flatten() else {
            return Err(YamlError::new(at, "this alias refers to a value that contains it: write the value out"));
        };
        let extent = self.nodes[id].1;
        self.check_levels(extent.levels, at)?;
        self.check_bytes(extent.bytes, at)?;
        self.check_key(&range)?;
        self.last_end = range.end;
        self.shared.extend([anchored, range.clone().into()]);
        self.attach(id, range, true)
    }

    pub fn node(&self, id: NodeId) -> &Node<'a> {
        &self.nodes[id].0
    }

    /// The offset of the first occurrence of the key at `at`, if the key is repeated.
    pub fn first_occurrence(&self, at: usize) -> Option<usize> {
        self.repeated_keys.get(&at).copied()
    }

    /// The tags of values, in the order of the values.
    pub fn tags(&self) -> &[TaggedValue] {
        &self.tags
    }

    /// Returns the bytes of the aliases, of the values of their anchors, and of the values of merge keys, in order and
    /// without those within others.
    pub fn shared(&self) -> Vec<ByteSpan> {
        let mut shared = self.shared.clone();
        shared.sort_unstable_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
        shared.dedup_by(|next, before| next.end <= before.end);
        shared
    }

    /// The whole document, unless it is empty.
    pub fn root(&self) -> Option<TreeEntry> {
        self.root
    }

    fn add(&mut self, node: Node<'a>, extent: Extent, anchor: usize, range: &Range<usize>) -> NodeId {
        let id = self.nodes.len();
        self.nodes.push((node, extent));
        // The parser counts anchors from 1; 0 means none.
        if anchor > 0 {
            let count = self.anchors.len().max(anchor + 1);
            self.anchors.resize(count, None);
            self.anchors[anchor] = Some((id, range.clone().into()));
        }
        id
    }

    /// Attaches a node to the innermost list or mapping that is being read.
    fn attach(&mut self, id: NodeId, range: Range<usize>, is_alias: bool) -> Result<(), YamlError> {
        let (at, span) = (range.start, ByteSpan::from(range));
        let Some(open) = self.open.last_mut() else {
            self.root = Some(TreeEntry { at, value: id, span });
            return Ok(());
        };
        let (node, extent) = &self.nodes[id];
        open.extent.levels = open.extent.levels.max(extent.levels);
        open.extent.bytes += extent.bytes + ",".len();
        match &mut open.node {
            Node::List(entries) => entries.push(TreeEntry { at, value: id, span }),
            Node::Map(members) => match open.key.take() {
                None => open.key = Some(TreeKey::Text(key(node, at)?, at)),
                Some(TreeKey::Text(key, at)) => {
                    members.push(TreeMember { key, at, value: id, span, is_merged: false });
                }
                Some(TreeKey::Merge) => {
                    self.shared.push(span);
                    return self.merge(id, at, is_alias);
                }
            },
            Node::Scalar { .. } => {}
        }
        Ok(())
    }

    /// Merges the members of a mapping, or of each mapping of a list, into the open mapping. Earlier mappings of a list
    /// take precedence.
    fn merge(&mut self, id: NodeId, at: usize, is_alias: bool) -> Result<(), YamlError> {
        let from: Vec<NodeId> = match &self.nodes[id].0 {
            Node::List(entries) if !is_alias => entries.iter().rev().map(|entry| entry.value).collect(),
            _ => vec![id],
        };
        for id in from {
            let (Node::Map(members), extent) = &self.nodes[id] else {
                return Err(YamlError::new(
                    at,
                    "`<<` must be a mapping or a list of mappings: quote `<<` if it is a plain key",
                ));
            };
            let (members, bytes) = (members.clone(), extent.bytes);
            self.check_bytes(bytes, at)?;
            if let Some(OpenCollection { node: Node::Map(into), .. }) = self.open.last_mut() {
                into.extend(members.into_iter().map(|member| TreeMember { is_merged: true, ..member }));
            }
        }
        Ok(())
    }

    /// Whether the parser's next event is the value of a key.
    fn is_after_key(&self) -> bool {
        matches!(self.open.last(), Some(OpenCollection { node: Node::Map(_), key: Some(_), .. }))
    }

    /// Expects that a key, if the scalar or alias at `range` is one, is on one line with its colon. kubectl's parser has an
    /// error otherwise, unlike ours.
    fn check_key(&self, range: &Range<usize>) -> Result<(), YamlError> {
        let Some(OpenCollection { node: Node::Map(_), key: None, start, .. }) = self.open.last() else { return Ok(()) };
        // Properties of the mapping itself are before its start.
        if span::is_implicit_key_on_lines(self.yaml, self.last_end.max(*start), range) {
            return Err(YamlError::new(range.start, "a key must be on one line with its colon: join the lines"));
        }
        Ok(())
    }

    fn check_levels(&self, levels: usize, at: usize) -> Result<(), YamlError> {
        if self.open.len() + levels > DEPTH_MAX { Err(too_deep(at)) } else { Ok(()) }
    }

    fn check_bytes(&mut self, bytes: usize, at: usize) -> Result<(), YamlError> {
        self.aliased_bytes += bytes;
        if self.aliased_bytes > ALIASED_MAX_BYTES {
            return Err(YamlError::new(at, "aliases must not add more than 8 MiB to a document: write the values out"));
        }
        Ok(())
    }
}

fn key<'a>(node: &Node<'a>, at: usize) -> Result<Cow<'a, str>, YamlError> {
    match node {
        Node::Scalar { value, .. } => value.clone().key().map_err(|error| YamlError::new(at, error.to_string())),
        _ => Err(YamlError::new(at, "a key must not be a list or a mapping")),
    }
}

/// Keeps the last member of each key. Records repeated keys, unless one of the two members was merged, since merged
/// members are meant to be overridden.
fn last_wins(members: &mut Vec<TreeMember<'_>>, repeated_keys: &mut HashMap<usize, usize>) {
    let mut last: HashMap<&str, &TreeMember<'_>> = HashMap::with_capacity(members.len());
    let mut is_last = Vec::with_capacity(members.len());
    for member in members.iter().rev() {
        match last.entry(&member.key) {
            Entry::Vacant(free) => {
                free.insert(member);
                is_last.push(true);
            }
            Entry::Occupied(last) => {
                if !member.is_merged && !last.get().is_merged {
                    repeated_keys.insert(last.get().at, member.at);
                }
                is_last.push(false);
            }
        }
    }
    if last.len() < members.len() {
        let mut is_last = is_last.into_iter().rev();
        members.retain(|_| is_last.next().unwrap_or(true));
    }
}
