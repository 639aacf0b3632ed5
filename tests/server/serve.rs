//! Tests `serve` as a program: flags, files, the ready line, signals, exit codes.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use scan_admission::admission::{self, Context, EventReasons, ReviewSettings, Webhook};
use scan_admission::rules::RULES;
use scan_admission::scan::time as clock;
use scan_admission::tls::development;
use time::{Duration, OffsetDateTime};

use crate::certificates::key_file;
use crate::sockets::{self, connect, rest, until_metric_above, write};
use crate::support::client::Client;
use crate::support::failed_start::fails;
use crate::support::fixtures::fixture;
use crate::support::folder::Folder;
use crate::support::http::get;
use crate::support::pki::{Ca, leaf};
use crate::support::process::Process;
use crate::support::program::command;
use crate::support::request_head::head;
use crate::support::waits::{WAIT_MAX, until_metric};

const LEGAL: &str = "sourcescan-failed-5-completed.validate.json";

fn start(folder: &Folder, arguments: &[&str]) -> Process {
    Process::start(command(folder.path(), arguments), folder.join("errors"))
}

/// Returns the core's answer to the legal review. The time does not matter to it.
fn expected() -> String {
    let settings = ReviewSettings::default();
    let context = Context {
        webhook: Webhook::Validating,
        now: OffsetDateTime::now_utc(),
        rules: RULES,
        settings: &settings,
        events: EventReasons::default(),
    };
    String::from_utf8(admission::answer(&fixture(LEGAL), &context).body).unwrap()
}

async fn assert_answers(process: &Process, ca: &Path) {
    for protocol in ["http/1.1", "h2"] {
        let reply = Client::new(ca, process.address, protocol).await.post("/validate", fixture(LEGAL)).await;
        assert_eq!((reply.code, String::from_utf8(reply.body).unwrap()), (200, expected()));
    }
}

#[tokio::test]
async fn either_signal_stops_it_cleanly_with_a_review_in_flight() {
    for signal in ["TERM", "INT"] {
        let folder = Folder::new();
        let process = start(&folder, &["--stop-delay", "50ms"]);
        let ca = folder.join("certs/ca.crt");
        let mut idle = Client::new(&ca, process.address, "http/1.1").await;
        idle.post("/validate", fixture(LEGAL)).await;
        let body = fixture(LEGAL);
        let mut in_flight = connect(&ca, process.address).await;
        write(&mut in_flight, head("/validate", body.len())).await;
        write(&mut in_flight, &body[..100]).await;
        until_metric(process.admin, "scan_admission_bodies_unfinished", 1.0).await;
        process.signal(signal);
        let waited = tokio::time::timeout(WAIT_MAX, async {
            while get(process.admin, "/readyz").await.code != 503 {
                tokio::task::yield_now().await;
            }
        });
        waited.await.expect("the program is not ready once it stops");
        write(&mut in_flight, &body[100..]).await;
        assert!(rest(&mut in_flight).await.ends_with(&expected()));
        let (status, printed) = process.wait().await;
        assert_eq!((status.code(), printed.as_str()), (Some(0), ""), "{signal}");
    }
}

#[tokio::test]
async fn a_closed_stdout_is_no_error() {
    let folder = Folder::new();
    for _ in 0..5 {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        // The port must be known in advance: that of a listener that was just closed. Another test may have been given
        // it since.
        let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = command(folder.path(), &["--admin", &admin.to_string()]);
        let mut child = command.stdout(writer).stderr(Stdio::null()).spawn().unwrap();
        let waited = tokio::time::timeout(WAIT_MAX, async {
            loop {
                if tokio::net::TcpStream::connect(admin).await.is_ok() {
                    return get(admin, "/readyz").await.code == 200;
                } else if child.try_wait().unwrap().is_some() {
                    return false;
                }
                tokio::task::yield_now().await;
            }
        });
        let is_serving = waited.await.expect("the program serves or ends");
        let _ = child.kill();
        child.wait().unwrap();
        if is_serving {
            return;
        }
    }
    panic!("the program does not serve");
}

/// A node that has not been notified yet still sends reviews, also over new connections.
#[tokio::test]
async fn during_the_stop_delay_it_serves_and_is_not_ready() {
    let folder = Folder::new();
    // The delay is longer than the test: the second signal ends it.
    let process = start(&folder, &["--stop-delay", "10m"]);
    let ca = folder.join("certs/ca.crt");
    let mut old = Client::new(&ca, process.address, "http/1.1").await;
    let mut old_h2 = Client::new(&ca, process.address, "h2").await;
    for client in [&mut old, &mut old_h2] {
        assert_eq!(client.post("/validate", fixture(LEGAL)).await.headers.get("connection"), None);
    }
    process.signal("TERM");
    while get(process.admin, "/readyz").await.code != 503 {
        tokio::task::yield_now().await;
    }
    assert_answers(&process, &ca).await;
    // A connected client is told to reconnect with its next request, and loses no request.
    assert_eq!(old.post("/validate", fixture(LEGAL)).await.headers["connection"], "close");
    for client in [old, old_h2] {
        tokio::time::timeout(WAIT_MAX, client.closed()).await.expect("the connection closes");
    }
    assert_eq!(get(process.admin, "/livez").await.code, 200);
    process.signal("TERM");
    assert_eq!(process.wait().await.0.code(), Some(1));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let folder = Folder::new();
    let process = start(&folder, &[]);
    let mut in_flight = connect(&folder.join("certs/ca.crt"), process.address).await;
    write(&mut in_flight, head("/validate", 100)).await;
    until_metric(process.admin, "scan_admission_bodies_unfinished", 1.0).await;
    process.signal("TERM");
    while get(process.admin, "/readyz").await.code != 503 {
        tokio::task::yield_now().await;
    }
    process.signal("INT");
    assert_eq!(process.wait().await.0.code(), Some(1));
}

#[tokio::test]
async fn certificates_are_kept_for_the_next_start_and_renewed_when_they_have_expired() {
    let folder = Folder::new();
    let certs = folder.join("certs");
    let read = |name: &str| fs::read(certs.join(name)).unwrap();
    let process = start(&folder, &[]);
    assert_answers(&process, &certs.join("ca.crt")).await;
    drop(process);
    let before = ["ca.crt", "ca.key", "tls.crt", "tls.key"].map(read);
    for name in ["ca.key", "tls.key"] {
        assert_eq!(fs::metadata(certs.join(name)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let process = start(&folder, &[]);
    assert_answers(&process, &certs.join("ca.crt")).await;
    assert_eq!(["ca.crt", "ca.key", "tls.crt", "tls.key"].map(read), before);
    drop(process);

    fs::remove_dir_all(&certs).unwrap();
    development::certificate(&certs, OffsetDateTime::now_utc() - Duration::days(100)).unwrap();
    let (ca, leaf) = (read("ca.crt"), read("tls.crt"));
    fs::write(certs.join("tls.key"), "garbage").unwrap();
    let process = start(&folder, &[]);
    assert_answers(&process, &certs.join("ca.crt")).await;
    assert!(read("ca.crt") == ca && read("tls.crt") != leaf, "only the leaf is renewed");
    assert!(process.errors().contains("tls.key") && process.errors().contains("file renamed"), "{}", process.errors());
}

#[tokio::test]
async fn two_starts_at_once_in_one_folder_both_serve() {
    let folder = Folder::new();
    let spawned: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..2)
            .map(|index| {
                let errors = folder.join(&format!("errors-{index}"));
                scope.spawn(|| Process::start(command(folder.path(), &[]), errors))
            })
            .collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    for process in &spawned {
        assert_answers(process, &folder.join("certs/ca.crt")).await;
    }
}

#[test]
fn the_readme_shows_the_answer() {
    assert!(include_str!("../../README.md").contains(&expected()), "{}", expected());
}

#[test]
fn the_curl_line_works_as_it_is_printed() {
    let folder = Folder::new();
    symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"), folder.join("tests")).unwrap();
    for address in ["127.0.0.1:0", "0.0.0.0:0", "localhost:0", "[::]:0", ":0", "[::1]:0"] {
        if address == "[::1]:0" && TcpListener::bind(address).is_err() {
            eprintln!("skipped: no IPv6 on this machine");
            continue;
        }
        let mut process = start(&folder, &["--listen", address]);
        let line = process.line();
        assert!(line.starts_with("curl --cacert certs/ca.crt "), "{line}");
        if Command::new("curl").arg("--version").output().is_err() {
            eprintln!("skipped: no curl on this machine");
            return;
        }
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec {}", line.trim_end())]).current_dir(folder.path()).env("NO_PROXY", "*");
        let output = shell.output().unwrap();
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            expected(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// Asserts answers to a review and to a probe at this address of the machine.
async fn assert_answers_at(process: &Process, ca: &Path, ip: IpAddr) {
    let reviews = SocketAddr::new(ip, process.address.port());
    let reply = Client::new(ca, reviews, "http/1.1").await.post("/validate", fixture(LEGAL)).await;
    assert_eq!((reply.code, String::from_utf8(reply.body).unwrap()), (200, expected()), "{ip}");
    assert_eq!(get(SocketAddr::new(ip, process.admin.port()), "/readyz").await.code, 200, "{ip}");
}

const ANY: [&str; 4] = ["--listen", "[::]:0", "--admin", "[::]:0"];

/// The manifests use this address.
#[tokio::test]
async fn the_unspecified_address_accepts_ipv4_and_ipv6() {
    let folder = Folder::new();
    let process = start(&folder, &ANY);
    let ca = folder.join("certs/ca.crt");
    assert_answers_at(&process, &ca, Ipv4Addr::LOCALHOST.into()).await;
    if TcpListener::bind("[::1]:0").is_err() {
        eprintln!("skipped in part: no IPv6 on this machine");
        return;
    }
    assert_answers_at(&process, &ca, Ipv6Addr::LOCALHOST.into()).await;
    assert_eq!([process.address.ip(), process.admin.ip()], [IpAddr::from(Ipv6Addr::UNSPECIFIED); 2]);
}

/// A seccomp filter, which child processes of this thread inherit, imitates a kernel without IPv6.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[tokio::test]
async fn without_ipv6_the_unspecified_address_accepts_ipv4() {
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    };
    let is_ipv6 =
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, libc::AF_INET6.try_into().unwrap());
    let socket = (libc::SYS_socket, vec![SeccompRule::new(vec![is_ipv6.unwrap()]).unwrap()]);
    let unsupported = SeccompAction::Errno(libc::EAFNOSUPPORT.try_into().unwrap());
    let filter = SeccompFilter::new(
        [socket].into(),
        SeccompAction::Allow,
        unsupported,
        std::env::consts::ARCH.try_into().unwrap(),
    );
    let filter: BpfProgram = filter.unwrap().try_into().unwrap();
    let folder = Folder::new();
    let process = std::thread::scope(|scope| {
        let started = scope.spawn(|| {
            seccompiler::apply_filter(&filter).unwrap();
            let error = TcpListener::bind("[::1]:0").unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EAFNOSUPPORT));
            // Only the unspecified address falls back to IPv4.
            let (code, errors) = fails(command(folder.path(), &["--listen", "[::1]:0"]));
            assert!(code == Some(2) && errors.contains("--listen") && errors.contains("[::1]:0"), "{errors}");
            start(&folder, &ANY)
        });
        started.join().unwrap()
    });
    assert_answers_at(&process, &folder.join("certs/ca.crt"), Ipv4Addr::LOCALHOST.into()).await;
    assert_eq!([process.address.ip(), process.admin.ip()], [IpAddr::from(Ipv4Addr::UNSPECIFIED); 2]);
}

/// Writes a certificate that is no development certificate: `ca.crt`, `own.crt` and `own.key`.
fn write_own_certificate(folder: &Folder) {
    let ca = Ca::new();
    fs::write(folder.join("ca.crt"), &ca.pem).unwrap();
    ca.pair(1).write(&folder.join("own.crt"), &folder.join("own.key"));
}

#[tokio::test]
async fn own_certificate_files_are_named_by_flags_or_by_the_environment() {
    let folder = Folder::new();
    write_own_certificate(&folder);
    let by_flags = command(folder.path(), &["--tls-cert", "own.crt", "--tls-key", "own.key"]);
    let mut by_environment = command(folder.path(), &["--certs", "files"]);
    by_environment.env("SCAN_ADMISSION_TLS_CERT", "own.crt").env("SCAN_ADMISSION_TLS_KEY", "own.key");
    for command in [by_flags, by_environment] {
        let process = Process::start(command, folder.join("errors"));
        assert_answers(&process, &folder.join("ca.crt")).await;
        process.signal("TERM");
        assert_eq!(process.wait().await.1, "", "the curl line is only for development certificates");
    }
    assert!(!folder.join("certs").exists(), "no certificate is created");
}

#[test]
fn a_failed_start_names_the_flag_and_exits_with_2() {
    let folder = Folder::new();
    write_own_certificate(&folder);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let (cert, key) = ("--tls-cert", "--tls-key");
    let cases: &[(&[&str], &[&str])] = &[
        (&[cert, "own.crt"], &["--tls-key"]),
        (&[key, "own.key"], &["--tls-cert"]),
        (&["--certs", "files"], &["--tls-cert"]),
        (&["--certs", "dev", cert, "own.crt", key, "own.key"], &["--certs dev", "--certs files"]),
        (&["--certs", "cluster"], &["--certs cluster: not running in a pod of a cluster", "--kubeconfig"]),
        (&["--certs", "vault"], &["vault", "dev, files, cluster"]),
        (&["--listen", "8443"], &["--listen", "8443", "localhost:8443", ":8443 for all addresses"]),
        (&["--listen", "::1:8443"], &["--listen", "::1:8443", "[::1]:8443"]),
        (&["--admin", "nobody.invalid:8080"], &["--admin", "nobody.invalid", "cannot be resolved"]),
        (&["--listen", &taken], &["--listen", &taken, "in use"]),
        (&["--admin", &taken], &["--admin", &taken, "in use"]),
    ];
    for (arguments, words) in cases {
        let (code, errors) = fails(command(folder.path(), arguments));
        assert_eq!(code, Some(2), "{arguments:?} {errors}");
        assert!(words.iter().all(|word| errors.contains(word)), "{arguments:?} {errors}");
    }
    fs::copy(folder.join("own.crt"), folder.join("certs/tls.crt")).unwrap();
    let (code, errors) = fails(command(folder.path(), &[]));
    assert!(code == Some(2) && errors.contains("certs/tls.crt is not a development certificate"), "{errors}");
}

/// Returns the error of `serve` for a pair of files, without the part about the time.
fn rejection(folder: &Folder, certificate: &str, key: &str) -> String {
    let (code, errors) = fails(command(folder.path(), &["--tls-cert", certificate, "--tls-key", key]));
    assert_eq!(code, Some(2), "{errors}");
    let errors = errors.strip_prefix("error: ").unwrap_or_else(|| panic!("{errors}"));
    errors.trim_end().to_owned()
}

#[test]
fn wrong_certificate_files_are_rejected_with_a_remedy() {
    let folder = Folder::new();
    let ca = Ca::new();
    fs::write(folder.join("ca.crt"), &ca.pem).unwrap();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    let good = ca.pair(1);
    good.write(&folder.join("tls.crt"), &folder.join("tls.key"));
    let mut no_host = leaf();
    no_host.subject_alt_names.clear();
    let no_host = ca.sign(&no_host, &KeyPair::from_pem(&good.key).unwrap());
    write("no-host.crt", &no_host.certificate);
    write("empty", "");
    write("big", &" ".repeat((1 << 20) + 1));
    write("half.crt", &good.certificate[..good.certificate.len() / 2]);
    write("other.key", &KeyPair::generate().unwrap().serialize_pem());
    for name in ["encrypted.pkcs8.key", "encrypted.sec1.key", "p521.sec1.key", "rsa-1024.pkcs8.key"] {
        write(name, &key_file(name));
    }
    fs::create_dir(folder.join("mount")).unwrap();
    let folder_words =
        "is a folder: name a file in it; the files of a mounted Secret or ConfigMap are named after its keys";
    let mut clients = leaf();
    clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::CodeSigning];
    write("clients.crt", &ca.sign(&clients, &KeyPair::from_pem(&good.key).unwrap()).certificate);
    let mut critical = leaf();
    let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    extension.set_criticality(true);
    critical.custom_extensions.push(extension);
    write("critical.crt", &ca.sign(&critical, &KeyPair::from_pem(&good.key).unwrap()).certificate);
    write("reversed.crt", &(ca.pem.clone() + &good.certificate));
    write("joined.crt", &(good.certificate.trim_end().to_owned() + &ca.pem));
    write("indented.crt", &(good.certificate.clone() + "  " + &ca.pem));
    write("joined.key", &(good.certificate.trim_end().to_owned() + &good.key));
    write("trusted.crt", &(good.certificate.clone() + &ca.pem.replace(" CERTIFICATE", " TRUSTED CERTIFICATE")));
    let last = good.certificate.lines().count();
    let order = "put the server's own certificate first, then its chain";
    let other_key = format!("is not the key of the first certificate: use the key that belongs to it, and {order}");
    let joined =
        |line| format!("has an error on line {line}: put each -----BEGIN and each -----END on a line of its own");
    let encrypted =
        "contains an encrypted private key, which is not supported: decrypt it with openssl pkey -in FILE -out NEW";
    let supported = "supported keys are RSA of 2048 bits or more, ECDSA on P-256 or P-384, and Ed25519";
    let unsupported = format!(
        "contains a private key that cannot be used: unexpected error: failed to parse private key as RSA, ECDSA, or EdDSA; {supported}"
    );
    let cases = [
        ("none.crt", "tls.key", 0, "cannot be read: No such file or directory (os error 2)"),
        ("tls.crt", "none.key", 1, "cannot be read: No such file or directory (os error 2)"),
        ("mount", "tls.key", 0, folder_words),
        ("tls.crt", "mount", 1, folder_words),
        (
            "/dev/null",
            "tls.key",
            0,
            "is a pipe or a device: name a regular file, which can be read again when it changes",
        ),
        ("big", "tls.key", 0, "has more than 1048576 bytes, which is more than a Secret or ConfigMap can contain"),
        ("empty", "tls.key", 0, "is empty: a PEM file is required"),
        ("tls.crt", "empty", 1, "is empty: a PEM file is required"),
        ("tls.key", "tls.key", 0, "contains no certificate: a PEM file with -----BEGIN CERTIFICATE----- is required"),
        ("half.crt", "tls.key", 0, "has an error on line 1: the block has no matching -----END line"),
        ("ca.crt", "tls.key", 1, &other_key),
        ("reversed.crt", "tls.key", 0, &format!("does not begin with the certificate of the key: {order}")),
        ("joined.crt", "tls.key", 0, &joined(last)),
        ("indented.crt", "tls.key", 0, &joined(last + 1)),
        ("tls.crt", "joined.key", 1, &joined(last)),
        (
            "trusted.crt",
            "tls.key",
            0,
            &format!(
                "has a TRUSTED CERTIFICATE on line {}, which is not supported: convert it to a CERTIFICATE with openssl",
                last + 1
            ),
        ),
        (
            "clients.crt",
            "tls.key",
            0,
            "contains a certificate that is not for servers: its extendedKeyUsage is clientAuth, codeSigning; add serverAuth, or omit extendedKeyUsage",
        ),
        (
            "critical.crt",
            "tls.key",
            0,
            "contains a certificate with the critical extension 1.2.3.4, which clients do not support: use a certificate without it",
        ),
        (
            "no-host.crt",
            "tls.key",
            0,
            "contains a certificate without a host: add the name that clients use to its subjectAltName; for a Service this is NAME.NAMESPACE.svc",
        ),
        (
            "tls.crt",
            "tls.crt",
            1,
            "contains no private key: a PEM file with an unencrypted PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY is required",
        ),
        ("tls.crt", "encrypted.pkcs8.key", 1, encrypted),
        ("tls.crt", "encrypted.sec1.key", 1, encrypted),
        ("tls.crt", "p521.sec1.key", 1, &unsupported),
        ("tls.crt", "rsa-1024.pkcs8.key", 1, &unsupported),
        ("tls.crt", "other.key", 1, &other_key),
    ];
    for (certificate, key, wrong, words) in cases {
        let (flag, file) = [("--tls-cert", certificate), ("--tls-key", key)][wrong];
        assert_eq!(rejection(&folder, certificate, key), format!("{flag} {file}: the file {words}"));
    }
}

/// Certificates that Go accepts from a server are served: `openssl req -x509` sets the CA flag.
#[tokio::test]
async fn certificates_that_the_api_server_accepts_are_served_and_the_ca_flag_is_warned_about_once() {
    let folder = Folder::new();
    let ca = Ca::new();
    let key = KeyPair::generate().unwrap();
    let with = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = leaf();
        change(&mut params);
        params
    };
    let flagged = with(&|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    let usages = |usages: &[ExtendedKeyUsagePurpose]| with(&|params| params.extended_key_usages = usages.to_vec());
    let both = usages(&[ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth]);
    let mut policies = CustomExtension::from_oid_content(&[2, 5, 29, 32], vec![0x30, 5, 0x30, 3, 6, 1, 0x2a]);
    policies.set_criticality(true);
    let cases = [
        (flagged.self_signed(&key).unwrap().pem(), true),
        (ca.sign(&flagged, &key).certificate, true),
        (with(&|_| ()).self_signed(&key).unwrap().pem(), false),
        (ca.sign(&usages(&[ExtendedKeyUsagePurpose::Any]), &key).certificate, false),
        (ca.sign(&both, &key).certificate, false),
        (ca.sign(&with(&|params| params.custom_extensions.push(policies.clone())), &key).certificate, false),
    ];
    fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
    for (certificate, is_warned) in cases {
        fs::write(folder.join("tls.crt"), &certificate).unwrap();
        let process = start(&folder, &["--tls-cert", "tls.crt", "--tls-key", "tls.key", "--certs-poll=10ms"]);
        until_metric_above(process.admin, "scan_admission_certificate_polls_total", 2.0).await;
        let warnings = process.errors().matches("the certificate has the CA flag").count();
        assert_eq!(warnings, usize::from(is_warned), "{certificate}{}", process.errors());
        let served = sockets::served(process.address).await;
        assert_eq!(Some(served), CertificateDer::from_pem_slice(certificate.as_bytes()).ok());
    }
}

#[test]
fn a_certificate_out_of_its_dates_is_rejected_at_the_start() {
    let folder = Folder::new();
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
    let format = |time: OffsetDateTime| clock::format(time).unwrap();
    for (begin, end, words, what_to_do) in [
        (-48, -24, format!("expired at {}", format(now - Duration::DAY)), "renew it, or correct the clock"),
        (
            24,
            48,
            format!("is not valid before {}", format(now + Duration::DAY)),
            "correct the clock, or use a certificate that is valid",
        ),
    ] {
        let mut params = leaf();
        (params.not_before, params.not_after) = (now + begin * Duration::HOUR, now + end * Duration::HOUR);
        let pair = Ca::new().sign(&params, &KeyPair::generate().unwrap());
        pair.write(&folder.join("tls.crt"), &folder.join("tls.key"));
        let rejection = rejection(&folder, "tls.crt", "tls.key");
        let words = format!("--tls-cert tls.crt: the file contains a certificate that {words}, and the time is now ");
        let rest = rejection.strip_prefix(&words).unwrap_or_else(|| panic!("{rejection}"));
        let (time, rest) = rest.split_once(": ").unwrap();
        assert!(clock::parse(time).unwrap() >= now, "{rejection}");
        assert_eq!(rest, what_to_do);
    }
}

#[test]
fn an_unreadable_file_is_rejected() {
    let folder = Folder::new();
    Ca::new().pair(1).write(&folder.join("tls.crt"), &folder.join("tls.key"));
    fs::set_permissions(folder.join("tls.key"), fs::Permissions::from_mode(0o000)).unwrap();
    let mut command = command(folder.path(), &["--tls-cert", "tls.crt", "--tls-key", "tls.key"]);
    if fs::metadata(folder.path()).unwrap().uid() == 0 {
        // Root may read any file, so the program runs as another user, who must be able to execute it.
        command.uid(65534).gid(65534);
        let program = Path::new(env!("CARGO_BIN_EXE_scan-admission"));
        if !program.ancestors().all(|path| fs::metadata(path).unwrap().mode() & 0o001 != 0) {
            eprintln!("skipped: only root can execute {}", program.display());
            return;
        }
    }
    let (code, errors) = fails(command);
    let words = "error: --tls-key tls.key: the file cannot be read: Permission denied (os error 13); let the user that runs this program read it, in a Pod by means of securityContext.fsGroup\n";
    assert_eq!((code, errors.as_str()), (Some(2), words));
}
