//! Which events are judged, and with which old object.

use serde_json::{Value, json};

use super::log::{USER, counts, event, lines, of_main, reasons, report, rows, run_in, scan, with};
use crate::support::folder::Folder;

fn done() -> Value {
    json!({"phase": "Done"})
}

fn gone() -> Value {
    json!({"phase": "Gone"})
}

fn pending() -> Value {
    json!({"phase": "Pending"})
}

#[test]
fn an_update_of_the_status_is_judged_with_the_old_object() {
    // The first write introduces the error, the second leaves it, and the third changes it.
    let log = lines(&[
        of_main(event(1, scan(1, json!(null))), "create"),
        event(2, scan(2, done())),
        event(3, scan(3, json!({"phase": "Done", "scannedBy": {"scanner": {"name": "Grype", "version": "1"}}}))),
        event(4, scan(4, gone())),
    ]);
    let found = report(log);
    assert_eq!(counts(&found), json!({"events": 4, "statusWrites": 3, "denied": 2, "warned": 1}));
    assert_eq!(rows(&found), ["deny phase-unknown 2/0", "warn phase-unknown 1/0"]);
    let row = &found["rows"][0];
    assert_eq!((&row["namespace"], &row["user"]), (&json!("dev"), &json!(USER)));
    assert_eq!((&row["first"], &row["last"]), (&json!("2026-11-20T08:00:02Z"), &json!("2026-11-20T08:00:04Z")));
    assert_eq!(
        row["example"],
        json!({
            "auditID": "audit-2", "position": "standard input:2", "kind": "SourceScan", "name": "app",
            "path": "status.phase",
            "message": "Unsupported value: \"Done\": supported values: \"Pending\", \"Scanning\", \"Completed\", \"Failed\", \"Error\"",
        })
    );
}

#[test]
fn a_patch_is_judged_by_its_response() {
    let patch = |second, version, status| {
        let request = json!({"status": {"phase": "Pending"}});
        with(event(second, scan(version, status)), json!({"verb": "patch", "requestObject": request}))
    };
    let found = report(lines(&[patch(1, 1, pending()), patch(2, 2, done())]));
    assert_eq!(counts(&found), json!({"events": 2, "statusWrites": 2, "denied": 1, "clean": 1, "upperBounds": 1}));
    assert_eq!(rows(&found), ["deny phase-unknown 1/0"]);
}

#[test]
fn the_status_is_mutated_before_it_is_validated() {
    let status = json!({"phase": "Scanning", "cveCount": {"low": 2, "high": 1, "total": 2}});
    let found = report(lines(&[event(1, scan(1, pending())), event(2, scan(2, status))]));
    let of_mutation: Vec<&Value> =
        found["rows"].as_array().unwrap().iter().filter(|row| row["outcome"] == "mutate").collect();
    assert_eq!(found["counts"]["mutated"], 1, "{found}");
    assert_eq!(found["counts"]["denied"], 0, "{found}");
    let message =
        |rule: &str| of_mutation.iter().find(|row| row["rule"] == rule).unwrap()["example"]["message"].clone();
    assert_eq!(message("cve-total"), "was 2, set to 3");
    assert_eq!(message("cve-count-values"), "absent, set to 0");
}

#[test]
fn a_write_with_a_warning_of_the_mutating_webhook_alone_is_not_clean() {
    let condition = |kind: &str, status: &str, message: &str| {
        json!({"type": kind, "status": status, "reason": "JobFinished", "message": message,
            "lastTransitionTime": "2026-11-20T08:00:02Z"})
    };
    let conditions = [
        condition("Scanning", "False", "The scan job terminated"),
        condition("Succeeded", "True", "The scan job finished"),
    ];
    for (total, warned, mutated) in [(json!(9), 1, 1), (json!(""), 1, 1), (json!(null), 0, 1), (json!(1), 0, 0)] {
        let status = json!({"phase": "Completed", "conditions": conditions, "observedGeneration": 1,
            "scannedAt": "2026-11-20T08:00:02Z", "scannedBy": {"scanner": {"name": "a", "vendor": "b", "version": "1"}},
            "cveCount": {"critical": 1, "high": 0, "medium": 0, "low": 0, "unknown": 0, "total": total}});
        let found = &report(lines(&[event(2, scan(2, status))]))["counts"];
        let numbers = ["statusWrites", "warned", "clean", "mutated"].map(|name| found[name].as_u64().unwrap());
        assert_eq!(numbers, [1, warned, 1 - warned, mutated], "{total}");
    }
}

#[test]
fn only_the_stage_response_complete_is_judged() {
    let at = |stage: &str| with(event(1, scan(1, done())), json!({"stage": stage}));
    let found = report(lines(&[at("RequestReceived"), at("ResponseStarted"), at("Panic"), at("ResponseComplete")]));
    assert_eq!(counts(&found), json!({"events": 4, "statusWrites": 1, "denied": 1, "upperBounds": 1, "panics": 1}));
}

#[test]
fn dry_runs_and_failed_writes_are_counted_apart_and_are_no_old_objects() {
    let dry = json!({"requestURI": "/apis/x/y/status?dryRun=All&fieldManager=z"});
    let failed = json!({"responseStatus": {"status": "Failure", "code": 422}});
    let log = lines(&[
        event(1, scan(1, pending())),
        with(event(2, scan(2, done())), dry.clone()),
        with(event(3, scan(3, done())), failed),
        with(event(4, json!({"kind": "Status"})), json!({"responseStatus": {"code": 300}})),
        with(of_main(event(5, scan(5, done())), "update"), dry),
        event(6, scan(6, done())),
    ]);
    let found = report(log);
    let expected =
        json!({"events": 6, "statusWrites": 2, "denied": 1, "clean": 1, "upperBounds": 1, "dryRuns": 2, "failed": 2});
    assert_eq!(counts(&found), expected);
    assert_eq!(rows(&found), ["deny phase-unknown 1/0"]);
}

/// The API server decodes the names of parameters. Only a deletion has its options in the body.
#[test]
fn a_dry_run_is_known_by_the_parameter_or_by_the_options_of_a_deletion() {
    let uri = |query: &str| json!({"requestURI": format!("/apis/x/y/status?{query}")});
    for (changes, is_dry_run) in [
        (uri("fieldManager=x&dryRun=All"), true),
        (uri("dry%52un=All"), true),
        (uri("fieldManager=dryRun=All"), false),
        (uri("dryRun="), false),
        (json!({"verb": "patch", "requestObject": {"dryRun": ["All"]}}), false),
    ] {
        let found = counts(&report(lines(&[with(event(1, scan(1, pending())), changes.clone())])));
        assert_eq!(found["dryRuns"] == 1, is_dry_run, "{changes}");
        assert_eq!(found["statusWrites"] == 1, !is_dry_run, "{changes}");
    }
}

#[test]
fn events_without_the_stored_object_are_not_replayed_and_say_why() {
    let bare = |second, changes| {
        with(with(event(second, scan(second.into(), done())), json!({"responseObject": null})), changes)
    };
    let log = lines(&[
        event(1, scan(1, done())),
        bare(2, json!({"level": "Metadata"})),
        // The old object is not the last one any more, so the error counts as new.
        event(3, scan(3, done())),
        bare(4, json!({"level": "Request", "verb": "patch", "requestObject": {"status": done()}})),
        bare(5, json!({"annotations": {"audit.k8s.io/truncated": "true"}})),
        bare(6, json!({"verb": "patch"})),
        with(event(7, json!({"kind": "Table", "rows": []})), json!({})),
        with(event(8, scan(8, done())), json!({"responseStatus": null})),
        with(event(9, scan(9, done())), json!({"requestReceivedTimestamp": "today"})),
        bare(10, json!({"level": "Metadata"})),
    ]);
    let found = report(log);
    let expected = json!({"events": 10, "statusWrites": 2, "denied": 2, "upperBounds": 2, "notReplayed": 8});
    assert_eq!(counts(&found), expected);
    assert_eq!(
        reasons(&found, "notReplayed"),
        [
            "level-metadata 2 standard input:2",
            "level-request 1 standard input:4",
            "truncated 1 standard input:5",
            "no-response-object 2 standard input:6",
            "incomplete 2 standard input:8",
        ]
    );
}

#[test]
fn a_scan_that_is_deleted_is_no_old_object_of_its_successor() {
    let successor = |second, version, uid: &str| {
        with(event(second, scan(version, done())), json!({"responseObject": {"metadata": {"uid": uid}}}))
    };
    let delete = |second, response, details: Value| {
        let changes = json!({"responseStatus": {"status": "Success", "code": 200, "details": details}});
        with(of_main(event(second, response), "delete"), changes)
    };
    let status = json!({"kind": "Status"});
    let log = lines(&[
        event(1, scan(1, done())),
        // Not a deletion of this scan, and a deletion that was a dry run.
        delete(2, status.clone(), json!({"uid": "another"})),
        with(delete(3, status.clone(), json!({"uid": "uid-1"})), json!({"requestObject": {"dryRun": ["All"]}})),
        event(4, scan(4, done())),
        delete(5, status, json!({"uid": "uid-1"})),
        successor(6, 6, "uid-1"),
        // A scan of the same name, whose predecessor was deleted unseen.
        successor(7, 7, "uid-2"),
        // The scan has a finalizer: it is in the response, and is still the old object.
        delete(8, with(scan(8, done()), json!({"metadata": {"uid": "uid-2"}})), json!({})),
        successor(9, 9, "uid-2"),
    ]);
    let found = report(log);
    assert_eq!(counts(&found)["upperBounds"], 3, "{found}");
    assert_eq!(rows(&found), ["deny phase-unknown 3/3", "warn phase-unknown 2/0"]);
}

#[test]
fn scans_that_were_read_are_old_objects() {
    let get = with(event(1, scan(1, done())), json!({"verb": "get", "objectRef": {"subresource": null}}));
    let items = json!([with(scan(1, done()), json!({"kind": null})), 7]);
    let list = with(
        event(1, json!({"kind": "SourceScanList", "items": items})),
        json!({"verb": "list", "objectRef": {"subresource": null, "name": null}}),
    );
    for read in [&get, &list] {
        let found = report(lines(&[read.clone(), event(2, scan(2, done()))]));
        assert_eq!(rows(&found), ["warn phase-unknown 1/0"], "{found}");
    }
    // What was read without its status does not take the place of what was stored.
    let metadata = json!({"metadata": scan(1, json!(null))["metadata"], "kind": "PartialObjectMetadata"});
    let of_list =
        |kind: &str, item: &Value| with(list.clone(), json!({"responseObject": {"kind": kind, "items": [item]}}));
    for partial in [
        with(get, json!({"responseObject": {"kind": "PartialObjectMetadata", "spec": null, "status": null}})),
        of_list("PartialObjectMetadataList", &metadata),
        of_list("PartialObjectMetadataList", &with(metadata.clone(), json!({"kind": null}))),
        of_list("SourceScanList", &metadata),
    ] {
        let found = report(lines(&[event(1, scan(1, done())), partial, event(2, scan(2, done()))]));
        assert_eq!(rows(&found), ["deny phase-unknown 1/1", "warn phase-unknown 1/0"], "{found}");
    }
}

#[test]
fn an_object_that_is_not_older_than_the_write_is_not_its_old_object() {
    let get = |second, version| {
        with(event(second, scan(version, done())), json!({"verb": "get", "objectRef": {"subresource": null}}))
    };
    let write = |second, version| event(second, scan(version, done()));
    for (old, is_used) in [
        (get(1, 1), true),
        // A log of another API server that was not merged.
        (get(1, 3), false),
        // The write changed nothing, so the object kept its version.
        (get(1, 2), true),
        // The read was done during the write, and may have seen its result.
        (get(9, 2), false),
        // Without versions, the times decide.
        (with(get(1, 1), json!({"responseObject": {"metadata": {"resourceVersion": null}}})), true),
        (with(get(9, 1), json!({"responseObject": {"metadata": {"resourceVersion": null}}})), false),
        (with(get(1, 1), json!({"responseObject": {"metadata": {"uid": "another"}}})), false),
        (with(get(1, 1), json!({"responseStatus": {"code": 404}})), false),
    ] {
        let found = report(lines(&[old.clone(), write(5, 2)]));
        assert_eq!(rows(&found)[0].starts_with("warn"), is_used, "{old} {found}");
        assert_eq!(counts(&found)["upperBounds"].is_null(), is_used, "{old}");
    }
    // An old object from a cache does not take the place of a newer one.
    let found = report(lines(&[write(1, 3), get(2, 2), write(3, 4)]));
    assert_eq!(rows(&found), ["deny phase-unknown 1/1", "warn phase-unknown 1/0"]);
}

/// The spec and the generation of the old object are those of the new one, whatever the log lacks.
#[test]
fn a_status_write_is_compared_with_the_status_alone() {
    // policy-without-scanpolicy reads the spec.
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({"type": kind, "status": "True", "reason": reason,
        "message": message, "lastTransitionTime": "2026-11-20T08:00:00Z"})
    };
    let status = json!({"phase": "Completed", "observedGeneration": 1, "conditions": [
        condition("Succeeded", "JobFinished", "The scan job finished"),
        condition("PolicySucceeded", "EvaluationPassed", "No CVEs were found that violated the policy")]});
    let found = report(lines(&[
        with(event(1, scan(1, status.clone())), json!({"responseObject": {"spec": {"scanPolicy": "removed-unseen"}}})),
        event(2, scan(2, status)),
    ]));
    let of_rule: Vec<String> =
        rows(&found).into_iter().filter(|row| row.contains("policy-without-scanpolicy")).collect();
    assert_eq!(of_rule, ["warn policy-without-scanpolicy 1/0"], "{found:#}");
}

#[test]
fn without_a_status_subresource_writes_of_the_whole_scan_are_judged_if_they_change_the_status() {
    let update = |second, version, status| {
        let changes = json!({"responseObject": {"metadata": {"generation": version}}});
        with(of_main(event(second, scan(version, status)), "update"), changes)
    };
    let log = lines(&[
        of_main(event(1, scan(1, done())), "create"),
        with(update(2, 2, done()), json!({"responseObject": {"metadata": {"labels": {"a": "b"}, "generation": 1}}})),
        update(3, 3, gone()),
        with(update(4, 4, gone()), json!({"responseObject": {"metadata": {"uid": "unknown"}}})),
        with(update(5, 5, gone()), json!({"level": "Metadata", "responseObject": null})),
    ]);
    let found = report(&log);
    let expected = json!({"events": 5, "statusWrites": 2, "denied": 2, "notReplayed": 2});
    assert_eq!(counts(&found), expected);
    assert_eq!(rows(&found), ["deny phase-unknown 2/0", "warn status-on-create 1/0"]);
    assert_eq!(
        reasons(&found, "notReplayed"),
        ["level-metadata 1 standard input:5", "no-old-object 1 standard input:4"]
    );
    // A server-side apply that creates the scan is a patch.
    let applied = with(of_main(event(1, scan(1, done())), "patch"), json!({"responseStatus": {"code": 201}}));
    assert_eq!(rows(&report(lines(&[applied]))), ["deny phase-unknown 1/0", "warn status-on-create 1/0"]);
    // With a subresource they change no status, so nothing is missing.
    let found = report(log + &lines(&[event(6, scan(6, pending()))]));
    assert_eq!(found["notReplayed"], json!([]));
    let log = lines(&[event(1, scan(1, pending())), update(2, 2, gone()), event(3, scan(3, gone()))]);
    assert_eq!(counts(&report(log))["statusWrites"], 2);
}

/// A policy may record the writes of scans, but not those of their status.
#[test]
fn a_write_of_the_whole_scan_that_has_not_changed_the_status_is_not_judged() {
    let update = |second, version: u64, generation: u64, changes: Value| {
        let generation = json!({"responseObject": {"metadata": {"generation": generation}}});
        with(with(of_main(event(second, scan(version, done())), "patch"), generation), changes)
    };
    let spec = json!({"responseObject": {"spec": {"scanTemplate": "another"}}});
    let created = of_main(event(1, scan(1, json!(null))), "create");
    // The generation is the same, so the label is the only change.
    let found = report(lines(&[created.clone(), update(2, 2, 1, json!({})), update(3, 3, 1, json!({}))]));
    assert_eq!(counts(&found), json!({"events": 3, "notReplayed": 1}));
    assert_eq!(reasons(&found, "notReplayed"), ["unrecorded-write 1 standard input:2"]);
    // The change of the spec increments it. It is not known whether the status was changed by this write.
    let found = report(lines(&[created.clone(), update(2, 2, 2, spec)]));
    assert_eq!(rows(&found), ["deny phase-unknown 1/1"]);
    // Without a status subresource, the change of the status increments it.
    let found = report(lines(&[created, update(2, 2, 2, json!({}))]));
    assert_eq!(rows(&found), ["deny phase-unknown 1/0"]);
}

#[test]
fn a_create_without_a_status_and_other_requests_are_not_judged() {
    let log = lines(&[
        of_main(event(1, scan(1, json!(null))), "create"),
        with(event(2, scan(2, done())), json!({"verb": "watch"})),
        with(event(3, scan(3, done())), json!({"verb": "deletecollection"})),
        with(event(4, scan(4, done())), json!({"objectRef": {"subresource": "scale"}})),
        with(event(5, scan(5, done())), json!({"objectRef": {"apiGroup": "example.com"}})),
        with(event(6, scan(6, done())), json!({"objectRef": {"resource": "scanpolicies"}})),
        with(event(7, scan(7, done())), json!({"objectRef": null})),
    ]);
    assert_eq!(counts(&report(log)), json!({"events": 7}));
}

#[test]
fn modes_and_status_writers_are_those_of_the_config_for_the_user_who_counts() {
    let folder = Folder::new();
    let config = format!(
        "rules: {{phase-unknown: audit}}\nstatusWriters: [\"{USER}\"]\noverrides:\n\
         - {{namespaces: [dev], users: [jane], rules: {{phase-unknown: deny}}}}\n\
         - {{groups: [admins], rules: {{phase-unknown: warn}}}}\n"
    );
    std::fs::write(folder.join("config.yaml"), config).unwrap();
    let as_user = |second: u32, user: Value| {
        with(event(second, scan(second.into(), json!({"phase": format!("Done{second}")}))), user)
    };
    let jane = json!({"impersonatedUser": {"username": "jane", "groups": ["developers"]}});
    let log = lines(&[
        event(1, scan(1, pending())),
        as_user(2, json!({})),
        as_user(3, jane.clone()),
        as_user(4, json!({"user": {"username": "joe", "groups": ["admins"]}})),
        as_user(5, json!({"impersonatedUser": {"username": USER, "groups": ["admins"]}})),
    ]);
    let run = run_in(folder.path(), &["-o", "json", "--config", "config.yaml"], log.as_bytes());
    let found: Value = serde_json::from_str(&run.stdout).unwrap();
    let row =
        |row: &Value| format!("{} {} {}", row["outcome"].as_str().unwrap(), row["rule"].as_str().unwrap(), row["user"]);
    let found: Vec<String> = found["rows"].as_array().unwrap().iter().map(row).collect();
    assert_eq!(
        found,
        [
            "deny phase-unknown \"jane\"".to_owned(),
            "deny status-writer \"jane\"".to_owned(),
            "deny status-writer \"joe\"".to_owned(),
            "warn phase-unknown \"joe\"".to_owned(),
            format!("warn phase-unknown \"{USER}\""),
            format!("audit phase-unknown \"{USER}\""),
        ]
    );
}

#[test]
fn managed_fields_do_not_matter() {
    let fields =
        json!({"responseObject": {"metadata": {"managedFields": [{"manager": "x", "fieldsV1": {"f:status": {}}}]}}});
    let events = [event(1, scan(1, pending())), event(2, scan(2, done()))];
    let with_fields: Vec<Value> = events.iter().map(|event| with(event.clone(), fields.clone())).collect();
    assert_eq!(report(lines(&events)), report(lines(&with_fields)));
}
