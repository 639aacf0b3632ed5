//! The reviews in tests/fixtures/reviews are what the API server sends while the lives are lived.
//! `UPDATE=1 cargo test --test cluster -- recording` records them anew.

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fs};

use hyper::Version;
use hyper::http::uri::Authority;
use serde_json::json;

use crate::Test;
use crate::captured_review::Review;
use crate::controlplane::{Namespace, User, eventually};
use crate::lifecycle_fixtures::{Life, lives};
use crate::recording_webhook::{Call, Recorder};
use crate::scan;
use crate::ways_of_writing::Writer;

pub const TESTS: &[(&str, Test)] = &[("recording", recording), ("as-a-service-and-by-url", as_a_service_and_by_url)];

const WEBHOOKS: [&str; 2] = ["mutate", "validate"];

fn recording(namespace: &Namespace<'_>) {
    let recorder = Recorder::start(namespace);
    recorder.register(namespace, &recorder.url());
    eventually("both webhooks are asked", || {
        let create = ["create", "--dry-run=server", "-f", "-"];
        namespace.kubectl(User::Developer).args(create).input(scan("first").to_string()).run().ok();
        (recorder.take().len() == 2).then_some(())
    });

    let recorded: BTreeMap<String, String> =
        lives().iter().flat_map(|life| record(&recorder, &Writer::new(namespace, life.recorded), life)).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reviews");
    let is_update = env::var_os("UPDATE").is_some();
    for (name, text) in &recorded {
        let path = folder.join(name);
        if is_update {
            fs::write(&path, text).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        // The first line that differs says more than two texts.
        let differ = text.lines().zip(committed.lines()).enumerate().find(|(_, (sent, committed))| sent != committed);
        assert!(*text == committed, "{name} is not what is sent, {differ:?}: run UPDATE=1 cargo test --test cluster");
    }
    for entry in fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if is_update && !recorded.contains_key(&name) {
            fs::remove_file(folder.join(&name)).unwrap();
            continue;
        }
        assert!(recorded.contains_key(&name), "{name} is in no life");
    }
}

/// Lives a life, and gives what the webhooks were asked by the names of its files.
fn record(recorder: &Recorder, writer: &Writer<'_>, life: &Life) -> Vec<(String, String)> {
    let mut versions = Vec::new();
    let mut files = Vec::new();
    let mut keep = |step: &str| {
        // A life without steps is its creation.
        let step = if life.steps.is_empty() { life.id() } else { format!("{}-{step}", life.id()) };
        let reviews = recorder.take();
        let webhooks: Vec<_> = reviews.iter().map(|call| call.webhook.as_str()).collect();
        assert_eq!(webhooks, WEBHOOKS, "{step}");
        for call in &reviews {
            let name = format!("{step}.{}", call.webhook);
            let mut review = Review::read(&call.body);
            review.normalise(&name, &mut versions);
            files.push((format!("{name}.json"), review.text()));
        }
    };
    writer.create(&[life.scan()]);
    keep("create");
    // What is denied, a webhook that allows everything would store.
    for step in life.steps.iter().filter(|step| step.denied.is_empty()) {
        if step.delete {
            writer.delete(&life.kind, &life.name);
        } else {
            let stored = writer.read(&life.kind, &life.name).expect("it is there");
            writer.write(&stored, &step.stored(&stored)).unwrap();
        }
        keep(&step.name);
    }
    files
}

/// What KUBERNETES.md says of requests is what tests/server/requests.rs plays.
fn as_a_service_and_by_url(namespace: &Namespace<'_>) {
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
        let call = eventually("it is called so", || {
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
