//! The report as JUnit XML, for CI systems: a suite for each file, or for each namespace of a cluster, and a test case
//! for each scan.

use std::collections::HashMap;
use std::io::{self, Write};

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite, XmlString};

use super::Report;
use super::finding::{ReportedError, ReportedFinding, ReportedObject};
use super::stuck::StuckScans;
use super::totals::Totals;
use crate::engine::Action;
use crate::manifest::Position;
use crate::scan::json::printable;

/// Keeps the whole report in memory: about 1 KB for a scan.
pub struct JunitReport<W> {
    out: W,
    suites: Vec<TestSuite>,
}

impl<W: Write> JunitReport<W> {
    pub fn new(out: W) -> Self {
        Self { out, suites: Vec::new() }
    }
}

impl<W: Write> Report for JunitReport<W> {
    fn object(&mut self, object: &ReportedObject<'_>) -> io::Result<()> {
        // Findings outside of the scans of a document belong to no test case, unless there are any.
        if object.subject.is_none() && object.findings.is_empty() {
            return Ok(());
        }
        let namespace = object.subject.map(|subject| subject.namespace).unwrap_or_default();
        let suite = printable(object.file.unwrap_or(namespace), usize::MAX);
        self.add(&suite, case(object));
        Ok(())
    }

    fn error(&mut self, error: &ReportedError) -> io::Result<()> {
        let message = error.printable();
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        // Some systems show the message of an error, and others its text.
        status.set_type(error.title).set_message(message.as_str()).set_description(message.as_str());
        let suite = error.file.as_deref().map_or_else(|| "cluster".to_owned(), |file| printable(file, usize::MAX));
        self.add(&suite, TestCase::new(at(error.title.to_owned(), error.position), status));
        Ok(())
    }

    fn finish(mut self: Box<Self>, totals: &Totals) -> io::Result<()> {
        // A stuck scan is no failure, so it stands with the warnings of its test case.
        let stuck: HashMap<String, String> = totals.stuck.iter().flat_map(StuckScans::lines).collect();
        for case in self.suites.iter_mut().flat_map(|suite| &mut suite.test_cases) {
            let Some(line) = stuck.get(case.name.as_str()) else { continue };
            let before = case.system_out.take().map(|output| format!("{}\n", output.as_str())).unwrap_or_default();
            case.set_system_out(before + line);
        }
        let mut report = quick_junit::Report::new("scan-admission");
        report.add_test_suites(self.suites);
        report.serialize(&mut self.out).map_err(io::Error::other)?;
        self.out.flush()
    }
}

impl<W> JunitReport<W> {
    /// Adds a test case to a suite. The scans of a file, or of a namespace, mostly follow each other.
    fn add(&mut self, suite: &str, case: TestCase) {
        let name = XmlString::new(suite);
        let at = self.suites.iter().rposition(|suite| suite.name == name).unwrap_or_else(|| {
            self.suites.push(TestSuite::new(name));
            self.suites.len() - 1
        });
        self.suites[at].add_test_case(case);
    }
}

/// Returns the name of a test case with its position. CI systems take test cases of one name for the same.
fn at(name: String, position: Option<Position>) -> String {
    position.map_or_else(|| name.clone(), |Position { line, column }| format!("{name} at {line}:{column}"))
}

fn case(object: &ReportedObject<'_>) -> TestCase {
    let has_no_name = object.subject.is_some_and(|subject| subject.name.is_empty());
    let name = at(object.title(), object.position.filter(|_| has_no_name));
    let errors: Vec<_> = object.findings.iter().filter(|finding| finding.action == Action::Deny).collect();
    let mut case = match errors.as_slice() {
        [] => TestCase::new(name, TestCaseStatus::success()),
        [first, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            let lines: Vec<_> = errors.iter().map(|finding| line(object, finding)).collect();
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status
                .set_type(first.rule.unwrap_or_default())
                .set_message(first.printable() + &more)
                .set_description(lines.join("\n"));
            TestCase::new(name, status)
        }
    };
    if let Some(subject) = &object.subject {
        case.set_classname(subject.kind.name());
    }
    let others: Vec<_> = object.findings.iter().filter(|finding| finding.action != Action::Deny).collect();
    if !others.is_empty() {
        let lines: Vec<_> = others.iter().map(|finding| line(object, finding)).collect();
        case.set_system_out(lines.join("\n"));
    }
    case
}

/// Returns `file:line:column: level: path: message [rule-id]`.
fn line(object: &ReportedObject<'_>, finding: &ReportedFinding) -> String {
    let place = object.file_position(finding).map(|place| place + ": ").unwrap_or_default();
    format!("{place}{}: {}", finding.level(), finding.printable())
}
