//! Tests the judged view of `audit --watch`, with the time as an argument.

use std::time::Duration;

use scan_admission::admission::ReviewSettings;
use scan_admission::cluster::scan_report::{ReportApi, ScanReport};
use scan_admission::cluster::scan_totals::{PhaseLabel, ScanTotals};
use scan_admission::cluster::scan_view::{Collection, ReportTask, ScanView, ViewSettings};
use scan_admission::offline::Judge;
use scan_admission::rules::RULES;
use scan_admission::scan::Kind;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const API: ReportApi = ReportApi::Openreports;
const STUCK: Duration = Duration::from_secs(30 * 60);

fn at(time: &str) -> OffsetDateTime {
    OffsetDateTime::parse(&format!("2026-11-20T{time}Z"), &Rfc3339).unwrap()
}

fn uid(number: u32) -> String {
    format!("0f9b7c1e-0000-4000-8000-{number:012x}")
}

fn scan(number: u32, status: Value) -> Value {
    json!({
        "metadata": {"name": format!("scan-{number}"), "namespace": "team", "uid": uid(number), "generation": 1,
            "creationTimestamp": "2026-11-20T08:00:00Z"},
        "spec": {"blob": {"url": "https://example.com/code.tar.gz"}, "scanTemplate": "template"},
        "status": status,
    })
}

/// Returns a status that has no finding.
fn completed(critical: u64) -> Value {
    let condition = |kind: &str, status: &str, message: &str| {
        json!({"type": kind, "status": status, "reason": "JobFinished", "message": message,
            "lastTransitionTime": "2026-11-20T08:03:00Z"})
    };
    json!({
        "phase": "Completed",
        "conditions": [condition("Scanning", "False", "The scan job terminated"), condition("Succeeded", "True", "done")],
        "cveCount": {"critical": critical, "high": 0, "medium": 0, "low": 2, "unknown": 0, "total": critical + 2},
        "metadataUrl": "https://example.com/results",
        "scannedBy": {"scanner": {"name": "Grype", "vendor": "Anchore", "version": "v0.37.0"}},
        "scannedAt": "2026-11-20T08:03:00Z",
    })
}

fn broken() -> Value {
    let mut status = completed(5);
    status["cveCount"]["total"] = json!(99);
    status
}

/// A view of both kinds and of reports.
struct Watched(ScanView);

impl Watched {
    /// Both kinds and the reports have been listed, and there were none.
    fn new() -> Self {
        let settings = ViewSettings { stuck_after: STUCK, reports: Some(API) };
        let mut view = ScanView::new(settings, Kind::ALL, at("09:00:00"));
        for collection in [Collection::Scans(Kind::SourceScan), Collection::Scans(Kind::ImageScan), Collection::Reports]
        {
            view.start_list(collection);
            view.end_list(collection, at("09:00:00"));
        }
        Self(view)
    }

    /// Adds a scan, judged at this time. Returns its report.
    fn put(&mut self, scan: &Value, now: OffsetDateTime) -> Option<ScanReport> {
        let judge = Judge { now, settings: ReviewSettings::default() };
        let mut judged = self.0.judge(Kind::SourceScan, "x/v1", &scan.to_string(), &judge).unwrap();
        let report = judged.report.take();
        self.0.put(judged);
        report
    }

    fn put_report(&mut self, number: u32, report: Option<&ScanReport>) {
        self.0.put_report(&format!("scan-admission-{}", uid(number)), "team", report);
    }

    /// Takes the queue, as the uids of the scans, sorted, and whether they are still there.
    fn tasks(&mut self) -> Vec<(String, bool)> {
        let tasks = self.0.take_tasks(100).into_iter();
        let mut tasks: Vec<_> = tasks.map(|task| (task.key.0.to_string(), task.scan.is_some())).collect();
        tasks.sort();
        tasks
    }

    fn totals(&self, now: OffsetDateTime) -> ScanTotals {
        self.0.totals(now)
    }
}

#[test]
fn totals_are_sums_over_scans_without_an_error() {
    let mut view = Watched::new();
    let now = at("09:00:00");
    view.put(&scan(1, completed(3)), now);
    view.put(&scan(2, completed(4)), now);
    view.put(&scan(3, broken()), now);
    view.put(&scan(4, json!({"phase": "Completed"})), now);
    view.put(&scan(5, json!({"phase": "Pending"})), now);
    view.put(&scan(6, json!({"phase": "anything at all"})), now);
    view.put(&scan(7, Value::Null), now);
    let totals = view.totals(now);
    assert_eq!((totals.verified, totals.counts), (2, [7, 0, 0, 4, 0]));
    assert_eq!(totals.without_evidence, 1);
    let scans = |phase: PhaseLabel| totals.scans[Kind::SourceScan as usize][phase as usize];
    assert_eq!(PhaseLabel::ALL.map(scans), [1, 1, 0, 4, 0, 0, 1]);
    assert_eq!(totals.scans[Kind::ImageScan as usize], [0; 7]);
    let row = |rule: &str| totals.findings[RULES.iter().position(|known| known.id == rule).unwrap()];
    assert_eq!((row("cve-total"), row("phase-unknown")), ([0, 1], [0, 1]));
    assert_eq!(totals.age_seconds[PhaseLabel::Completed as usize], 3600, "of scan 4, which has no condition");

    // The same scan again counts once, and a scan that is gone no longer counts.
    view.put(&scan(3, completed(1)), now);
    assert_eq!(view.totals(now).counts, [8, 0, 0, 6, 0]);
    view.0.start_list(Collection::Scans(Kind::SourceScan));
    view.put(&scan(1, completed(3)), now);
    view.0.end_list(Collection::Scans(Kind::SourceScan), now);
    assert_eq!(view.totals(now).counts, [3, 0, 0, 2, 0]);
}

#[test]
fn a_scan_is_stuck_when_its_time_has_come() {
    let mut view = Watched::new();
    let pending = scan(1, json!({"phase": "Pending"}));
    assert_eq!(view.put(&pending, at("08:10:00")), None);
    for (now, stuck) in [("08:30:00", 0), ("08:30:01", 1)] {
        assert_eq!(view.totals(at(now)).stuck, [stuck, 0], "{now}");
    }
    view.0.enqueue_due(at("08:30:00"));
    assert_eq!(view.tasks(), [], "a second later, so that it is certainly stuck");
    view.0.enqueue_due(at("08:30:01"));
    assert_eq!(view.tasks(), [(uid(1), true)]);
    let report = view.put(&pending, at("08:30:01")).unwrap();
    let report = serde_json::to_value(report).unwrap();
    assert_eq!((&report["results"][0]["policy"], &report["summary"]["warn"]), (&json!("stuck-scan"), &json!(1)));
    view.tasks();
    view.0.enqueue_due(at("12:00:00"));
    assert_eq!(view.tasks(), [], "only once");
}

#[test]
fn a_time_in_the_future_is_judged_again_when_it_has_passed() {
    let mut view = Watched::new();
    let mut status = completed(0);
    status["scannedAt"] = json!("2026-11-20T10:00:00Z");
    let ahead = scan(1, status);
    let report = view.put(&ahead, at("09:00:00")).unwrap();
    assert_eq!(serde_json::to_value(&report).unwrap()["results"][0]["policy"], "scanned-at");
    view.put_report(1, Some(&report));
    view.tasks();
    view.0.enqueue_due(at("09:54:59"));
    assert_eq!(view.tasks(), []);
    view.0.enqueue_due(at("09:55:01"));
    assert_eq!(view.tasks(), [(uid(1), true)]);
    assert_eq!(view.put(&ahead, at("09:55:01")), None);
}

#[test]
fn a_transition_in_the_future_is_judged_again_when_it_has_passed() {
    let mut view = Watched::new();
    let mut status = completed(0);
    status["conditions"][0]["lastTransitionTime"] = json!("2026-11-20T10:00:00Z");
    let ahead = scan(1, status);
    let report = view.put(&ahead, at("09:00:00")).unwrap();
    assert_eq!(serde_json::to_value(&report).unwrap()["results"][0]["policy"], "transition-time");
    view.put_report(1, Some(&report));
    view.tasks();
    view.0.enqueue_due(at("09:55:01"));
    assert_eq!(view.tasks(), [(uid(1), true)]);
}

#[test]
fn a_time_in_the_last_year_is_never_stuck() {
    let mut view = Watched::new();
    let last = "9999-12-31T23:59:59Z";
    let conditions = json!([{"type": "Scanning", "status": "True", "reason": "A", "lastTransitionTime": last}]);
    view.put(&scan(1, json!({"phase": "Scanning", "scannedAt": last, "conditions": conditions})), at("09:00:00"));
    assert_eq!(view.totals(at("23:00:00")).stuck, [0, 0]);
}

#[test]
fn scans_whose_reports_fail_do_not_keep_others_from_the_queue() {
    let mut view = Watched::new();
    for number in 1..=6 {
        view.put(&scan(number, broken()), at("09:00:00"));
    }
    let mut taken = Vec::new();
    for _ in 0..3 {
        for task in view.0.take_tasks(2) {
            view.0.enqueue_again(task.key.clone());
            taken.push(task.key.0.to_string());
        }
    }
    assert_eq!(taken, (1..=6).map(uid).collect::<Vec<_>>());
}

#[test]
fn only_reports_that_differ_are_written() {
    let mut view = Watched::new();
    let now = at("09:00:00");
    assert_eq!(view.put(&scan(1, completed(0)), now), None);
    assert_eq!(view.tasks(), []);
    let report = view.put(&scan(1, broken()), now).unwrap();
    assert_eq!(view.tasks(), [(uid(1), true)]);
    view.put_report(1, Some(&report));
    view.put(&scan(1, broken()), now);
    assert_eq!(view.tasks(), []);
    // A change that the report does not show.
    let mut changed = scan(1, broken());
    changed["metadata"]["labels"] = json!({"a": "b"});
    view.put(&changed, now);
    assert_eq!(view.tasks(), []);
    // Edited, unreadable and deleted by others.
    let other = view.put(&scan(2, broken()), now).unwrap();
    view.put_report(1, Some(&other));
    assert_eq!(view.tasks(), [(uid(1), true), (uid(2), true)]);
    view.put_report(1, None);
    assert_eq!(view.tasks(), [(uid(1), true)]);
    view.0.remove_report(&format!("scan-admission-{}", uid(1)), "team");
    assert_eq!(view.tasks(), [(uid(1), true)]);
    // The report of a scan that is clean, and that of one that is gone.
    view.put_report(1, Some(&report));
    view.put(&scan(1, completed(0)), now);
    assert_eq!(view.tasks(), [(uid(1), true)]);
    view.put_report(3, Some(&other));
    assert_eq!(view.tasks(), [(uid(3), false)]);
    // A report that this program has not named.
    view.0.put_report("scan-admission-of-a-person", "team", None);
    assert_eq!((view.tasks(), view.totals(now).reports), (vec![], 2));
}

/// Somebody has copied a report to another namespace, with its labels.
#[test]
fn a_copy_of_a_report_in_another_namespace_is_removed_and_not_mistaken_for_the_report() {
    let mut view = Watched::new();
    let report = view.put(&scan(1, broken()), at("09:00:00")).unwrap();
    view.put_report(1, Some(&report));
    view.tasks();
    let name = format!("scan-admission-{}", uid(1));
    view.0.put_report(&name, "other", Some(&report));
    let tasks = view.0.take_tasks(100);
    let [ReportTask { key: (_, namespace), scan: None }] = &tasks[..] else { panic!("one task, without a scan") };
    assert_eq!(&**namespace, "other");
    view.0.remove_report(&name, "other");
    assert_eq!(view.tasks(), []);
    view.put(&scan(1, completed(0)), at("09:00:00"));
    let tasks = view.0.take_tasks(100);
    assert_eq!(tasks.iter().map(|task| &*task.key.1).collect::<Vec<_>>(), ["team"]);
}

#[test]
fn nothing_is_written_before_everything_is_listed() {
    let settings = ViewSettings { stuck_after: STUCK, reports: Some(API) };
    let mut view = Watched(ScanView::new(settings, [Kind::SourceScan], at("08:00:00")));
    let now = at("09:00:00");
    view.0.start_list(Collection::Scans(Kind::SourceScan));
    let report = view.put(&scan(1, broken()), now).unwrap();
    view.put(&scan(2, broken()), now);
    view.0.end_list(Collection::Scans(Kind::SourceScan), now);
    view.0.enqueue_due(at("12:00:00"));
    assert_eq!((view.tasks(), view.0.is_listed()), (vec![], false));
    view.0.start_list(Collection::Reports);
    view.put_report(1, Some(&report));
    view.put_report(3, Some(&report));
    view.0.end_list(Collection::Reports, now);
    assert_eq!(view.tasks(), [(uid(2), true), (uid(3), false)]);
}

#[test]
fn the_age_is_that_of_the_collection_that_is_furthest_behind() {
    let mut view = Watched::new();
    let age = |view: &Watched, now: &str| view.totals(at(now)).pass_age_seconds;
    assert_eq!(age(&view, "09:00:10"), 10.0);
    view.0.set_current(Collection::Scans(Kind::SourceScan), at("09:01:00"));
    view.0.set_current(Collection::Reports, at("09:01:00"));
    assert_eq!(age(&view, "09:01:00"), 60.0, "of the other kind");
    view.0.set_current(Collection::Scans(Kind::ImageScan), at("09:00:30"));
    assert_eq!(age(&view, "09:01:00"), 30.0);
    assert_eq!(age(&view, "08:00:00"), 0.0, "the clock was set back");
}

#[test]
fn a_scan_that_was_deleted_while_it_was_read_stays_deleted() {
    let mut view = Watched::new();
    let judge = Judge { now: at("09:00:00"), settings: ReviewSettings::default() };
    view.put(&scan(1, broken()), judge.now);
    let read = view.0.judge(Kind::SourceScan, "x/v1", &scan(1, broken()).to_string(), &judge).unwrap();
    view.0.remove(read.uid);
    view.0.update(read);
    assert_eq!(view.totals(judge.now).scans, [[0; 7]; 2]);
}

#[test]
fn a_scan_that_cannot_be_read_is_an_error() {
    let view = Watched::new();
    let judge = Judge { now: at("09:00:00"), settings: ReviewSettings::default() };
    for (json, expected) in
        [("{}", "missing field `metadata`"), (r#"{"metadata": {"uid": "a"}}"#, "its uid is not a UUID"), ("[]", "")]
    {
        let error = view.0.judge(Kind::SourceScan, "x/v1", json, &judge).err().unwrap();
        assert!(error.contains(expected), "{json}: {error}");
    }
}
