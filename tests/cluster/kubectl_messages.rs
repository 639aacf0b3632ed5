//! What kubectl prints where a webhook goes wrong or says no, and its place in docs/errors.md.

use std::fs;

use rcgen::{DnType, ExtendedKeyUsagePurpose};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::Test;
use crate::controlplane::{Namespace, User};
use crate::failing_webhooks::{MUTATING, PANICKING, Scene, Write, at, long, other_control_plane};
use crate::stand_in_webhook::Answer::{Never, OtherUid, Says};
use crate::support::page::line_fits;
use crate::support::pki::Ca;

pub const TESTS: &[(&str, Test)] =
    &[("the-page-of-errors-knows-what-kubectl-prints", the_page_of_errors_knows_what_kubectl_prints)];

/// The end of a line that kubectl prints, with … for what is never the same, and how to make it print that.
struct Message(&'static str, fn(&Scene<'_>) -> String);

macro_rules! review {
    ($response: literal) => {
        concat!(
            r#"{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": "UID", "#,
            $response,
            "}}"
        )
    };
}

const TRIES: usize = 8;

/// The patch is `[{"op": "remove", "path": "/status/none"}]`.
const REMOVES_WHAT_IS_NOT_THERE: &str = review!(
    r#""allowed": true, "patchType": "JSONPatch", "patch": "W3sib3AiOiAicmVtb3ZlIiwgInBhdGgiOiAiL3N0YXR1cy9ub25lIn1d""#
);

/// In the order of docs/errors.md.
const MESSAGES: &[Message] = &[
    Message("dial tcp …: connect: connection refused", |scene| {
        let (_taken, address) = scene.nobody();
        scene.asked(scene.url(address))
    }),
    Message("context deadline exceeded", |scene| {
        let mut webhook = scene.answers(Never);
        webhook["timeoutSeconds"] = json!(1);
        scene.asked(webhook)
    }),
    Message("EOF", |scene| scene.asked(scene.hangs_up(true))),
    Message("read: connection reset by peer", |scene| scene.asked(scene.hangs_up(false))),
    Message("no endpoints available for service \"…\"", |scene| {
        scene.make_service("empty");
        scene.asked_elsewhere(json!({"clientConfig": {"service": {"namespace": "messages", "name": "empty"}}}))
    }),
    Message("service \"…\" not found", |scene| scene.asked(scene.service("none", 443))),
    Message("no service port … found for service \"…\"", |scene| {
        scene.make_service("other-port");
        scene.asked(scene.service("other-port", 8443))
    }),
    Message("http: server gave HTTP response to HTTPS client", |scene| {
        let (server, _) = scene.program(&[]);
        scene.asked(scene.url(server.admin))
    }),
    Message("unable to load root certificates: unable to parse bytes as PEM block", |scene| {
        let mut webhook = scene.answers(Never);
        webhook["clientConfig"]["caBundle"] = json!("Q0E=");
        scene.asked(webhook)
    }),
    Message("x509: certificate signed by unknown authority", |scene| {
        let mut webhook = scene.certified_by(&Ca::new());
        webhook["clientConfig"]["caBundle"] = json!(null);
        scene.asked(webhook)
    }),
    Message(
        "x509: certificate signed by unknown authority (possibly because of … while trying to verify candidate authority certificate \"…\")",
        |scene| scene.asked(scene.certified_by(&Ca::new())),
    ),
    Message("x509: certificate has expired or is not yet valid: current time … is after …", |scene| {
        scene.asked(scene.certified("localhost", |leaf| leaf.not_after = OffsetDateTime::now_utc() - Duration::MINUTE))
    }),
    Message("x509: certificate has expired or is not yet valid: current time … is before …", |scene| {
        scene.asked(scene.certified("localhost", |leaf| leaf.not_before = OffsetDateTime::now_utc() + Duration::DAY))
    }),
    Message("x509: certificate is valid for …, not …", |scene| {
        scene.asked(scene.certified("localhost", |it| {
            it.subject_alt_names =
                rcgen::CertificateParams::new(["other.example.com".to_owned()]).unwrap().subject_alt_names;
        }))
    }),
    Message("x509: cannot validate certificate for … because it doesn't contain any IP SANs", |scene| {
        scene.asked(scene.certified("127.0.0.1", |_| {}))
    }),
    Message("x509: certificate relies on legacy Common Name field, use SANs instead", |scene| {
        scene.asked(scene.certified("localhost", |leaf| {
            leaf.subject_alt_names.clear();
            leaf.distinguished_name.push(DnType::CommonName, "localhost");
        }))
    }),
    Message("x509: certificate specifies an incompatible key usage", |scene| {
        scene.asked(
            scene.certified("localhost", |leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
        )
    }),
    Message("remote error: tls: certificate required", |scene| {
        let ca = scene.file("clients.crt", &Ca::new().pem);
        let (_server, webhook) = scene.program(&["--client-ca", &ca, "--client-name=somebody"]);
        scene.asked_elsewhere(webhook)
    }),
    Message("remote error: tls: unknown certificate authority", |scene| {
        let ca = scene.file("clients.crt", &Ca::new().pem);
        let (_server, webhook) = scene.program(&["--client-ca", &ca, "--client-name=somebody"]);
        scene.asked(webhook)
    }),
    Message("remote error: tls: unknown certificate", |scene| {
        let ca = format!("--client-ca={}", scene.namespace.cluster.ready.webhook_client.ca.display());
        let (_server, webhook) = scene.program(&[&ca, "--client-name=somebody"]);
        scene.asked(webhook)
    }),
    Message("the server could not find the requested resource", |scene| scene.asked(scene.answers(Says(404, "404")))),
    Message("POST an AdmissionReview to /validate or /mutate; health and metrics are on the admin address", |scene| {
        scene.asked(at("/", scene.ours("")))
    }),
    Message("the server is currently unable to handle the request", |scene| scene.asked(scene.answers(Says(503, "")))),
    Message("the server has received too many requests and has asked us to try again later", |scene| {
        scene.asked(scene.answers(Says(429, "")))
    }),
    Message("expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got …", |scene| {
        scene.asked(scene.answers(Says(200, r#"{"response": {"uid": "UID", "allowed": true}}"#)))
    }),
    Message("expected response.uid=\"…\", got \"…\"", |scene| scene.asked(scene.answers(OtherUid))),
    Message("webhook response was absent", |scene| {
        scene.asked(scene.answers(Says(200, r#"{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}"#)))
    }),
    Message("couldn't get version/kind; json parse error: …", |scene| {
        scene.asked(scene.answers(Says(200, "<html></html>")))
    }),
    Message("validating webhook may not return response.patch", |scene| {
        scene.asked(scene.answers(Says(200, review!(r#""allowed": true, "patch": "W10=", "patchType": "JSONPatch""#))))
    }),
    Message("error in remove for path: '…': Unable to remove nonexistent key: …: missing value", |scene| {
        let webhook = scene.answers(Says(200, REMOVES_WHAT_IS_NOT_THERE));
        scene.writes(Write { kind: MUTATING, webhook, ..Write::default() })
    }),
    Message("The SourceScan \"…\" is invalid: …", |scene| {
        scene.writes(Write { webhook: scene.ours(""), status: json!({"phase": "Complete"}), ..Write::default() })
    }),
    Message("admission webhook \"…\" denied the request: …", |scene| {
        scene.asked(scene.answers(Says(200, review!(r#""allowed": false, "status": {"message": "no"}"#))))
    }),
    Message("admission webhook \"…\" denied the request without explanation", |scene| {
        scene.asked(scene.answers(Says(200, review!(r#""allowed": false"#))))
    }),
    Message("the review exceeds the limit of 8 MiB: make the object smaller", |scene| {
        scene.writes(Write { webhook: scene.ours(""), status: long(1_420_000), ..Write::default() })
    }),
    Message("the review was not judged before its deadline: try again, or raise timeoutSeconds", |scene| scene.late()),
    Message("too many reviews are in flight: try again in a second", |scene| {
        scene.busy("ValidatingWebhookConfiguration")
    }),
    Message("a rule failed on this review: this is a bug in scan-admission, please report it", |scene| {
        // The other way to tell a fault: the words are the same.
        scene.asked(scene.ruled_by(&PANICKING, "faults: failure-policy"))
    }),
    Message("Warning: not judged, but allowed: …", |scene| scene.busy(MUTATING)),
    Message("Warning: …: was …, set to … […]", |scene| {
        let status = json!({"phase": "Completed", "cveCount": {"low": 1, "total": 2}});
        scene.writes(Write { kind: MUTATING, webhook: scene.mutating(""), status, ..Write::default() })
    }),
    Message("Warning: …: … […]", |scene| {
        let status = json!({"phase": "Pending", "cveCount": {"low": 1, "total": 1}});
        scene.writes(Write { webhook: scene.ours(""), status, ..Write::default() })
    }),
    Message("Warning: …: … (not denied: the old object has the same error) […]", |scene| {
        let before = json!({"phase": "Complete"});
        let status = json!({"phase": "Complete", "observedGeneration": 1});
        scene.writes(Write { webhook: scene.ours(""), before, status, ..Write::default() })
    }),
    Message("Warning: …: … (not denied: the rule is set to warn) […]", |scene| {
        let webhook = scene.ours("rules: {phase-unknown: warn}");
        scene.writes(Write { webhook, status: json!({"phase": "Complete"}), ..Write::default() })
    }),
    Message("Warning: help: …", |scene| {
        let webhook = scene.ours("help: https://wiki.example.com/scans");
        scene.writes(Write { webhook, status: json!({"phase": "Complete"}), ..Write::default() })
    }),
    Message(
        "Warning: … was not judged: this webhook judges only SourceScan and ImageScan of scanning.apps.tanzu.vmware.com; restrict its registration to them",
        |scene| {
            let mut webhook = scene.ours("");
            webhook["rules"] =
                json!([{"apiGroups": [""], "apiVersions": ["*"], "operations": ["*"], "resources": ["configmaps"]}]);
            scene.creates(webhook, json!({"apiVersion": "v1", "kind": "ConfigMap"}))
        },
    ),
    Message("expression '…' resulted in error: no such key: …", |scene| {
        let mut webhook = scene.answers(Never);
        webhook["matchConditions"] = json!([{"name": "phase", "expression": "oldObject.status.phase == 'Completed'"}]);
        scene.asked(webhook)
    }),
    Message("Request entity too large: limit is 3145728", |scene| {
        scene.writes(Write { webhook: scene.ours(""), status: long(3 << 20), ..Write::default() })
    }),
    Message("illegal base64 data at input byte …", |scene| {
        scene.registered(json!({"clientConfig": {"caBundle": "CA_IN_BASE64"}})).failed().to_owned()
    }),
    Message("Apply failed with …: conflict… with \"scan-admission\":…", |scene| scene.applied_over_a_replica()),
    Message("is forbidden: User \"…\" cannot impersonate… resource \"…\" in API group \"…\" …", |scene| {
        // As somebody whom no other test lets the developer be.
        let get = ["--as=jane", "--as-group=scan-admission:break-glass", "get", "sourcescans"];
        scene.namespace.kubectl(User::Developer).args(get).run().failed().to_owned()
    }),
];

fn the_page_of_errors_knows_what_kubectl_prints(namespace: &Namespace<'_>) {
    let page = fs::read_to_string("docs/errors.md").unwrap();
    let headings: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
    let messages: Vec<&str> = MESSAGES.iter().map(|message| message.0).collect();
    assert_eq!(headings, messages, "the headings of docs/errors.md, and the messages that are produced here");

    let whole = page.split_once("```text\n").and_then(|(_, rest)| rest.split_once("\n```")).unwrap().0;

    let other = other_control_plane();
    let scene = Scene::new(namespace, &other);
    let wrong: Vec<String> = MESSAGES.iter().filter_map(|message| message.wrong(&scene)).collect();
    let denied = MESSAGES[0].1(&scene);
    assert!(is_printed(whole, &denied), "kubectl prints otherwise than the page shows: {denied}");
    assert!(wrong.is_empty(), "kubectl prints otherwise than these headings:\n{}", wrong.join("\n"));
}

impl Message {
    /// What kubectl says instead of it. A server that ends a handshake may have gone before its alert is read, so that the
    /// API server finds a broken pipe: such a message takes more than one try.
    fn wrong(&self, scene: &Scene<'_>) -> Option<String> {
        let Message(heading, produce) = self;
        let tries: Vec<String> =
            (0..TRIES).map(|_| produce(scene)).take_while(|said| !is_printed(heading, said)).collect();
        (tries.len() == TRIES).then(|| format!("{heading}\n{}", tries.concat()))
    }
}

/// Whether a line ends with this, where … is anything.
fn is_printed(heading: &str, said: &str) -> bool {
    let end = format!("…{heading}");
    said.lines().any(|line| line_fits(&end, line))
}
