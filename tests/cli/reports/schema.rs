//! Tests the reports in JSON and Markdown, and that the exit code does not depend on the format.

use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::runs::{self, Run};
use super::validators;

const SCHEMA: &str = "docs/report.schema.json";

/// The most characters of a comment on GitHub.
const COMMENT_MAX_CHARS: usize = 65_536;

#[test]
fn reports_in_json_are_valid_by_the_committed_schema() {
    let Some(python) = validators::python() else { return };
    let runs = runs::runs();
    let reports: Vec<PathBuf> = runs.iter().map(Run::json_file).collect();
    let errors = python.schema_errors(Path::new(SCHEMA), &reports);
    assert!(errors.is_empty(), "{} errors:\n{}", errors.len(), errors[..errors.len().min(20)].join("\n"));
}

/// The schema has to name each member, else it would allow anything.
#[test]
fn the_schema_of_reports_finds_damage() {
    let Some(python) = validators::python() else { return };
    let run = runs::run("wrong", &[("scan.yaml", runs::document(runs::WRONG))], &["scan.yaml"], "");
    let folder = &run.folder;
    for (place, value) in [
        ("/version", serde_json::json!("1")),
        ("/findings", serde_json::Value::Null),
        ("/findings/0/action", serde_json::json!("denied")),
        ("/findings/0/line", serde_json::json!(-1)),
        ("/findings/0/message", serde_json::json!(1)),
        ("/counts/scans", serde_json::json!("1")),
    ] {
        let mut report = run.json.clone();
        *report.pointer_mut(place).unwrap_or_else(|| panic!("{place}: {}", run.json)) = value;
        let file = super::written(folder, "damaged.json", report.to_string());
        assert!(!python.schema_errors(Path::new(SCHEMA), &[file]).is_empty(), "{place}");
    }
}

/// Returns the text of each row of the tables, without its header.
fn rows(markdown: &str) -> Vec<String> {
    let (mut rows, mut row) = (Vec::new(), None::<String>);
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        match (event, &mut row) {
            (Event::Start(Tag::TableRow), _) => row = Some(String::new()),
            (Event::End(TagEnd::TableRow), _) => rows.extend(row.take()),
            (Event::Text(text) | Event::Code(text), Some(row)) => *row += &text,
            (Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::Emphasis), Some(row)) => {
                panic!("a value is read as Markdown after {row}")
            }
            _ => {}
        }
    }
    rows
}

#[test]
fn a_report_in_markdown_is_a_table_that_fits_into_a_comment() {
    for run in runs::runs() {
        assert!(run.markdown.chars().count() <= COMMENT_MAX_CHARS, "{}", run.name);
        let rows = rows(&run.markdown);
        let omitted = run.markdown.lines().find_map(|line| line.strip_prefix("and ")?.split_once(" more finding"));
        let omitted: usize = omitted.map_or(0, |(count, _)| count.parse().unwrap());
        assert_eq!(rows.len() + omitted, run.findings().len(), "{}\n{}", run.name, run.markdown);
        assert!(omitted == 0 || rows.len() > 200, "{}: {} rows", run.name, rows.len());
        let mut left = rows;
        for finding in run.findings().iter().filter(|_| omitted == 0) {
            let text = |name: &str| finding[name].as_str().unwrap_or_default();
            // A control character is replaced. Long messages are cut.
            let place = format!("{}:{}:{}", text("file").replace('\n', "?"), finding["line"], finding["column"]);
            let start: String = text("message").chars().take_while(|c| !c.is_control()).take(100).collect();
            let is_row = |row: &String| [&place, &start, text("rule")].iter().all(|part| row.contains(*part));
            let row =
                left.iter().position(is_row).unwrap_or_else(|| panic!("{}: {finding}\n{}", run.name, run.markdown));
            left.swap_remove(row);
        }
        for error in run.errors() {
            let file = error["file"].as_str().unwrap();
            assert!(run.markdown.replace('\\', "").contains(file), "{}: {error}", run.name);
        }
    }
}

#[test]
fn the_exit_code_is_the_same_for_every_format() {
    for run in runs::runs() {
        let files = run.inputs.iter().map(|(file, _)| file.as_str()).filter(|file| run.folder.join(file).exists());
        let files: Vec<&str> = files.chain((run.name == "unreadable").then_some("missing.yaml")).collect();
        if files.is_empty() {
            continue;
        }
        for format in ["text", "json", "sarif", "junit", "github", "markdown"] {
            let mut command = runs::check(&run.folder);
            let output = command.args(["-o", format, "--"]).args(&files).output().unwrap();
            assert_eq!(output.status.code(), Some(run.code), "{}: {format}", run.name);
        }
    }
}
