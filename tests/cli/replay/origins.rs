//! Whose the findings are: the manager of the field, and the ScanTemplate.

use serde_json::{Value, json};

use super::log::{event, lines, report, run, scan, with};

/// The origins of a report as `findings template manager since`.
fn origins(report: &Value) -> Vec<String> {
    let row = |row: &Value| {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        format!("{} {} {} {}", row["findings"], text("scanTemplate"), text("manager"), text("since"))
    };
    report["origins"].as_array().unwrap().iter().map(row).collect()
}

/// A status with an error in each of two fields.
fn bad() -> Value {
    json!({"phase": "Done", "metadataUrl": "here"})
}

#[test]
fn findings_come_from_the_managers_of_the_fields() {
    let fields = json!([
        {"manager": "controller", "operation": "Update", "time": "2026-11-20T07:00:00Z", "subresource": "status",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:status": {"f:phase": {}}}},
        {"manager": "hook", "operation": "Update", "time": "2026-11-20T07:30:00Z", "subresource": "status",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:status": {"f:metadataUrl": {}}}},
    ]);
    let managed = json!({"responseObject": {"metadata": {"managedFields": fields}}});
    let another = json!({"responseObject": {"spec": {"scanTemplate": null}}});
    let log = lines(&[
        with(event(1, scan(1, bad())), managed.clone()),
        with(with(event(2, scan(2, bad())), managed), another),
        event(3, scan(3, json!({"phase": "Pending"}))),
    ]);
    let expected = [
        "1  controller 2026-11-20T07:00:00Z",
        "1  hook 2026-11-20T07:30:00Z",
        "1 blob-source-scan-template controller 2026-11-20T07:00:00Z",
        "1 blob-source-scan-template hook 2026-11-20T07:30:00Z",
    ];
    let mut found = origins(&report(&log));
    found.sort();
    assert_eq!(found, expected);
}

/// The API server names the manager of a write in this way.
#[test]
fn without_managed_fields_findings_come_from_the_manager_of_the_write() {
    let uri = "/apis/scanning.apps.tanzu.vmware.com/v1beta1/namespaces/dev/sourcescans/app/status";
    let log = lines(&[
        with(event(1, scan(1, bad())), json!({"requestURI": format!("{uri}?a=b&fieldManager=my%2Fmanager")})),
        with(event(2, scan(2, bad())), json!({"requestURI": uri, "userAgent": "scan-controller/v1.4 (linux/amd64)"})),
        with(
            event(3, scan(3, bad())),
            json!({"requestURI": format!("{uri}?fieldManager="), "userAgent": "scan-controller"}),
        ),
        with(event(4, scan(4, bad())), json!({"requestURI": uri})),
    ]);
    let expected = [
        "4 blob-source-scan-template scan-controller 2026-11-20T08:00:02Z",
        "2 blob-source-scan-template  2026-11-20T08:00:04Z",
        "2 blob-source-scan-template my/manager 2026-11-20T08:00:01Z",
    ];
    assert_eq!(origins(&report(&log)), expected);
    let text = run(&[], log.as_bytes()).stdout;
    let sentences = "\n\n4 of 8 findings come from ScanTemplate blob-source-scan-template, manager scan-controller, since \
                     2026-11-20T08:00:02Z\n2 of 8 findings come from ScanTemplate blob-source-scan-template, an unknown manager, \
                     since 2026-11-20T08:00:04Z\n2 of 8 findings come from ScanTemplate blob-source-scan-template, manager \
                     my/manager, since 2026-11-20T08:00:01Z\n\n";
    assert!(text.contains(sentences), "{text}");
    let markdown = run(&["-o", "markdown"], log.as_bytes()).stdout;
    let line = "\n- `4 of 8 findings come from ScanTemplate blob-source-scan-template, manager scan-controller, since ";
    assert!(markdown.contains(line), "{markdown}");
}
