//! Tests `serve` with certificate files: which certificates it serves, and which changes of the files it loads or
//! rejects.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use rcgen::{ExtendedKeyUsagePurpose, KeyPair};
use rustls::HandshakeKind;
use rustls::pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::certificates::{Mount, key_file};
use crate::sockets::until_metric_above;
use crate::support::client::{Client, connector, handshake};
use crate::support::failed_start::fails;
use crate::support::fixtures::fixture;
use crate::support::folder::Folder;
use crate::support::http;
use crate::support::pki::{Ca, Pair, leaf};
use crate::support::process::Process;
use crate::support::program::command;
use crate::support::waits::{WAIT_MAX, metric, until_metric};

const LEGAL: &str = "sourcescan-failed-5-completed.validate.json";
const POLLS: &str = "scan_admission_certificate_polls_total";
const RELOADS: &str = "scan_admission_certificate_reloads_total";
const FAILURES: &str = "scan_admission_certificate_reload_failures_total";

/// Starts a server with a mounted certificate, whose files it compares as often as the flags allow.
fn start(folder: &Folder) -> Process {
    let arguments = ["--tls-cert", "mount/tls.crt", "--tls-key", "mount/tls.key", "--certs-poll", "10ms"];
    Process::start(command(folder.path(), &arguments), folder.join("errors"))
}

/// Writes the CA to a file. Returns the CA and a client that trusts it and would resume its sessions.
fn ca(folder: &Folder) -> (Ca, TlsConnector) {
    let ca = Ca::new();
    fs::write(folder.join("ca.crt"), &ca.pem).unwrap();
    let connector = connector(&folder.join("ca.crt"), "http/1.1", rustls::ALL_VERSIONS);
    (ca, connector)
}

/// Returns the certificate that a new connection gets.
async fn served(connector: &TlsConnector, process: &Process) -> CertificateDer<'static> {
    let stream = handshake(connector, TcpStream::connect(process.address).await.unwrap()).await;
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

/// Waits for the two polls that load a changed file. The first poll to end may have begun before the change.
async fn polled(process: &Process) {
    let before = metric(process.admin, POLLS).await.unwrap();
    let waited = tokio::time::timeout(WAIT_MAX, async {
        while metric(process.admin, POLLS).await.unwrap() < before + 3.0 {
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("the files are polled");
}

fn descriptors(process: &Process) -> usize {
    fs::read_dir(format!("/proc/{}/fd", process.child.id())).unwrap().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_swap_of_a_mounted_secret_is_served_under_load() {
    const SWAPS: u64 = 200;
    let folder = Folder::new();
    let (ca, connector) = ca(&folder);
    let mut mount = Mount::new(folder.join("mount"), &ca.pair(1000));
    let process = start(&folder);
    served(&connector, &process).await;
    let descriptors_before = descriptors(&process);

    // Two clients keep their connections, one in each protocol, and one opens a connection for each review.
    let is_over = Arc::new(AtomicBool::new(false));
    let (path, address) = (folder.join("ca.crt"), process.address);
    let load = ["http/1.1", "h2", "new"].map(|kind| {
        let (path, is_over) = (path.clone(), is_over.clone());
        tokio::spawn(async move {
            let protocol = if kind == "new" { "http/1.1" } else { kind };
            let mut client = Client::new(&path, address, protocol).await;
            let mut reviews = 0;
            while !is_over.load(Ordering::Relaxed) {
                if kind == "new" {
                    client = Client::new(&path, address, protocol).await;
                }
                assert_eq!(client.post("/validate", fixture(LEGAL)).await.code, 200);
                reviews += 1;
            }
            reviews
        })
    });
    for serial in 1..=SWAPS {
        let pair = ca.pair(1000 + serial);
        mount.swap(&pair);
        polled(&process).await;
        assert_eq!(served(&connector, &process).await, pair.der, "swap {serial} must be served after two polls");
    }
    is_over.store(true, Ordering::Relaxed);
    for client in load {
        assert!(client.await.expect("no handshake and no review failed") > 0);
    }
    for (name, value) in
        [(RELOADS, SWAPS as f64), (FAILURES, 0.0), ("scan_admission_tls_handshake_failures_total", 0.0)]
    {
        assert_eq!(metric(process.admin, name).await, Some(value), "{name} {}", process.errors());
    }
    let waited = tokio::time::timeout(WAIT_MAX, async {
        while descriptors(&process) > descriptors_before {
            tokio::task::yield_now().await;
        }
    });
    assert!(waited.await.is_ok(), "{} file descriptors, {descriptors_before} before", descriptors(&process));
}

#[tokio::test]
async fn a_new_certificate_serves_new_connections_and_no_session_is_resumed() {
    let folder = Folder::new();
    let ca = ca(&folder).0;
    fs::create_dir(folder.join("mount")).unwrap();
    let (certificate, key) = (folder.join("mount/tls.crt"), folder.join("mount/tls.key"));
    ca.pair(1).write(&certificate, &key);
    let process = start(&folder);
    for version in rustls::ALL_VERSIONS {
        // The same client makes all connections, with the session cache that rustls gives it.
        let connector = connector(&folder.join("ca.crt"), "http/1.1", &[version]);
        let open = handshake(&connector, TcpStream::connect(process.address).await.unwrap()).await;
        let mut open = Client::over(open).await;
        for serial in [2, 3] {
            let pair = ca.pair(serial);
            pair.write(&certificate, &key);
            polled(&process).await;
            // A client that gets a session ticket has read it together with the answer.
            assert_eq!(open.post("/validate", fixture(LEGAL)).await.code, 200, "an open connection stays open");
            let stream = handshake(&connector, TcpStream::connect(process.address).await.unwrap()).await;
            let tls = stream.get_ref().1;
            assert_eq!(tls.handshake_kind(), Some(HandshakeKind::Full), "{version:?}");
            assert_eq!(tls.peer_certificates().unwrap()[0], pair.der);
        }
    }
}

/// Returns a pair for every kind of key. Where a key has two file formats, both are returned.
fn kinds(ca: &Ca) -> Vec<(&'static str, Pair)> {
    let pem = |label: &str, der: &[u8]| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    };
    let with = |pair: &Pair, key: String| Pair { key, ..pair.clone() };
    let sign = |key: &KeyPair| ca.sign(&leaf(), key);
    let p256 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let rsa = KeyPair::from_pem(&key_file("rsa-2048.pkcs8.key")).unwrap();
    let ec = [sign(&p256), sign(&p384)];
    // SEC1 is the inner part of PKCS#8: it begins after 29 bytes for a key of P-256, and after 27 (shorter OIDs) for
    // one of P-384.
    let sec1 = [&p256.serialize_der()[29..], &p384.serialize_der()[27..]].map(|der| pem("EC PRIVATE KEY", der));
    let [p256_sec1, p384_sec1] = sec1;
    vec![
        ("P-256 in SEC1", with(&ec[0], p256_sec1)),
        ("P-256 in PKCS#8", ec[0].clone()),
        ("P-384 in SEC1", with(&ec[1], p384_sec1)),
        ("P-384 in PKCS#8", ec[1].clone()),
        ("Ed25519 in PKCS#8", sign(&ed25519)),
        ("RSA in PKCS#1", with(&sign(&rsa), key_file("rsa-2048.pkcs1.key"))),
        ("RSA in PKCS#8", sign(&rsa)),
    ]
}

#[tokio::test]
async fn every_kind_of_key_completes_a_handshake_with_its_chain() {
    let folder = Folder::new();
    let (ca, _) = ca(&folder);
    let kinds = kinds(&ca.intermediate());
    let mut mount = Mount::new(folder.join("mount"), &kinds[0].1);
    let process = start(&folder);
    for (name, pair) in kinds {
        mount.swap(&pair);
        polled(&process).await;
        for version in rustls::ALL_VERSIONS {
            let connector = connector(&folder.join("ca.crt"), "http/1.1", &[version]);
            let stream = handshake(&connector, TcpStream::connect(process.address).await.unwrap()).await;
            let tls = stream.get_ref().1;
            assert_eq!(tls.peer_certificates().unwrap()[0], pair.der, "{name} {version:?}");
            assert_eq!(tls.peer_certificates().unwrap().len(), 2, "the server sends the chain without the root");
        }
    }
    assert_eq!(metric(process.admin, FAILURES).await, Some(0.0), "{}", process.errors());
}

#[tokio::test]
async fn a_bad_pair_is_reported_once_and_the_old_one_stays_in_use() {
    let folder = Folder::new();
    let (ca, connector) = ca(&folder);
    let (first, second) = (ca.pair(1), ca.pair(2));
    // The pair is swapped as a whole: of files that are written one by one, any number of polls may find only the
    // first.
    let mut mount = Mount::new(folder.join("mount"), &first);
    let process = start(&folder);
    let mut expired = leaf();
    expired.not_after = OffsetDateTime::now_utc() - Duration::MINUTE;
    let expired = ca.sign(&expired, &KeyPair::generate().unwrap());
    let half = Pair { certificate: second.certificate[..300].to_owned(), ..second.clone() };
    let other = Pair { key: first.key.clone(), ..second.clone() };
    let joined = second.certificate.trim_end().to_owned() + &ca.pem;
    let joined = Pair { certificate: joined, ..second.clone() };
    let joined_words = format!(
        "--tls-cert mount/tls.crt: the file has an error on line {}: put each -----BEGIN and each -----END on a line",
        second.certificate.lines().count()
    );
    let mut for_clients = leaf();
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let for_clients = ca.sign(&for_clients, &KeyPair::generate().unwrap());
    let bad = [
        (&half, "--tls-cert mount/tls.crt: the file has an error on line 1: the block has no matching -----END"),
        (&joined, &joined_words),
        (
            &for_clients,
            "--tls-cert mount/tls.crt: the file contains a certificate that is not for servers: its extendedKeyUsage is clientAuth; ",
        ),
        (&other, "--tls-key mount/tls.key: the file is not the key of the first certificate: "),
        (&expired, "--tls-cert mount/tls.crt: the file contains a certificate that expired at "),
    ];
    for (index, &(pair, words)) in bad.iter().enumerate() {
        mount.swap(pair);
        until_metric(process.admin, FAILURES, (index + 1) as f64).await;
        // The error is not reported again.
        polled(&process).await;
        assert_eq!(served(&connector, &process).await, first.der);
        assert_eq!(metric(process.admin, FAILURES).await, Some((index + 1) as f64));
        let errors = process.errors();
        assert_eq!(errors.matches(words).count(), 1, "{errors}");
    }
    mount.swap(&second);
    polled(&process).await;
    assert_eq!(served(&connector, &process).await, second.der);
    fs::remove_file(folder.join("mount/tls.key")).unwrap();
    until_metric(process.admin, FAILURES, bad.len() as f64 + 1.0).await;
    assert!(process.errors().contains("--tls-key mount/tls.key: the file cannot be read: No such file"));
    assert_eq!(served(&connector, &process).await, second.der);
    let ready = http::get(process.admin, "/readyz").await.code;
    assert_eq!((metric(process.admin, RELOADS).await, ready), (Some(1.0), 200));
    let not_after = metric(process.admin, "scan_admission_certificate_not_after_timestamp_seconds").await.unwrap();
    let left = not_after - OffsetDateTime::now_utc().unix_timestamp() as f64;
    assert!((29.0..=30.0).contains(&(left / 86_400.0)), "{not_after}");
}

/// A pod certificate as the kubelet writes it: the key and then the chain, in one file for both flags.
#[tokio::test]
async fn one_file_may_hold_the_key_and_the_chain_with_or_without_a_byte_order_mark() {
    let folder = Folder::new();
    let (ca, connector) = ca(&folder);
    fs::create_dir(folder.join("mount")).unwrap();
    let bundles = ["", "\u{feff}"].map(|mark| {
        [1, 2].map(|order| {
            let Pair { certificate, key, der } = ca.intermediate().pair(1);
            let text = if order == 1 {
                format!("{mark}{key}{mark}{certificate}")
            } else {
                format!("{mark}{certificate}{mark}{key}")
            };
            (text, der)
        })
    });
    let bundles: Vec<_> = bundles.into_iter().flatten().collect();
    let file = folder.join("mount/bundle.pem");
    fs::write(&file, &bundles[3].0).unwrap();
    let arguments = ["--tls-cert=mount/bundle.pem", "--tls-key=mount/bundle.pem", "--certs-poll=10ms"];
    let process = Process::start(command(folder.path(), &arguments), folder.join("errors"));
    assert_eq!(served(&connector, &process).await, bundles[3].1);
    for (index, (text, der)) in bundles.iter().enumerate() {
        fs::write(file.with_extension("new"), text).unwrap();
        fs::rename(file.with_extension("new"), &file).unwrap();
        until_metric(process.admin, RELOADS, (index + 1) as f64).await;
        assert_eq!(served(&connector, &process).await, *der);
        let stream = handshake(&connector, TcpStream::connect(process.address).await.unwrap()).await;
        assert_eq!(stream.get_ref().1.peer_certificates().unwrap().len(), 2, "the chain is complete");
    }
    assert_eq!(metric(process.admin, FAILURES).await, Some(0.0), "{}", process.errors());
}

/// Opening a pipe without a writer would block, whatever file was there when the poll checked.
#[tokio::test]
async fn a_pipe_instead_of_a_file_blocks_no_poll() {
    let folder = Folder::new();
    let (ca, connector) = ca(&folder);
    fs::create_dir(folder.join("mount")).unwrap();
    let [certificate, key, pipe, aside] =
        ["mount/tls.crt", "mount/tls.key", "pipe", "aside"].map(|name| folder.join(name));
    let pair = ca.pair(1);
    pair.write(&certificate, &key);
    let process = start(&folder);
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // The file is replaced between any two polls and between the steps of one.
    let is_over = Arc::new(AtomicBool::new(false));
    let swaps = std::thread::spawn({
        let (is_over, certificate) = (is_over.clone(), certificate.clone());
        move || {
            while !is_over.load(Ordering::Relaxed) {
                fs::rename(&certificate, &aside).unwrap();
                fs::rename(&pipe, &certificate).unwrap();
                fs::rename(&certificate, &pipe).unwrap();
                fs::rename(&aside, &certificate).unwrap();
            }
            fs::rename(&pipe, &certificate).unwrap();
        }
    });
    until_metric_above(process.admin, POLLS, 200.0).await;
    is_over.store(true, Ordering::Relaxed);
    swaps.join().unwrap();
    let words = "--tls-cert mount/tls.crt: the file is a pipe or a device: ";
    let waited = tokio::time::timeout(WAIT_MAX, async {
        while !process.errors().contains(words) {
            tokio::task::yield_now().await;
        }
    });
    assert!(waited.await.is_ok(), "{}", process.errors());
    assert_eq!(served(&connector, &process).await, pair.der);
    fs::remove_file(&certificate).unwrap();
    let next = ca.pair(2);
    next.write(&certificate, &key);
    until_metric(process.admin, RELOADS, 1.0).await;
    assert_eq!(served(&connector, &process).await, next.der);
}

#[tokio::test]
async fn a_certificate_that_expires_soon_is_served_with_a_warning() {
    let folder = Folder::new();
    let (ca, connector) = ca(&folder);
    let mut mount = Mount::new(folder.join("mount"), &ca.pair(1));
    let process = start(&folder);
    let mut due = leaf();
    (due.not_before, due.not_after) =
        (OffsetDateTime::now_utc() - 2 * Duration::DAY, OffsetDateTime::now_utc() + 23 * Duration::HOUR);
    let due = ca.sign(&due, &KeyPair::generate().unwrap());
    mount.swap(&due);
    polled(&process).await;
    assert_eq!(served(&connector, &process).await, due.der);
    let waited = tokio::time::timeout(WAIT_MAX, async {
        while !process.errors().contains("the certificate expires soon; it should have been renewed by now") {
            tokio::task::yield_now().await;
        }
    });
    assert!(waited.await.is_ok(), "{}", process.errors());
    assert_eq!(metric(process.admin, FAILURES).await, Some(0.0));
}

#[test]
fn a_poll_interval_out_of_range_is_a_usage_error() {
    let folder = Folder::new();
    for value in ["", "1", "-1s", "9ms", "10m1s", "soon"] {
        let (code, errors) = fails(command(folder.path(), &[&format!("--certs-poll={value}")]));
        assert_eq!(code, Some(2), "{errors}");
        assert!(errors.contains("'--certs-poll <DURATION>'"), "{errors}");
        assert!(errors.contains("must be a duration from 10ms to 600s, such as 1s") || value.is_empty(), "{errors}");
    }
}
