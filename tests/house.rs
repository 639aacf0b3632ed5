//! The invariants of the house, read from the source tree: who imports whom, how long things are, what is never said.
//!
//! The sources are formatted by rustfmt, so that lines and indentation can be relied on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use scan_admission::rules::RULES;

/// What each room may import, besides itself.
const IMPORTS: &[(&str, &[&str])] = &[
    ("scan", &[]),
    ("law", &["scan"]),
    ("admission", &["scan", "law"]),
    ("config", &["scan", "law", "admission"]),
    // Never each other: cli hands one the sender and the other the receiver of what they share.
    ("server", &["scan", "law", "admission", "config"]),
    ("cluster", &["scan", "law", "config"]),
    ("cli", &["scan", "law", "admission", "config", "server", "cluster"]),
];

/// The core cannot fail and cannot wait.
const CORE: &[&str] = &["scan", "law", "admission"];
/// Crates and modules that the core never names.
const NOT_IN_CORE: &[&str] = &[
    "axum",
    "clap",
    "hyper",
    "kube",
    "rustls",
    "tokio",
    "tower",
    "tracing",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::sync::Mutex",
    "std::thread",
    "std::time",
];
/// Names of clocks, wherever they come from.
const CLOCKS: &[&str] = &["now_utc", "now_local", "SystemTime", "Instant"];

/// The crates that the core stands on.
const CORE_CRATES: &[&str] = &[
    "base64",
    "deranged",
    "itoa",
    "memchr",
    "num-conv",
    "powerfmt",
    "proc-macro2",
    "quote",
    "scan-admission",
    "serde",
    "serde_core",
    "serde_derive",
    "serde_json",
    "syn",
    "time",
    "time-core",
    "unicode-ident",
    "zmij",
];

const RULE_MAX_LINES: usize = 140;
const FILE_MAX_LINES: usize = 400;
const FUNCTION_MAX_LINES: usize = 60;
const MAIN_MAX_LINES: usize = 15;

struct Source {
    /// From the root of the repository, with `/`.
    path: String,
    /// `["law", "rules", "cve_total"]`; empty for `lib.rs` and `main.rs`.
    module: Vec<String>,
    lines: usize,
    /// Without comments, the contents of strings, and unit tests.
    code: String,
}

impl Source {
    fn room(&self) -> Option<&str> {
        self.module.first().map(String::as_str)
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                into.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(&root().join("src"), &mut paths);
    paths.sort();
    assert!(paths.len() > 20);
    paths.into_iter().map(|path| source(&path)).collect()
}

fn source(path: &Path) -> Source {
    let text = fs::read_to_string(path).unwrap();
    let below = path.strip_prefix(root().join("src")).unwrap().with_extension("");
    let module: Vec<String> = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let is_root = module == ["lib"] || module == ["main"];
    let code = code(&text);
    let code = code.split("\n#[cfg(test)]\nmod tests").next().unwrap().to_owned();
    Source {
        path: format!("src/{}.rs", module.join("/")),
        module: if is_root { Vec::new() } else { module },
        lines: text.lines().count(),
        code,
    }
}

/// The text with blanks for comments and for what is in strings and characters; lines stay lines.
fn code(text: &str) -> String {
    let blank = |text: &str| text.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect::<String>();
    let mut code = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if !is_word && rest.starts_with("r#\"") {
            rest.find("\"#").unwrap() + 2
        } else if first == '"' {
            string(rest)
        } else if first == '\'' && (rest[1..].starts_with('\\') || rest.chars().nth(2) == Some('\'')) {
            // A character; all else that begins so is a lifetime.
            let end = 1 + rest[1..]
                .chars()
                .take(1 + usize::from(rest[1..].starts_with('\\')))
                .map(char::len_utf8)
                .sum::<usize>();
            end + rest[end..].find('\'').unwrap() + 1
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        code += &blank(&rest[..length]);
        rest = &rest[length..];
    }
    code
}

/// The length of a string with its quotes.
fn string(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !is_escaped => return at + 1,
            _ => is_escaped = c == '\\' && !is_escaped,
        }
    }
    panic!("a string without an end");
}

/// Every path that is named, groups taken apart: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(code: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut rest = code;
    while let Some(at) = rest.find(|c: char| c.is_alphabetic() || c == '_') {
        rest = &rest[at..];
        rest = &rest[path(rest, "", &mut all)..];
    }
    all
}

/// Takes the path at the start of `text` and returns where it ends.
fn path(text: &str, before: &str, all: &mut BTreeSet<String>) -> usize {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let word = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let named = format!("{before}{}", &text[..word]);
    let Some(more) = text[word..].strip_prefix("::") else {
        all.insert(named);
        return word;
    };
    let start = word + 2;
    let named = format!("{named}::");
    if more.starts_with(is_part) {
        return start + path(more, &named, all);
    }
    if !more.starts_with('{') {
        all.insert(named);
        return start;
    }
    let mut at = start + 1;
    loop {
        match text[at..].chars().next().unwrap() {
            '}' => return at + 1,
            c if is_part(c) => at += path(&text[at..], &named, all),
            c => at += c.len_utf8(),
        }
    }
}

/// The rooms that a source names, by `crate::`, by `super::` up to the root, or as the library's user.
fn imports(source: &Source, rooms: &BTreeSet<String>) -> BTreeSet<String> {
    let to_root = "super::".repeat(source.module.len());
    let name = |path: &String| {
        let below = ["crate::", "scan_admission::", to_root.as_str()]
            .into_iter()
            .find_map(|prefix| path.strip_prefix(prefix).filter(|_| !prefix.is_empty()))?;
        let room = below.split("::").next()?;
        rooms.contains(room).then(|| room.to_owned())
    };
    paths(&source.code).iter().filter_map(name).collect()
}

#[test]
fn rooms_import_what_the_table_says() {
    let sources = sources();
    let rooms: BTreeSet<String> = sources.iter().filter_map(|source| source.room().map(str::to_owned)).collect();
    let table: BTreeMap<&str, &[&str]> = IMPORTS.iter().copied().collect();
    for source in &sources {
        let Some(room) = source.room() else { continue };
        let may = table.get(room).unwrap_or_else(|| panic!("{}: the table does not know this room", source.path));
        for import in imports(source, &rooms) {
            assert!(import == room || may.contains(&import.as_str()), "{} may not import {import}", source.path);
        }
    }
}

/// The front page of the docs has the same table.
#[test]
fn the_docs_say_what_the_table_says() {
    let docs = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let mut rows = 0;
    for (room, may) in IMPORTS {
        let is_row = |line: &&str| line.replace(['[', ']'], "").starts_with(&format!("//! | `{room}` |"));
        let Some(row) = docs.lines().find(is_row) else {
            assert!(!root().join(format!("src/{room}.rs")).exists(), "src/lib.rs does not speak of {room}");
            continue;
        };
        rows += 1;
        let said = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let said: BTreeSet<&str> = match said {
            "all" => continue,
            "nothing of ours" => BTreeSet::new(),
            rooms => rooms.split(", ").collect(),
        };
        // Of rooms that are not built yet the docs do not speak.
        let built = may.iter().copied().filter(|room| root().join(format!("src/{room}.rs")).exists());
        assert_eq!(said, built.collect(), "{room}");
    }
    assert!(rows >= CORE.len());
}

#[test]
fn the_core_cannot_wait() {
    for source in sources().iter().filter(|source| source.room().is_some_and(|room| CORE.contains(&room))) {
        for path in paths(&source.code) {
            let is_below = |name: &&&str| path == **name || path.starts_with(&format!("{name}::"));
            assert_eq!(NOT_IN_CORE.iter().find(is_below), None, "{} names {path}", source.path);
            let clock = path.split("::").find(|part| CLOCKS.contains(part));
            assert_eq!(clock, None, "{} reads a clock: {path}", source.path);
            assert!(path != "async" && path != "await", "{} is {path}", source.path);
        }
    }
}

#[test]
fn the_core_stands_on_few_crates() {
    let tree = ["tree", "--locked", "--offline", "--no-default-features", "--edges", "normal", "--prefix", "none"];
    let tree = Command::new(env!("CARGO")).args(tree).current_dir(root()).output().unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let found: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(found, CORE_CRATES.iter().copied().collect());
}

#[test]
fn nothing_is_too_long() {
    let mut wrong = Vec::new();
    for source in sources() {
        let limit = match source.path.as_str() {
            "src/main.rs" => MAIN_MAX_LINES,
            path if path.starts_with("src/rules/") => RULE_MAX_LINES,
            _ => FILE_MAX_LINES,
        };
        if source.lines > limit {
            wrong.push(format!("{} has {} lines, {limit} are allowed", source.path, source.lines));
        }
        wrong.extend(long_functions(&source));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn long_functions(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.code.lines().collect();
    let is_function = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let before = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe", "extern"];
        words.iter().find(|word| !before.contains(word)).is_some_and(|word| *word == "fn")
    };
    let mut long = Vec::new();
    for (start, line) in lines.iter().enumerate().filter(|(_, line)| is_function(line)) {
        let indent = &line[..line.len() - line.trim_start().len()];
        // It ends on its own line, or where the next line at its indentation closes it.
        let is_end = |line: &str| {
            let at_indent = line.strip_prefix(indent).is_some_and(|rest| !rest.is_empty() && !rest.starts_with(' '));
            at_indent && line.trim_end().ends_with(['}', ';'])
        };
        let count = lines[start..].iter().position(|line| is_end(line)).unwrap() + 1;
        if count > FUNCTION_MAX_LINES {
            let name = line.trim().split('(').next().unwrap();
            long.push(format!(
                "{}:{} {name} has {count} lines, {FUNCTION_MAX_LINES} are allowed",
                source.path,
                start + 1
            ));
        }
    }
    long
}

#[test]
fn the_folder_is_the_table_of_rules() {
    let files: BTreeSet<String> = fs::read_dir(root().join("src/rules"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    let rules: BTreeSet<String> = RULES.iter().map(|rule| format!("{}.rs", rule.id.replace('-', "_"))).collect();
    assert_eq!(files, rules);
    assert_eq!(RULES.len(), rules.len(), "an id comes twice");
    for rule in RULES {
        let path = root().join(format!("src/rules/{}.rs", rule.id.replace('-', "_")));
        let head = format!("//! `{}`: ", rule.id);
        assert!(fs::read_to_string(&path).unwrap().starts_with(&head), "{} should begin with {head}", path.display());
    }
}

#[test]
fn nothing_panics_on_purpose() {
    for source in sources() {
        for word in [".unwrap()", ".expect(", "panic!", "todo!", "unimplemented!", "unreachable!", "unsafe ", "dbg!"] {
            let line = source.code.lines().position(|line| line.contains(word));
            assert_eq!(line, None, "{}: {word} outside of tests (line less one)", source.path);
        }
    }
}

/// The reading of sources reads what it should.
#[test]
fn the_reader_reads() {
    let read = code("a // b\n\"c\\\"d\" 'e' '\\'' '\"' &'f r#\"g\"h\"# i\n");
    assert_eq!(read.split_whitespace().collect::<Vec<_>>(), ["a", "&'f", "i"], "{read}");
    assert_eq!(read.lines().count(), 2);
    let found = paths("use crate::a::{self, b::{c, d}};\nfn e() { std::fs::read(x.await) }");
    for path in ["crate::a::self", "crate::a::b::c", "crate::a::b::d", "std::fs::read", "await"] {
        assert!(found.contains(path), "{path}: {found:?}");
    }
    let source = |module: &[&str], code: &str| Source {
        path: String::new(),
        module: module.iter().map(|part| (*part).to_owned()).collect(),
        lines: 0,
        code: code.to_owned(),
    };
    let rooms = BTreeSet::from(["law".to_owned(), "scan".to_owned()]);
    for (module, code, expected) in [
        (&["scan"][..], "super::law::x", &["law"][..]),
        (&["law", "rules", "x"], "super::super::super::scan::y super::super::law::z", &["scan"]),
        (&["cli"], "crate::{law, scan::Kind}", &["law", "scan"]),
    ] {
        let expected: BTreeSet<String> = expected.iter().map(|room| (*room).to_owned()).collect();
        assert_eq!(imports(&source(module, code), &rooms), expected, "{code}");
    }
    let long = format!("fn short() {{\n}}\npub fn long(\n) {{\n{}}}\n", "    x;\n".repeat(58));
    assert_eq!(long_functions(&source(&["law"], &long)).len(), 1);
}
