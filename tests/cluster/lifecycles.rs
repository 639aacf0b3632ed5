//! Runs the lifecycles of tests/fixtures/lifecycles in every way of writing, and compares what is stored.

use serde_json::{Value, json};

use crate::Test;
use crate::controlplane::{Namespace, User, eventually};
use crate::lifecycle_fixtures::{Lifecycle, lifecycles};
use crate::scan;
use crate::ways_of_writing::{Way, Writer};

pub const TESTS: &[(&str, Test)] = &[
    ("lifecycles-by-merge-patch", |namespace| run_lifecycles(namespace, Way::PatchMerge)),
    ("lifecycles-by-json-patch", |namespace| run_lifecycles(namespace, Way::PatchJson)),
    ("lifecycles-by-server-side-apply", |namespace| run_lifecycles(namespace, Way::Apply)),
    ("lifecycles-by-edit", |namespace| run_lifecycles(namespace, Way::Edit)),
    ("lifecycles-by-a-controller-that-replaces", |namespace| run_lifecycles(namespace, Way::ControllerReplace)),
    ("lifecycles-by-a-controller-that-patches", |namespace| run_lifecycles(namespace, Way::ControllerPatch)),
    ("lifecycles-by-a-controller-that-applies", |namespace| run_lifecycles(namespace, Way::ControllerApply)),
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

fn run_lifecycles(namespace: &Namespace<'_>, way: Way) {
    await_webhooks(namespace);
    let lifecycles = lifecycles();
    let writer = Writer::new(namespace, way);
    writer.create(&lifecycles.iter().map(Lifecycle::scan).collect::<Vec<_>>());
    for lifecycle in &lifecycles {
        run_lifecycle(&writer, lifecycle);
    }
    for (kind, columns) in COLUMNS {
        let printed = namespace.kubectl(User::Developer).args(["get", kind]).run();
        let table = Table::read(printed.ok());
        assert_eq!(table.head, *columns);
        for lifecycle in lifecycles.iter().filter(|lifecycle| lifecycle.kind == *kind) {
            table.shows(lifecycle);
        }
    }
}

/// A new configuration takes effect some milliseconds after it is written.
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

fn run_lifecycle(writer: &Writer<'_>, lifecycle: &Lifecycle) {
    let read = || writer.read(&lifecycle.kind, &lifecycle.name);
    let mut stored = read().expect("the scan was created");
    assert_eq!(stored["status"], Value::Null, "{}: the status of a new scan must be empty", lifecycle.id());
    for step in &lifecycle.steps {
        let description = format!("{} ({}), {}", lifecycle.id(), lifecycle.description, step.name);
        if step.delete {
            writer.delete(&lifecycle.kind, &lifecycle.name);
            assert_eq!(read(), None, "{description}");
            return;
        }
        let outcome = writer.write(&stored, &step.written(&stored));
        let now = read().expect("the scan exists");
        if step.denied.is_empty() {
            outcome.unwrap_or_else(|error| panic!("{description}: {error}"));
            let expected = step.stored(&stored);
            for part in ["/spec", "/status", "/metadata/labels"] {
                assert_eq!(now.pointer(part), expected.pointer(part), "{description}");
            }
        } else {
            let error = outcome.expect_err(&description);
            let is_named = |rule: &String| error.contains(&format!("[{rule}]"));
            assert!(step.denied.iter().all(is_named), "{description}: {error}");
            assert_eq!(now, stored, "{description}");
        }
        stored = now;
    }
}

/// The output of `kubectl get`. Cells are found by the column's position, since a cell may be empty.
struct Table<'a> {
    head: Vec<&'a str>,
    rows: Vec<Vec<&'a str>>,
}

impl<'a> Table<'a> {
    fn read(text: &'a str) -> Self {
        let head = text.lines().next().expect("a header");
        let is_start = |at: &usize| !head[*at..].starts_with(' ') && (*at == 0 || head[..*at].ends_with(' '));
        let starts: Vec<usize> = (0..head.len()).filter(is_start).collect();
        let ends = starts[1..].iter().copied().chain([usize::MAX]);
        let columns: Vec<(usize, usize)> = starts.iter().copied().zip(ends).collect();
        let cells = |line: &'a str| -> Vec<&'a str> {
            columns.iter().map(|&(start, end)| line[start.min(line.len())..end.min(line.len())].trim_end()).collect()
        };
        Self { head: cells(head), rows: text.lines().skip(1).map(cells).collect() }
    }

    fn shows(&self, lifecycle: &Lifecycle) {
        let row = self.rows.iter().find(|row| row[0] == lifecycle.name);
        let Some(columns) = &lifecycle.columns else {
            assert_eq!(row, None, "{} was deleted", lifecycle.id());
            return;
        };
        let row = row.unwrap_or_else(|| panic!("{} is not shown", lifecycle.id()));
        for (column, cell) in self.head.iter().zip(row).skip(1) {
            match *column {
                "AGE" => assert!(cell.ends_with('s') || cell.ends_with('m'), "{}: age {cell}", lifecycle.id()),
                _ => assert_eq!(columns.get(*column).map_or("", String::as_str), *cell, "{}: {column}", lifecycle.id()),
            }
        }
    }
}
