//! Writes the Events about scans: one task that takes them from the queue of the server, groups them into series, and
//! creates and updates the Event objects. No review waits for it, and no error of it fails a review.

pub mod object;
pub mod series;

use std::pin::pin;
use std::time::Duration;

use axum::http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use k8s_openapi::api::events::v1::Event;
use kube::Client;
use kube::client::Body;
use kube::core::params::{Patch, PatchParams, PostParams};
use kube::core::{Resource as _, Status};
use time::OffsetDateTime;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep_until, timeout};

use self::series::{EventWrite, SeriesLimits, SeriesTable, WriteOutcome};
use super::error::is_terminating;
use crate::admission::event::StatusEvent;
use crate::server::metrics::EventMetrics;

/// The longest time of a write: with six in a minute, the table of series still drains.
const WRITE_MAX: Duration = Duration::from_secs(10);
/// The pause after an answer of 429 or 503 that does not say how long.
const PAUSE: Duration = Duration::from_secs(5);
/// The longest pause: an API server asks for seconds.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// The longest part of an answer that is read. An Event has at most 4 KiB, and a `Status` less.
const ANSWER_MAX_BYTES: usize = 64 << 10;
/// The field manager of the Events.
const FIELD_MANAGER: &str = "scan-admission";

/// Writes Events. Created for each process.
pub struct EventWriter {
    /// A client that does not retry by itself, since retries are writes, too.
    pub client: Client,
    /// The name of this replica, of 1 to [`object::INSTANCE_MAX_BYTES`] bytes.
    pub instance: String,
    pub limits: SeriesLimits,
}

/// The answer to a write.
struct WriteAnswer {
    outcome: WriteOutcome,
    /// The label `result` of the metric.
    result: &'static str,
    /// Why no Event was written, for the log; `None` if that is no problem.
    problem: Option<String>,
    /// How long the API server wants no further write.
    pause: Option<Duration>,
}

impl EventWriter {
    /// Writes the Events of the queue until its other end is dropped.
    pub async fn run(
        self,
        clock: fn() -> OffsetDateTime,
        mut events: Receiver<Box<StatusEvent>>,
        metrics: EventMetrics,
    ) {
        let mut table = SeriesTable::new(self.limits, metrics.clone());
        let mut logged = None;
        loop {
            let now = Instant::now();
            if let Some(write) = table.next_write(now) {
                let mut answered = pin!(self.write(&write));
                let answer = loop {
                    tokio::select! {
                        answer = &mut answered => break answer,
                        Some(event) = events.recv() => table.observe(*event, clock(), Instant::now()),
                    }
                };
                let now = Instant::now();
                table.finish(&write, answer.outcome, now);
                if let Some(pause) = answer.pause {
                    table.pause(now + pause);
                }
                log(&mut logged, &answer);
                // Counted after the line is logged, so that the log explains each count.
                metrics.count_write(answer.result);
                continue;
            }
            let due = table.next_time(now);
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => table.observe(*event, clock(), Instant::now()),
                    None => return,
                },
                () = sleep_until(due.unwrap_or(now)), if due.is_some() => {}
            }
        }
    }

    async fn write(&self, write: &EventWrite) -> WriteAnswer {
        match timeout(WRITE_MAX, self.send(write)).await {
            Ok(Ok((status, retry_after, body))) => read_answer(write, status, retry_after, &body),
            Ok(Err(problem)) => WriteAnswer::failed(problem),
            Err(_) => WriteAnswer::failed(format!("the API server did not answer within {WRITE_MAX:?}")),
        }
    }

    /// Sends the request. Returns the status, Retry-After and the body of the answer.
    async fn send(&self, write: &EventWrite) -> Result<(StatusCode, Option<Duration>, Vec<u8>), String> {
        let url = Event::url_path(&(), Some(&write.event.scan.namespace));
        let resource = kube::core::Request::new(url);
        let request: Request<Vec<u8>> = if write.is_update {
            let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
            let name = object::name(write, &self.instance);
            resource.patch(&name, &params, &Patch::Merge(object::patch(write))).map_err(|error| error.to_string())?
        } else {
            let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
            let event = serde_json::to_vec(&object::event(write, &self.instance)).map_err(|error| error.to_string())?;
            resource.create(&params, event).map_err(|error| error.to_string())?
        };
        let response = self.client.send(request.map(Body::from)).await;
        let response = response.map_err(|error| super::error::ApiError(error).to_string())?;
        let status = response.status();
        let retry_after =
            response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let body = Limited::new(response.into_body(), ANSWER_MAX_BYTES).collect().await;
        let body = body.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
        Ok((status, retry_after.map(Duration::from_secs), body))
    }
}

impl WriteAnswer {
    fn failed(problem: String) -> Self {
        Self { outcome: WriteOutcome::Failed, result: "failed", problem: Some(problem), pause: None }
    }
}

/// Interprets the answer of the API server.
fn read_answer(write: &EventWrite, code: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> WriteAnswer {
    let answer = |outcome, result, problem| WriteAnswer { outcome, result, problem, pause: None };
    let status: Status = serde_json::from_slice(body).unwrap_or_default();
    match code {
        // An Event of this name exists if an earlier answer was lost.
        _ if code.is_success() && write.is_update => answer(WriteOutcome::Written, "updated", None),
        StatusCode::CONFLICT if !write.is_update => answer(WriteOutcome::Written, "created", None),
        _ if code.is_success() => answer(WriteOutcome::Written, "created", None),
        StatusCode::NOT_FOUND if write.is_update => answer(WriteOutcome::Deleted, "missing", None),
        // The namespace is gone, and so is the scan.
        StatusCode::NOT_FOUND => answer(WriteOutcome::Rejected, "missing", None),
        StatusCode::FORBIDDEN if is_terminating(&status) => answer(WriteOutcome::Rejected, "missing", None),
        StatusCode::FORBIDDEN => {
            let problem = format!("{}; apply manifests/base/events.yaml, which grants this right", status.message);
            answer(WriteOutcome::Failed, "forbidden", Some(problem))
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            let result = if code == StatusCode::TOO_MANY_REQUESTS { "throttled" } else { "failed" };
            let problem = format!("the API server answers {code}");
            let pause = Some(retry_after.unwrap_or(PAUSE).min(PAUSE_MAX));
            WriteAnswer { pause, ..answer(WriteOutcome::Failed, result, Some(problem)) }
        }
        // The message may repeat the Event, so only its reason is logged.
        _ if code.is_client_error() && code != StatusCode::UNAUTHORIZED && code != StatusCode::REQUEST_TIMEOUT => {
            let problem = format!("the API server rejects it: {code} {}", status.reason);
            answer(WriteOutcome::Rejected, "rejected", Some(problem))
        }
        _ => WriteAnswer::failed(format!("the API server answers {code}")),
    }
}

/// Logs a problem, unless the last write had the same result. `logged` is the result that was logged last.
fn log(logged: &mut Option<&'static str>, answer: &WriteAnswer) {
    let Some(problem) = &answer.problem else {
        if answer.outcome == WriteOutcome::Written && logged.take().is_some() {
            tracing::info!("Events are written again");
        }
        return;
    };
    if logged.replace(answer.result) != Some(answer.result) {
        tracing::warn!(result = answer.result, "an Event was not written: {problem}");
    }
}
