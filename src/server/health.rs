//! The admin address: liveness, readiness and metrics over plain HTTP, for kubelets and Prometheus.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
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

/// The routes of the admin address. A server that is stopping is not ready.
pub fn router(shared: Arc<Shared>, certificate: Readiness, stop: watch::Receiver<StopStage>) -> Router {
    let certificate = Arc::new(certificate);
    let ready = move || {
        let answer = if *stop.borrow() != StopStage::Serving {
            (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
        } else {
            match certificate.check() {
                Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason),
                Ok(()) => (StatusCode::OK, "ok\n"),
            }
        };
        async move { answer }
    };
    Router::new()
        .route(LIVEZ, get(async || "ok\n"))
        .route(READYZ, get(ready))
        .route(METRICS, get(metrics))
        .fallback(async || (StatusCode::NOT_FOUND, "not found; the paths are /livez, /readyz and /metrics\n"))
        .method_not_allowed_fallback(async || (StatusCode::METHOD_NOT_ALLOWED, "use GET\n"))
        .with_state(shared)
}

async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let exposition = Exposition::negotiate(&headers);
    match shared.metrics.text(exposition) {
        Ok(text) => ([(CONTENT_TYPE, exposition.content_type)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
