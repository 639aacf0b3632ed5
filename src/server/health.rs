//! The admin address: liveness, readiness and metrics over plain HTTP, for kubelets and Prometheus.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use axum::routing::get;
use tokio::sync::watch;

use super::Shared;
use super::connection::StopStage;
use super::expiry::Readiness;
use super::exposition::Exposition;

/// The default port of the admin address.
pub const ADMIN_PORT: u16 = 8080;

/// Paths of the admin address.
pub const LIVEZ: &str = "/livez";
pub const READYZ: &str = "/readyz";
pub const METRICS: &str = "/metrics";

/// The routes of the admin address of a server of reviews. A server that is stopping is not ready.
pub fn router(shared: Arc<Shared>, certificate: Readiness, stop: watch::Receiver<StopStage>) -> Router {
    let certificate = Arc::new(certificate);
    let ready = move || if *stop.borrow() != StopStage::Serving { Err("stopping\n") } else { certificate.check() };
    routes(ready, move |exposition| shared.metrics.text(exposition))
}

/// The routes of an admin address. `ready` returns why the process is not ready, and `metrics` the text of the metrics.
pub fn routes(
    ready: impl Fn() -> Result<(), &'static str> + Clone + Send + Sync + 'static,
    metrics: impl Fn(Exposition) -> Result<String, fmt::Error> + Clone + Send + Sync + 'static,
) -> Router {
    let ready = move || {
        let answer = match ready() {
            Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason),
            Ok(()) => (StatusCode::OK, "ok\n"),
        };
        async move { answer }
    };
    let metrics = move |headers: HeaderMap| {
        let exposition = Exposition::negotiate(&headers);
        let answer = match metrics(exposition) {
            Ok(text) => ([(CONTENT_TYPE, exposition.content_type)], text).into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
        };
        async move { answer }
    };
    Router::new()
        .route(LIVEZ, get(async || "ok\n"))
        .route(READYZ, get(ready))
        .route(METRICS, get(metrics))
        .fallback(async || (StatusCode::NOT_FOUND, "not found; the paths are /livez, /readyz and /metrics\n"))
        .method_not_allowed_fallback(async || (StatusCode::METHOD_NOT_ALLOWED, "use GET\n"))
}
