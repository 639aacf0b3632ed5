//! Tests `serve --config`: which changes of the file it applies, and which it rejects.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use scan_admission::config::Config;
use serde_json::{Value, json};

use crate::sockets;
use crate::support::client::Client;
use crate::support::failed_start::fails;
use crate::support::fixtures::fixture;
use crate::support::folder::Folder;
use crate::support::http::get;
use crate::support::process::Process;
use crate::support::program::command;
use crate::support::waits::{WAIT_MAX, metric, until_metric};

const POLLS: &str = "scan_admission_config_polls_total";
const RELOADS: &str = "scan_admission_config_reloads_total";
const FAILURES: &str = "scan_admission_config_reload_failures_total";
const RELOADED: &str = "scan_admission_config_last_reload_successful";

/// A mounted ConfigMap: `config.yaml` is a link to `..data/config.yaml`, and `..data` is a link to the folder of the
/// current generation.
struct Mount {
    folder: PathBuf,
    generation: u32,
}

impl Mount {
    fn new(folder: PathBuf, text: &str) -> Self {
        fs::create_dir(&folder).unwrap();
        let mut mount = Self { folder, generation: 0 };
        mount.swap(text);
        symlink("..data/config.yaml", mount.folder.join("config.yaml")).unwrap();
        mount
    }

    /// Replaces the contents with the same steps as the kubelet's AtomicWriter.
    fn swap(&mut self, text: &str) {
        let before = fs::read_link(self.folder.join("..data"));
        self.generation += 1;
        let name = format!("..{}", self.generation);
        let folder = self.folder.join(&name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("config.yaml"), text).unwrap();
        symlink(&name, self.folder.join("..data_tmp")).unwrap();
        fs::rename(self.folder.join("..data_tmp"), self.folder.join("..data")).unwrap();
        if let Ok(before) = before {
            fs::remove_dir_all(self.folder.join(before)).unwrap();
        }
    }
}

/// Starts a server that compares the file as often as the flags allow.
fn start(folder: &Folder) -> Process {
    let arguments = ["--config", "mount/config.yaml", "--config-poll", "10ms"];
    Process::start(command(folder.path(), &arguments), folder.join("errors"))
}

/// Waits for the two polls that apply a changed file. The first poll to end may have begun before the change.
async fn polled(process: &Process) {
    let before = metric(process.admin, POLLS).await.unwrap();
    let waited = tokio::time::timeout(WAIT_MAX, async {
        while metric(process.admin, POLLS).await.unwrap() < before + 3.0 {
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("the file is polled");
}

/// Returns a captured review with an unknown phase.
fn broken() -> Vec<u8> {
    let mut review: Value = serde_json::from_slice(&fixture("sourcescan-failed-5-completed.validate.json")).unwrap();
    review["request"]["object"]["status"]["phase"] = json!("Done");
    serde_json::to_vec(&review).unwrap()
}

fn digest(text: &str) -> String {
    Config::read(text.as_bytes()).unwrap().settings.digest
}

async fn ask(ca: &Path, process: &Process) -> Value {
    let reply = Client::new(ca, process.address, "http/1.1").await.post("/validate", broken()).await;
    assert_eq!(reply.code, 200);
    reply.json()["response"].clone()
}

/// Returns the digests in /metrics.
async fn digests(process: &Process) -> Vec<String> {
    let text = String::from_utf8(get(process.admin, "/metrics").await.body).unwrap();
    let digest = |line: &str| {
        let (digest, value) = line.strip_prefix("scan_admission_config{digest=\"")?.split_once("\"} ")?;
        (value == "1").then(|| digest.to_owned())
    };
    text.lines().filter_map(digest).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_swap_of_a_mounted_config_map_is_applied_under_load() {
    const SWAPS: u32 = 100;
    let text = |number: u32| match number % 3 {
        0 => format!("# {number}\n"),
        1 => format!("rules: {{phase-unknown: warn}} # {number}\n"),
        _ => format!("rules: {{phase-unknown: \"off\"}} # {number}\n"),
    };
    let folder = Folder::new();
    let mut mount = Mount::new(folder.join("mount"), &text(0));
    let process = start(&folder);
    let ca = folder.join("certs/ca.crt");

    let is_over = Arc::new(AtomicBool::new(false));
    let load = ["http/1.1", "h2"].map(|protocol| {
        let (path, address, is_over) = (ca.clone(), process.address, is_over.clone());
        tokio::spawn(async move {
            let mut client = Client::new(&path, address, protocol).await;
            let mut reviews = 0;
            while !is_over.load(Ordering::Relaxed) {
                let reply = client.post("/validate", broken()).await;
                // Each answer uses exactly one configuration.
                let response = &reply.json()["response"];
                let warnings = response["warnings"].as_array().map_or(0, Vec::len);
                let is_known =
                    matches!((response["allowed"].as_bool(), warnings), (Some(false), 0) | (Some(true), 0 | 1));
                assert!(reply.code == 200 && is_known, "{response:#}");
                reviews += 1;
            }
            reviews
        })
    });
    for number in 1..=SWAPS {
        mount.swap(&text(number));
        polled(&process).await;
        let response = ask(&ca, &process).await;
        assert_eq!(response["allowed"], number % 3 != 0, "{number}: {response:#}");
        assert_eq!(response["auditAnnotations"]["config"], digest(&text(number)));
        assert_eq!(digests(&process).await, [digest(&text(number))], "only the current digest has a series");
    }
    is_over.store(true, Ordering::Relaxed);
    for client in load {
        let reviews: u32 = client.await.expect("no review failed");
        println!("{reviews} reviews during {SWAPS} swaps");
        assert!(reviews > 0);
    }
    const WARNED: &str =
        "scan_admission_findings_total{rule=\"phase-unknown\",severity=\"error\",action=\"warn\",downgraded=\"mode\"}";
    assert!(metric(process.admin, WARNED).await > Some(0.0), "an error in mode warn has labels of its own");
    for (name, value) in [(RELOADS, f64::from(SWAPS)), (FAILURES, 0.0), (RELOADED, 1.0)] {
        assert_eq!(metric(process.admin, name).await, Some(value), "{name} {}", process.errors());
    }
    let errors = process.errors();
    assert_eq!(errors.matches("configuration loaded").count(), 1, "{errors}");
    assert_eq!(errors.matches("configuration reloaded").count(), SWAPS as usize, "{errors}");
}

#[tokio::test]
async fn a_bad_file_is_reported_once_and_the_last_good_one_stays_in_use() {
    const GOOD: &str = "rules: {phase-unknown: warn}\n";
    let folder = Folder::new();
    let mut mount = Mount::new(folder.join("mount"), GOOD);
    let process = start(&folder);
    let ca = folder.join("certs/ca.crt");
    let bad = [
        (
            "rules:\n  phase-unknown: of\n",
            "--config mount/config.yaml: the file is invalid at line 2, column 18: Unsupported value: \"of\": supported values: \"deny\", \"warn\", \"audit\", \"off\"; did you mean \"off\"?",
        ),
        (
            "rules: {phase-unknow: off}\n",
            "line 1, column 9: unknown rule \"phase-unknow\"; did you mean \"phase-unknown\"?",
        ),
    ];
    for (index, (text, words)) in bad.into_iter().enumerate() {
        mount.swap(text);
        until_metric(process.admin, FAILURES, (index + 1) as f64).await;
        // The error is not reported again.
        polled(&process).await;
        let response = ask(&ca, &process).await;
        assert_eq!(
            (&response["allowed"], &response["auditAnnotations"]["config"]),
            (&json!(true), &json!(digest(GOOD)))
        );
        assert_eq!(metric(process.admin, FAILURES).await, Some((index + 1) as f64));
        assert_eq!(metric(process.admin, RELOADED).await, Some(0.0));
        let errors = process.errors();
        assert_eq!(errors.matches(words).count(), 1, "{errors}");
        assert!(errors.contains("reload failed; keeping the current version"), "{errors}");
    }
    // The file is restored: there is nothing to apply and no error.
    mount.swap(GOOD);
    until_metric(process.admin, RELOADED, 1.0).await;
    fs::remove_file(folder.join("mount/config.yaml")).unwrap();
    until_metric(process.admin, FAILURES, 3.0).await;
    assert!(process.errors().contains("--config mount/config.yaml: the file cannot be read: No such file"));
    assert_eq!(ask(&ca, &process).await["allowed"], true);
    fs::write(folder.join("mount/config.yaml"), "# all at its default\n").unwrap();
    until_metric(process.admin, RELOADS, 1.0).await;
    assert_eq!(ask(&ca, &process).await["allowed"], false);
    // The log line of a denial has the digest of the configuration.
    let config = format!("config=\"{}\"", digest("# all at its default\n"));
    let waited = tokio::time::timeout(WAIT_MAX, async {
        while !process.errors().contains(&config) {
            tokio::task::yield_now().await;
        }
    });
    assert!(waited.await.is_ok(), "{}", process.errors());
    assert_eq!(get(process.admin, "/readyz").await.code, 200);
}

#[tokio::test]
async fn only_the_limits_of_connections_and_memory_need_a_restart() {
    const WAITS: &str = "new values of limits.connections and limits.bodiesBytes apply after a restart";
    let folder = Folder::new();
    let mut mount = Mount::new(folder.join("mount"), "limits: {connections: 50}\n");
    let process = start(&folder);
    mount.swap("limits: {connections: 50, handshake: 100ms}\n");
    until_metric(process.admin, RELOADS, 1.0).await;
    assert!(!process.errors().contains(WAITS), "{}", process.errors());
    // A client that does not finish the handshake is cut off after the new limit, not after the old one of 5 s.
    let before = tokio::time::Instant::now();
    let mut stream = tokio::net::TcpStream::connect(process.address).await.unwrap();
    sockets::rest(&mut stream).await;
    assert!(before.elapsed().as_secs() < 5, "{:?}", before.elapsed());
    mount.swap("limits: {connections: 51}\n");
    until_metric(process.admin, RELOADS, 2.0).await;
    let waited = tokio::time::timeout(WAIT_MAX, async {
        while !process.errors().contains(WAITS) {
            tokio::task::yield_now().await;
        }
    });
    assert!(waited.await.is_ok(), "{}", process.errors());
}

#[tokio::test]
async fn without_a_file_there_is_no_digest() {
    let folder = Folder::new();
    let process = Process::start(command(folder.path(), &[]), folder.join("errors"));
    let response = ask(&folder.join("certs/ca.crt"), &process).await;
    assert!(response["auditAnnotations"].get("config").is_none(), "{response:#}");
    assert_eq!(digests(&process).await, Vec::<String>::new());
    assert_eq!(metric(process.admin, RELOADED).await, Some(1.0));
}

#[test]
fn a_bad_file_at_the_start_is_an_error() {
    let folder = Folder::new();
    fs::write(folder.join("config.yaml"), "faults: maybe\n").unwrap();
    let mut by_variable = command(folder.path(), &[]);
    by_variable.env("SCAN_ADMISSION_CONFIG", "config.yaml");
    let words = "error: --config config.yaml: the file is invalid at line 1, column 9: Unsupported value: \"maybe\": \
                 supported values: \"deny\", \"allow\", \"failure-policy\"\n";
    assert_eq!(fails(by_variable), (Some(2), words.to_owned()));
    let (code, errors) = fails(command(folder.path(), &["--config", "certs", "--config-poll", "1h"]));
    assert!(code == Some(2) && errors.contains("--config-poll"), "{errors}");
    fs::create_dir(folder.join("certs")).unwrap();
    let (code, errors) = fails(command(folder.path(), &["--config", "certs"]));
    assert_eq!(
        (code, errors.as_str()),
        (
            Some(2),
            "error: --config certs: the file is a folder: name a file in it; the files of a mounted Secret or ConfigMap are named after its keys\n"
        )
    );
}
