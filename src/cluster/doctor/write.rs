//! A dry run of a write that the webhook has to refuse, through the API server: all of the way, and nothing is stored.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, Request};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use crate::cluster::{audit, said};
use crate::scan::Kind;

/// What came of it.
pub enum Written {
    /// By one of our rules.
    Refused,
    /// By one of our rules, which is set to be less than a refusal.
    Warned(String),
    Allowed(String),
    /// Not by us.
    Failed(String),
    Unknown(String),
}

/// A dry run: its method, path, type and body, and the rule that finds fault with it.
struct Try {
    what: String,
    method: Method,
    path: String,
    content_type: &'static str,
    body: Value,
    rule: &'static str,
}

/// Nobody's phase.
const PHASE: &str = "not a phase: a dry run of scan-admission doctor";

pub async fn write(client: &Client) -> Written {
    match attempt(client).await {
        Ok(attempt) => send(client, attempt).await.unwrap_or_else(Written::Unknown),
        Err(why) => Written::Unknown(why),
    }
}

/// A bad phase of some scan, or a scan without a target where there is none yet.
async fn attempt(client: &Client) -> Result<Try, String> {
    let listings = audit::listings(client).await?;
    let version = listings.first().map(|listing| listing.version().to_owned()).ok_or("neither kind is served")?;
    for mut listing in listings {
        let page = listing.next().await?.unwrap_or_default();
        for scan in &page.scans {
            let scan: Value = serde_json::from_str(scan.get()).map_err(|error| error.to_string())?;
            let metadata = &scan["metadata"];
            let (Some(namespace), Some(name)) = (metadata["namespace"].as_str(), metadata["name"].as_str()) else {
                continue;
            };
            // What is being deleted is never refused.
            if !metadata["deletionTimestamp"].is_null() {
                continue;
            }
            let plural = listing.kind.plural();
            return Ok(Try {
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
    Ok(Try {
        what: "the creation of a SourceScan without a target in the namespace default".to_owned(),
        method: Method::POST,
        path: format!("/apis/{version}/namespaces/default/{}", kind.plural()),
        content_type: "application/json",
        body: json!({"apiVersion": version, "kind": kind.name(), "metadata": {"generateName": "scan-admission-doctor-"},
            "spec": {"scanTemplate": "doctor"}}),
        rule: "scan-target",
    })
}

async fn send(client: &Client, attempt: Try) -> Result<Written, String> {
    let Try { what, method, path, content_type, body, rule } = attempt;
    let request = Request::builder()
        .method(method)
        .uri(format!("{path}?dryRun=All&fieldManager=scan-admission-doctor"))
        .header(CONTENT_TYPE, content_type)
        .body(Body::from(body.to_string().into_bytes()))
        .map_err(|error| error.to_string())?;
    let answer = client.send(request).await.map_err(|error| said(&error))?;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    let status: Value = serde_json::from_slice(&body).unwrap_or_default();
    let message = status["message"].as_str().unwrap_or_default().to_owned();
    let named = format!("[{rule}]");
    Ok(match head.status.as_u16() {
        200..=299 if warnings(&head.headers).contains(&named) => {
            Written::Warned(format!("{what} is allowed with a warning of {rule}"))
        }
        200..=299 => Written::Allowed(format!("{what} is allowed, which {rule} should refuse")),
        // Who asks may not write, or the scan has gone meanwhile.
        401 | 403 | 404 if !message.contains("webhook") => Written::Unknown(format!("{what}: {message}")),
        _ if message.contains(&named) => Written::Refused,
        _ => Written::Failed(format!("{what} fails: {message}")),
    })
}

fn warnings(headers: &HeaderMap) -> String {
    headers.get_all("warning").iter().map(|one| String::from_utf8_lossy(one.as_bytes())).collect()
}
