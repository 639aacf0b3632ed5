//! A server in the process of the test, on free ports, with settings that the test chooses.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use scan_admission::rules::RULES;
use scan_admission::server::{ServedCertificate, Server, ServerSettings, bind};
use scan_admission::tls::development;
use time::OffsetDateTime;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::folder::Folder;
use super::waits::WAIT_MAX;

pub struct Running {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    pub ca: PathBuf,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
    _folder: Folder,
}

pub fn settings() -> ServerSettings {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    ServerSettings {
        listen: any,
        admin: any,
        rules: RULES,
        config: watch::channel(Arc::default()).1,
        client_auth: None,
        clock: OffsetDateTime::now_utc,
        stop_delay: Duration::ZERO,
        log_lines_lost: Counter::default(),
        events: None,
    }
}

impl Running {
    pub async fn with(settings: ServerSettings, prepare: impl FnOnce(&Server)) -> Self {
        let folder = Folder::new();
        let certificate = development::certificate(folder.path(), OffsetDateTime::now_utc()).unwrap();
        let current = watch::channel(Some(Arc::new(certificate))).1;
        let certificate = ServedCertificate { current, is_trusted: watch::channel(true).1 };
        let server = bind(settings, certificate).await.unwrap();
        prepare(&server);
        let (stop, stopped) = oneshot::channel();
        Self {
            address: server.reviews_address().unwrap(),
            admin: server.admin_address(),
            ca: folder.join("ca.crt"),
            stop,
            server: tokio::spawn(server.serve(async {
                let _ = stopped.await;
            })),
            _folder: folder,
        }
    }

    /// Tells the server to stop at once. The returned future completes when the server has stopped.
    pub fn stop(self) -> impl Future<Output = ()> {
        let Self { stop, server, _folder, .. } = self;
        stop.send(()).unwrap();
        async move {
            let _folder = _folder;
            tokio::time::timeout(WAIT_MAX, server).await.expect("the server stops").unwrap();
        }
    }
}
