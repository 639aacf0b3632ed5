//! A YAML document as a tree in which aliases and merge keys are resolved, within bounds.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use granit_parser::{Event, ScalarStyle, Tag};

use super::scalar::{self, Scalar, TAGS};
use super::{DEPTH_MAX, YamlError, too_deep};
use crate::admission::BODY_MAX_BYTES;

/// Bytes that the aliases of one document may add to it. An object may have 3 MiB and a whole review 8 MiB: no manifest
/// needs more, and nine lines of aliases to aliases would otherwise fill any memory.
const ALIASED_MAX_BYTES: usize = BODY_MAX_BYTES;

pub type NodeId = usize;

/// A value of a document.
#[derive(Debug)]
pub enum Node<'a> {
    Scalar {
        value: Scalar<'a>,
        /// Its text in the YAML, where it is not a string.
        written: Option<Cow<'a, str>>,
    },
    List(Vec<TreeEntry>),
    Map(Vec<TreeMember<'a>>),
}

/// An entry of a list, and where it begins.
#[derive(Debug, Clone, Copy)]
pub struct TreeEntry {
    pub at: usize,
    pub value: NodeId,
}

#[derive(Debug, Clone)]
pub struct TreeMember<'a> {
    pub name: Cow<'a, str>,
    /// Where the name begins.
    pub at: usize,
    pub value: NodeId,
    /// Whether `<<` took it over from another mapping.
    is_merged: bool,
}

impl TreeMember<'_> {
    pub fn entry(&self) -> TreeEntry {
        TreeEntry { at: self.at, value: self.value }
    }
}

/// How much a node is with its aliases written out.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    levels: usize,
    bytes: usize,
}

/// A list or mapping that is being read.
struct Open<'a> {
    node: Node<'a>,
    anchor: usize,
    at: usize,
    key: Option<TreeKey<'a>>,
    extent: Extent,
}

enum TreeKey<'a> {
    Name(Cow<'a, str>, usize),
    /// `<<`: the members of the value become members of this mapping.
    Merge,
}

/// A document being read. Aliases share the node they name, so it has no more nodes than the YAML has.
#[derive(Default)]
pub struct Tree<'a> {
    nodes: Vec<(Node<'a>, Extent)>,
    /// By the parser's id; none while the anchored node is still open.
    anchors: Vec<Option<NodeId>>,
    open: Vec<Open<'a>>,
    root: Option<TreeEntry>,
    aliased_bytes: usize,
    /// Names that a mapping has twice: the offset of the last one, which counts, and that of the first one.
    doubled: HashMap<usize, usize>,
}

impl<'a> Tree<'a> {
    /// Takes the parser's next event, and the byte of the document where it begins.
    pub fn event(&mut self, event: Event<'a>, at: usize) -> Result<(), YamlError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => self.scalar(text, style, anchor, tag.as_deref(), at),
            Event::SequenceStart(_, anchor, _) => self.start(Node::List(Vec::new()), anchor, at),
            Event::MappingStart(_, anchor, _) => self.start(Node::Map(Vec::new()), anchor, at),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(anchor, at),
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(YamlError::new(at, "this is a second document: put a line `---` before it"))
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
        at: usize,
    ) -> Result<(), YamlError> {
        let is_plain = style == ScalarStyle::Plain;
        let is_merge_tag = tag.is_some_and(|tag| tag.suffix_in_namespace(TAGS).as_deref() == Some("merge"));
        if let Some(Open { node: Node::Map(_), key: key @ None, .. }) = self.open.last_mut()
            && text == "<<"
            && (is_merge_tag || is_plain && tag.is_none())
        {
            *key = Some(TreeKey::Merge);
            return Ok(());
        }
        let value =
            scalar::resolve(text.clone(), is_plain, tag).map_err(|error| YamlError::new(at, error.to_string()))?;
        let extent = Extent { levels: 0, bytes: value.size() };
        let written = (!matches!(value, Scalar::Text(_))).then_some(text);
        let id = self.add(Node::Scalar { value, written }, extent, anchor);
        self.put(id, at, false)
    }

    fn start(&mut self, node: Node<'a>, anchor: usize, at: usize) -> Result<(), YamlError> {
        self.check_levels(1, at)?;
        self.open.push(Open { node, anchor, at, key: None, extent: Extent::default() });
        Ok(())
    }

    fn end(&mut self) -> Result<(), YamlError> {
        let Some(Open { mut node, anchor, at, extent, .. }) = self.open.pop() else { return Ok(()) };
        if let Node::Map(members) = &mut node {
            last_wins(members, &mut self.doubled);
        }
        let extent = Extent { levels: extent.levels + 1, bytes: extent.bytes + "{}".len() };
        let id = self.add(node, extent, anchor);
        self.put(id, at, false)
    }

    fn alias(&mut self, anchor: usize, at: usize) -> Result<(), YamlError> {
        let Some(id) = self.anchors.get(anchor).copied().flatten() else {
            return Err(YamlError::new(at, "this alias stands within what it names: write the value out"));
        };
        let extent = self.nodes[id].1;
        self.check_levels(extent.levels, at)?;
        self.check_bytes(extent.bytes, at)?;
        self.put(id, at, true)
    }

    pub fn node(&self, id: NodeId) -> &Node<'a> {
        &self.nodes[id].0
    }

    /// The offset of the first name like the one at `at`, if it is there twice.
    pub fn first(&self, at: usize) -> Option<usize> {
        self.doubled.get(&at).copied()
    }

    /// The whole document, where there is one.
    pub fn root(&self) -> Option<TreeEntry> {
        self.root
    }

    fn add(&mut self, node: Node<'a>, extent: Extent, anchor: usize) -> NodeId {
        let id = self.nodes.len();
        self.nodes.push((node, extent));
        // The parser counts anchors from 1; 0 is none.
        if anchor > 0 {
            let count = self.anchors.len().max(anchor + 1);
            self.anchors.resize(count, None);
            self.anchors[anchor] = Some(id);
        }
        id
    }

    /// Puts a node where the document is.
    fn put(&mut self, id: NodeId, at: usize, is_alias: bool) -> Result<(), YamlError> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(TreeEntry { at, value: id });
            return Ok(());
        };
        let (node, extent) = &self.nodes[id];
        open.extent.levels = open.extent.levels.max(extent.levels);
        open.extent.bytes += extent.bytes + ",".len();
        match &mut open.node {
            Node::List(entries) => entries.push(TreeEntry { at, value: id }),
            Node::Map(members) => match open.key.take() {
                None => open.key = Some(TreeKey::Name(name(node, at)?, at)),
                Some(TreeKey::Name(name, at)) => members.push(TreeMember { name, at, value: id, is_merged: false }),
                Some(TreeKey::Merge) => return self.merge(id, at, is_alias),
            },
            Node::Scalar { .. } => {}
        }
        Ok(())
    }

    /// Takes over the members of a mapping, or of each in a list, where the first counts.
    fn merge(&mut self, id: NodeId, at: usize, is_alias: bool) -> Result<(), YamlError> {
        let from: Vec<NodeId> = match &self.nodes[id].0 {
            Node::List(entries) if !is_alias => entries.iter().rev().map(|entry| entry.value).collect(),
            _ => vec![id],
        };
        for id in from {
            let (Node::Map(members), extent) = &self.nodes[id] else {
                return Err(YamlError::new(at, "`<<` takes a mapping or a list of mappings: quote it if it is a name"));
            };
            let (members, bytes) = (members.clone(), extent.bytes);
            self.check_bytes(bytes, at)?;
            if let Some(Open { node: Node::Map(into), .. }) = self.open.last_mut() {
                into.extend(members.into_iter().map(|member| TreeMember { is_merged: true, ..member }));
            }
        }
        Ok(())
    }

    fn check_levels(&self, levels: usize, at: usize) -> Result<(), YamlError> {
        if self.open.len() + levels > DEPTH_MAX { Err(too_deep(at)) } else { Ok(()) }
    }

    fn check_bytes(&mut self, bytes: usize, at: usize) -> Result<(), YamlError> {
        self.aliased_bytes += bytes;
        if self.aliased_bytes > ALIASED_MAX_BYTES {
            return Err(YamlError::new(at, "aliases make this document more than 8 MiB bigger: write it without them"));
        }
        Ok(())
    }
}

fn name<'a>(node: &Node<'a>, at: usize) -> Result<Cow<'a, str>, YamlError> {
    match node {
        Node::Scalar { value, .. } => value.clone().name().map_err(|error| YamlError::new(at, error.to_string())),
        _ => Err(YamlError::new(at, "this key is a list or a mapping: only a name can be one")),
    }
}

/// Keeps the last of the members of each name. Names that are there twice are noted, except where one of the two was merged: to
/// override merged members is what merge keys are for.
fn last_wins(members: &mut Vec<TreeMember<'_>>, doubled: &mut HashMap<usize, usize>) {
    let mut last: HashMap<&str, &TreeMember<'_>> = HashMap::with_capacity(members.len());
    let mut is_last = Vec::with_capacity(members.len());
    for member in members.iter().rev() {
        match last.entry(&member.name) {
            Entry::Vacant(free) => {
                free.insert(member);
                is_last.push(true);
            }
            Entry::Occupied(last) => {
                if !member.is_merged && !last.get().is_merged {
                    doubled.insert(last.get().at, member.at);
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
