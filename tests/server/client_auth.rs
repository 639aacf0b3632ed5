//! Tests `serve --client-ca`: which clients may call, which are rejected, and which addresses stay open to all.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, SanType};
use rustls::SupportedProtocolVersion;
use rustls::pki_types::ServerName;
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::client::{Client, connector_as, handshake};
use crate::support::failed_start::fails;
use crate::support::fixtures::fixture;
use crate::support::folder::Folder;
use crate::support::http::get;
use crate::support::pki::{Ca, Pair, leaf};
use crate::support::process::Process;
use crate::support::program::command;
use crate::support::request_head::head;
use crate::support::waits::{WAIT_MAX, metric, until_metric};

const LEGAL: &str = "sourcescan-failed-5-completed.validate.json";
const REJECTED: &str = "scan_admission_clients_rejected_total";
const FAILURES: &str = "scan_admission_client_ca_reload_failures_total";
const RELOADS: &str = "scan_admission_client_ca_reloads_total";

/// Returns the parameters of a client certificate with these names that is otherwise valid.
fn client(common_name: &str, names: &[SanType]) -> CertificateParams {
    let mut params = leaf();
    params.subject_alt_names = names.to_vec();
    params.distinguished_name = Default::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn signed(ca: &Ca, params: &CertificateParams) -> Pair {
    ca.sign(params, &KeyPair::generate().unwrap())
}

/// Returns a server with its own certificate, whose CA signs no client.
fn serve(folder: &Folder, arguments: &[&str]) -> Command {
    let ca = Ca::new();
    fs::write(folder.join("ca.crt"), &ca.pem).unwrap();
    ca.pair(1).write(&folder.join("tls.crt"), &folder.join("tls.key"));
    let mut command = command(folder.path(), &["--tls-cert", "tls.crt", "--tls-key", "tls.key", "--certs-poll=10ms"]);
    command.args(arguments);
    command
}

fn start(folder: &Folder, arguments: &[&str]) -> Process {
    Process::start(serve(folder, arguments), folder.join("errors"))
}

async fn connect(process: &Process, folder: &Folder, pair: &Pair) -> Client {
    let pem = Some((pair.certificate.as_str(), pair.key.as_str()));
    let connector = connector_as(pem, &folder.join("ca.crt"), "http/1.1", rustls::ALL_VERSIONS);
    Client::over(handshake(&connector, TcpStream::connect(process.address).await.unwrap()).await).await
}

/// Returns the response to a client that sends a review at once. In TLS 1.3 a client can send before the server rejects
/// its certificate.
async fn answered(
    process: &Process,
    ca: &Path,
    pair: Option<&Pair>,
    version: &'static SupportedProtocolVersion,
) -> Vec<u8> {
    let pem = pair.map(|pair| (pair.certificate.as_str(), pair.key.as_str()));
    let connector = connector_as(pem, ca, "http/1.1", &[version]);
    let tcp = TcpStream::connect(process.address).await.unwrap();
    let mut read = Vec::new();
    let whole = async {
        let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), tcp).await?;
        let body = fixture(LEGAL);
        stream.write_all(head("/validate", body.len()).as_bytes()).await?;
        stream.write_all(&body).await?;
        stream.flush().await?;
        while stream.read_buf(&mut read).await? > 0 && !read.ends_with(b"}}}") {}
        std::io::Result::Ok(())
    };
    let _ = tokio::time::timeout(WAIT_MAX, whole).await.expect("the server answers or closes");
    read
}

#[tokio::test]
async fn only_accepted_clients_get_an_http_response() {
    let folder = Folder::new();
    let (ours, other) = (Ca::new(), Ca::new());
    fs::write(folder.join("clients.crt"), &ours.pem).unwrap();
    let names = ["kube-apiserver", "api.example", "spiffe://cluster/api", "api@example.com", "10.1.2.3"];
    let names_of_four = names[..4].join(",");
    let arguments = ["--client-ca=clients.crt", "--client-name", &names_of_four, "--client-name", names[4]];
    // An IPv4 connection to an IPv6 socket.
    let mut process = start(&folder, &[&arguments[..], &["--listen=[::]:0"]].concat());
    process.address.set_ip(Ipv4Addr::LOCALHOST.into());

    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    let uri = |name: &str| SanType::URI(name.try_into().unwrap());
    let mut for_servers = client("kube-apiserver", &[]);
    for_servers.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let mut expired = client("kube-apiserver", &[]);
    expired.not_after = OffsetDateTime::now_utc() - Duration::MINUTE;
    let mut early = client("kube-apiserver", &[]);
    early.not_before = OffsetDateTime::now_utc() + Duration::HOUR;
    let strangers = [
        (None, "it presented no certificate"),
        (Some(signed(&other, &client("kube-apiserver", &[]))), "its certificate is not signed by a CA of --client-ca"),
        (
            Some(signed(&ours, &for_servers)),
            "its certificate, or a CA above it, is not for clients: its extendedKeyUsage has no clientAuth",
        ),
        (Some(signed(&ours, &expired)), "its certificate is not accepted: certificate expired"),
        (Some(signed(&ours, &early)), "its certificate is not accepted: certificate not valid yet"),
        (
            Some(signed(&ours, &client("kube-apiserver2", &[dns("kube-apiserver.example"), uri("spiffe://cluster/")]))),
            r#"none of the names of its certificate is a --client-name: ["kube-apiserver2", "kube-apiserver.example", "spiffe://cluster/"]"#,
        ),
        (Some(signed(&ours, &client("", &[]))), r#"none of the names of its certificate is a --client-name: [""]"#),
    ];
    let mut rejected = 0.0;
    for (pair, words) in &strangers {
        for &version in rustls::ALL_VERSIONS {
            let before = process.errors().matches(words).count();
            let read = answered(&process, &folder.join("ca.crt"), pair.as_ref(), version).await;
            assert_eq!(String::from_utf8_lossy(&read), "", "{words} {version:?}");
            rejected += 1.0;
            until_metric(process.admin, REJECTED, rejected).await;
            assert_eq!(process.errors().matches(words).count(), before + 1, "{words}: {}", process.errors());
        }
    }
    assert_eq!(metric(process.admin, "scan_admission_tls_handshake_failures_total").await, Some(rejected));
    assert_eq!(metric(process.admin, "scan_admission_tls_handshakes_total").await, Some(0.0));

    let ip = SanType::IpAddress([10, 1, 2, 3].into());
    let mail = SanType::Rfc822Name(names[3].try_into().unwrap());
    let san = [dns(names[1]), uri(names[2]), mail, ip];
    // A certificate without a key usage extension, and one with anyExtendedKeyUsage, are also for clients.
    let [mut of_no_usage, mut of_any_usage] = [client("kube-apiserver", &[]), client("kube-apiserver", &[])];
    of_no_usage.extended_key_usages.clear();
    of_any_usage.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any];
    let callers = [client("kube-apiserver", &[]), of_no_usage, of_any_usage]
        .into_iter()
        .chain(san.map(|name| client("somebody", &[name])));
    for params in callers {
        for signer in [&ours, &ours.intermediate()] {
            let pair = signed(signer, &params);
            for &version in rustls::ALL_VERSIONS {
                let read = answered(&process, &folder.join("ca.crt"), Some(&pair), version).await;
                assert!(read.starts_with(b"HTTP/1.1 200 OK\r\n"), "{params:?} {version:?} {}", process.errors());
            }
        }
    }
    assert!(process.errors().contains("peer=127.0.0.1:"), "{}", process.errors());
    // Clients of these addresses need no certificate.
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(get(process.admin, path).await.code, 200, "{path}");
    }
    assert_eq!(metric(process.admin, REJECTED).await, Some(rejected));
}

#[tokio::test]
async fn without_client_names_every_signed_client_may_call_and_no_curl_line_is_printed() {
    let folder = Folder::new();
    let cas = [Ca::new(), Ca::new(), Ca::new()];
    fs::write(folder.join("one.crt"), cas[0].pem.clone() + &cas[1].pem).unwrap();
    fs::write(folder.join("two.crt"), &cas[2].pem).unwrap();
    // In a folder of its own, since development certificates are for `localhost`.
    fs::create_dir_all(folder.join("tests/fixtures/reviews")).unwrap();
    fs::write(folder.join("tests/fixtures/reviews").join(LEGAL), fixture(LEGAL)).unwrap();
    let mut command = command(folder.path(), &[]);
    command.env("SCAN_ADMISSION_CLIENT_CA", "one.crt,two.crt");
    let process = Process::start(command, folder.join("errors"));
    for ca in &cas {
        let pair = signed(ca, &client("anybody", &[]));
        for &version in rustls::ALL_VERSIONS {
            let read = answered(&process, &folder.join("certs/ca.crt"), Some(&pair), version).await;
            assert!(read.starts_with(b"HTTP/1.1 200 OK\r\n"), "{version:?} {}", process.errors());
        }
    }
    assert_eq!(metric(process.admin, REJECTED).await, Some(0.0));
    process.signal("TERM");
    assert_eq!(process.wait().await.1, "", "a curl line without a client certificate would not work");
}

/// Replaces the file as a whole, since a poll may read half of a file that is written in place.
fn replace(file: &Path, contents: &str) {
    let new = file.with_extension("new");
    fs::write(&new, contents).unwrap();
    fs::rename(new, file).unwrap();
}

#[tokio::test]
async fn new_cas_apply_to_new_connections_and_bad_ones_are_reported_once() {
    let folder = Folder::new();
    let (first, second) = (Ca::new(), Ca::new());
    let file = folder.join("clients.crt");
    fs::write(&file, &first.pem).unwrap();
    let process = start(&folder, &["--client-ca=clients.crt", "--client-name=api"]);
    let (old, new) = (signed(&first, &client("api", &[])), signed(&second, &client("api", &[])));
    let mut open = connect(&process, &folder, &old).await;
    assert_eq!(open.post("/validate", fixture(LEGAL)).await.code, 200);

    let is_taken = async |pair: &Pair| {
        let [tls12, tls13] = [&rustls::version::TLS12, &rustls::version::TLS13];
        let ca = folder.join("ca.crt");
        let both = [answered(&process, &ca, Some(pair), tls12).await, answered(&process, &ca, Some(pair), tls13).await];
        assert_eq!(both[0].is_empty(), both[1].is_empty());
        !both[0].is_empty()
    };
    assert!(is_taken(&old).await && !is_taken(&new).await);
    // With byte order marks, as editors on Windows save files, and concatenated.
    replace(&file, &format!("\u{feff}{}\u{feff}{}", first.pem, second.pem));
    until_metric(process.admin, RELOADS, 1.0).await;
    assert!(is_taken(&old).await && is_taken(&new).await);

    let mut late = second.params.clone();
    late.not_before = OffsetDateTime::now_utc() - Duration::DAY;
    late.not_after = OffsetDateTime::now_utc() - Duration::MINUTE;
    let late = late.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
    let line = first.pem.lines().count();
    let joined =
        format!("the file has an error on line {line}: put each -----BEGIN and each -----END on a line of its own");
    let bad = [
        (String::new(), "the file is empty: a PEM file is required"),
        (old.key.clone(), "the file contains no certificate: a PEM file with"),
        (
            old.certificate.clone(),
            r#"the file contains the certificate of "CN=api", which is not a CA: use the CA that signs"#,
        ),
        (first.pem[..300].to_owned(), "the file has an error on line 1: the block has no matching -----END line"),
        (first.pem.trim_end().to_owned() + &second.pem, &joined),
        (late.clone(), "the file contains a certificate that expired at "),
    ];
    for (index, (contents, words)) in bad.iter().enumerate() {
        replace(&file, contents);
        until_metric(process.admin, FAILURES, (index + 1) as f64).await;
        let words = format!("--client-ca clients.crt: {words}");
        assert_eq!(process.errors().matches(&words).count(), 1, "{words}: {}", process.errors());
        assert!(is_taken(&old).await && is_taken(&new).await, "the last valid CAs stay in use");
    }
    // An expired CA is no error beside a valid one.
    replace(&file, &(late + &second.pem));
    until_metric(process.admin, RELOADS, 2.0).await;
    assert!(!is_taken(&old).await && is_taken(&new).await);
    assert_eq!(open.post("/validate", fixture(LEGAL)).await.code, 200, "an open connection stays open");
}

#[test]
fn a_start_with_a_bad_client_ca_names_the_flag_and_the_file() {
    let folder = Folder::new();
    fs::write(folder.join("good.crt"), &Ca::new().pem).unwrap();
    fs::write(folder.join("empty.crt"), "").unwrap();
    fs::create_dir(folder.join("mount")).unwrap();
    let cases = [
        (&["--client-ca=none.crt"][..], "--client-ca none.crt: the file cannot be read: No such file or directory"),
        (&["--client-ca=mount"], "--client-ca mount: the file is a folder: name a file in it"),
        (&["--client-ca=good.crt", "--client-ca=empty.crt"], "--client-ca empty.crt: the file is empty"),
        (&["--client-ca=tls.crt"], "--client-ca tls.crt: the file contains the certificate of"),
        (&["--client-name=api"], "--client-ca <FILE>"),
    ];
    for (arguments, words) in cases {
        let (code, errors) = fails(serve(&folder, arguments));
        assert_eq!(code, Some(2), "{errors}");
        assert!(errors.contains(words), "{arguments:?}: {errors}");
    }
}
