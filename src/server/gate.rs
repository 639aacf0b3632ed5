//! The two doors: from an HTTP request to `admission::answer`, and from its answer to an HTTP response.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use axum::response::Response;
use axum::routing::post;
use tokio::time::Instant;

use super::body::{End, Kept, patience};
use super::judging::{Place, Review};
use super::{Shared, metrics};
use crate::admission::{Answer, Door, Fault, Identity, Summary, Verdict};

/// Longest value of a client that a log line repeats: a Kubernetes name.
const LOGGED_BYTES: usize = 253;

/// Paths of the two doors.
pub const VALIDATE: &str = "/validate";
pub const MUTATE: &str = "/mutate";

/// The routes of the review address.
pub fn router(shared: Arc<Shared>) -> Router {
    let door = |door| post(move |State(shared): State<Arc<Shared>>, request| review(shared, door, request));
    Router::new()
        .route(VALIDATE, door(Door::Validate))
        .route(MUTATE, door(Door::Mutate))
        .fallback(async || {
            let message =
                "POST an AdmissionReview to /validate or /mutate; health and metrics are on the admin address";
            status(StatusCode::NOT_FOUND, "NotFound", message)
        })
        .method_not_allowed_fallback(async || {
            status(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "POST an AdmissionReview here")
        })
        .with_state(shared)
}

async fn review(shared: Arc<Shared>, door: Door, request: Request) -> Response {
    let begun = Instant::now();
    let (head, body) = request.into_parts();
    let config = shared.config();
    let place = Place::take(&shared, config.limits.reviews);
    let mut kept = Kept::new(&shared.memory, place.is_none());
    let deadline = begun + patience(head.uri.query(), config.limits.body);
    let end = tokio::select! {
        biased;
        end = kept.read(body, deadline) => end,
        () = shared.shortage.outlasts(config.limits.head) => End::TooBusy,
    };

    let body_bytes = kept.bytes.len();
    let review = Review { shared: shared.clone(), config: config.clone(), door, kept, place };
    let answer = match end {
        End::Whole => review.judge(deadline).await,
        End::TooLate => review.fault(Fault::TooLate),
        End::TooBusy => {
            shared.shortage.tell();
            review.fault(Fault::TooBusy)
        }
        End::Gone => {
            tracing::debug!(door = metrics::door(door), "the client went away before the review was whole");
            return Response::default();
        }
    };
    let latency = begun.elapsed();
    shared.metrics.record(door, &answer.summary, body_bytes, latency);
    if !matches!(answer.summary.verdict, Verdict::Allowed | Verdict::Mended)
        && let Some(left_out) = shared.flood.admit(Instant::now())
    {
        log(door, &answer.summary, &config.policy.digest, latency, left_out);
    }
    // A review is answered whatever it calls itself; when there is none, its type says more than the decoder.
    match foreign_type(&head.headers) {
        Some(message) if answer.http == 400 => {
            status(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", &message)
        }
        _ => response(answer),
    }
}

fn response(answer: Answer) -> Response {
    let mut response = json(answer.body);
    *response.status_mut() = StatusCode::from_u16(answer.http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

/// What is wrong with the type of a body, if anything.
fn foreign_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?;
    let name = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let shown: String = name.chars().take(80).collect();
    (!name.eq_ignore_ascii_case("application/json")).then(|| {
        format!("send an AdmissionReview as JSON, with Content-Type: application/json (this one is {shown:?})")
    })
}

/// A `Status`, as the API server itself answers what is no review.
fn status(code: StatusCode, reason: &str, message: &str) -> Response {
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16(),
    });
    let mut response = json(format!("{body}\n").into_bytes());
    *response.status_mut() = code;
    response
}

fn json(body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// One line for a refusal or a fault; never the object's contents. In a flood only some, with how many were left out.
fn log(door: Door, summary: &Summary, config: &str, latency: std::time::Duration, left_out: u64) {
    let mut rules: Vec<_> = summary.findings.iter().map(|(rule, ..)| *rule).collect();
    rules.sort_unstable();
    rules.dedup();
    let rules = rules.join(",");
    let (door, verdict, operation) = (metrics::door(door), metrics::verdict(summary.verdict), summary.operation);
    let nobody = Identity::default();
    let whose = summary.identity.as_ref().unwrap_or(&nobody);
    let [uid, group, version, kind, namespace, name, user] =
        [&whose.uid, &whose.group, &whose.version, &whose.kind, &whose.namespace, &whose.name, &whose.user]
            .map(|value| &value[..value.floor_char_boundary(LOGGED_BYTES)]);
    let latency_micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
    tracing::info!(
        door,
        verdict,
        uid,
        operation,
        group,
        version,
        kind,
        namespace,
        name,
        user,
        rules,
        config,
        latency_micros,
        left_out,
        "review"
    );
}
