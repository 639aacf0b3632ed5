//! `audit --watch`: keeps a judged view of all scans by watching them, and their reports.

use std::sync::Arc;

use futures_util::future::join_all;
use kube::{Client, Error};
use serde::Deserialize;
use time::OffsetDateTime;
use tokio::sync::watch;

use super::MANAGED_BY;
use super::error::{ApiError, WATCH_RIGHTS};
use super::listing::{ListingError, listings, path};
use super::report_writer::ReportWriter;
use super::scan_metrics::{SharedView, WatchCounts};
use super::scan_report::{ReportApi, ScanReport, ScanUid};
use super::scan_view::{Collection, ScanView, ViewSettings};
use super::watch::{ResourceWatch, WatchError, WatchedEvent};
use crate::admission::ReviewSettings;
use crate::config::Config;
use crate::offline::Judge;
use crate::scan::Kind;

/// Why the watch of scans cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ScanWatchError {
    #[error(transparent)]
    Listing(#[from] ListingError),
    #[error(
        "this cluster has no {kind} of {version}, which reports are written as\n{install}, or choose other reports with \
         --reports",
        kind = .0.kind(), version = .0.version(), install = install(*.0)
    )]
    NoReports(ReportApi),
    #[error("the kinds of {} cannot be read: {}", .0.version(), .1)]
    Reports(ReportApi, ApiError),
}

fn install(api: ReportApi) -> &'static str {
    match api {
        ReportApi::Openreports => {
            "install the CustomResourceDefinition reports.openreports.io, with the Helm chart of \
             https://github.com/openreports/reports-api"
        }
        ReportApi::Policyreport => {
            "install the CustomResourceDefinition policyreports.wgpolicyk8s.io of \
             https://github.com/kubernetes-sigs/wg-policy-prototypes"
        }
    }
}

/// A watch of all scans of a cluster and of their reports.
pub struct ScanWatch {
    client: Client,
    pub view: SharedView,
    /// The apiVersion of each kind that the cluster serves.
    versions: Vec<(Kind, String)>,
    reports: Option<ReportApi>,
    config: watch::Receiver<Arc<Config>>,
    clock: fn() -> OffsetDateTime,
    pub counts: WatchCounts,
}

/// The identity of an object.
#[derive(Deserialize)]
struct ObjectIdentity {
    metadata: ObjectName,
}

#[derive(Deserialize)]
struct ObjectName {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    uid: String,
}

impl ScanWatch {
    /// Finds out what the cluster serves.
    pub async fn new(
        client: Client,
        settings: ViewSettings,
        config: watch::Receiver<Arc<Config>>,
        clock: fn() -> OffsetDateTime,
    ) -> Result<Self, ScanWatchError> {
        let listings = listings(&client).await?;
        let versions: Vec<(Kind, String)> =
            listings.iter().map(|listing| (listing.kind, listing.version().to_owned())).collect();
        if versions.is_empty() {
            return Err(ListingError::NoKinds.into());
        }
        let reports = settings.reports;
        if let Some(api) = reports {
            let is_served = match client.list_api_group_resources(api.version()).await {
                Ok(resources) => resources.resources.iter().any(|resource| resource.name == api.plural()),
                Err(Error::Api(status)) if status.code == 404 => false,
                Err(error) => return Err(ScanWatchError::Reports(api, error.into())),
            };
            if !is_served {
                return Err(ScanWatchError::NoReports(api));
            }
        }
        let view = ScanView::new(settings, versions.iter().map(|(kind, _)| *kind), clock());
        let view = SharedView::new(view);
        Ok(Self { client, view, versions, reports, config, clock, counts: WatchCounts::default() })
    }

    /// Watches and writes. Never returns. With a new configuration, all scans are listed and judged again.
    pub async fn run(mut self) {
        loop {
            let settings = Arc::new(self.config.borrow_and_update().settings.clone());
            let mut config = self.config.clone();
            tokio::select! {
                () = self.run_with(&settings) => {}
                Ok(()) = config.changed() => {}
            }
        }
    }

    async fn run_with(&self, settings: &Arc<ReviewSettings>) {
        let scans = join_all(self.versions.iter().map(|(kind, version)| self.watch_scans(*kind, version, settings)));
        let writer = ReportWriter {
            client: self.client.clone(),
            view: self.view.clone(),
            versions: self.versions.clone(),
            settings: settings.clone(),
            api: self.reports,
            clock: self.clock,
            counts: self.counts.clone(),
        };
        tokio::join!(scans, self.watch_reports(), writer.run());
    }

    async fn watch_scans(&self, kind: Kind, version: &str, settings: &ReviewSettings) {
        let mut judge = Judge { now: (self.clock)(), settings: settings.clone() };
        let mut log = FailureLog::new(kind.plural());
        let watch = ResourceWatch::new(self.client.clone(), path(version, kind), None);
        let handle = |event: WatchedEvent<'_>| match event {
            WatchedEvent::Stored(object) => {
                judge.now = (self.clock)();
                let mut view = self.view.lock();
                match view.judge(kind, version, object.get(), &judge) {
                    Ok(scan) => view.put(scan),
                    Err(message) => {
                        self.counts.unreadable.inc();
                        tracing::warn!("a {} cannot be read: {message}", kind.name());
                    }
                }
            }
            WatchedEvent::Deleted(object) => {
                let head: Option<ObjectIdentity> = serde_json::from_str(object.get()).ok();
                if let Some(uid) = head.and_then(|head| ScanUid::parse(&head.metadata.uid)) {
                    self.view.lock().remove(uid);
                }
            }
            event => self.follow(Collection::Scans(kind), event, &mut log),
        };
        watch.run(handle).await;
    }

    async fn watch_reports(&self) {
        let Some(api) = self.reports else { return };
        let mut log = FailureLog::new(api.plural());
        let path = format!("/apis/{}/{}", api.version(), api.plural());
        let labels = format!("{}={}", MANAGED_BY.0, MANAGED_BY.1);
        let watch = ResourceWatch::new(self.client.clone(), path, Some(&labels));
        let handle = |event: WatchedEvent<'_>| match event {
            WatchedEvent::Stored(object) | WatchedEvent::Deleted(object) => {
                let Ok(ObjectIdentity { metadata }) = serde_json::from_str(object.get()) else { return };
                let mut view = self.view.lock();
                if matches!(event, WatchedEvent::Stored(_)) {
                    let report = ScanReport::read(object.get());
                    view.put_report(&metadata.name, &metadata.namespace, report.as_ref());
                } else {
                    view.remove_report(&metadata.name, &metadata.namespace);
                }
            }
            event => self.follow(Collection::Reports, event, &mut log),
        };
        watch.run(handle).await;
    }

    /// Follows the state of a watch.
    fn follow(&self, collection: Collection, event: WatchedEvent<'_>, log: &mut FailureLog) {
        let now = (self.clock)();
        match event {
            WatchedEvent::ListStarted => self.view.lock().start_list(collection),
            WatchedEvent::ListEnded => {
                self.view.lock().end_list(collection, now);
                log.succeed();
            }
            WatchedEvent::Current => {
                self.view.lock().set_current(collection, now);
                log.succeed();
            }
            WatchedEvent::Failed(error) => {
                self.counts.watch_failures.inc();
                log.fail(&error);
            }
            WatchedEvent::Stored(_) | WatchedEvent::Deleted(_) => {}
        }
    }
}

/// Logs a failure of a watch once, until it is over or another one follows.
struct FailureLog {
    plural: &'static str,
    failure: Option<String>,
}

impl FailureLog {
    fn new(plural: &'static str) -> Self {
        Self { plural, failure: None }
    }

    fn fail(&mut self, error: &WatchError) {
        let message =
            if let WatchError::Api(error) = error { error.with_remedy(WATCH_RIGHTS) } else { error.to_string() };
        if self.failure.as_ref() != Some(&message) {
            tracing::error!("the {} cannot be watched: {message}", self.plural);
            self.failure = Some(message);
        }
    }

    fn succeed(&mut self) {
        if self.failure.take().is_some() {
            tracing::info!("the {} are watched again", self.plural);
        }
    }
}
