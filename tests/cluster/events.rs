//! Tests Events on the real API server: what kubectl shows, series, dry runs, a flood, and missing rights.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use scan_admission::admission::EventReasons;
use scan_admission::admission::event::{EventReason, NOTE_MAX_BYTES, ScanReference, StatusEvent};
use scan_admission::cluster::events::EventWriter;
use scan_admission::cluster::events::series::SeriesLimits;
use scan_admission::server::events::EventQueue;
use scan_admission::server::metrics::EventMetrics;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::controlplane::{ControlPlane, Kubectl, KubectlOutput, Namespace, User, eventually};
use crate::replicas::{Fleet, NAME, client, endpoint};
use crate::support::client::Client;
use crate::support::in_process::{Running, settings};
use crate::support::process::Process;
use crate::{Test, scan};

pub const TESTS: &[(&str, Test)] = &[("events-tell-a-team-what-was-denied", events_tell_a_team_what_was_denied)];

const TEAM: &str = "team";
const NOTE: &str = "status.phase: Unsupported value: \"Complete\": supported values: \"Pending\", \"Scanning\", \"Completed\", \
                    \"Failed\", \"Error\"; did you mean \"Completed\"? [phase-unknown]";

/// A writer in the process of the test, which pauses for less than a minute between two writes of a series.
pub struct Writer {
    queue: mpsc::Sender<Box<StatusEvent>>,
}

impl Writer {
    pub fn start(runtime: &Runtime, cluster: &ControlPlane) -> Self {
        let (queue, events) = mpsc::channel(1_000);
        let limits = SeriesLimits { rest: Duration::from_millis(10), ..SeriesLimits::default() };
        let client = client(runtime, cluster, User::Webhook);
        let writer = EventWriter { client, instance: "pod-of-the-test".to_owned(), limits };
        runtime.spawn(writer.run(OffsetDateTime::now_utc, events, EventMetrics::default()));
        Self { queue }
    }

    pub fn observe(&self, scan: &ScanReference) {
        let event = StatusEvent {
            reason: EventReason::StatusDenied,
            scan: scan.clone(),
            rules: vec!["phase-unknown"],
            note: NOTE.to_owned(),
        };
        self.queue.try_send(Box::new(event)).unwrap();
    }
}

/// Uses the rights of the webhook on Events: creates one, and updates it.
pub fn write_series(runtime: &Runtime, cluster: &ControlPlane) {
    let writer = Writer::start(runtime, cluster);
    let reference = ScanReference {
        api_version: "scanning.apps.tanzu.vmware.com/v1beta1".to_owned(),
        kind: "SourceScan",
        namespace: "default".to_owned(),
        name: "any".to_owned(),
        uid: "any".to_owned(),
    };
    let counts = || -> Vec<Value> {
        let get = ["get", "events.events.k8s.io", "--namespace=default", "-o", "json"];
        let list: Value = serde_json::from_str(cluster.kubectl(User::Admin).args(get).run().ok()).unwrap();
        let ours = list["items"].as_array().unwrap().iter().filter(|event| event["regarding"]["uid"] == "any");
        ours.map(|event| event["series"]["count"].clone()).collect()
    };
    writer.observe(&reference);
    eventually("the Event is created", || (counts() == [Value::Null]).then_some(()));
    writer.observe(&reference);
    eventually("the Event is updated", || (counts() == [json!(2)]).then_some(()));
}

struct Team<'f> {
    fleet: &'f Fleet,
}

impl Team<'_> {
    fn kubectl(&self, user: User) -> Kubectl {
        self.fleet.cluster.kubectl(user).args(["--namespace", TEAM])
    }

    fn create(&self, name: &str) -> ScanReference {
        self.kubectl(User::Developer).args(["create", "-f", "-"]).input(scan(name).to_string()).run().ok();
        let get = ["get", "sourcescan", name, "-o", "jsonpath={.metadata.uid}"];
        ScanReference {
            api_version: "scanning.apps.tanzu.vmware.com/v1beta1".to_owned(),
            kind: "SourceScan",
            namespace: TEAM.to_owned(),
            name: name.to_owned(),
            uid: self.kubectl(User::Developer).args(get).run().ok().to_owned(),
        }
    }

    fn write(&self, name: &str, status: Value, more: &[&str]) -> KubectlOutput {
        let patch = json!({"status": status}).to_string();
        let arguments = ["patch", "sourcescan", name, "--subresource=status", "--type=merge", "--patch", &patch];
        self.kubectl(User::ScanController).args(arguments).args(more).run()
    }

    /// Returns the Events about a scan.
    fn events(&self, scan: &ScanReference) -> Vec<Value> {
        let list = self.kubectl(User::Admin).args(["get", "events.events.k8s.io", "-o", "json"]).run();
        let list: Value = serde_json::from_str(list.ok()).unwrap();
        let all = list["items"].as_array().unwrap().iter();
        all.filter(|event| event["regarding"]["uid"] == scan.uid.as_str()).cloned().collect()
    }
}

fn events_tell_a_team_what_was_denied(_: &Namespace<'_>) {
    let fleet = Fleet::new();
    fleet.cluster.namespace(TEAM, &json!({}));
    let replica = fleet.start("1s", &[]);
    fleet.forwarder.add(endpoint(&replica));
    eventually("the replica is ready", || (fleet.is_ready(&replica) && fleet.is_in_step(1)).then_some(()));
    let team = Team { fleet: &fleet };
    kubectl_shows_a_denial(&team, &replica);
    repetitions_are_a_series(&team);
    an_event_of_the_longest_names_is_stored(&team);
    let rights = fleet.cluster.rights(User::Webhook);
    let is_used = rights.unused.iter().all(|right| !right.contains("events"));
    assert!(rights.denied.is_empty() && is_used, "{rights:?}");
    a_flood_is_a_hundred_writes(&team);
    missing_rights_are_a_line_and_a_count(&team, &replica);
}

fn kubectl_shows_a_denial(team: &Team<'_>, replica: &Process) {
    let x = team.create("x");
    // A dry run is denied, but it is no Event.
    let dry = || team.write("x", json!({"scannedAt": "yesterday"}), &["--dry-run=server"]);
    eventually("the webhook denies", || Some(dry()).filter(|output| output.stderr.contains("[scanned-at]")));
    let denied = team.write("x", json!({"phase": "Complete"}), &[]);
    assert!(denied.failed().contains("[phase-unknown]"), "{denied:?}");
    let events = eventually("the Event is stored", || Some(team.events(&x)).filter(|events| !events.is_empty()));
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(
        (&event["reason"], &event["type"], &event["action"]),
        (&json!("StatusDenied"), &json!("Warning"), &json!("Validate"))
    );
    assert_eq!((&event["note"], &event["reportingController"]), (&json!(NOTE), &json!("scan-admission.dev/webhook")));
    assert_eq!((&event["metadata"]["namespace"], &event["series"]), (&json!(TEAM), &Value::Null));
    let regarding =
        json!({"apiVersion": x.api_version, "kind": "SourceScan", "namespace": TEAM, "name": "x", "uid": x.uid});
    assert_eq!(event["regarding"], regarding);
    assert!(event["metadata"]["name"].as_str().unwrap().starts_with("x."), "{event}");
    assert!(!event["reportingInstance"].as_str().unwrap().is_empty(), "{event}");

    let described = team.kubectl(User::Admin).args(["describe", "sourcescan/x"]).run();
    let shown = described.ok().split_once("Events:").expect("a section").1.to_owned();
    for text in ["Warning", "StatusDenied", "scan-admission.dev/webhook", NOTE] {
        assert!(shown.contains(text), "{text} is not in {shown}");
    }
    assert!(!shown.contains("scanned-at"), "{shown}");
    let listed = team.kubectl(User::Admin).args(["events", "--for", "sourcescan/x"]).run();
    assert!(listed.ok().contains("StatusDenied") && listed.stdout.contains(NOTE), "{listed:?}");
    let written = |result: &str| team.fleet.metric(replica, &format!("event_writes_total{{result=\"{result}\"}}"));
    eventually("the write is counted", || (written("created") == Some(1.0)).then_some(()));
    // Logs have no contents of objects.
    assert!(!replica.errors().contains("did you mean") && !replica.errors().contains("WARN"), "{}", replica.errors());
}

fn repetitions_are_a_series(team: &Team<'_>) {
    let y = team.create("y");
    let writer = Writer::start(&team.fleet.runtime, &team.fleet.cluster);
    let counts =
        || team.events(&y).iter().map(|event| event["series"]["count"].as_u64().unwrap_or(1)).collect::<Vec<_>>();
    writer.observe(&y);
    eventually("the Event is created", || (counts() == [1]).then_some(()));
    writer.observe(&y);
    writer.observe(&y);
    eventually("the Event is updated", || (counts() == [3]).then_some(()));
    let described = team.kubectl(User::Admin).args(["describe", "sourcescan/y"]).run();
    assert!(described.ok().contains("(x3 over "), "{}", described.stdout);
    // An Event that was deleted is created anew.
    let before = team.events(&y)[0]["metadata"]["name"].clone();
    team.kubectl(User::Admin).args(["delete", "events.events.k8s.io", before.as_str().unwrap()]).run().ok();
    writer.observe(&y);
    eventually("another Event is created", || (counts() == [4]).then_some(()));
    assert_ne!(team.events(&y)[0]["metadata"]["name"], before);
}

/// The API server accepts the longest Event that can be made.
fn an_event_of_the_longest_names_is_stored(team: &Team<'_>) {
    // 253 bytes, with a point where the name of the Event ends.
    let name = format!("{}.{}", "a".repeat(235), "b".repeat(17));
    let long = team.create(&name);
    let (queue, events) = mpsc::channel(1);
    let client = client(&team.fleet.runtime, &team.fleet.cluster, User::Webhook);
    let instance = "i".repeat(scan_admission::cluster::events::object::INSTANCE_MAX_BYTES);
    let writer = EventWriter { client, instance, limits: SeriesLimits::default() };
    team.fleet.runtime.spawn(writer.run(OffsetDateTime::now_utc, events, EventMetrics::default()));
    let note = "ü".repeat(NOTE_MAX_BYTES / 2);
    let event = StatusEvent {
        reason: EventReason::StatusWarned,
        scan: long.clone(),
        rules: vec!["phase-unknown"],
        note: note.clone(),
    };
    queue.try_send(Box::new(event)).unwrap();
    let stored = eventually("the Event is stored", || team.events(&long).pop());
    assert_eq!((&stored["note"], &stored["reason"]), (&json!(note), &json!("StatusWarned")));
}

/// 10,000 denials of 10,000 scans: each is answered as without Events, and few are written.
fn a_flood_is_a_hundred_writes(team: &Team<'_>) {
    const DENIALS: usize = 10_000;
    const CLIENTS: usize = 4;
    let fleet = team.fleet;
    let is_ours = |event: &&Value| {
        event["objectRef"]["resource"] == "events"
            && event["responseStatus"].is_object()
            && event["objectRef"]["namespace"] == "flood"
    };
    fleet.cluster.namespace("flood", &json!({}));
    let (queue, events) = EventQueue::new(EventReasons { denied: true, warned: false });
    let (queue, metrics) = (Arc::new(queue), EventMetrics::default());
    let client = client(&fleet.runtime, &fleet.cluster, User::Webhook);
    let writer = EventWriter { client, instance: "pod".to_owned(), limits: SeriesLimits::default() };
    fleet.runtime.spawn(writer.run(OffsetDateTime::now_utc, events, metrics));
    let seconds = fleet.runtime.block_on(async {
        let begun = tokio::time::Instant::now();
        let server =
            Running::with(scan_admission::server::ServerSettings { events: Some(queue), ..settings() }, |_| {}).await;
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let mut client = Client::new(&server.ca, server.address, "http/1.1").await;
            clients.spawn(async move {
                let mut answers = BTreeSet::new();
                for denial in (number..DENIALS).step_by(CLIENTS) {
                    let reply = client.post("/validate", review(denial).to_string()).await;
                    let answer: Value = serde_json::from_slice(&reply.body).unwrap();
                    answers.insert((reply.code, answer["response"]["status"]["code"].as_u64()));
                }
                answers
            });
        }
        while let Some(answers) = clients.join_next().await {
            assert_eq!(answers.unwrap(), BTreeSet::from([(200, Some(422))]));
        }
        begun.elapsed().as_secs()
    });
    let writes = || fleet.cluster.audit().iter().filter(is_ours).count();
    eventually("the first hundred are written", || (writes() >= 100).then_some(()));
    let allowed = 100 * (seconds as usize / 60 + 1);
    assert!(writes() <= allowed, "{} writes in {seconds} s", writes());
}

fn review(number: usize) -> Value {
    let name = format!("scan-{number}");
    let mut object = scan(&name);
    object["metadata"] = json!({"name": name, "namespace": "flood", "uid": name});
    object["status"] = json!({"phase": "Complete"});
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": name, "kind": {"group": "scanning.apps.tanzu.vmware.com", "version": "v1beta1", "kind": "SourceScan"},
        "subResource": "status", "name": name, "namespace": "flood", "operation": "UPDATE",
        "userInfo": {"username": "controller"}, "object": object, "oldObject": null, "dryRun": false}})
}

fn missing_rights_are_a_line_and_a_count(team: &Team<'_>, replica: &Process) {
    let fleet = team.fleet;
    let binding = format!("{NAME}-events");
    fleet.cluster.kubectl(User::Admin).args(["delete", "clusterrolebinding", &binding]).run().ok();
    let forbidden = || fleet.metric(replica, "event_writes_total{result=\"forbidden\"}").unwrap();
    let mut denied = 0.0;
    eventually("the missing right is noticed", || {
        let name = format!("denied-{denied}");
        let scan = team.create(&name);
        // The denial is the same.
        let output = team.write(&name, json!({"phase": "Complete"}), &[]);
        assert!(output.failed().contains("[phase-unknown]") && team.events(&scan).len() <= 1, "{output:?}");
        denied += 1.0;
        (forbidden() >= 3.0).then_some(())
    });
    let line = "an Event was not written: events.events.k8s.io is forbidden: User \
                \"system:serviceaccount:scan-admission:scan-admission\" cannot create resource \"events\" in API group \
                \"events.k8s.io\" in the namespace \"team\"; apply manifests/base/events.yaml, which grants this right";
    let log = replica.errors();
    assert_eq!(log.matches(line).count(), 1, "{log}");
    assert_eq!(log.matches(" WARN ").count(), 1, "{log}");
    assert!(fleet.is_ready(replica));
    fleet.cluster.kubectl(User::Admin).args(["apply", "-k"]).args([fleet.folder.join("manifests/mine")]).run().ok();
    let mut again = 0;
    eventually("Events are written again", || {
        let scan = team.create(&format!("again-{again}"));
        team.write(&scan.name, json!({"phase": "Complete"}), &[]).failed();
        again += 1;
        (!team.events(&scan).is_empty() && replica.errors().contains("Events are written again")).then_some(())
    });
}
