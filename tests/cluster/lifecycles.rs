//! Whole lives of both kinds and in both spellings, in every way of writing: what is stored is what the rules say.

use serde_json::{Value, json};

use crate::Test;
use crate::controlplane::{Namespace, User, eventually};
use crate::lifecycle_fixtures::{Life, lives};
use crate::scan;
use crate::ways_of_writing::{Way, Writer};

pub const TESTS: &[(&str, Test)] = &[
    ("lives-by-merge-patch", |namespace| live(namespace, Way::PatchMerge)),
    ("lives-by-json-patch", |namespace| live(namespace, Way::PatchJson)),
    ("lives-by-server-side-apply", |namespace| live(namespace, Way::Apply)),
    ("lives-by-edit", |namespace| live(namespace, Way::Edit)),
    ("lives-by-a-controller-that-replaces", |namespace| live(namespace, Way::ControllerReplace)),
    ("lives-by-a-controller-that-patches", |namespace| live(namespace, Way::ControllerPatch)),
    ("lives-by-a-controller-that-applies", |namespace| live(namespace, Way::ControllerApply)),
];

const COLUMNS: &[(&str, &[&str])] = &[
    (
        "SourceScan",
        &[
            "NAME",
            "PHASE",
            "SCANNEDREVISION",
            "SCANNEDREPOSITORY",
            "AGE",
            "CRITICAL",
            "HIGH",
            "MEDIUM",
            "LOW",
            "UNKNOWN",
            "CVETOTAL",
        ],
    ),
    (
        "ImageScan",
        &["NAME", "PHASE", "SCANNEDIMAGE", "AGE", "CRITICAL", "HIGH", "MEDIUM", "LOW", "UNKNOWN", "CVETOTAL"],
    ),
];

fn live(namespace: &Namespace<'_>, way: Way) {
    await_webhooks(namespace);
    let lives = lives();
    let writer = Writer::new(namespace, way);
    writer.create(&lives.iter().map(Life::scan).collect::<Vec<_>>());
    for life in &lives {
        live_one(&writer, life);
    }
    for (kind, columns) in COLUMNS {
        let said = namespace.kubectl(User::Developer).args(["get", kind]).run();
        let table = Table::read(said.ok());
        assert_eq!(table.head, *columns);
        for life in lives.iter().filter(|life| life.kind == *kind) {
            table.shows(life);
        }
    }
}

/// A new configuration counts some milliseconds after it is written.
fn await_webhooks(namespace: &Namespace<'_>) {
    namespace.kubectl(User::Developer).args(["create", "-f", "-"]).input(scan("first").to_string()).run().ok();
    let patch = |status: Value| {
        let patch = json!({"status": status}).to_string();
        let arguments = ["patch", "sourcescan", "first", "--subresource=status", "--type=merge", "--patch", &patch];
        namespace.kubectl(User::ScanController).args(arguments).args(["--dry-run=server", "-o", "json"]).run()
    };
    eventually("a webhook denies", || (patch(json!({"phase": "None"})).code == Some(1)).then_some(()));
    let counts = json!({"cveCount": {"high": 1}});
    eventually("a webhook mutates", || patch(counts.clone()).stdout.contains("total").then_some(()));
    namespace.kubectl(User::Developer).args(["delete", "sourcescan", "first"]).run().ok();
}

fn live_one(writer: &Writer<'_>, life: &Life) {
    let read = || writer.read(&life.kind, &life.name);
    let mut stored = read().expect("it was created");
    assert_eq!(stored["status"], Value::Null, "{}: a status comes later", life.id());
    for step in &life.steps {
        let says = format!("{} ({}), {}", life.id(), life.says, step.name);
        if step.delete {
            writer.delete(&life.kind, &life.name);
            assert_eq!(read(), None, "{says}");
            return;
        }
        let outcome = writer.write(&stored, &step.written(&stored));
        let now = read().expect("it is there");
        if step.denied.is_empty() {
            outcome.unwrap_or_else(|error| panic!("{says}: {error}"));
            let expected = step.stored(&stored);
            for part in ["/spec", "/status", "/metadata/labels"] {
                assert_eq!(now.pointer(part), expected.pointer(part), "{says}");
            }
        } else {
            let error = outcome.expect_err(&says);
            let is_named = |rule: &String| error.contains(&format!("[{rule}]"));
            assert!(step.denied.iter().all(is_named), "{says}: {error}");
            assert_eq!(now, stored, "{says}");
        }
        stored = now;
    }
}

/// What `kubectl get` prints; a cell may be empty, so it is found by where its column begins.
struct Table<'a> {
    head: Vec<&'a str>,
    rows: Vec<Vec<&'a str>>,
}

impl<'a> Table<'a> {
    fn read(text: &'a str) -> Self {
        let head = text.lines().next().expect("a head");
        let is_start = |at: &usize| !head[*at..].starts_with(' ') && (*at == 0 || head[..*at].ends_with(' '));
        let starts: Vec<usize> = (0..head.len()).filter(is_start).collect();
        let ends = starts[1..].iter().copied().chain([usize::MAX]);
        let columns: Vec<(usize, usize)> = starts.iter().copied().zip(ends).collect();
        let cells = |line: &'a str| -> Vec<&'a str> {
            columns.iter().map(|&(start, end)| line[start.min(line.len())..end.min(line.len())].trim_end()).collect()
        };
        Self { head: cells(head), rows: text.lines().skip(1).map(cells).collect() }
    }

    fn shows(&self, life: &Life) {
        let row = self.rows.iter().find(|row| row[0] == life.name);
        let Some(columns) = &life.columns else {
            assert_eq!(row, None, "{} was deleted", life.id());
            return;
        };
        let row = row.unwrap_or_else(|| panic!("{} is not shown", life.id()));
        for (column, cell) in self.head.iter().zip(row).skip(1) {
            match *column {
                "AGE" => assert!(cell.ends_with('s') || cell.ends_with('m'), "{}: age {cell}", life.id()),
                _ => assert_eq!(columns.get(*column).map_or("", String::as_str), *cell, "{}: {column}", life.id()),
            }
        }
    }
}
