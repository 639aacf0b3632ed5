//! The Grafana dashboard: a table of panels, from which its JSON is generated.

use serde_json::{Value, json};

/// The width of a panel: two stand side by side on Grafana's grid of 24 columns.
const WIDTH: usize = 12;
/// The height of a panel, in rows of the grid.
const HEIGHT: usize = 8;

struct Panel {
    title: &'static str,
    /// The type of the panel in Grafana.
    kind: &'static str,
    unit: &'static str,
    /// The PromQL query.
    expr: &'static str,
    legend: &'static str,
}

const PANELS: &[Panel] = &[
    Panel {
        title: "Traffic by resource and operation",
        kind: "timeseries",
        unit: "reqps",
        expr: "sum by (resource, operation) (rate(scan_admission_reviews_total[$__rate_interval]))",
        legend: "{{ operation }} {{ resource }}",
    },
    Panel {
        title: "Decisions",
        kind: "timeseries",
        unit: "reqps",
        expr: "sum by (decision, fault) (rate(scan_admission_reviews_total[$__rate_interval]))",
        legend: "{{ decision }} {{ fault }}",
    },
    Panel {
        title: "Findings by rule",
        kind: "timeseries",
        unit: "reqps",
        expr: "sum by (rule, action) (rate(scan_admission_findings_total[$__rate_interval])) > 0",
        legend: "{{ rule }} ({{ action }})",
    },
    Panel {
        title: "Latency",
        kind: "heatmap",
        unit: "s",
        expr: "sum by (le) (increase(scan_admission_review_duration_seconds_bucket[$__rate_interval]))",
        legend: "{{ le }}",
    },
    Panel {
        title: "Reviews in flight",
        kind: "timeseries",
        unit: "short",
        expr: "scan_admission_reviews_in_flight",
        legend: "{{ instance }}",
    },
    Panel {
        title: "Reviews shed",
        kind: "timeseries",
        unit: "reqps",
        expr: "rate(scan_admission_reviews_shed_total[$__rate_interval])",
        legend: "{{ instance }}",
    },
    Panel {
        title: "Events: writes by result",
        kind: "timeseries",
        unit: "reqps",
        expr: "sum by (result) (rate(scan_admission_event_writes_total[$__rate_interval]))",
        legend: "{{ result }}",
    },
    Panel {
        title: "Events: denials and warnings not shown",
        kind: "timeseries",
        unit: "reqps",
        expr: "sum by (reason) (rate(scan_admission_events_dropped_total[$__rate_interval]))",
        legend: "{{ reason }}",
    },
    Panel {
        title: "Serving certificates: time to expiry",
        kind: "timeseries",
        unit: "s",
        expr: "(scan_admission_certificate_not_after_timestamp_seconds > 0) - time()",
        legend: "{{ instance }}",
    },
    Panel {
        title: "CA: time to expiry",
        kind: "timeseries",
        unit: "s",
        expr: "(scan_admission_ca_not_after_timestamp_seconds > 0) - time()",
        legend: "{{ instance }}",
    },
    Panel {
        title: "API server: webhook call duration, p99",
        kind: "timeseries",
        unit: "s",
        expr: "histogram_quantile(0.99, sum by (name, le) (rate(apiserver_admission_webhook_admission_duration_seconds_bucket{name=~\".*[.]scan-admission[.]dev\"}[$__rate_interval])))",
        legend: "{{ name }}",
    },
    Panel {
        title: "API server: denials",
        kind: "timeseries",
        unit: "reqps",
        expr: "sum by (name, error_type) (rate(apiserver_admission_webhook_rejection_count{name=~\".*[.]scan-admission[.]dev\"}[$__rate_interval]))",
        legend: "{{ name }} {{ error_type }}",
    },
    Panel {
        title: "API server: writes that passed unjudged",
        kind: "timeseries",
        unit: "short",
        expr: "sum by (name) (increase(apiserver_admission_webhook_fail_open_count{name=~\".*[.]scan-admission[.]dev\"}[$__rate_interval]))",
        legend: "{{ name }}",
    },
    Panel {
        title: "Stored scans by phase",
        kind: "timeseries",
        unit: "short",
        expr: "max by (kind, phase) (scan_admission_scans) > 0",
        legend: "{{ kind }} {{ phase }}",
    },
    Panel {
        title: "Stored scans: oldest in each phase",
        kind: "timeseries",
        unit: "s",
        expr: "max by (phase) (scan_admission_oldest_scan_age_seconds{phase=~\"none|Pending|Scanning\"})",
        legend: "{{ phase }}",
    },
    Panel {
        title: "Stored scans: stuck",
        kind: "timeseries",
        unit: "short",
        expr: "max by (kind) (scan_admission_scans_stuck)",
        legend: "{{ kind }}",
    },
    Panel {
        title: "Stored scans: not in the verified totals",
        kind: "timeseries",
        unit: "short",
        expr: "max by (reason) (scan_admission_scans_unverified)",
        legend: "{{ reason }}",
    },
    Panel {
        title: "Stored scans with findings",
        kind: "timeseries",
        unit: "short",
        expr: "max by (rule, severity) (scan_admission_scans_with_findings) > 0",
        legend: "{{ rule }} ({{ severity }})",
    },
    Panel {
        title: "Verified totals of CVEs",
        kind: "timeseries",
        unit: "short",
        expr: "max by (severity) (scan_admission_verified_cves)",
        legend: "{{ severity }}",
    },
    Panel {
        title: "Reports: writes",
        kind: "timeseries",
        unit: "reqps",
        expr: "sum by (result) (rate(scan_admission_report_writes_total[$__rate_interval]))",
        legend: "{{ result }}",
    },
];

/// Returns the dashboard as JSON to import.
pub fn dashboard() -> String {
    let panels: Vec<Value> = PANELS.iter().enumerate().map(panel).collect();
    let dashboard = json!({
        "uid": "scan-admission",
        "title": "scan-admission",
        "schemaVersion": 39,
        "editable": true,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]},
        "panels": panels,
    });
    format!("{dashboard:#}\n")
}

fn panel((index, panel): (usize, &Panel)) -> Value {
    let Panel { title, kind, unit, expr, legend } = panel;
    let format = if *kind == "heatmap" { "heatmap" } else { "time_series" };
    let options = match *kind {
        "heatmap" => json!({"calculate": false, "yAxis": {"unit": unit}}),
        _ => json!({}),
    };
    json!({
        "id": index + 1,
        "title": title,
        "type": kind,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": {"x": index % 2 * WIDTH, "y": index / 2 * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "options": options,
        "targets": [{"refId": "A", "expr": expr, "legendFormat": legend, "format": format}],
    })
}
