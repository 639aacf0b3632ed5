//! Compares the reviews in tests/fixtures/reviews with those that the API server sends during the lifecycles.
//! Run `UPDATE=1 cargo test --test cluster -- recording` to record them again.

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fs};

use hyper::Version;
use hyper::http::uri::Authority;
use serde_json::json;

use crate::Test;
use crate::captured_review::Review;
use crate::controlplane::{Namespace, User, eventually};
use crate::lifecycle_fixtures::{Lifecycle, lifecycles};
use crate::recording_webhook::{Call, Recorder};
use crate::scan;
use crate::ways_of_writing::Writer;

pub const TESTS: &[(&str, Test)] = &[
    // The name is also that of the namespace, which is in the recorded reviews.
    ("recording", recorded_reviews_are_what_the_api_server_sends),
    ("requests-by-service-and-by-url", requests_by_service_and_by_url),
];

const WEBHOOKS: [&str; 2] = ["mutate", "validate"];

fn recorded_reviews_are_what_the_api_server_sends(namespace: &Namespace<'_>) {
    let recorder = Recorder::start(namespace);
    recorder.register(namespace, &recorder.url());
    eventually("both webhooks are called", || {
        let create = ["create", "--dry-run=server", "-f", "-"];
        namespace.kubectl(User::Developer).args(create).input(scan("first").to_string()).run().ok();
        (recorder.take().len() == 2).then_some(())
    });

    let recorded: BTreeMap<String, String> = lifecycles()
        .iter()
        .flat_map(|lifecycle| record(&recorder, &Writer::new(namespace, lifecycle.recorded), lifecycle))
        .collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reviews");
    let is_update = env::var_os("UPDATE").is_some();
    for (name, text) in &recorded {
        let path = folder.join(name);
        if is_update {
            fs::write(&path, text).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        // The first line that differs is a better message than two whole texts.
        let differ = text.lines().zip(committed.lines()).enumerate().find(|(_, (sent, committed))| sent != committed);
        assert!(
            *text == committed,
            "{name} differs from the review that was sent ({differ:?}): run UPDATE=1 cargo test --test cluster"
        );
    }
    for entry in fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if is_update && !recorded.contains_key(&name) {
            fs::remove_file(folder.join(&name)).unwrap();
            continue;
        }
        assert!(recorded.contains_key(&name), "{name} belongs to no lifecycle");
    }
}

/// Runs a lifecycle, and returns the reviews by the names of their files.
fn record(recorder: &Recorder, writer: &Writer<'_>, lifecycle: &Lifecycle) -> Vec<(String, String)> {
    let mut versions = Vec::new();
    let mut files = Vec::new();
    let mut record = |step: &str| {
        // A lifecycle without steps consists of its creation.
        let step = if lifecycle.steps.is_empty() { lifecycle.id() } else { format!("{}-{step}", lifecycle.id()) };
        let mut calls = recorder.take();
        // If its cache is older than the last write, the API server reads the object again and repeats its calls. The last
        // ones are about the object that is stored.
        let last = calls.iter().rposition(|call| call.webhook == WEBHOOKS[0]).unwrap_or_default();
        let reviews = calls.split_off(last);
        let webhooks: Vec<_> = reviews.iter().map(|call| call.webhook.as_str()).collect();
        assert_eq!(webhooks, WEBHOOKS, "{step}");
        for call in &reviews {
            let name = format!("{step}.{}", call.webhook);
            let mut review = Review::read(&call.body);
            review.normalise(&name, &mut versions);
            files.push((format!("{name}.json"), review.text()));
        }
    };
    writer.create(&[lifecycle.scan()]);
    record("create");
    // Denied steps are left out: the recording webhook allows everything and would store them.
    for step in lifecycle.steps.iter().filter(|step| step.denied.is_empty()) {
        if step.delete {
            writer.delete(&lifecycle.kind, &lifecycle.name);
        } else {
            let stored = writer.read(&lifecycle.kind, &lifecycle.name).expect("the scan exists");
            writer.write(&stored, &step.stored(&stored)).unwrap();
        }
        record(&step.name);
    }
    files
}

/// The API server must send requests as KUBERNETES.md says and tests/server/requests.rs imitates.
fn requests_by_service_and_by_url(namespace: &Namespace<'_>) {
    let recorder = Recorder::start(namespace);
    let port = recorder.address.port();
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hook"},
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]}});
    namespace.kubectl(User::Admin).args(["create", "-f", "-"]).input(service.to_string()).run().ok();
    let service = json!({"service": {"namespace": namespace.name, "name": "hook", "port": port}});
    let name = format!("hook.{}.svc", namespace.name);
    let by_service = (service, Version::HTTP_11, Some(name.as_str()), format!("{name}:{port}"));
    let by_url = (recorder.url(), Version::HTTP_2, None, recorder.address.to_string());
    for (client, version, server_name, host) in [by_service, by_url] {
        recorder.register(namespace, &client);
        let call = eventually("the webhook is called in this way", || {
            let create = ["create", "--dry-run=server", "-f", "-"];
            namespace.kubectl(User::Developer).args(create).input(scan("one").to_string()).run().ok();
            recorder.take().into_iter().find(|Call { head, server_name: asked, webhook, .. }| {
                let called = head.headers.get("host").map(|host| host.to_str().unwrap());
                let called = called.or(head.uri.authority().map(Authority::as_str));
                head.version == version
                    && asked.as_deref() == server_name
                    && called == Some(host.as_str())
                    && webhook == "validate"
            })
        });
        let header = |name: &str| call.head.headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(call.head.method, "POST");
        assert_eq!(call.head.uri.path_and_query().unwrap(), "/validate?timeout=5s");
        assert_eq!(header("content-type"), Some("application/json"));
        assert_eq!(header("accept"), Some("application/json, */*"));
        assert_eq!(header("accept-encoding"), Some("gzip"));
        assert_eq!(header("user-agent"), Some("kube-apiserver-admission"));
        assert_eq!(header("content-length"), Some(call.body.len().to_string().as_str()));
        assert_eq!((header("transfer-encoding"), header("expect")), (None, None));
    }
}
