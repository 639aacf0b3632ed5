//! The HTTP handlers of the two webhooks: they read the body of a request, have it judged, and send the answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, SERVER};
use axum::response::Response;
use axum::routing::post;
use axum::{Extension, Router};
use tokio::time::Instant;

use super::Shared;
use super::body::{BodyBuffer, End, discard, request_timeout};
use super::connection::ConnectionContext;
use super::events::EventAfterAnswer;
use super::review::PendingReview;
use crate::admission::{Decision, Fault, RequestInfo, Summary, Webhook};
use crate::engine::Action;
use crate::policies::release::RELEASE;

/// The default port for reviews.
pub const REVIEWS_PORT: u16 = 8443;

/// The most bytes of a client's value in a log line: the length of the longest Kubernetes name.
const LOGGED_BYTES: usize = 253;

/// The most characters of a header in a message.
const SHOWN_CHARS: usize = 80;

/// Paths of the two webhooks.
pub const VALIDATE: &str = "/validate";
pub const MUTATE: &str = "/mutate";

/// The routes of the review address. Each request has its [`ConnectionContext`] as an extension.
pub fn router(shared: Arc<Shared>) -> Router {
    let handler = |webhook| {
        post(move |State(shared): State<Arc<Shared>>, Extension(connection), request| {
            review(shared, connection, webhook, request)
        })
    };
    Router::new()
        .route(VALIDATE, handler(Webhook::Validating))
        .route(MUTATE, handler(Webhook::Mutating))
        .fallback(async |State(shared): State<Arc<Shared>>, Extension(connection), request| {
            let message =
                "POST an AdmissionReview to /validate or /mutate; health and metrics are on the admin address";
            reject(&shared, &connection, request, (StatusCode::NOT_FOUND, "NotFound", message)).await
        })
        .method_not_allowed_fallback(async |State(shared): State<Arc<Shared>>, Extension(connection), request| {
            let error = (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "POST an AdmissionReview here");
            reject(&shared, &connection, request, error).await
        })
        .with_state(shared)
}

/// Answers a request that is not a review with an error. Reads its body first, since most clients read the answer only
/// after they have sent the whole body.
async fn reject(shared: &Shared, connection: &ConnectionContext, request: Request, error: ErrorStatus<'_>) -> Response {
    let limits = &shared.config().limits;
    let deadline = Instant::now() + limits.body;
    let end = discard(request.into_body(), &connection.memory, deadline, limits.head).await;
    status(connection, if end == End::Broken { BROKEN } else { error })
}

async fn review(shared: Arc<Shared>, connection: ConnectionContext, webhook: Webhook, request: Request) -> Response {
    let begun = Instant::now();
    let config = shared.config();
    if let Some(message) = content_encoding_error(request.headers()) {
        let mut response = reject(&shared, &connection, request, unsupported(&message)).await;
        response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        return response;
    }
    let (head, body) = request.into_parts();
    let deadline = begun + request_timeout(head.uri.query(), config.limits.body);
    let content_type_error = content_type_error(&head.headers);
    // Heads are not counted as memory, so they are dropped before their bodies are read.
    drop(head);
    let buffer = BodyBuffer::new(&connection.memory);
    let end = buffer.read(body, deadline, config.limits.head).await;

    let _complete = connection.activity.complete_body();
    let (body, memory, has_all) = buffer.finish();
    let body_bytes = body.bytes();
    let review = PendingReview { shared: shared.clone(), config: config.clone(), webhook, body, memory };
    let mut answer = match end {
        End::Complete if has_all => review.judge(deadline).await,
        End::Complete | End::Shed => review.fault(Fault::TooManyRequests),
        End::Timeout => review.fault(Fault::Timeout),
        End::Broken => review.fault(Fault::BadRequest),
    };
    let latency = begun.elapsed();
    shared.metrics.record(webhook, &answer.summary, body_bytes, latency);
    if matches!(answer.summary.decision, Decision::Deny | Decision::Error(_))
        && let Some(left_out) = shared.log_limiter.admit(Instant::now())
    {
        log(webhook, connection.peer, &answer.summary, &config.settings.digest, latency, left_out);
    }
    let event = answer.summary.event.take().zip(shared.events.as_ref());
    let event = event.map(|(event, queue)| EventAfterAnswer::new(queue, event));
    // A review is answered even if its Content-Type is wrong. A body that is not a review probably has the type that
    // its Content-Type says, so the message names that.
    match content_type_error {
        _ if end == End::Broken => status(&connection, BROKEN),
        Some(message) if answer.http == 400 => status(&connection, unsupported(&message)),
        _ => response(&connection, StatusCode::from_u16(answer.http).unwrap_or_default(), answer.body, event),
    }
}

/// Returns the message for a Content-Type that is not JSON.
fn content_type_error(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?;
    let name = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let shown: String = name.chars().take(SHOWN_CHARS).collect();
    (!name.eq_ignore_ascii_case("application/json"))
        .then(|| format!("unsupported Content-Type {shown:?}: send an AdmissionReview as \"application/json\""))
}

/// Returns the message for an encoded body. API servers do not encode bodies.
fn content_encoding_error(headers: &HeaderMap) -> Option<String> {
    let encodings = headers.get_all(CONTENT_ENCODING).iter().map(|value| value.to_str().unwrap_or("?"));
    let encodings = encodings.flat_map(|value| value.split(',')).map(str::trim);
    let mut foreign = encodings.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"));
    let shown: String = foreign.next()?.chars().take(SHOWN_CHARS).collect();
    Some(format!("unsupported Content-Encoding {shown:?}: send an AdmissionReview without encoding"))
}

/// Code, reason and message.
type ErrorStatus<'m> = (StatusCode, &'static str, &'m str);

const BROKEN: ErrorStatus<'static> = (
    StatusCode::BAD_REQUEST,
    "BadRequest",
    "cannot read the body of the request: it is truncated, its chunks or trailers are malformed, or it is sent in too \
     many small pieces",
);

fn unsupported(message: &str) -> ErrorStatus<'_> {
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
}

/// Answers with a `Status` object, as the API server does for errors.
fn status(connection: &ConnectionContext, (code, reason, message): ErrorStatus<'_>) -> Response {
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16(),
    });
    let mut response = response(connection, code, format!("{body}\n").into_bytes(), None);
    // `doctor` compares the releases. Answers to reviews are sent to API servers only, which ignore the header.
    response.headers_mut().extend(HeaderValue::try_from(RELEASE.header()).ok().map(|value| (SERVER, value)));
    response
}

fn response(
    connection: &ConnectionContext,
    code: StatusCode,
    json: Vec<u8>,
    event: Option<EventAfterAnswer>,
) -> Response {
    let mut response = Response::new(Body::from(connection.memory.answer(json, event)));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Logs a denial or a fault in one line, without contents of the object. `left_out` is the number of lines that the log
/// limiter has left out since the last one.
fn log(webhook: Webhook, peer: SocketAddr, summary: &Summary, config: &str, latency: Duration, left_out: u64) {
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
        %peer,
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
