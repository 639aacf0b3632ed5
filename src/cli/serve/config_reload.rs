//! `--config-poll`: reloads the configuration when it changes.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::watch;

use crate::cli::flags::config::ConfigFiles;
use crate::cli::flags::duration::parse_poll;
use crate::config::Config;
use crate::server::Server;
use crate::server::limits::CONFIG_POLL;
use crate::server::reload::poll_and_apply;
use crate::tls::files::SETTLED_POLLS;

#[derive(clap::Args)]
#[group(id = "configuration_poll")]
pub struct ConfigPollFlags {
    /// Time within which a change of the configuration applies
    #[arg(long, env = "SCAN_ADMISSION_CONFIG_POLL", value_name = "DURATION", default_value = CONFIG_POLL, value_parser = parse_poll)]
    config_poll: Duration,
}

impl ConfigPollFlags {
    /// Polls the file for as long as the runtime runs, and sends each new configuration.
    pub fn spawn(&self, mut files: ConfigFiles, send: watch::Sender<Arc<Config>>, server: &Server) {
        let metrics = server.config_metrics();
        let (counts, is_loaded, at_start) =
            (metrics.counts.clone(), metrics.last_reload_successful.clone(), send.borrow().clone());
        metrics.set_digest(&at_start.settings.digest);
        tracing::info!(digest = at_start.settings.digest, "configuration loaded");
        let poll = Box::new(move |now| {
            let found = files.poll(now).map(|found| found.map_err(Into::into));
            is_loaded.set(i64::from(!files.is_rejected()));
            found
        });
        let apply = move |config: Config| {
            let digest = config.settings.digest.clone();
            let (new, bound) = (&config.limits, &at_start.limits);
            if (new.connections, new.bodies_bytes) != (bound.connections, bound.bodies_bytes) {
                tracing::warn!(digest, "new values of limits.connections and limits.bodiesBytes apply after a restart");
            }
            send.send_replace(Arc::new(config));
            metrics.set_digest(&digest);
            tracing::info!(digest, "configuration reloaded");
        };
        let every = self.config_poll / SETTLED_POLLS;
        tokio::spawn(poll_and_apply("configuration", poll, every, OffsetDateTime::now_utc, apply, counts));
    }
}
