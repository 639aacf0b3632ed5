//! A dry run, through the API server, of a write that the webhook must deny. Nothing is stored.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, Request};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use crate::cluster::error::ApiError;
use crate::cluster::listing::{ListingError, listings};
use crate::scan::Kind;

/// The outcome of the dry run.
pub enum DryRun {
    /// The expected rule denied the write.
    Denied,
    /// The expected rule, whose mode is not deny, only warned.
    Warned(String),
    /// The write was allowed.
    Allowed(String),
    /// The write failed for another reason.
    Failed(String),
}

/// Why the dry run has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum DryRunError {
    #[error(transparent)]
    Listing(#[from] ListingError),
    #[error("a stored scan is not JSON: {0}")]
    Scan(#[from] serde_json::Error),
    #[error(transparent)]
    Request(#[from] axum::http::Error),
    #[error("{0}")]
    Send(ApiError),
    #[error("the response cannot be read: {0}")]
    Body(<Body as axum::body::HttpBody>::Error),
    /// The user has no right to the write, or the scan was deleted in the meantime.
    #[error("{what}: {message}")]
    Rejected { what: String, message: String },
}

/// The request of the dry run, and the rule that must deny it.
struct Attempt {
    /// A noun phrase for messages.
    what: String,
    method: Method,
    path: String,
    content_type: &'static str,
    body: Value,
    rule: &'static str,
}

/// A phase that no rule accepts.
const PHASE: &str = "not a phase: a dry run of scan-admission doctor";

/// Sends the dry run.
pub async fn dry_run(client: &Client) -> Result<DryRun, DryRunError> {
    send(client, attempt(client).await?).await
}

/// Returns an update of a stored scan to an unknown phase or, if no scan is stored, the creation of a scan without a
/// target.
async fn attempt(client: &Client) -> Result<Attempt, DryRunError> {
    let listings = listings(client).await?;
    let version = listings.first().map(|listing| listing.version().to_owned()).ok_or(ListingError::NoKinds)?;
    for mut listing in listings {
        let page = listing.next().await?.unwrap_or_default();
        for scan in &page.items {
            let scan: Value = serde_json::from_str(scan.get())?;
            let metadata = &scan["metadata"];
            let (Some(namespace), Some(name)) = (metadata["namespace"].as_str(), metadata["name"].as_str()) else {
                continue;
            };
            // Writes of an object that is being deleted are not denied.
            if !metadata["deletionTimestamp"].is_null() {
                continue;
            }
            let plural = listing.kind.plural();
            return Ok(Attempt {
                what: format!("an update of the status of {} {namespace}/{name}", listing.kind.name()),
                method: Method::PATCH,
                path: format!("/apis/{}/namespaces/{namespace}/{plural}/{name}/status", listing.version()),
                content_type: "application/merge-patch+json",
                body: json!({"status": {"phase": PHASE}}),
                rule: "phase-unknown",
            });
        }
    }
    let kind = Kind::SourceScan;
    Ok(Attempt {
        what: "the creation of a SourceScan without a target in the namespace default".to_owned(),
        method: Method::POST,
        path: format!("/apis/{version}/namespaces/default/{}", kind.plural()),
        content_type: "application/json",
        body: json!({"apiVersion": version, "kind": kind.name(), "metadata": {"generateName": "scan-admission-doctor-"},
            "spec": {"scanTemplate": "doctor"}}),
        rule: "scan-target",
    })
}

async fn send(client: &Client, attempt: Attempt) -> Result<DryRun, DryRunError> {
    let Attempt { what, method, path, content_type, body, rule } = attempt;
    let request = Request::builder()
        .method(method)
        .uri(format!("{path}?dryRun=All&fieldManager=scan-admission-doctor"))
        .header(CONTENT_TYPE, content_type)
        .body(Body::from(body.to_string().into_bytes()))?;
    let answer = client.send(request).await.map_err(|error| DryRunError::Send(ApiError(error)))?;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.map_err(DryRunError::Body)?.to_bytes();
    let status: Value = serde_json::from_slice(&body).unwrap_or_default();
    let message = status["message"].as_str().unwrap_or_default().to_owned();
    let named = format!("[{rule}]");
    Ok(match head.status.as_u16() {
        200..=299 if warnings(&head.headers).contains(&named) => {
            DryRun::Warned(format!("{what} is allowed, with a warning of the rule {rule}"))
        }
        200..=299 => DryRun::Allowed(format!("{what} is allowed, but the rule {rule} must deny it")),
        401 | 403 | 404 if !message.contains("webhook") => return Err(DryRunError::Rejected { what, message }),
        _ if message.contains(&named) => DryRun::Denied,
        _ => DryRun::Failed(format!("{what} failed: {message}")),
    })
}

/// Returns the `Warning` headers of a response.
fn warnings(headers: &HeaderMap) -> String {
    headers.get_all("warning").iter().map(|one| String::from_utf8_lossy(one.as_bytes())).collect()
}
