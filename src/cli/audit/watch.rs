//! `audit --watch`: judges every stored scan again whenever it changes, until a signal ends it.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::BoolishValueParser;
use prometheus_client::metrics::counter::Counter;
use time::OffsetDateTime;
use tokio::sync::watch;
use tracing_subscriber::filter::Targets;

use crate::cli::flags::address::parse_listen;
use crate::cli::flags::cluster;
use crate::cli::flags::config::{ConfigFiles, ConfigFlags, LoadedConfig};
use crate::cli::serve::{Signals, local};
use crate::cluster::client::{ClusterOptions, watch_client};
use crate::cluster::scan_metrics::ScanMetrics;
use crate::cluster::scan_report::ReportApi;
use crate::cluster::scan_view::ViewSettings;
use crate::cluster::scan_watch::ScanWatch;
use crate::config::Config;
use crate::rules::RULES;
use crate::server::Shared;
use crate::server::admin::AdminServer;
use crate::server::connection::StopStage;
use crate::server::health::{ADMIN_PORT, routes};
use crate::server::log::{self, LogFormat};
use crate::server::reload::{ReloadCounts, poll_and_apply};

/// The log filter. It omits the client, which logs each failed request: a failure of a watch is logged once.
const LOG: &str = "info,kube_client=off";

/// How often the configuration file is read. A change applies after two polls, and every scan is then listed again.
const CONFIG_POLL: Duration = Duration::from_secs(5);

/// The default of `--stuck` with `--watch`.
const STUCK: Duration = Duration::from_secs(30 * 60);

/// The reports that `--reports` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReportsFlag {
    /// No reports
    None,
    /// Report of openreports.io/v1alpha1
    Openreports,
    /// PolicyReport of wgpolicyk8s.io/v1alpha2
    Policyreport,
}

impl ReportsFlag {
    fn api(self) -> Option<ReportApi> {
        match self {
            Self::None => None,
            Self::Openreports => Some(ReportApi::Openreports),
            Self::Policyreport => Some(ReportApi::Policyreport),
        }
    }
}

#[derive(clap::Args)]
#[group(id = "watching")]
pub struct WatchFlags {
    /// Keep watching, and export metrics of all scans instead of a report
    #[arg(long, env = "SCAN_ADMISSION_WATCH", value_parser = BoolishValueParser::new())]
    watch: bool,
    /// With --watch: keep a report for each scan with findings, in this API
    #[arg(long, env = "SCAN_ADMISSION_REPORTS", value_enum, default_value = "none")]
    reports: ReportsFlag,
    /// With --watch: address for /livez, /readyz and /metrics over plain HTTP
    #[arg(long, env = "SCAN_ADMISSION_ADMIN", value_name = "ADDRESS", default_value_t = local(ADMIN_PORT), value_parser = parse_listen)]
    admin: SocketAddr,
}

impl WatchFlags {
    pub fn is_set(&self) -> bool {
        self.watch
    }

    /// Returns an error if reports are to be kept without --watch.
    pub fn check_unused(&self) -> io::Result<()> {
        match self.reports {
            ReportsFlag::None => Ok(()),
            _ => Err(io::Error::other("--reports keeps reports while the command watches: add --watch")),
        }
    }

    /// Watches until a signal. A scan is stuck that has waited for longer than `stuck`.
    pub fn run(&self, config: &ConfigFlags, options: &ClusterOptions, stuck: Option<Duration>) -> io::Result<ExitCode> {
        let log_lines_lost = log::to_stderr(&LOG.parse::<Targets>().map_err(io::Error::other)?, LogFormat::Auto)?;
        let LoadedConfig { config, file } = config.load().map_err(io::Error::other)?;
        cluster::run(self.watch(config, file, options, stuck.unwrap_or(STUCK), log_lines_lost))??;
        Ok(ExitCode::SUCCESS)
    }

    async fn watch(
        &self,
        config: Config,
        file: Option<ConfigFiles>,
        options: &ClusterOptions,
        stuck_after: Duration,
        log_lines_lost: Counter,
    ) -> io::Result<()> {
        let mut signals = Signals::new()?;
        let (reload, config) = watch::channel(Arc::new(config));
        if let Some(mut file) = file {
            let poll = Box::new(move |now| file.poll(now).map(|found| found.map_err(Into::into)));
            let apply = move |config| drop(reload.send_replace(Arc::new(config)));
            let counts = ReloadCounts::default();
            tokio::spawn(poll_and_apply("configuration", poll, CONFIG_POLL, OffsetDateTime::now_utc, apply, counts));
        }
        let clock = OffsetDateTime::now_utc;
        let client = watch_client(options).await.map_err(io::Error::other)?;
        let settings = ViewSettings { stuck_after, reports: self.reports.api() };
        let scans = ScanWatch::new(client, settings, config.clone(), clock).await.map_err(io::Error::other)?;
        let metrics = Arc::new(ScanMetrics::new(scans.view.clone(), clock, &scans.counts, log_lines_lost.clone()));
        let view = scans.view.clone();
        let ready = move || if view.lock().is_listed() { Ok(()) } else { Err("not every scan has been judged yet\n") };
        let router = routes(ready, move |exposition| metrics.text(exposition));
        let admin = AdminServer::bind(self.admin)
            .await
            .map_err(|error| io::Error::other(format!("--admin: cannot listen on {}: {error}", self.admin)))?;
        // Errors are ignored, since stdout may be closed.
        let _ = writeln!(io::stdout(), "ready: health and metrics on http://{}", admin.address());
        let (_stop, is_stopping) = watch::channel(StopStage::Serving);
        let shared = Arc::new(Shared::new(RULES, config, clock, log_lines_lost, None));
        tokio::select! {
            () = signals.next() => tracing::info!("stopping"),
            () = scans.run() => {}
            () = admin.serve(shared, router, is_stopping) => {}
        }
        Ok(())
    }
}
