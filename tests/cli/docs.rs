//! Tests the pages: every command that they show is run (in tests/cluster if it needs an API server), every link has a
//! target, and commands appear only in blocks that are run. tests/support/page.rs says how commands are marked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use scan_admission::rules::RULES;

use crate::support::page::{Environment, Page, ShownCommand, fits, pages, root};
use crate::support::session::{SessionSettings, run};

/// The first words of a line that is a command.
const PROGRAMS: &[&str] =
    &["bash", "cargo", "curl", "docker", "git", "go", "helm", "jq", "kubectl", "openssl", "podman", "scan-admission"];

/// The page that docs/playground/build builds.
const PLAYGROUND: &str = "docs/playground/playground.html";

#[test]
fn commands_that_need_no_cluster_print_what_the_pages_show() {
    let settings = SessionSettings { variables: Vec::new(), links: Vec::new(), settle: &|| (), kubectl: None };
    let mut wrong = Vec::new();
    for page in pages().iter().filter(|page| page.consoles().next().is_some()) {
        match run(page, &settings) {
            Ok(skipped) => skipped.iter().for_each(|why| eprintln!("skipped: {why}")),
            Err(error) => wrong.push(error),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n\n"));
}

#[test]
fn commands_appear_only_in_blocks_that_are_run() {
    let mut wrong = Vec::new();
    for page in pages() {
        for block in page.blocks.iter().filter(|block| !block.is_console()) {
            let is_command = |line: &&str| {
                let line = line.trim_start().trim_start_matches("$ ");
                line.split_once(' ').is_some_and(|(first, _)| PROGRAMS.contains(&first))
            };
            if let Some(line) = block.text.lines().find(is_command) {
                wrong.push(format!("{}:{}: a command outside of a console block: {line}", page.path, block.line));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Commands in running text are not run, but their verbs and flags must exist.
#[test]
fn verbs_and_flags_in_running_text_exist() {
    let mut helps: BTreeMap<Vec<String>, Option<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut count = 0;
    for page in pages() {
        for (line, code) in page.inline.iter().filter(|(_, code)| code.starts_with("scan-admission ")) {
            count += 1;
            let mut words = code.split_whitespace().skip(1);
            let is_verb = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase());
            let mut verbs: Vec<String> = words.clone().take(1).map(str::to_owned).collect();
            // Only `config` has subcommands.
            verbs.extend(words.clone().nth(1).filter(|word| verbs[0] == "config" && is_verb(word)).map(str::to_owned));
            let help = helps.entry(verbs.clone()).or_insert_with(|| help(&verbs));
            let is_flag = |word: &str, help: &str| {
                let flag = word.trim_matches(['[', ']']).split('=').next().unwrap_or_default();
                help.split(|c: char| c.is_whitespace() || c == ',').any(|found| found == flag)
            };
            let is_known = help.as_ref().is_some_and(|help| {
                words.all(|word| !word.trim_start_matches('[').starts_with('-') || is_flag(word, help))
            });
            if !is_known {
                wrong.push(format!("{}:{line}: unknown verb or flag in `{code}`", page.path));
            }
        }
    }
    assert!(count > 10 && wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Returns the help of a verb, or `None` if there is no such verb.
fn help(verbs: &[String]) -> Option<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_scan-admission")).args(verbs).arg("--help").output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// Only the form of web addresses is checked, since the tests have no network.
#[test]
fn every_link_has_a_target() {
    let pages = pages();
    let mut wrong = Vec::new();
    for page in &pages {
        for (line, link) in &page.links {
            if let Some(fault) = fault(page, link, &pages) {
                wrong.push(format!("{}:{line}: {link}: {fault}", page.path));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn fault(page: &Page, link: &str, pages: &[Page]) -> Option<String> {
    if let Some(rest) = link.strip_prefix("https://") {
        let host = rest.split('/').next().unwrap_or_default();
        return (!host.contains('.') || link.contains([' ', '<'])).then(|| "is not a web address".to_owned());
    }
    let (path, anchor) = target(page, link);
    if path == PLAYGROUND {
        // It is built, so it need not be there. Its links name rules.
        let is_rule = anchor.is_some_and(|anchor| RULES.iter().any(|rule| rule.id == anchor));
        return (!is_rule).then(|| "is not a link to a rule".to_owned());
    }
    if !root().join(&path).exists() {
        return Some(format!("{path} does not exist"));
    }
    let anchor = anchor?;
    let target = pages.iter().find(|page| page.path == path);
    let is_there = target.is_some_and(|target| target.anchors.iter().any(|found| found == anchor));
    (!is_there).then(|| format!("{path} has no heading #{anchor}"))
}

/// Returns the file and the heading that a link of this page points to.
fn target<'a>(page: &Page, link: &'a str) -> (String, Option<&'a str>) {
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let mut path: Vec<&str> = page.path.split('/').collect();
    if !file.is_empty() {
        path.pop();
    }
    for part in file.split('/').filter(|part| !part.is_empty()) {
        if part == ".." {
            path.pop();
        } else {
            path.push(part);
        }
    }
    (path.join("/"), anchor)
}

#[test]
fn the_map_links_to_every_page_and_every_page_to_the_map() {
    const MAP: &str = "docs/README.md";
    let pages = pages();
    let links = |page: &Page| page.links.iter().map(|(_, link)| target(page, link).0).collect::<Vec<_>>();
    let mut reached = BTreeSet::from([MAP.to_owned()]);
    let mut next = vec![MAP.to_owned()];
    while let Some(path) = next.pop() {
        let found = pages.iter().find(|page| page.path == path).map(links).unwrap_or_default();
        next.extend(found.into_iter().filter(|path| path.ends_with(".md") && reached.insert(path.clone())));
    }
    for page in pages.iter().filter(|page| page.path.starts_with("docs/")) {
        assert!(reached.contains(&page.path), "nothing leads from {MAP} to {}", page.path);
        assert!(page.path == MAP || links(page).iter().any(|path| path == MAP), "{} has no link to {MAP}", page.path);
    }
}

/// In docs/errors.md, … stands for a part that varies.
#[test]
fn the_log_lines_of_the_page_of_errors_exist() {
    let page = fs::read_to_string(root().join("docs/errors.md")).unwrap();
    let (_, log) = page.split_once("## The log of a replica").unwrap();
    let lines: Vec<&str> = log.lines().filter_map(|row| row.strip_prefix("| `")?.split('`').next()).collect();
    assert!(lines.len() > 15, "{lines:?}");
    let sources = walkdir::WalkDir::new(root().join("src")).into_iter().map(Result::unwrap);
    let sources = sources.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "rs"));
    let texts = sources.map(|entry| fs::read_to_string(entry.path()).unwrap());
    // A string continues on the next line after a backslash.
    let parts = |text: String| text.split("\\\n").map(|part| part.trim_start().to_owned()).collect::<String>();
    let source: String = texts.map(parts).collect();
    let is_there = |line: &&str| line.split('…').all(|part| source.contains(part));
    let wrong: Vec<&str> = lines.into_iter().filter(|line| !is_there(line)).collect();
    assert!(wrong.is_empty(), "no source has these lines:\n{}", wrong.join("\n"));
}

#[test]
fn blocks_of_commands_are_parsed() {
    let text = "# One `two`: three!\n# One two three\n\n```console cluster\n$ a \\\n  b\nsays …\n$ cat <<'EOF' > c\nd\nEOF\n\
                $ e\n```\n\n    indented\n\n```console elsewhere: no such thing\n$ f\n```\n";
    let page = Page::parse("a.md", text);
    assert_eq!(page.anchors, ["one-two-three", "one-two-three-1"]);
    let kinds: Vec<_> = page.blocks.iter().map(|block| (block.line, block.kind.as_str())).collect();
    assert_eq!(kinds, [(4, "console cluster"), (14, ""), (16, "console elsewhere: no such thing")]);
    let shown = |command: &str, output: &[&str]| {
        let output = output.iter().map(|&line| line.to_owned()).collect();
        ShownCommand { command: command.to_owned(), output }
    };
    assert_eq!(page.blocks[0].environment(), Environment::Cluster);
    assert_eq!(page.blocks[2].environment(), Environment::Elsewhere("no such thing"));
    assert_eq!(
        page.blocks[0].commands(),
        [shown("a \\\n  b", &["says …"]), shown("cat <<'EOF' > c\nd\nEOF", &[]), shown("e", &[])]
    );
}

#[test]
fn an_ellipsis_matches_any_text() {
    for (shown, found, is_fit) in [
        ("a", "a", true),
        ("a", "a \n\n", true),
        ("a", "b", false),
        ("a", "a\nb", false),
        ("a\nb", "a", false),
        ("a…c…", "abcd", true),
        ("a…c", "abcd", false),
        ("…", "", true),
        ("a\n…\nd", "a\nb\nc\nd", true),
        ("a\n…\nd", "a\nd", true),
        ("a\n…\nd", "a\nb", false),
        ("…b", "a\nb", false),
    ] {
        let (shown, found): (Vec<_>, Vec<_>) = (shown.lines().collect(), found.lines().collect());
        assert_eq!(fits(&shown, &found), is_fit, "{shown:?} {found:?}");
    }
}
