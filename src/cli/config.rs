//! `--config`, for every verb that judges, and the verb `config`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;
use time::OffsetDateTime;
use tokio::sync::watch;

use super::certs::parse_poll;
use crate::config::{Config, Fault, book};
use crate::server::Server;
use crate::server::files::{self, NamedFile, SETTLED_LOOKS, Watched};
use crate::server::limits::CONFIG_POLL;
use crate::server::renewal::follow;

#[derive(clap::Args)]
#[group(id = "configuration")]
pub struct Args {
    /// The configuration, in YAML: modes of rules, status writers, limits (see `config schema`)
    #[arg(long, env = "SCAN_ADMISSION_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What `serve` has beside `--config`.
#[derive(clap::Args)]
#[group(id = "configuration_poll")]
pub struct Poll {
    /// Within what time a change of the configuration counts
    #[arg(long, env = "SCAN_ADMISSION_CONFIG_POLL", value_name = "DURATION", default_value = CONFIG_POLL, value_parser = parse_poll)]
    config_poll: Duration,
}

/// The file of a configuration that was read once, and can be looked at again.
pub struct Source(Option<Watched<Config, Fault>>);

impl Args {
    /// Reads the file; without one, what the program does without.
    pub fn load(&self) -> Result<(Config, Source), String> {
        let Some(path) = &self.config else { return Ok((Config::default(), Source(None))) };
        let (watched, config) = open("--config", path).map_err(|error| error.to_string())?;
        Ok((config, Source(Some(watched))))
    }
}

fn open(flag: &'static str, path: &Path) -> Result<(Watched<Config, Fault>, Config), files::Error<Fault>> {
    let prove = |contents: &[Vec<u8>], _| Config::read(&contents[0]).map_err(|fault| (0, fault));
    let files = vec![NamedFile { flag, path: path.to_owned() }];
    Watched::open(files, prove, OffsetDateTime::now_utc())
}

impl Source {
    /// Looks at the file, for as long as the runtime runs, and sends on what is new in it.
    pub fn spawn(self, poll: &Poll, send: watch::Sender<Arc<Config>>, server: &Server) {
        let Some(mut watched) = self.0 else { return };
        let metrics = server.config_metrics();
        let (counts, in_step, at_start) = (metrics.counts.clone(), metrics.in_step.clone(), send.borrow().clone());
        metrics.take(&at_start.policy.digest);
        tracing::info!(digest = at_start.policy.digest, "configuration read");
        let look = Box::new(move |now| {
            let found = watched.look(now).map(|found| found.map_err(|error| error.to_string()));
            in_step.set(i64::from(!watched.is_refused()));
            found
        });
        let take = move |config: Config| {
            let digest = config.policy.digest.clone();
            let (new, bound) = (&config.limits, &at_start.limits);
            if (new.connections, new.bodies_bytes) != (bound.connections, bound.bodies_bytes) {
                tracing::warn!(digest, "other limits of connections and bodiesBytes wait for a restart");
            }
            send.send_replace(Arc::new(config));
            metrics.take(&digest);
            tracing::info!(digest, "configuration taken over");
        };
        let every = poll.config_poll / SETTLED_LOOKS;
        tokio::spawn(follow("configuration", look, every, OffsetDateTime::now_utc, take, counts));
    }
}

/// Checks a configuration, or says how one is written
#[derive(clap::Args)]
pub struct Verb {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Reads a configuration as `serve` does, and says what is wrong with it
    #[command(after_help = "Exit: 0 it can be used, 2 it cannot.")]
    Check {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Prints the JSON Schema of the configuration, for editors and pipelines
    Schema,
}

impl Verb {
    pub fn run(self) -> io::Result<ExitCode> {
        match self.what {
            What::Check { file } => {
                let (_, config) = open("FILE", &file).map_err(|error| match error.fault {
                    // As compilers say it, for editors.
                    files::Fault::Contents(Fault { line, column, words }) => {
                        io::Error::other(format!("{}:{line}:{column}: {words}", file.display()))
                    }
                    _ => io::Error::other(error),
                })?;
                writeln!(io::stdout(), "{}: can be used, digest {}", file.display(), config.policy.digest)?;
            }
            What::Schema => io::stdout().write_all(book::schema().as_bytes())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
