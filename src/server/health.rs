//! The admin address: is it alive, is it ready, what has it done. Plain HTTP, for kubelets and Prometheus.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::metrics::{self, Metrics};

/// `is_stopping`: answers in flight are still finished, but no new reviews should come.
pub fn handle(request: &Request<Incoming>, is_stopping: bool, metrics: &Metrics) -> Response<Full<Bytes>> {
    let paths = "the paths here are /livez, /readyz and /metrics\n";
    let (status, body) = match request.uri().path() {
        "/livez" | "/readyz" | "/metrics" if request.method() != Method::GET && request.method() != Method::HEAD => {
            (StatusCode::METHOD_NOT_ALLOWED, "use GET\n".to_owned())
        }
        "/livez" => (StatusCode::OK, "ok\n".to_owned()),
        "/readyz" if is_stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned()),
        "/readyz" => (StatusCode::OK, "ok\n".to_owned()),
        "/metrics" => match metrics.text() {
            Ok(text) => (StatusCode::OK, text),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        },
        _ => (StatusCode::NOT_FOUND, paths.to_owned()),
    };
    let content_type = match request.uri().path() {
        "/metrics" if status == StatusCode::OK => metrics::CONTENT_TYPE,
        _ => "text/plain; charset=utf-8",
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
