//! `--client-ca` and `--client-name`: who may call.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::watch;

use crate::server::Server;
use crate::server::callers::{self, Callers, Chains};
use crate::server::files::{NamedFile, SETTLED_LOOKS, Watched};
use crate::server::pair::Fault;
use crate::server::renewal::follow;

#[derive(clap::Args)]
#[command(next_help_heading = "Who may call")]
#[group(id = "callers")]
pub struct Args {
    /// PEM file with the CAs of those who may call; without it anybody may
    #[arg(long, env = "SCAN_ADMISSION_CLIENT_CA", value_name = "FILE", value_delimiter = ',')]
    client_ca: Vec<PathBuf>,
    /// A common name or subjectAltName that a caller's certificate has to have; one of several is enough
    #[arg(
        long,
        env = "SCAN_ADMISSION_CLIENT_NAME",
        value_name = "NAME",
        value_delimiter = ',',
        requires = "client_ca"
    )]
    client_name: Vec<String>,
}

/// The files of `--client-ca`, which can be looked at again.
pub struct Source {
    watched: Watched<Chains, Fault>,
    send: watch::Sender<Chains>,
}

impl Args {
    /// Reads the files; none where anybody may call.
    pub fn open(&self) -> Result<Option<(Arc<Callers>, Source)>, String> {
        if self.client_ca.is_empty() {
            return Ok(None);
        }
        let files = self.client_ca.iter().map(|path| NamedFile { flag: "--client-ca", path: path.clone() }).collect();
        let (watched, first) =
            Watched::open(files, callers::prove, OffsetDateTime::now_utc()).map_err(|error| error.to_string())?;
        let (send, chains) = watch::channel(first);
        Ok(Some((Arc::new(Callers { chains, names: self.client_name.clone() }), Source { watched, send })))
    }
}

impl Source {
    /// Looks at the files, for as long as the runtime runs; the next handshake has what is new in them.
    pub fn spawn(self, poll: Duration, server: &Server) {
        let Self { mut watched, send } = self;
        let look = Box::new(move |now| watched.look(now).map(|found| found.map_err(|error| error.to_string())));
        let take = move |chains| drop(send.send_replace(chains));
        let counts = server.client_ca_counts();
        tokio::spawn(follow("CA of clients", look, poll / SETTLED_LOOKS, OffsetDateTime::now_utc, take, counts));
    }
}
