//! Tests that the metrics in monitors, alerts and the dashboard exist, and that each alert fires when it should and has
//! a section in docs/alerts.md.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::{env, fs};

use hyper::HeaderMap;
use prometheus_client::metrics::counter::Counter;
use scan_admission::cluster::scan_metrics::{ScanMetrics, SharedView, WatchCounts};
use scan_admission::cluster::scan_view::{Collection, ScanView, ViewSettings};
use scan_admission::scan::Kind;
use scan_admission::server::exposition::Exposition;
use serde_json::Value;
use time::OffsetDateTime;

use crate::support::client::Client;
use crate::support::fixtures::fixture;
use crate::support::folder::Folder;
use crate::support::http::{get, get_as};
use crate::support::page;
use crate::support::process::Process;
use crate::support::program::command;

/// Labels that Prometheus adds to every sample.
const TARGET: [&str; 4] = ["namespace", "job", "instance", "pod"];

fn rules() -> Vec<Value> {
    let text = fs::read_to_string("manifests/monitoring/prometheusrule.yaml").unwrap();
    let rule: Value = serde_saphyr::from_str(&text).unwrap();
    rule["spec"]["groups"][0]["rules"].as_array().unwrap().clone()
}

fn expressions() -> Vec<String> {
    let text = fs::read_to_string("manifests/monitoring/dashboard.json").unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter().map(|panel| &panel["targets"][0]["expr"]);
    let rules = rules();
    let all = rules.iter().map(|rule| &rule["expr"]).chain(panels);
    all.map(|expr| expr.as_str().unwrap().to_owned()).collect()
}

/// Returns the labels of each metric in an exposition.
fn exposed(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let end = line.find(['{', ' ']).unwrap();
        let labels = all.entry(line[..end].to_owned()).or_default();
        let inside =
            line[end..].strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(labels, _)| labels);
        labels.extend(inside.split("\",").filter_map(|label| Some(label.split_once('=')?.0.to_owned())));
    }
    all
}

/// Returns the metrics with our prefix or the API server's, each with the labels that the expression matches.
fn named(expr: &str) -> Vec<(String, Vec<String>)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = expr;
    while let Some(start) = ["scan_admission_", "apiserver_"].iter().filter_map(|prefix| rest.find(prefix)).min() {
        rest = &rest[start..];
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let name = rest[..end].to_owned();
        rest = &rest[end..];
        let inside = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(inside, _)| inside);
        let label = |part: &str| part.trim().split(|c| !is_word(c)).next().unwrap_or_default().to_owned();
        found.push((name, inside.split(',').map(label).filter(|label| !label.is_empty()).collect()));
    }
    found
}

fn grouped(expr: &str) -> Vec<String> {
    let lists = expr.split(" by (").skip(1).map(|rest| rest.split(')').next().unwrap());
    lists.flat_map(|list| list.split(", ")).map(str::to_owned).collect()
}

/// Returns the metrics of `audit --watch`, which needs a cluster to run.
fn metrics_of_scans() -> String {
    let settings = ViewSettings { stuck_after: std::time::Duration::from_secs(3600), reports: None };
    let view = SharedView::new(ScanView::new(settings, Kind::ALL, OffsetDateTime::UNIX_EPOCH));
    let counts = WatchCounts::default();
    let metrics = ScanMetrics::new(view.clone(), || OffsetDateTime::UNIX_EPOCH, &counts, Counter::default());
    let text = || metrics.text(Exposition::negotiate(&HeaderMap::new())).unwrap();
    for kind in Kind::ALL {
        assert!(text().contains("oldest_pass_age") && !text().contains("scans_stuck"), "of a part of the scans");
        view.lock().end_list(Collection::Scans(kind), OffsetDateTime::UNIX_EPOCH);
    }
    text()
}

#[tokio::test]
async fn every_metric_and_label_in_manifests_and_pages_exists() {
    let folder = Folder::new();
    // With a configuration file, /metrics has a digest.
    fs::write(folder.join("config.yaml"), "").unwrap();
    let server = Process::start(command(folder.path(), &["--config=config.yaml"]), folder.join("errors"));
    let review = fixture("sourcescan-failed-5-completed.validate.json");
    Client::new(&folder.join("certs/ca.crt"), server.address, "http/1.1").await.post("/validate", review).await;
    let (of_server, of_scans) =
        (String::from_utf8(get(server.admin, "/metrics").await.body).unwrap(), metrics_of_scans());
    let release =
        |text: &str| text.lines().find(|line| line.starts_with("scan_admission_build_info")).map(str::to_owned);
    assert!(release(&of_server).is_some() && release(&of_server) == release(&of_scans), "{of_scans}");
    let mut all = exposed(&of_server);
    all.append(&mut exposed(&of_scans));
    for expr in expressions() {
        let named = named(&expr);
        for (name, labels) in named.iter().filter(|(name, _)| name.starts_with("scan_admission_")) {
            let there = all.get(name).unwrap_or_else(|| panic!("{name} is not in /metrics: {expr}"));
            for label in labels.iter().chain(&grouped(&expr)) {
                assert!(
                    there.contains(label) || TARGET.contains(&label.as_str()),
                    "{name} has no label {label}: {expr}"
                );
            }
        }
    }
    // The changelog also has the old names.
    for page in page::pages().into_iter().filter(|page| page.path != "CHANGELOG.md") {
        let text = fs::read_to_string(&page.path).unwrap();
        for (name, _) in named(&text).iter().filter(|(name, _)| name.starts_with("scan_admission_")) {
            // The pages name a histogram without the suffixes of its samples.
            let is_there = all.contains_key(name) || all.contains_key(&format!("{name}_count"));
            assert!(is_there || name.ends_with('_'), "{} names {name}, which is not in /metrics", page.path);
        }
    }
}

#[test]
fn the_page_of_alerts_has_a_section_for_each() {
    let page = fs::read_to_string("docs/alerts.md").unwrap();
    let sections: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let rules = rules();
    let alerts: Vec<_> = rules.iter().map(|rule| rule["alert"].as_str().unwrap()).collect();
    assert_eq!(sections, alerts);
    for rule in &rules {
        let anchor = rule["alert"].as_str().unwrap().to_lowercase();
        assert_eq!(rule["annotations"]["runbook_url"], format!("docs/alerts.md#{anchor}"));
    }
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const OPEN_METRICS_0_0_1: &str = "application/openmetrics-text; version=0.0.1; charset=utf-8";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Accept headers of scrapers, each with the content type of the answer.
const ACCEPTED: &[(&str, &str)] = &[
    // Prometheus 2.5, 2.40, 2.54 and 3.5, the same with protobuf, and with only the text format.
    ("application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", OPEN_METRICS_0_0_1),
    (
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        OPEN_METRICS,
    ),
    (
        "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        OPEN_METRICS,
    ),
    (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        OPEN_METRICS,
    ),
    (
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        OPEN_METRICS,
    ),
    ("text/plain;version=0.0.4;q=0.6,*/*;q=0.5", TEXT),
    // A future version.
    ("application/openmetrics-text;version=2.0.0;escaping=allow-utf-8;q=0.6,*/*;q=0.5", TEXT),
    // Versions before OpenMetrics, VictoriaMetrics' agent, curl, browsers, and the clients of Go and Python.
    (
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
        TEXT,
    ),
    ("text/plain;version=0.0.4;q=1,*/*;q=0.1", TEXT),
    ("*/*", TEXT),
    ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", TEXT),
    ("application/json, */*", TEXT),
    ("", TEXT),
    // Qualities in any order; the most specific range counts.
    ("text/plain;version=0.0.4;q=0.9, application/openmetrics-text;version=1.0.0;q=0.8", TEXT),
    ("text/plain;version=0.0.4;q=0.8, application/openmetrics-text;version=1.0.0;q=0.9", OPEN_METRICS),
    ("text/plain, application/openmetrics-text", OPEN_METRICS),
    ("application/openmetrics-text;q=0, */*", TEXT),
    (
        "application/openmetrics-text;q=0.000;version=1.0.0, application/openmetrics-text;version=0.0.1;q=0.001",
        OPEN_METRICS_0_0_1,
    ),
    ("application/openmetrics-text;version=1.0.0;q=0, text/plain;q=0", TEXT),
    ("text/plain;q=0.1, */*;q=0.9", TEXT),
    ("text/*;q=0.1, application/*;q=0.9", TEXT),
    ("application/openmetrics-text;q=0.5, */*", TEXT),
    ("application/openmetrics-text;q=0.5, text/*;q=0.4, */*", OPEN_METRICS),
    ("*/*;q=1, text/plain;q=0.5, application/openmetrics-text;q=0.7", OPEN_METRICS),
    // Other spellings, or no header.
    ("APPLICATION/OpenMetrics-Text ; VERSION=\"1.0.0\" ; Q=0.5 , text/plain;q=0.4", OPEN_METRICS),
    ("application/openmetrics-text;version=1.0.0;q=high, text/plain;q=0.1", TEXT),
    ("application/openmetrics-text-2", TEXT),
    (",;,q=1;;", TEXT),
];

#[tokio::test]
async fn a_scraper_gets_the_format_that_it_requests() {
    let folder = Folder::new();
    let server = Process::start(command(folder.path(), &[]), folder.join("errors"));
    let answered = async |headers: &[(&'static str, &str)]| {
        let reply = get_as(server.admin, "/metrics", headers).await;
        let (content_type, text) = (reply.headers["content-type"].clone(), String::from_utf8(reply.body).unwrap());
        assert_eq!(reply.code, 200);
        assert_eq!(text.ends_with("\n# EOF\n"), content_type != TEXT, "{headers:?}");
        content_type
    };
    assert_eq!(answered(&[]).await, TEXT);
    for (accept, expected) in ACCEPTED {
        assert_eq!(answered(&[("accept", accept)]).await, *expected, "{accept}");
    }
    // Two header lines form one list.
    let lines = [("accept", "text/plain;q=0.5"), ("accept", "application/openmetrics-text;version=1.0.0")];
    assert_eq!(answered(&lines).await, OPEN_METRICS);
}

/// Returns the families of an exposition in the text format, each with its type and samples. Asserts that the
/// exposition follows the format.
fn families(text: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut families: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    let (mut helped, mut name) = ("", String::new());
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            helped = rest.split_once(' ').unwrap().0;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (typed, kind) = rest.split_once(' ').unwrap();
            assert_eq!(typed, helped, "each family must have a help line, followed by a type line");
            assert!(["counter", "gauge", "histogram", "summary", "untyped"].contains(&kind), "{line}");
            name = typed.to_owned();
            let before = families.insert(name.clone(), (kind.to_owned(), BTreeSet::new()));
            assert_eq!(before, None, "{line}: the family is not unique");
        } else {
            assert!(!line.starts_with('#'), "{line}");
            let (series, value) = line.rsplit_once(' ').unwrap();
            value.parse::<f64>().unwrap();
            let (kind, samples) = families.get_mut(&name).unwrap();
            let suffix = series.split('{').next().unwrap().strip_prefix(&name);
            let suffixes: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(suffix.is_some_and(|suffix| suffixes.contains(&suffix)), "{line} does not belong to {name}");
            assert!(samples.insert(series.to_owned()), "{line}: the sample is not unique");
        }
    }
    families
}

#[tokio::test]
async fn the_text_format_has_the_metrics_of_open_metrics() {
    let folder = Folder::new();
    let server = Process::start(command(folder.path(), &[]), folder.join("errors"));
    let review = fixture("sourcescan-failed-5-completed.validate.json");
    Client::new(&folder.join("certs/ca.crt"), server.address, "http/1.1").await.post("/validate", review).await;
    let text = String::from_utf8(get(server.admin, "/metrics").await.body).unwrap();
    let open_metrics = get_as(server.admin, "/metrics", &[("accept", "application/openmetrics-text")]).await.body;
    let open_metrics = String::from_utf8(open_metrics).unwrap();
    let families = families(&text);
    let series = |line: &str| line.rsplit_once(' ').unwrap().0.to_owned();
    let samples: BTreeSet<String> = families.values().flat_map(|(_, samples)| samples.clone()).collect();
    let expected = open_metrics.lines().filter(|line| !line.starts_with('#')).map(series);
    assert_eq!(samples, expected.collect());
    for (name, (kind, samples)) in &families {
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
        assert!(!name.ends_with("_created") && !samples.is_empty(), "{name}");
    }
    for (name, kind) in [
        ("scan_admission_reviews_total", "counter"),
        ("scan_admission_reviews_in_flight", "gauge"),
        ("scan_admission_review_duration_seconds", "histogram"),
        ("scan_admission_review_body_bytes", "histogram"),
        ("scan_admission_build_info", "gauge"),
    ] {
        assert_eq!(families[name].0, kind, "{name}");
    }
    // The libraries of Prometheus must read it, too.
    let Some(program) = prometheus() else { return };
    let file = folder.join("metrics");
    fs::write(&file, text).unwrap();
    let output = Command::new(program).arg("exposition").arg(file).output().unwrap();
    let read = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{read}");
    let found = read.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "));
    let expected = families.iter().map(|(name, (kind, _))| format!("{name} {}", kind.to_uppercase()));
    assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

/// Returns the program of tests/monitoring, or `None` without Go to build it.
fn prometheus() -> Option<PathBuf> {
    static BUILD: Mutex<()> = Mutex::new(());
    let go = env::var_os("GO").unwrap_or_else(|| "go".into());
    if Command::new(&go).arg("version").output().is_err() {
        assert!(env::var_os("CI").is_none(), "Go is missing, which evaluates the alerts: install Go 1.26 or newer");
        eprintln!("skipped: Go is missing, which evaluates the alerts");
        return None;
    }
    let _one_at_a_time = BUILD.lock().unwrap();
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("monitoring");
    let built = Command::new(&go)
        .current_dir("tests/monitoring")
        .args(["build", "-trimpath", "-buildvcs=false", "-gcflags=all=-l -dwarf=false", "-ldflags=-s -w", "-o"])
        .arg(&program)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Some(program)
}

#[test]
fn each_alert_fires_exactly_in_its_cases() {
    let Some(program) = prometheus() else { return };
    let output = Command::new(program)
        .args(["manifests/monitoring/prometheusrule.yaml", "tests/monitoring/cases.yaml"])
        .arg("manifests/monitoring/dashboard.json")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
