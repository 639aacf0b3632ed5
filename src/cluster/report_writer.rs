//! Writes the reports that differ from those that are stored, and removes those of scans that are clean or gone.
//!
//! A task of the queue names only a scan. The scan is read again, so that the report is of its current state, and the
//! memory of the queue does not grow with the findings.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use kube::api::{DeleteParams, GetParams, Patch, PatchParams, Request};
use kube::runtime::watcher::DefaultBackoff;
use kube::{Client, Error};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep, sleep_until};

use super::MANAGED_BY;
use super::error::{ApiError, WATCH_RIGHTS, is_terminating};
use super::scan_metrics::{SharedView, WatchCounts, WriteResult};
use super::scan_report::{ReportApi, ScanReport};
use super::scan_view::{ReportKey, ReportTask};
use crate::admission::ReviewSettings;
use crate::offline::Judge;
use crate::scan::Kind;

/// The number of tasks at the same time. The API server reads the scan and writes the report of each.
const BATCH: usize = 4;
/// The shortest time between the starts of two batches: 20 reports a second, the default of the controllers of Kubernetes.
/// So 5,000 reports are written in 250 s.
const BATCH_INTERVAL: Duration = Duration::from_millis(200);
/// How often the queue is looked at while it is empty.
const TICK: Duration = Duration::from_millis(250);
/// How often the scans are searched for those whose findings depend on the time, and after how long a report that the API
/// server denied is tried again. The search takes about a millisecond for 100,000 scans.
const SLOW_TICK: Duration = Duration::from_secs(10);

/// Writes the reports of a view.
pub struct ReportWriter {
    pub client: Client,
    pub view: SharedView,
    /// The apiVersion of each kind that the cluster serves.
    pub versions: Vec<(Kind, String)>,
    pub settings: Arc<ReviewSettings>,
    pub api: Option<ReportApi>,
    pub clock: fn() -> OffsetDateTime,
    pub counts: WatchCounts,
}

/// Why a report could not be written. The messages have no contents of the scan.
#[derive(Debug, thiserror::Error)]
enum ReportError {
    #[error("the scan cannot be read: {0}")]
    Read(String),
    /// The API server does not accept the report. Its message may quote the report, and that quotes the scan.
    #[error("the API server does not accept it: {code} {reason}")]
    Rejected { code: u16, reason: String },
    #[error("{}", .0.with_remedy(WATCH_RIGHTS))]
    Api(ApiError),
}

impl From<Error> for ReportError {
    fn from(error: Error) -> Self {
        match error {
            Error::Api(status) if matches!(status.code, 400 | 409 | 413 | 422) => {
                Self::Rejected { code: status.code, reason: status.reason }
            }
            error => Self::Api(ApiError(error)),
        }
    }
}

impl ReportError {
    /// Whether the fault is with this report, so that others can still be written.
    fn is_of_report(&self) -> bool {
        matches!(self, Self::Read(_) | Self::Rejected { .. })
    }

    /// What is alike in the errors of several reports: each is logged once.
    fn kind(&self) -> String {
        match self {
            Self::Read(_) => "read".to_owned(),
            Self::Rejected { code, .. } => code.to_string(),
            Self::Api(ApiError(Error::Api(status))) => status.code.to_string(),
            Self::Api(error) => error.to_string(),
        }
    }
}

/// Returns an answer, or `None` if the object does not exist.
fn found(answer: Result<String, Error>) -> Result<Option<String>, Error> {
    match answer {
        Err(Error::Api(status)) if status.code == 404 => Ok(None),
        answer => answer.map(Some),
    }
}

impl ReportWriter {
    /// Writes reports whenever the queue has tasks. Never returns.
    pub async fn run(&self) {
        let mut backoff = DefaultBackoff::default();
        let mut denied: Vec<ReportKey> = Vec::new();
        let mut searched = Instant::now();
        let mut logged = None;
        loop {
            let now = Instant::now();
            if now >= searched + SLOW_TICK {
                searched = now;
                let mut view = self.view.lock();
                denied.drain(..).for_each(|key| view.enqueue_again(key));
                view.enqueue_due((self.clock)());
            }
            let tasks = self.view.lock().take_tasks(BATCH);
            if tasks.is_empty() {
                sleep(TICK).await;
                continue;
            }
            let (mut has_failed, mut has_succeeded) = (false, false);
            let results = join_all(tasks.iter().map(|task| self.reconcile(task))).await;
            for (ReportTask { key, .. }, result) in tasks.into_iter().zip(results) {
                let Err(error) = result else {
                    has_succeeded = true;
                    continue;
                };
                self.counts.write(WriteResult::Failed).inc();
                let kind = error.kind();
                if logged.as_ref() != Some(&kind) {
                    tracing::error!(scan = %key.0, "a report cannot be written: {error}");
                    logged = Some(kind);
                }
                if error.is_of_report() {
                    denied.push(key);
                } else {
                    has_failed = true;
                    self.view.lock().enqueue_again(key);
                }
            }
            if has_succeeded {
                backoff = DefaultBackoff::default();
            }
            // Other reports can be written as long as some can.
            if has_failed && !has_succeeded {
                sleep(backoff.next().unwrap_or(SLOW_TICK)).await;
            } else if !has_failed && denied.is_empty() && logged.take().is_some() {
                tracing::info!("reports can be written again");
            }
            sleep_until(now + BATCH_INTERVAL).await;
        }
    }

    /// Makes the report of a scan what it should be.
    async fn reconcile(&self, task: &ReportTask) -> Result<(), ReportError> {
        let report = match &task.scan {
            Some((kind, name)) => self.judge(&task.key, *kind, name).await?,
            None => None,
        };
        let Some(api) = self.api else { return Ok(()) };
        // Read before each `await`, during which the view must not be locked.
        let is_stored = self.view.lock().is_stored(&task.key, report.as_ref());
        match report {
            _ if is_stored => {}
            Some(report) => {
                self.apply(api, &report).await?;
                self.counts.write(WriteResult::Applied).inc();
            }
            None => {
                let (uid, namespace) = &task.key;
                let request = reports(api, namespace).delete(&uid.report_name(), &DeleteParams::default());
                let answer = self.client.request_text(request.map_err(Error::BuildRequest)?).await;
                // The garbage collector, the deletion of a namespace or another replica may have been first.
                if found(answer)?.is_some() {
                    self.counts.write(WriteResult::Deleted).inc();
                }
            }
        }
        Ok(())
    }

    /// Reads a scan and judges it. Returns its report, or `None` if it is clean or gone.
    async fn judge(
        &self,
        (uid, namespace): &ReportKey,
        kind: Kind,
        name: &str,
    ) -> Result<Option<ScanReport>, ReportError> {
        let Some((_, version)) = self.versions.iter().find(|(served, _)| *served == kind) else { return Ok(None) };
        let path = format!("/apis/{version}/namespaces/{namespace}/{}", kind.plural());
        let request = Request::new(path).get(name, &GetParams::default()).map_err(Error::BuildRequest)?;
        let answer = found(self.client.request_text(request).await)?;
        let mut view = self.view.lock();
        let judge = Judge { now: (self.clock)(), settings: (*self.settings).clone() };
        let judged =
            answer.map(|json| view.judge(kind, version, &json, &judge)).transpose().map_err(ReportError::Read)?;
        // A scan of another uid has the name of one that was deleted.
        let Some(mut judged) = judged.filter(|judged| judged.uid == *uid) else {
            view.remove(*uid);
            return Ok(None);
        };
        let report = judged.report.take();
        view.update(judged);
        Ok(report)
    }

    async fn apply(&self, api: ReportApi, report: &ScanReport) -> Result<(), Error> {
        // Two replicas apply the same, with the same manager. The API server stores the second only if it differs.
        let params = PatchParams::apply(MANAGED_BY.1).force().validation_strict();
        let path = reports(api, &report.metadata.namespace);
        let request = path.patch(&report.metadata.name, &params, &Patch::Apply(report)).map_err(Error::BuildRequest)?;
        match self.client.request_text(request).await {
            // The namespace is being deleted, and its reports with it.
            Err(Error::Api(status)) if status.code == 403 && is_terminating(&status) => Ok(()),
            answer => answer.map(drop),
        }
    }
}

/// The reports of a namespace.
fn reports(api: ReportApi, namespace: &str) -> Request {
    Request::new(format!("/apis/{}/namespaces/{namespace}/{}", api.version(), api.plural()))
}
