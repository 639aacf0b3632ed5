//! `review`: what it prints is what the server sends, byte for byte; its exit codes; its inputs.

#[path = "support/client.rs"]
mod client;
#[path = "support/folder.rs"]
mod folder;
#[path = "support/process.rs"]
mod process;

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use client::Client;
use folder::Folder;
use process::Process;

const NOW: &str = "2026-11-24T12:00:00Z";
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/reviews");

/// Runs `review` with `input` on standard input.
fn review(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scan-admission"));
    command.arg("review").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    process::clean(&mut command);
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // Both pipes have to move at once.
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    // Who reads no standard input closes it.
    let _ = writer.join().unwrap();
    output
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8(output.stdout.clone()).unwrap().lines().map(str::to_owned).collect()
}

fn completed() -> String {
    fs::read_to_string(format!("{FIXTURES}/sourcescan-failed-5-completed.validate.json")).unwrap()
}

/// Bodies of every sort that an answer knows.
fn bodies() -> Vec<Vec<u8>> {
    let mut files: Vec<_> = fs::read_dir(FIXTURES).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut bodies: Vec<Vec<u8>> = files.iter().map(|path| fs::read(path).unwrap()).collect();
    let whole = completed();
    let uid = "94f92d23-f99b-4ca9-84ee-0f8f20f961dd";
    bodies.extend(
        [
            whole.replacen("\"total\": 192", "\"total\": 191", 1),
            whole.replacen("\"phase\": \"Completed\"", "\"phase\": \"Complete\"", 1),
            whole.replace("admission.k8s.io/v1\"", "admission.k8s.io/v1beta1\""),
            whole.replace("\"kind\": \"SourceScan\"", "\"kind\": \"Pod\""),
            whole.replace("\"operation\": \"UPDATE\"", "\"operation\": 7"),
            "{\"hello\": \"world\"}".to_owned(),
            "no JSON at all".to_owned(),
            format!("{{\"request\": {{\"uid\": \"{uid}\", \"object\": {{\"status\""),
        ]
        .map(String::into_bytes),
    );
    let mut damaged = whole.clone().into_bytes();
    let middle = damaged.len() / 2;
    damaged[middle] = 0xff;
    bodies.push(damaged);
    let deep = "[".repeat(1_000_000);
    bodies.push(format!("{{\"request\": {{\"uid\": \"{uid}\", \"x\": {deep}").into_bytes());
    let padding = " ".repeat(8 << 20);
    bodies.push(whole.replacen('{', &format!("{{{padding}"), 1).into_bytes());
    bodies.push(whole.replacen("\"uid\"", &format!("\"uid\": \"early\", {padding}\"uid\""), 1).into_bytes());
    bodies
}

#[tokio::test(flavor = "multi_thread")]
async fn it_prints_what_the_server_sends_byte_for_byte() {
    let folder = Folder::new();
    let process = Process::start(process::command(folder.path(), &[]), folder.join("errors"));
    let ca = folder.join("certs/ca.crt");
    for (webhook, path) in [("validating", "/validate"), ("mutating", "/mutate")] {
        for protocol in ["http/1.1", "h2"] {
            let mut client = Client::new(&ca, process.address, protocol).await;
            for body in bodies() {
                let sent = client.post(path, body.clone()).await;
                let output = review(&["--webhook", webhook, "-o", "json"], &body);
                let mut expected = sent.body.to_vec();
                expected.push(b'\n');
                let shown = String::from_utf8_lossy(&body[..body.len().min(200)]);
                assert_eq!(output.stdout, expected, "{webhook} {protocol}: {shown}");
            }
        }
    }
    process.signal("TERM");
    assert!(process.wait().await.0.success());
}

#[test]
fn a_stream_is_answered_a_line_a_review() {
    // All but the bodies that have no end of their own.
    let whole: Vec<Vec<u8>> =
        bodies().into_iter().filter(|body| body.ends_with(b"}\n") || body.ends_with(b"}")).collect();
    let alone: Vec<String> =
        whole.iter().flat_map(|body| lines(&review(&["--now", NOW, "-o", "json"], body))).collect();
    assert_eq!(alone.len(), whole.len());
    let stream = whole.concat();
    let output = review(&["--now", NOW, "-o", "json", "-"], &stream);
    assert_eq!(lines(&output), alone);
    assert_eq!(output.status.code(), Some(2), "one of them is no review");
}

#[test]
fn exit_codes_say_what_came_of_it() {
    let denied = completed().replacen("\"total\": 192", "\"total\": 191", 1);
    assert_ne!(denied, completed());
    assert_eq!(review(&[], completed().as_bytes()).status.code(), Some(0));
    assert_eq!(review(&[], denied.as_bytes()).status.code(), Some(1));
    assert_eq!(review(&["--webhook", "mutating"], denied.as_bytes()).status.code(), Some(0));
    for (arguments, input, words) in [
        (&["no-such-file"][..], "", "no-such-file"),
        (&[], "", "no AdmissionReview"),
        (&[], "no review\n", ""),
        (&["--now", "yesterday"], "", "2026-11-20T08:05:00Z"),
        (&["--webhook", "back"], "", "validating"),
    ] {
        let output = review(arguments, input.as_bytes());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains(words), "{arguments:?}: {errors}");
    }
    // The files beside a missing one are answered all the same.
    let output = review(&["no-such-file", "-"], completed().as_bytes());
    assert_eq!((lines(&output).len(), output.status.code()), (1, Some(2)));
}

#[test]
fn a_folder_is_read_in_the_order_of_its_names() {
    let output = review(&["--now", NOW, FIXTURES], b"");
    assert_eq!(output.status.code(), Some(0));
    let lines = lines(&output);
    let mut files: Vec<_> = fs::read_dir(FIXTURES).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert_eq!(lines.len(), files.len());
    let first = fs::read(&files[0]).unwrap();
    assert_eq!(lines[0], self::lines(&review(&["--now", NOW], &first))[0]);
}

#[test]
fn text_says_where_and_what() {
    let denied = completed().replacen("\"total\": 192", "\"total\": 191", 1);
    let output = review(&["--now", NOW, "-o", "text"], denied.as_bytes());
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "denied standard input#1 94f92d23-f99b-4ca9-84ee-0f8f20f961dd\n  \
         status.cveCount.total: is 191, but the severities add up to 192: 192 would be right [cve-total]\n"
    );
    let output = review(&["--now", NOW, "-o", "text", "--webhook", "mutating"], denied.as_bytes());
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "mutated standard input#1 94f92d23-f99b-4ca9-84ee-0f8f20f961dd\n  \
         warning: status.cveCount.total: was 191, set to 192 [cve-total]\n"
    );
}

/// A reader that has enough is no error.
#[test]
fn a_closed_pipe_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_scan-admission"))
        .args(["review", "-o", "json"])
        .args([FIXTURES; 40])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}
