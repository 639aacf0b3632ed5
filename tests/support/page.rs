//! A page of Markdown: its headings, links and code, and its blocks of commands with their output.
//!
//! Commands are in fenced blocks of the kind `console`. A line that begins with `$ ` is a command; a `\` at its end or
//! a here-document continues the command. The lines after a command are its output. In the output, `…` matches any
//! text, and on a line of its own any lines. A command without output lines may print anything. The kinds are:
//!
//!     console                    runs in a copy of the repository
//!     console cluster            runs on a cluster with scans and the webhook of manifests/base
//!     console new cluster        runs on a cluster with scans and without the webhook; applies to the whole page
//!     console runs               keeps the last command running until the end of the page
//!     console elsewhere: why     cannot be run by a test, for the reason given

use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

pub struct Page {
    /// The path from the root of the repository, with `/`.
    pub path: String,
    /// The anchors of the headings, as GitHub names them.
    pub anchors: Vec<String>,
    /// The links, each with its line.
    pub links: Vec<(usize, String)>,
    pub blocks: Vec<Block>,
    /// The inline code, each with its line.
    pub inline: Vec<(usize, String)>,
}

pub struct Block {
    pub line: usize,
    /// The text after the opening backticks; empty for an indented block.
    pub kind: String,
    pub text: String,
}

/// Where a block of commands can be run.
#[derive(Debug, PartialEq, Eq)]
pub enum Environment<'a> {
    Here,
    Cluster,
    NewCluster,
    Elsewhere(&'a str),
}

/// A command of a page with its output.
#[derive(Debug, PartialEq, Eq)]
pub struct ShownCommand {
    pub command: String,
    pub output: Vec<String>,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns every page of the repository, except the templates of generated pages in src.
pub fn pages() -> Vec<Page> {
    fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && !name.starts_with('.') && !["target", "src"].contains(&name) {
                collect(&path, into);
            } else if name.ends_with(".md") {
                into.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    collect(root(), &mut paths);
    paths.sort();
    assert!(paths.len() > 30, "{paths:?}");
    paths.iter().map(|path| Page::read(path.strip_prefix(root()).unwrap().to_str().unwrap())).collect()
}

impl Page {
    pub fn read(path: &str) -> Self {
        let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self::parse(path, &text)
    }

    pub fn parse(path: &str, text: &str) -> Self {
        let path = path.to_owned();
        let mut page = Self { path, anchors: vec![], links: vec![], blocks: vec![], inline: vec![] };
        let mut heading = None;
        let mut block: Option<Block> = None;
        for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
            let line = text[..range.start].matches('\n').count() + 1;
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => page.add_anchor(&heading.take().unwrap_or_default()),
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push((line, dest_url.into_string()));
                }
                Event::Start(Tag::CodeBlock(kind)) => {
                    let kind = if let CodeBlockKind::Fenced(kind) = kind { kind.into_string() } else { String::new() };
                    block = Some(Block { line, kind, text: String::new() });
                }
                Event::End(TagEnd::CodeBlock) => page.blocks.extend(block.take()),
                Event::Text(part) => {
                    if let Some(text) = heading.as_mut().or(block.as_mut().map(|block| &mut block.text)) {
                        text.push_str(&part);
                    }
                }
                Event::Code(code) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&code);
                    }
                    page.inline.push((line, code.into_string()));
                }
                _ => {}
            }
        }
        page
    }

    /// Adds the anchor of a heading by GitHub's rule: letters, digits, hyphens and underscores are kept, in lower case;
    /// a repeated anchor is numbered.
    fn add_anchor(&mut self, heading: &str) {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        let name = kept.collect::<String>().to_lowercase().replace(' ', "-");
        let mut anchor = name.clone();
        for number in 1.. {
            if !self.anchors.contains(&anchor) {
                break;
            }
            anchor = format!("{name}-{number}");
        }
        self.anchors.push(anchor);
    }

    /// Returns the blocks of commands.
    pub fn consoles(&self) -> impl Iterator<Item = &Block> {
        self.blocks.iter().filter(|block| block.is_console())
    }
}

impl Block {
    pub fn is_console(&self) -> bool {
        self.kind.split(' ').next() == Some("console")
    }

    pub fn environment(&self) -> Environment<'_> {
        match self.kind.strip_prefix("console").unwrap_or_default().trim() {
            "" | "runs" => Environment::Here,
            "cluster" => Environment::Cluster,
            "new cluster" => Environment::NewCluster,
            rest => match rest.strip_prefix("elsewhere: ") {
                Some(why) => Environment::Elsewhere(why),
                None => {
                    panic!(
                        "line {}: \"{}\" is not a kind of console block: see tests/support/page.rs",
                        self.line, self.kind
                    )
                }
            },
        }
    }

    /// Whether the last command keeps running.
    pub fn runs(&self) -> bool {
        self.kind == "console runs"
    }

    pub fn commands(&self) -> Vec<ShownCommand> {
        let mut all: Vec<ShownCommand> = Vec::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            if let Some(first) = line.strip_prefix("$ ") {
                let mut command = first.to_owned();
                let end = here_document(first);
                let mut last = first;
                while last.ends_with('\\') || end.is_some_and(|end| last != end) {
                    last = lines.next().unwrap_or_else(|| panic!("line {}: no end of {command}", self.line));
                    command += &format!("\n{last}");
                }
                all.push(ShownCommand { command, output: Vec::new() });
            } else if let Some(shown) = all.last_mut() {
                shown.output.push(line.to_owned());
            } else {
                panic!("line {}: a console block must begin with a command: \"$ …\"", self.line);
            }
        }
        all
    }
}

/// Returns the line that ends the here-document of a command, if it has one.
fn here_document(command: &str) -> Option<&str> {
    let (_, rest) = command.split_once("<<")?;
    Some(rest.trim_start_matches(['-', '\'', '"']).split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default())
}

/// Whether the output `found` matches the output of the page, ignoring blanks at the end of a line and empty lines at
/// the end.
pub fn fits(shown: &[&str], found: &[&str]) -> bool {
    match (shown.split_first(), found.split_first()) {
        (None, None) => true,
        (Some((&"…", rest)), _) => (0..=found.len()).any(|skipped| fits(rest, &found[skipped..])),
        (Some((line, shown)), Some((first, found))) => line_fits(line, first.trim_end()) && fits(shown, found),
        (Some(_), None) => shown.iter().all(|line| line.is_empty()),
        (None, Some(_)) => found.iter().all(|line| line.trim().is_empty()),
    }
}

/// Whether a line of output matches the line of the page.
pub fn line_fits(shown: &str, found: &str) -> bool {
    let Some((start, rest)) = shown.split_once('…') else { return shown == found };
    let Some(found) = found.strip_prefix(start) else { return false };
    let places = found.char_indices().map(|(at, _)| at).chain([found.len()]);
    places.into_iter().any(|at| line_fits(rest, &found[at..]))
}
