//! `serve` as a program: flags, files, the ready line, signals, exit codes.

#[path = "support/client.rs"]
mod client;
#[path = "support/folder.rs"]
mod folder;
#[path = "support/process.rs"]
mod process;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use client::{Client, FAR, connect, get, head, rest, until_metric, write};
use folder::{Folder, fixture};
use process::{Process, command, fails};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use scan_admission::admission::{self, Context, Door, FaultPolicy};
use scan_admission::law::RULES;
use scan_admission::server::development;
use time::{Duration, OffsetDateTime};

const LEGAL: &str = "sourcescan-failed-5-completed.validate.json";

fn start(folder: &Folder, arguments: &[&str]) -> Process {
    Process::start(command(folder.path(), arguments), folder.join("errors"))
}

/// What the core answers to the legal review, the time being of no matter to it.
fn expected() -> String {
    let context = Context {
        door: Door::Validate,
        now: OffsetDateTime::now_utc(),
        rules: RULES,
        faults: FaultPolicy::Refuse,
        status_writers: &[],
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
        let process = start(&folder, &[]);
        let ca = folder.join("certs/ca.crt");
        let mut idle = Client::new(&ca, process.address, "http/1.1").await;
        idle.post("/validate", fixture(LEGAL)).await;
        let body = fixture(LEGAL);
        let mut in_flight = connect(&ca, process.address).await;
        write(&mut in_flight, head("/validate", body.len())).await;
        write(&mut in_flight, &body[..100]).await;
        until_metric(process.admin, "scan_admission_reviews_in_flight", 1.0).await;
        process.signal(signal);
        let waited = tokio::time::timeout(FAR, async {
            while get(process.admin, "/readyz").await.code != 503 {
                tokio::task::yield_now().await;
            }
        });
        waited.await.expect("it is not ready once it stops");
        write(&mut in_flight, &body[100..]).await;
        assert!(rest(&mut in_flight).await.ends_with(&expected()));
        let (status, printed) = process.wait().await;
        assert_eq!((status.code(), printed.as_str()), (Some(0), ""), "{signal}");
    }
}

#[tokio::test]
async fn nobody_reading_the_ready_line_is_no_error() {
    let folder = Folder::new();
    for _ in 0..5 {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        // The port has to be known beforehand: that of a probe, unless another test was given it since.
        let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = command(folder.path(), &["--admin", &admin.to_string()]);
        let mut child = command.stdout(writer).stderr(Stdio::null()).spawn().unwrap();
        let waited = tokio::time::timeout(FAR, async {
            loop {
                if tokio::net::TcpStream::connect(admin).await.is_ok() {
                    return get(admin, "/readyz").await.code == 200;
                } else if child.try_wait().unwrap().is_some() {
                    return false;
                }
                tokio::task::yield_now().await;
            }
        });
        let is_serving = waited.await.expect("it serves or ends");
        let _ = child.kill();
        child.wait().unwrap();
        if is_serving {
            return;
        }
    }
    panic!("it does not serve");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let folder = Folder::new();
    let process = start(&folder, &[]);
    let mut in_flight = connect(&folder.join("certs/ca.crt"), process.address).await;
    write(&mut in_flight, head("/validate", 100)).await;
    until_metric(process.admin, "scan_admission_reviews_in_flight", 1.0).await;
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
    assert!(read("ca.crt") == ca && read("tls.crt") != leaf, "the leaf only");
    assert!(process.errors().contains("tls.key") && process.errors().contains("replaced"), "{}", process.errors());
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
    assert!(include_str!("../README.md").contains(&expected()), "{}", expected());
}

#[test]
fn the_curl_line_works_as_it_is_printed() {
    let folder = Folder::new();
    symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"), folder.join("tests")).unwrap();
    for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0"] {
        if address.starts_with('[') && TcpListener::bind(address).is_err() {
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

/// A root that a client trusts, and a chain that only holds with its middle: leaf first.
fn chain(folder: &Folder) -> KeyPair {
    let ca = |depth| {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(depth));
        params.distinguished_name.push(rcgen::DnType::OrganizationName, format!("depth {depth}"));
        (params, KeyPair::generate().unwrap())
    };
    let ((root, root_key), (middle, middle_key), key) = (ca(1), ca(0), KeyPair::generate().unwrap());
    fs::write(folder.join("root.crt"), root.self_signed(&root_key).unwrap().pem()).unwrap();
    let middle_pem = middle.signed_by(&middle_key, &Issuer::from_params(&root, &root_key)).unwrap().pem();
    let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let leaf_pem = leaf.signed_by(&key, &Issuer::from_params(&middle, &middle_key)).unwrap().pem();
    fs::write(folder.join("middle.crt"), &middle_pem).unwrap();
    fs::write(folder.join("chain.crt"), leaf_pem + &middle_pem).unwrap();
    fs::write(folder.join("chain.key"), key.serialize_pem()).unwrap();
    key
}

#[tokio::test]
async fn own_files_are_served_with_their_chain_whatever_form_the_key_has() {
    let folder = Folder::new();
    let key = chain(&folder);
    // SEC1 is what PKCS#8 wraps: after 29 bytes for a key of P-256.
    let sec1 = base64::engine::general_purpose::STANDARD.encode(&key.serialize_der()[29..]);
    fs::write(
        folder.join("sec1.key"),
        format!("-----BEGIN EC PRIVATE KEY-----\n{sec1}\n-----END EC PRIVATE KEY-----\n"),
    )
    .unwrap();
    for key in ["chain.key", "sec1.key"] {
        let process = start(&folder, &["--tls-cert", "chain.crt", "--tls-key", key]);
        assert_answers(&process, &folder.join("root.crt")).await;
        process.signal("TERM");
        assert_eq!(process.wait().await.1, "", "the curl line is for development certificates");
    }
    let mut by_environment = command(folder.path(), &["--certs", "files"]);
    by_environment.env("SCAN_ADMISSION_TLS_CERT", "chain.crt").env("SCAN_ADMISSION_TLS_KEY", "chain.key");
    let process = Process::start(by_environment, folder.join("errors"));
    assert_answers(&process, &folder.join("root.crt")).await;
    assert!(!folder.join("certs").exists(), "nothing is written");
}

#[test]
fn what_cannot_be_served_is_said_with_the_flag_and_exit_code_2() {
    let folder = Folder::new();
    chain(&folder);
    fs::write(folder.join("other.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    fs::write(folder.join("empty"), "").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let (cert, key) = ("--tls-cert", "--tls-key");
    let cases: &[(&[&str], &[&str])] = &[
        (&[cert, "chain.crt"], &["--tls-key"]),
        (&[key, "chain.key"], &["--tls-cert"]),
        (&["--certs", "files"], &["--tls-cert"]),
        (&["--certs", "dev", cert, "chain.crt", key, "chain.key"], &["--certs dev", "--certs files"]),
        (&["--certs", "cluster"], &["cluster", "dev, files"]),
        (&["--faults", "maybe"], &["maybe", "failure-policy"]),
        (&["--listen", "8443"], &["--listen", "8443"]),
        (&[cert, "chain.crt", key, "other.key"], &["--tls-key other.key", "is not the key of the first certificate"]),
        (&[cert, "middle.crt", key, "chain.key"], &["--tls-key chain.key", "is not the key of the first certificate"]),
        (&[cert, "none.crt", key, "chain.key"], &["--tls-cert none.crt", "cannot be read"]),
        (&[cert, "chain.crt", key, "none.key"], &["--tls-key none.key", "cannot be read"]),
        (&[cert, "chain.key", key, "chain.key"], &["--tls-cert chain.key", "holds no certificate"]),
        (&[cert, "chain.crt", key, "chain.crt"], &["--tls-key chain.crt", "holds no private key"]),
        (&[cert, "empty", key, "empty"], &["--tls-cert empty", "holds no certificate"]),
        (&["--listen", &taken], &["--listen", &taken, "in use"]),
        (&["--admin", &taken], &["--admin", &taken, "in use"]),
    ];
    for (arguments, words) in cases {
        let (code, errors) = fails(command(folder.path(), arguments));
        assert_eq!(code, Some(2), "{arguments:?} {errors}");
        assert!(words.iter().all(|word| errors.contains(word)), "{arguments:?} {errors}");
    }
    fs::copy(folder.join("chain.crt"), folder.join("certs/tls.crt")).unwrap();
    let (code, errors) = fails(command(folder.path(), &[]));
    assert!(code == Some(2) && errors.contains("certs/tls.crt is not a development certificate"), "{errors}");
}
