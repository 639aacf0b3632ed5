//! The two webhooks over HTTP: from a request to `admission::answer`, and from its answer to a response.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use axum::response::Response;
use axum::routing::post;
use tokio::time::Instant;

use super::Shared;
use super::body::{BodyBuffer, End, patience};
use super::review::{InFlightPermit, PendingReview};
use crate::admission::{Answer, Decision, Fault, RequestInfo, Summary, Webhook};
use crate::engine::Action;

/// The port of reviews where none is given.
pub const REVIEWS_PORT: u16 = 8443;

/// Longest value of a client that a log line repeats: a Kubernetes name.
const LOGGED_BYTES: usize = 253;

/// Paths of the two webhooks.
pub const VALIDATE: &str = "/validate";
pub const MUTATE: &str = "/mutate";

/// The routes of the review address.
pub fn router(shared: Arc<Shared>) -> Router {
    let handler = |webhook| post(move |State(shared): State<Arc<Shared>>, request| review(shared, webhook, request));
    Router::new()
        .route(VALIDATE, handler(Webhook::Validating))
        .route(MUTATE, handler(Webhook::Mutating))
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

async fn review(shared: Arc<Shared>, webhook: Webhook, request: Request) -> Response {
    let begun = Instant::now();
    let (head, body) = request.into_parts();
    let config = shared.config();
    let permit = InFlightPermit::take(&shared, config.limits.reviews);
    let mut body_buffer = BodyBuffer::new(&shared.memory, permit.is_none());
    let deadline = begun + patience(head.uri.query(), config.limits.body);
    let end = tokio::select! {
        biased;
        end = body_buffer.read(body, deadline) => end,
        () = shared.shed.outlasts(config.limits.head) => End::Shed,
    };

    let body_bytes = body_buffer.bytes.len();
    let review = PendingReview { shared: shared.clone(), config: config.clone(), webhook, body: body_buffer, permit };
    let answer = match end {
        End::Whole => review.judge(deadline).await,
        End::Timeout => review.fault(Fault::Timeout),
        End::Shed => {
            shared.shed.notify();
            review.fault(Fault::TooManyRequests)
        }
        End::Gone => {
            tracing::debug!(webhook = webhook.name(), "the client went away before the review was whole");
            return Response::default();
        }
    };
    let latency = begun.elapsed();
    shared.metrics.record(webhook, &answer.summary, body_bytes, latency);
    if matches!(answer.summary.decision, Decision::Deny | Decision::Error(_))
        && let Some(left_out) = shared.log_limiter.admit(Instant::now())
    {
        log(webhook, &answer.summary, &config.settings.digest, latency, left_out);
    }
    // A review is answered whatever its type; where there is none, the type says more than the decoder.
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

/// One line for a denial or a fault; never the object's contents. Beyond the limit lines are left out and counted.
fn log(webhook: Webhook, summary: &Summary, config: &str, latency: std::time::Duration, left_out: u64) {
    let found = summary.findings.iter().filter(|finding| finding.action != Action::Audit);
    let mut rules: Vec<_> = found.map(|finding| finding.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    let rules = rules.join(",");
    let (webhook, decision, operation) = (webhook.name(), summary.decision.name(), summary.operation);
    let fault = if let Decision::Error(fault) = summary.decision { fault.name() } else { "" };
    let unknown = RequestInfo::default();
    let request = summary.request.as_ref().unwrap_or(&unknown);
    let [uid, group, version, kind, namespace, name, user] = [
        &request.uid,
        &request.group,
        &request.version,
        &request.kind,
        &request.namespace,
        &request.name,
        &request.user,
    ]
    .map(|value| &value[..value.floor_char_boundary(LOGGED_BYTES)]);
    let latency_micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
    tracing::info!(
        webhook,
        decision,
        fault,
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
