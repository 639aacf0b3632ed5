//! `--client-ca` and `--client-name`: the clients that are accepted.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::watch;

use crate::server::Server;
use crate::server::reload::poll_and_apply;
use crate::tls::TlsFileError;
use crate::tls::client_auth::{self, ClientAuth, ClientCas};
use crate::tls::files::{FileError, NamedFile, SETTLED_POLLS, WatchedFiles};

#[derive(clap::Args)]
#[command(next_help_heading = "Client authentication")]
#[group(id = "client_auth")]
pub struct ClientAuthFlags {
    /// PEM file with the CAs of the clients to accept; may be repeated [default: accept any client]
    #[arg(long, env = "SCAN_ADMISSION_CLIENT_CA", value_name = "FILE", value_delimiter = ',')]
    client_ca: Vec<PathBuf>,
    /// Common name or subjectAltName of the clients to accept; may be repeated [default: any name]
    #[arg(
        long,
        env = "SCAN_ADMISSION_CLIENT_NAME",
        value_name = "NAME",
        value_delimiter = ',',
        requires = "client_ca"
    )]
    client_name: Vec<String>,
}

/// The files of `--client-ca`.
pub struct ClientCaFiles {
    watched: WatchedFiles<ClientCas, TlsFileError>,
    send: watch::Sender<ClientCas>,
}

/// The clients that are accepted, and the files to reload.
pub struct LoadedClientAuth {
    pub client_auth: Arc<ClientAuth>,
    pub files: ClientCaFiles,
}

impl ClientAuthFlags {
    /// Loads the files. Returns `None` if any client is accepted.
    pub fn load(&self) -> Result<Option<LoadedClientAuth>, FileError<TlsFileError>> {
        if self.client_ca.is_empty() {
            return Ok(None);
        }
        let files = self.client_ca.iter().map(|path| NamedFile { flag: "--client-ca", path: path.clone() }).collect();
        let (watched, first) = WatchedFiles::open(files, client_auth::load, OffsetDateTime::now_utc())?;
        let (send, cas) = watch::channel(first);
        let client_auth = Arc::new(ClientAuth { cas, names: self.client_name.clone() });
        Ok(Some(LoadedClientAuth { client_auth, files: ClientCaFiles { watched, send } }))
    }
}

impl ClientCaFiles {
    /// Polls the files for as long as the runtime runs. New CAs apply to new handshakes.
    pub fn spawn(self, poll: Duration, server: &Server) {
        let Self { watched, send } = self;
        let apply = move |cas| drop(send.send_replace(cas));
        let (every, counts) = (poll / SETTLED_POLLS, server.client_ca_counts());
        tokio::spawn(poll_and_apply("client CAs", watched.into_poll(), every, OffsetDateTime::now_utc, apply, counts));
    }
}
