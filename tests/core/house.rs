//! Tests of the source tree: imports of rooms, import cycles, lengths of files and functions, and forbidden words.
//!
//! The sources are formatted by rustfmt, so the tests rely on lines and indentation.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use scan_admission::rules::RULES;

/// The rooms. Each imports only the rooms below it.
const ROOMS: &[&str] = &[
    "cli",
    "docs",
    "doctor",
    "install",
    "cluster",
    "server",
    "policies",
    "offline",
    "report",
    "config",
    "manifest",
    "tls",
    "admission",
    "rules",
    "engine",
    "scan",
];

/// The rooms of the core: pure functions without async, clock, environment, files and network.
const CORE: &[&str] = &["scan", "engine", "rules", "admission"];
/// Crates and modules that the core does not use.
const NOT_IN_CORE: &[&str] = &[
    "axum",
    "clap",
    "hyper",
    "kube",
    "rustls",
    "thiserror",
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
/// Names of clocks, in any module.
const CLOCKS: &[&str] = &["now_utc", "now_local", "SystemTime", "Instant"];

/// The crates that the core depends on.
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
    /// The path from the root of the repository, with `/`.
    path: String,
    /// `["rules", "cve_total"]`; empty for `lib.rs` and `main.rs`.
    module: Vec<String>,
    lines: usize,
    /// The code without comments, contents of strings, and unit tests.
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

fn rust_files(folder: &str) -> Vec<PathBuf> {
    fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                into.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    collect(&root().join(folder), &mut paths);
    paths.sort();
    paths
}

fn sources() -> Vec<Source> {
    let paths = rust_files("src");
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

/// Returns the text with comments, strings and characters replaced by blanks. Line breaks are kept.
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
            // A character literal. Any other `'` begins a lifetime.
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

/// Returns the length of a string with its quotes.
fn string(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !is_escaped => return at + 1,
            _ => is_escaped = c == '\\' && !is_escaped,
        }
    }
    panic!("a string is not closed");
}

/// Returns every path in the code. Groups are split: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(code: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut rest = code;
    while let Some(at) = rest.find(|c: char| c.is_alphabetic() || c == '_') {
        rest = &rest[at..];
        rest = &rest[path(rest, "", &mut all)..];
    }
    all
}

/// Adds the path at the start of `text` to `all` and returns where the path ends.
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

/// Returns the rooms that a source names: by `crate::`, by `super::` up to the root, or by `scan_admission::`.
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

fn rank(room: &str) -> usize {
    ROOMS.iter().position(|known| *known == room).unwrap_or_else(|| panic!("{room} is not in ROOMS"))
}

#[test]
fn rooms_import_only_rooms_below_them() {
    let sources = sources();
    let rooms: BTreeSet<String> = sources.iter().filter_map(|source| source.room().map(str::to_owned)).collect();
    for source in &sources {
        let Some(room) = source.room() else { continue };
        for import in imports(source, &rooms) {
            assert!(rank(room) <= rank(&import), "{} may not import {import}", source.path);
        }
    }
    assert_eq!(rooms, ROOMS.iter().map(|room| (*room).to_owned()).collect(), "src/ and ROOMS differ");
}

/// The front page of `cargo doc` and docs/architecture.md list the same rooms in the same order.
#[test]
fn the_crate_docs_and_the_architecture_page_list_the_rooms() {
    let page = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("//! | [`").or(line.strip_prefix("//! | `")));
    let rooms: Vec<&str> = rows.filter_map(|row| row.split('`').next()).filter(|room| ROOMS.contains(room)).collect();
    assert_eq!(rooms, ROOMS);
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| [")?.split_once("](../src/"));
    let rooms: Vec<&str> = rows.map(|(room, _)| room).collect();
    assert_eq!(rooms, ROOMS);
}

/// The modules of the library and their re-exports, to resolve paths.
struct Modules {
    /// For each module the names that it re-exports by `pub use`, with their paths.
    names: BTreeMap<Vec<String>, BTreeMap<String, Vec<String>>>,
}

impl Modules {
    fn of(sources: &[Source]) -> Self {
        let mut names: BTreeMap<_, BTreeMap<_, _>> =
            sources.iter().map(|source| (source.module.clone(), BTreeMap::new())).collect();
        for source in sources {
            for statement in source.code.split("pub use ").skip(1) {
                let statement = statement.split(';').next().unwrap();
                for path in paths(statement) {
                    let parts: Vec<String> = path.split("::").map(str::to_owned).collect();
                    let name = parts.last().unwrap().clone();
                    names.get_mut(&source.module).unwrap().insert(name, parts);
                }
            }
        }
        Self { names }
    }

    /// Returns the module that defines the last known part of `path`, as seen from the module `from`.
    fn resolve(&self, from: &[String], path: &[String]) -> Option<Vec<String>> {
        let mut at = from.to_vec();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => {
                at.clear();
                rest = &path[1..];
            }
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|part| part == "super") {
                    at.pop()?;
                    rest = &rest[1..];
                }
            }
            first => {
                let child = [from, &[first.to_owned()]].concat();
                if !self.names.contains_key(&child) {
                    return None;
                }
            }
        }
        while let Some(part) = rest.first() {
            let child = [at.as_slice(), std::slice::from_ref(part)].concat();
            if self.names.contains_key(&child) {
                at = child;
                rest = &rest[1..];
            } else if let Some(reexported) = self.names.get(&at).and_then(|names| names.get(part)) {
                return self.resolve(&at, reexported);
            } else {
                break;
            }
        }
        Some(at)
    }

    /// Returns the other modules that a source names. A module and the modules below it count as one.
    fn imports(&self, source: &Source) -> BTreeSet<Vec<String>> {
        let parts = |path: &String| path.split("::").map(str::to_owned).collect::<Vec<_>>();
        let named = paths(&source.code);
        let resolved = named.iter().filter_map(|path| self.resolve(&source.module, &parts(path)));
        let is_family = |other: &[String]| other.starts_with(&source.module) || source.module.starts_with(other);
        resolved.filter(|other| !is_family(other)).collect()
    }
}

/// Returns a cycle in a graph of modules, if the graph has any.
fn cycle(graph: &BTreeMap<Vec<String>, BTreeSet<Vec<String>>>) -> Option<Vec<String>> {
    fn visit(
        at: &Vec<String>,
        graph: &BTreeMap<Vec<String>, BTreeSet<Vec<String>>>,
        open: &mut Vec<Vec<String>>,
        done: &mut BTreeSet<Vec<String>>,
    ) -> Option<Vec<String>> {
        if let Some(start) = open.iter().position(|module| module == at) {
            return Some(open[start..].iter().map(|module| module.join("/")).collect());
        }
        if done.contains(at) {
            return None;
        }
        open.push(at.clone());
        let found = graph.get(at).into_iter().flatten().find_map(|next| visit(next, graph, open, done));
        open.pop();
        done.insert(at.clone());
        found
    }
    let mut done = BTreeSet::new();
    graph.keys().find_map(|module| visit(module, graph, &mut Vec::new(), &mut done))
}

#[test]
fn files_have_no_import_cycle() {
    let sources = sources();
    let modules = Modules::of(&sources);
    let graph: BTreeMap<_, _> = sources.iter().map(|source| (source.module.clone(), modules.imports(source))).collect();
    let edges: usize = graph.values().map(BTreeSet::len).sum();
    assert!(edges > 300, "only {edges} imports were found");
    assert_eq!(cycle(&graph), None);
}

/// A name has one meaning: no two types have the same name.
#[test]
fn every_type_has_a_unique_name() {
    let mut types: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources() {
        for line in source.code.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let is_visibility = |word: &str| word.starts_with("pub");
            let Some(at) = words.iter().position(|word| !is_visibility(word)) else { continue };
            let is_alias = words[at] == "type" && !line.starts_with(' ');
            if (["struct", "enum", "trait"].contains(&words[at]) || is_alias) && words.len() > at + 1 {
                let name = words[at + 1].split(|c: char| !c.is_alphanumeric()).next().unwrap();
                types.entry(name.to_owned()).or_default().push(source.path.clone());
            }
        }
    }
    assert!(types.len() > 150);
    types.retain(|_, paths| paths.len() > 1);
    assert!(types.is_empty(), "{types:#?}");
}

/// Words that the code, the messages and the pages do not use, each with its replacement.
const GONE: &[(&str, &str)] = &[
    ("law", "rules"),
    ("laws", "rules"),
    ("book", "docs"),
    ("books", "docs"),
    ("mend", "mutate"),
    ("mends", "mutations"),
    ("mended", "mutated"),
    ("mending", "mutating"),
    ("door", "webhook"),
    ("doors", "webhooks"),
    ("refuse", "deny"),
    ("refuses", "denies"),
    ("refused", "denied"),
    ("refusing", "denying"),
    ("refusal", "denial"),
    ("refusals", "denials"),
    ("advise", "warn"),
    ("advises", "warns"),
    ("advised", "warned"),
    ("advice", "warning"),
    ("soften", "downgrade"),
    ("softens", "downgrades"),
    ("softened", "downgraded"),
    ("left over", "stale"),
    ("keeper", "controller"),
    ("keepers", "controllers"),
    ("would be right", "must be"),
    ("at least would be", "must have"),
    ("aloud", "reported"),
    ("whoever", "the person or component that is meant"),
    ("that which", "the noun that is meant"),
];

/// Texts of other programs, in which the words are allowed.
const QUOTED: &[&str] = &["connection refused", "ConnectionRefused", "was refused - did you specify"];

/// Returns the words of a line in lower case. Identifiers are split into their words.
fn split_words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in line.chars() {
        if !c.is_alphabetic() || (c.is_uppercase() && before.is_lowercase()) {
            words.push(String::new());
        }
        if c.is_alphabetic() {
            words.last_mut().unwrap().extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Returns the first of [`GONE`] that is in the line.
fn gone(line: &str) -> Option<&'static (&'static str, &'static str)> {
    let line = QUOTED.iter().fold(line.to_owned(), |line, quoted| line.replace(quoted, ""));
    let words = split_words(&line);
    let is_there = |phrase: &str| {
        let phrase: Vec<&str> = phrase.split(' ').collect();
        words.windows(phrase.len()).any(|window| window.iter().zip(&phrase).all(|(word, part)| word == part))
    };
    GONE.iter().find(|(word, _)| is_there(word))
}

#[test]
fn forbidden_words_are_not_used() {
    let list = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().unwrap();
    assert!(list.status.success(), "{}", String::from_utf8_lossy(&list.stderr));
    let mut wrong = Vec::new();
    let mut lines = 0;
    for path in String::from_utf8(list.stdout).unwrap().split_terminator('\0') {
        // This file with the list, the old names in the changelog, texts by other authors, and captured files.
        let is_left_out = ["tests/core/house.rs", "CHANGELOG.md", "LICENSE", "Cargo.lock"].contains(&path)
            || path.starts_with("tests/fixtures/")
            || path.ends_with("go.sum")
            || path.ends_with("go.mod");
        let Ok(text) = fs::read_to_string(root().join(path)) else { continue };
        if is_left_out {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            lines += 1;
            if let Some((word, instead)) = gone(line) {
                wrong.push(format!("{path}:{}: {word:?}, say {instead:?}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(lines > 30_000, "only {lines} lines were read");
    assert!(wrong.is_empty(), "{} lines:\n{}", wrong.len(), wrong.join("\n"));
}

/// Names that do not say what they name: use report, message, permit and the like. In sentences these words are
/// allowed.
#[test]
fn no_function_or_type_has_a_forbidden_name() {
    const GONE_NAMES: [&str; 14] = [
        "said", "told", "words", "kept", "outlet", "gate", "place", "shortage", "flood", "world", "seen", "twin",
        "verdict", "leftover",
    ];
    let mut names = 0;
    for source in sources() {
        let tokens: Vec<&str> =
            source.code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|it| !it.is_empty()).collect();
        for pair in tokens.windows(2) {
            if ["fn", "struct", "enum", "trait", "type", "mod"].contains(&pair[0]) {
                names += 1;
                assert!(
                    !GONE_NAMES.contains(&pair[1].to_lowercase().as_str()),
                    "{}: {} {}",
                    source.path,
                    pair[0],
                    pair[1]
                );
            }
        }
    }
    assert!(names > 1_000, "only {names} names were found");
}

#[test]
fn forbidden_words_are_found_in_text_and_identifiers() {
    for line in ["the law says", "Law", "fn mend_all()", "struct MendLabels", "DOOR", "Left-over", "x.refuse(y)"] {
        assert!(gone(line).is_some(), "{line}");
    }
    for line in ["runbook", "recommend", "outlaw", "ErrorKind::ConnectionRefused", "left", "over"] {
        assert!(gone(line).is_none(), "{line}");
    }
}

#[test]
fn the_core_is_synchronous_and_reads_no_clock() {
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
fn the_core_depends_only_on_the_listed_crates() {
    let tree = ["tree", "--locked", "--offline", "--no-default-features", "--edges", "normal", "--prefix", "none"];
    let tree = Command::new(env!("CARGO")).args(tree).current_dir(root()).output().unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let found: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(found, CORE_CRATES.iter().copied().collect());
}

#[test]
fn files_and_functions_stay_within_their_line_limits() {
    let mut wrong = Vec::new();
    for source in sources() {
        let limit = match source.path.as_str() {
            "src/main.rs" => MAIN_MAX_LINES,
            path if path.starts_with("src/rules/")
                && !["tables/", "cel/"].iter().any(|shared| path[10..].starts_with(shared)) =>
            {
                RULE_MAX_LINES
            }
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
        // A function ends on its first line, or at the next line with the same indentation that closes it.
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
fn every_rule_has_a_file_of_its_own() {
    let names = fs::read_dir(root().join("src/rules")).unwrap();
    let names = names.map(|file| file.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> =
        names.filter(|name| !["cel", "cel.rs", "tables", "tables.rs"].contains(&name.as_str())).collect();
    let rules: BTreeSet<String> = RULES.iter().map(|rule| format!("{}.rs", rule.id.replace('-', "_"))).collect();
    assert_eq!(files, rules);
    assert_eq!(RULES.len(), rules.len(), "two rules have the same id");
    for rule in RULES {
        let path = root().join(format!("src/rules/{}.rs", rule.id.replace('-', "_")));
        let head = format!("//! `{}`: ", rule.id);
        assert!(fs::read_to_string(&path).unwrap().starts_with(&head), "{} should begin with {head}", path.display());
    }
}

#[test]
fn only_tests_panic_on_purpose() {
    for source in sources() {
        for word in [".unwrap()", ".expect(", "panic!", "todo!", "unimplemented!", "unreachable!", "unsafe ", "dbg!"] {
            let line = source.code.lines().position(|line| line.contains(word));
            assert_eq!(line, None, "{}: {word} outside tests (line number counted from 0)", source.path);
        }
    }
}

/// Each test crate links the whole library, so there are few. Their shared helpers are modules of `tests/support`; a
/// crate includes only modules that it uses completely.
#[test]
fn test_crates_are_few_and_share_tests_support() {
    let mut crates = BTreeSet::new();
    for path in rust_files("tests") {
        let below = path.strip_prefix(root().join("tests")).unwrap().with_extension("");
        let names: Vec<&str> = below.iter().map(|name| name.to_str().unwrap()).collect();
        if let [name] | [name, "main"] = names[..] {
            crates.insert(name.to_owned());
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(!code(&text).contains("dead_code"), "{}: remove unused code instead of allowing it", path.display());
        let attributes = text.lines().filter(|line| line.trim_start().starts_with("#[path"));
        let is_shared = attributes
            .into_iter()
            .all(|line| ["#[path = \"../support\"]", "#[path = \"../../support\"]"].contains(&line));
        assert!(is_shared, "{}: only tests/support may be included by a path attribute", path.display());
    }
    let due = ["allocations", "bench", "cli", "cluster", "core", "load", "panics", "server"];
    assert_eq!(crates, due.map(str::to_owned).into());
}

/// Checks the functions of this file that read sources.
#[test]
fn sources_are_parsed_as_intended() {
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
    let rooms = BTreeSet::from(["rules".to_owned(), "scan".to_owned()]);
    for (module, code, expected) in [
        (&["scan"][..], "super::rules::x", &["rules"][..]),
        (&["rules", "tables", "x"], "super::super::super::scan::y super::super::rules::z", &["scan"]),
        (&["cli"], "crate::{rules, scan::Kind}", &["rules", "scan"]),
    ] {
        let expected: BTreeSet<String> = expected.iter().map(|room| (*room).to_owned()).collect();
        assert_eq!(imports(&source(module, code), &rooms), expected, "{code}");
    }
    let long = format!("fn short() {{\n}}\npub fn long(\n) {{\n{}}}\n", "    x;\n".repeat(58));
    assert_eq!(long_functions(&source(&["rules"], &long)).len(), 1);
}
