//! Compares what kubectl prints when a webhook fails or denies with the headings of docs/errors.md.

use std::fs;

use rcgen::{DnType, ExtendedKeyUsagePurpose};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::Test;
use crate::controlplane::{Namespace, User};
use crate::failing_webhooks::{MUTATING, PANICKING, Setup, Write, at, long, other_control_plane};
use crate::stand_in_webhook::Answer::{Never, OtherUid, Replies};
use crate::support::page::line_fits;
use crate::support::pki::Ca;

pub const TESTS: &[(&str, Test)] =
    &[("docs-errors-has-the-messages-of-kubectl", docs_errors_has_the_messages_of_kubectl)];

/// The end of a line that kubectl prints, with … for the parts that vary, and a function that makes kubectl print it.
struct Message(&'static str, fn(&Setup<'_>) -> String);

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
    Message("dial tcp …: connect: connection refused", |setup| {
        let (_taken, address) = setup.closed_port();
        setup.asked(setup.url(address))
    }),
    Message("context deadline exceeded", |setup| {
        let mut webhook = setup.answers(Never);
        webhook["timeoutSeconds"] = json!(1);
        setup.asked(webhook)
    }),
    Message("EOF", |setup| setup.asked(setup.hangs_up(true))),
    Message("read: connection reset by peer", |setup| setup.asked(setup.hangs_up(false))),
    Message("no endpoints available for service \"…\"", |setup| {
        setup.make_service("empty");
        setup.asked_elsewhere(json!({"clientConfig": {"service": {"namespace": "messages", "name": "empty"}}}))
    }),
    Message("service \"…\" not found", |setup| setup.asked(setup.service("none", 443))),
    Message("no service port … found for service \"…\"", |setup| {
        setup.make_service("other-port");
        setup.asked(setup.service("other-port", 8443))
    }),
    Message("http: server gave HTTP response to HTTPS client", |setup| {
        let (server, _) = setup.program(&[]);
        setup.asked(setup.url(server.admin))
    }),
    Message("unable to load root certificates: unable to parse bytes as PEM block", |setup| {
        let mut webhook = setup.answers(Never);
        webhook["clientConfig"]["caBundle"] = json!("Q0E=");
        setup.asked(webhook)
    }),
    Message("x509: certificate signed by unknown authority", |setup| {
        let mut webhook = setup.certified_by(&Ca::new());
        webhook["clientConfig"]["caBundle"] = json!(null);
        setup.asked(webhook)
    }),
    Message(
        "x509: certificate signed by unknown authority (possibly because of … while trying to verify candidate authority certificate \"…\")",
        |setup| setup.asked(setup.certified_by(&Ca::new())),
    ),
    Message("x509: certificate has expired or is not yet valid: current time … is after …", |setup| {
        setup.asked(setup.certified("localhost", |leaf| leaf.not_after = OffsetDateTime::now_utc() - Duration::MINUTE))
    }),
    Message("x509: certificate has expired or is not yet valid: current time … is before …", |setup| {
        setup.asked(setup.certified("localhost", |leaf| leaf.not_before = OffsetDateTime::now_utc() + Duration::DAY))
    }),
    Message("x509: certificate is valid for …, not …", |setup| {
        setup.asked(setup.certified("localhost", |it| {
            it.subject_alt_names =
                rcgen::CertificateParams::new(["other.example.com".to_owned()]).unwrap().subject_alt_names;
        }))
    }),
    Message("x509: cannot validate certificate for … because it doesn't contain any IP SANs", |setup| {
        setup.asked(setup.certified("127.0.0.1", |_| {}))
    }),
    Message("x509: certificate relies on legacy Common Name field, use SANs instead", |setup| {
        setup.asked(setup.certified("localhost", |leaf| {
            leaf.subject_alt_names.clear();
            leaf.distinguished_name.push(DnType::CommonName, "localhost");
        }))
    }),
    Message("x509: certificate specifies an incompatible key usage", |setup| {
        setup.asked(
            setup.certified("localhost", |leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
        )
    }),
    Message("remote error: tls: certificate required", |setup| {
        let ca = setup.file("clients.crt", &Ca::new().pem);
        let (_server, webhook) = setup.program(&["--client-ca", &ca, "--client-name=somebody"]);
        setup.asked_elsewhere(webhook)
    }),
    Message("remote error: tls: unknown certificate authority", |setup| {
        let ca = setup.file("clients.crt", &Ca::new().pem);
        let (_server, webhook) = setup.program(&["--client-ca", &ca, "--client-name=somebody"]);
        setup.asked(webhook)
    }),
    Message("remote error: tls: unknown certificate", |setup| {
        let ca = format!("--client-ca={}", setup.namespace.cluster.ready().webhook_client.ca.display());
        let (_server, webhook) = setup.program(&[&ca, "--client-name=somebody"]);
        setup.asked(webhook)
    }),
    Message("the server could not find the requested resource", |setup| {
        setup.asked(setup.answers(Replies(404, "404")))
    }),
    Message("POST an AdmissionReview to /validate or /mutate; health and metrics are on the admin address", |setup| {
        setup.asked(at("/", setup.ours("")))
    }),
    Message("the server is currently unable to handle the request", |setup| {
        setup.asked(setup.answers(Replies(503, "")))
    }),
    Message("the server has received too many requests and has asked us to try again later", |setup| {
        setup.asked(setup.answers(Replies(429, "")))
    }),
    Message("expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got …", |setup| {
        setup.asked(setup.answers(Replies(200, r#"{"response": {"uid": "UID", "allowed": true}}"#)))
    }),
    Message("expected response.uid=\"…\", got \"…\"", |setup| setup.asked(setup.answers(OtherUid))),
    Message("webhook response was absent", |setup| {
        setup.asked(setup.answers(Replies(200, r#"{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}"#)))
    }),
    Message("couldn't get version/kind; json parse error: …", |setup| {
        setup.asked(setup.answers(Replies(200, "<html></html>")))
    }),
    Message("validating webhook may not return response.patch", |setup| {
        setup.asked(
            setup.answers(Replies(200, review!(r#""allowed": true, "patch": "W10=", "patchType": "JSONPatch""#))),
        )
    }),
    Message("error in remove for path: '…': Unable to remove nonexistent key: …: missing value", |setup| {
        let webhook = setup.answers(Replies(200, REMOVES_WHAT_IS_NOT_THERE));
        setup.writes(Write { kind: MUTATING, webhook, ..Write::default() })
    }),
    Message("The SourceScan \"…\" is invalid: …", |setup| {
        setup.writes(Write { webhook: setup.ours(""), status: json!({"phase": "Complete"}), ..Write::default() })
    }),
    Message("admission webhook \"…\" denied the request: …", |setup| {
        setup.asked(setup.answers(Replies(200, review!(r#""allowed": false, "status": {"message": "no"}"#))))
    }),
    Message("admission webhook \"…\" denied the request without explanation", |setup| {
        setup.asked(setup.answers(Replies(200, review!(r#""allowed": false"#))))
    }),
    Message("the review exceeds the limit of 8 MiB: make the object smaller", |setup| {
        setup.writes(Write { webhook: setup.ours(""), status: long(1_420_000), ..Write::default() })
    }),
    Message("the review was not judged before its deadline: try again, or raise timeoutSeconds", |setup| {
        setup.call_past_the_deadline()
    }),
    Message("too many reviews are in flight: try again in a second", |setup| {
        setup.call_at_the_limit("ValidatingWebhookConfiguration")
    }),
    Message("a rule failed on this review: this is a bug in scan-admission, please report it", |setup| {
        // This setting changes the response code of the fault, not its message.
        setup.asked(setup.ruled_by(&PANICKING, "faults: failure-policy"))
    }),
    Message("Warning: not judged, but allowed: …", |setup| setup.call_at_the_limit(MUTATING)),
    Message("Warning: …: was …, set to … […]", |setup| {
        let status = json!({"phase": "Completed", "cveCount": {"low": 1, "total": 2}});
        setup.writes(Write { kind: MUTATING, webhook: setup.mutating(""), status, ..Write::default() })
    }),
    Message("Warning: …: … […]", |setup| {
        let status = json!({"phase": "Pending", "cveCount": {"low": 1, "total": 1}});
        setup.writes(Write { webhook: setup.ours(""), status, ..Write::default() })
    }),
    Message("Warning: …: … (not denied: the old object has the same error) […]", |setup| {
        let before = json!({"phase": "Complete"});
        let status = json!({"phase": "Complete", "observedGeneration": 1});
        setup.writes(Write { webhook: setup.ours(""), before, status, ..Write::default() })
    }),
    Message("Warning: …: … (not denied: the rule is set to warn) […]", |setup| {
        let webhook = setup.ours("rules: {phase-unknown: warn}");
        setup.writes(Write { webhook, status: json!({"phase": "Complete"}), ..Write::default() })
    }),
    Message("Warning: help: …", |setup| {
        let webhook = setup.ours("help: https://wiki.example.com/scans");
        setup.writes(Write { webhook, status: json!({"phase": "Complete"}), ..Write::default() })
    }),
    Message(
        "Warning: … was not judged: this webhook judges only SourceScan and ImageScan of scanning.apps.tanzu.vmware.com; restrict its registration to them",
        |setup| {
            let mut webhook = setup.ours("");
            webhook["rules"] =
                json!([{"apiGroups": [""], "apiVersions": ["*"], "operations": ["*"], "resources": ["configmaps"]}]);
            setup.creates(webhook, json!({"apiVersion": "v1", "kind": "ConfigMap"}))
        },
    ),
    Message("expression '…' resulted in error: no such key: …", |setup| {
        let mut webhook = setup.answers(Never);
        webhook["matchConditions"] = json!([{"name": "phase", "expression": "oldObject.status.phase == 'Completed'"}]);
        setup.asked(webhook)
    }),
    Message("Request entity too large: limit is 3145728", |setup| {
        setup.writes(Write { webhook: setup.ours(""), status: long(3 << 20), ..Write::default() })
    }),
    Message("illegal base64 data at input byte …", |setup| {
        setup.registered(json!({"clientConfig": {"caBundle": "CA_IN_BASE64"}})).failed().to_owned()
    }),
    Message("Apply failed with …: conflict… with \"scan-admission\":…", |setup| setup.applied_over_a_replica()),
    Message("is forbidden: User \"…\" cannot impersonate… resource \"…\" in API group \"…\" …", |setup| {
        // Impersonates a user whom no other test lets the developer impersonate.
        let get = ["--as=jane", "--as-group=scan-admission:break-glass", "get", "sourcescans"];
        setup.namespace.kubectl(User::Developer).args(get).run().failed().to_owned()
    }),
];

fn docs_errors_has_the_messages_of_kubectl(namespace: &Namespace<'_>) {
    let page = fs::read_to_string("docs/errors.md").unwrap();
    let headings: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
    let messages: Vec<&str> = MESSAGES.iter().map(|message| message.0).collect();
    assert_eq!(headings, messages, "the headings of docs/errors.md must be the messages that this test produces");

    let whole = page.split_once("```text\n").and_then(|(_, rest)| rest.split_once("\n```")).unwrap().0;

    let other = other_control_plane();
    let setup = Setup::new(namespace, &other);
    let wrong: Vec<String> = MESSAGES.iter().filter_map(|message| message.wrong(&setup)).collect();
    let denied = MESSAGES[0].1(&setup);
    assert!(is_printed(whole, &denied), "kubectl prints another line than the page shows: {denied}");
    assert!(wrong.is_empty(), "kubectl does not print these headings:\n{}", wrong.join("\n"));
}

impl Message {
    /// Returns what kubectl prints if it never prints the heading. When a server ends a handshake, the connection may
    /// close before the API server reads the alert, which then reports a broken pipe. Such a message takes more than
    /// one try.
    fn wrong(&self, setup: &Setup<'_>) -> Option<String> {
        let Message(heading, produce) = self;
        let tries: Vec<String> =
            (0..TRIES).map(|_| produce(setup)).take_while(|output| !is_printed(heading, output)).collect();
        (tries.len() == TRIES).then(|| format!("{heading}\n{}", tries.concat()))
    }
}

/// Whether a line ends with this text, in which … matches anything.
fn is_printed(heading: &str, output: &str) -> bool {
    let end = format!("…{heading}");
    output.lines().any(|line| line_fits(&end, line))
}
