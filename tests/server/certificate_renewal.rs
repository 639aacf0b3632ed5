//! Tests reloading of certificates on a clock that the tests move, so no test waits.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use rcgen::KeyPair;
use rustls::sign::CertifiedKey;
use scan_admission::config::value::parse_duration;
use scan_admission::server::limits::{CERTS_POLL, POLL_RANGE};
use scan_admission::server::reload::{ReloadCounts, poll_and_apply};
use scan_admission::server::{ServedCertificate, ServerSettings, bind};
use scan_admission::tls::files::{ContentsError, FileProblem, NamedFile, SETTLED_POLLS, WatchedFiles};
use scan_admission::tls::{TlsFileError, key_pair, pem};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::support::folder::Folder;
use crate::support::http::get;
use crate::support::pki::{Ca, Pair, leaf};
use crate::support::waits::until_metric;

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// Files that belong together if they are equal.
struct EqualFiles {
    folder: Folder,
    watched: WatchedFiles<String, TlsFileError>,
}

impl EqualFiles {
    fn new() -> Self {
        let folder = Folder::new();
        let files: Vec<_> = ["a", "b", "c"]
            .map(|name| NamedFile { flag: "--file", path: folder.join(name) })
            .into_iter()
            .inspect(|file| fs::write(&file.path, "1").unwrap())
            .collect();
        let load = |contents: &[Vec<u8>], _| match contents.iter().position(|text| *text != contents[0]) {
            None => Ok(String::from_utf8(contents[0].clone()).unwrap()),
            Some(index) => Err(ContentsError { file: index, error: TlsFileError::OtherKey }),
        };
        let (watched, first) = WatchedFiles::open(files, load, now()).unwrap();
        assert_eq!(first, "1");
        Self { folder, watched }
    }

    fn write(&self, contents: [&str; 3]) {
        for (name, text) in ["a", "b", "c"].into_iter().zip(contents) {
            fs::write(self.folder.join(name), text).unwrap();
        }
    }

    /// Returns the result of a poll: the value, or the name of the file that is wrong.
    fn poll(&mut self) -> Option<Result<String, String>> {
        let found = self.watched.poll(now())?;
        Some(found.map_err(|error| error.path.file_name().unwrap().display().to_string()))
    }
}

#[test]
fn changed_files_are_loaded_at_the_second_poll_and_an_error_is_reported_once() {
    let good = |value: &str| Some(Ok(value.to_owned()));
    let bad = |file: &str| Some(Err(file.to_owned()));
    let mut files = EqualFiles::new();
    assert_eq!((files.poll(), files.poll()), (None, None));
    files.write(["2", "2", "1"]);
    assert_eq!(files.poll(), None, "the first poll only notices the change");
    files.write(["2", "2", "2"]);
    assert_eq!((files.poll(), files.poll(), files.poll()), (None, good("2"), None));
    for half in ["3", "3.", "3.1"] {
        files.write([half; 3]);
        assert_eq!(files.poll(), None, "each content is valid, but the files are still being written");
    }
    assert_eq!(files.poll(), good("3.1"));

    files.write(["3.1", "3.1", "4"]);
    assert_eq!((files.poll(), files.poll(), files.poll(), files.poll()), (None, bad("c"), None, None));
    files.write(["3.1", "4", "4"]);
    assert_eq!((files.poll(), files.poll(), files.poll()), (None, bad("b"), None), "another error");
    fs::remove_file(files.folder.join("a")).unwrap();
    assert_eq!((files.poll(), files.poll(), files.poll()), (None, bad("a"), None));
    files.write(["3.1"; 3]);
    assert_eq!((files.poll(), files.poll()), (None, None), "the loaded contents are restored");
    files.write(["3.1", "4", "4"]);
    assert_eq!((files.poll(), files.poll()), (None, bad("b")), "the error is reported again after a valid state");
    files.write(["4"; 3]);
    assert_eq!((files.poll(), files.poll()), (None, good("4")));
}

/// Writes the files of `pair` and opens them as `serve` does.
fn watched(
    folder: &Folder,
    pair: &Pair,
    now: OffsetDateTime,
) -> (WatchedFiles<CertifiedKey, TlsFileError>, CertifiedKey) {
    pair.write(&folder.join("tls.crt"), &folder.join("tls.key"));
    let files = ["tls.crt", "tls.key"].map(|name| NamedFile { flag: "--file", path: folder.join(name) }).into();
    WatchedFiles::open(files, |contents, now| key_pair::load(&contents[0], &contents[1], now), now).unwrap()
}

#[test]
fn a_certificate_that_is_not_valid_yet_is_loaded_once_it_is() {
    let folder = Folder::new();
    let ca = Ca::new();
    let (mut watched, _) = watched(&folder, &ca.pair(1), now());
    let mut params = leaf();
    params.not_before = now() + time::Duration::DAY;
    let later = ca.sign(&params, &KeyPair::generate().unwrap());
    later.write(&folder.join("tls.crt"), &folder.join("tls.key"));
    assert!(watched.poll(now()).is_none());
    assert!(matches!(
        watched.poll(now()).unwrap().unwrap_err().problem,
        FileProblem::Contents(TlsFileError::NotYetValid { .. })
    ));
    assert!(watched.poll(now()).is_none(), "reported only once");
    let taken = watched.poll(now() + 2 * time::Duration::DAY).unwrap().unwrap();
    assert_eq!(taken.cert[0], later.der);
}

#[tokio::test(start_paused = true)]
async fn a_new_pair_is_published_within_the_poll_interval() {
    let poll = parse_duration(CERTS_POLL).unwrap();
    assert!(POLL_RANGE.contains(&poll));
    let folder = Folder::new();
    let ca = Ca::new();
    let (watched, first) = watched(&folder, &ca.pair(1), now());
    let (renew, mut certificate) = watch::channel(Some(Arc::new(first)));
    let watched = watched.into_poll();
    let counts = ReloadCounts::default();
    let apply = move |certificate| drop(renew.send_replace(Some(Arc::new(certificate))));
    tokio::spawn(poll_and_apply("certificate", watched, poll / SETTLED_POLLS, now, apply, counts.clone()));
    for serial in 2..20 {
        sleep(Duration::from_millis(serial * 77)).await;
        let pair = ca.pair(serial);
        pair.write(&folder.join("tls.crt"), &folder.join("tls.key"));
        let written = Instant::now();
        certificate.changed().await.unwrap();
        assert!(written.elapsed() <= poll + Duration::from_millis(1), "{:?}", written.elapsed());
        assert_eq!(certificate.borrow_and_update().as_ref().unwrap().cert[0], pair.der);
        assert_eq!(counts.reloads.get(), serial - 1);
    }
}

#[tokio::test]
async fn readiness_waits_for_a_certificate_within_its_dates_and_then_stays() {
    let ca = Ca::new();
    let served = |begin: i32, end: i32| {
        let mut params = leaf();
        params.not_before = now() + begin * time::Duration::HOUR;
        params.not_after = now() + end * time::Duration::HOUR;
        let pair = ca.sign(&params, &KeyPair::generate().unwrap());
        let key = pem::private_key(pair.key.as_bytes()).unwrap();
        (Some(Arc::new(key_pair::certified(vec![pair.der], key).unwrap())), params.not_after.unix_timestamp() as f64)
    };
    let (renew, current) = watch::channel(served(1, 2).0);
    let certificate = ServedCertificate { current, is_trusted: watch::channel(true).1 };
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let settings = ServerSettings {
        listen: any,
        admin: any,
        rules: &[],
        config: watch::channel(Arc::default()).1,
        client_auth: None,
        clock: now,
        stop_delay: Duration::ZERO,
        log_lines_lost: Counter::default(),
        events: None,
    };
    let server = bind(settings, certificate).await.unwrap();
    let admin = server.admin_address();
    let server = tokio::spawn(server.serve(std::future::pending()));
    for (begin, end, code) in [(1, 2, 503), (-2, -1, 503), (-1, 1, 200), (-2, -1, 200), (1, 2, 200)] {
        let (certificate, not_after) = served(begin, end);
        renew.send_replace(certificate);
        until_metric(admin, "scan_admission_certificate_not_after_timestamp_seconds", not_after).await;
        let reply = get(admin, "/readyz").await;
        assert_eq!(reply.code, code, "{begin} {end} {}", String::from_utf8_lossy(&reply.body));
        assert_eq!(get(admin, "/livez").await.code, 200);
    }
    server.abort();
}
