//! Tests `review`: its output equals the server's answer byte for byte, its exit codes, and its inputs.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use crate::support::client::Client;
use crate::support::folder::Folder;
use crate::support::process::Process;
use crate::support::program;

const NOW: &str = "2026-11-24T12:00:00Z";
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/reviews");

/// Runs `review` with `input` on standard input.
fn review(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scan-admission"));
    command.arg("review").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    program::clean(&mut command);
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // Input and output are moved concurrently, so that neither pipe blocks.
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    // A program that does not read standard input closes it, so an error is ignored.
    let _ = writer.join().unwrap();
    output
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8(output.stdout.clone()).unwrap().lines().map(str::to_owned).collect()
}

fn completed() -> String {
    fs::read_to_string(format!("{FIXTURES}/sourcescan-failed-5-completed.validate.json")).unwrap()
}

/// Returns bodies for every kind of answer.
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
async fn the_output_equals_the_servers_answer_byte_for_byte() {
    let folder = Folder::new();
    let process = Process::start(program::command(folder.path(), &[]), folder.join("errors"));
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
fn each_review_of_a_stream_is_answered_on_one_line() {
    // Bodies without an end of their own are left out.
    let whole: Vec<Vec<u8>> =
        bodies().into_iter().filter(|body| body.ends_with(b"}\n") || body.ends_with(b"}")).collect();
    let alone: Vec<String> =
        whole.iter().flat_map(|body| lines(&review(&["--now", NOW, "-o", "json"], body))).collect();
    assert_eq!(alone.len(), whole.len());
    let stream = whole.concat();
    let output = review(&["--now", NOW, "-o", "json", "-"], &stream);
    assert_eq!(lines(&output), alone);
    assert_eq!(output.status.code(), Some(2), "one of the bodies is no review");
}

#[test]
fn exit_codes_follow_the_decisions() {
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
    // A missing file does not prevent answers to the others.
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
fn text_output_has_the_position_and_the_message() {
    let denied = completed().replacen("\"total\": 192", "\"total\": 191", 1);
    let output = review(&["--now", NOW, "-o", "text"], denied.as_bytes());
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "denied standard input#1 94f92d23-f99b-4ca9-84ee-0f8f20f961dd\n  \
         status.cveCount.total: Invalid value: 191: must be 192, the sum of the severities [cve-total]\n"
    );
    let output = review(&["--now", NOW, "-o", "text", "--webhook", "mutating"], denied.as_bytes());
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "mutated standard input#1 94f92d23-f99b-4ca9-84ee-0f8f20f961dd\n  \
         warning: status.cveCount.total: was 191, set to 192 [cve-total]\n"
    );
}

/// Encodings of Windows programs, and several reviews in one file.
#[test]
fn utf_16_and_byte_order_marks_are_read() {
    let alone = lines(&review(&["--now", NOW, "-o", "json"], completed().as_bytes()));
    let marked = format!("\u{FEFF}{}\r\n", completed().trim_end().replace('\n', "\r\n"));
    let utf16 = |bytes: fn(u16) -> [u8; 2]| marked.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    for body in [marked.clone().into_bytes(), utf16(u16::to_le_bytes), utf16(u16::to_be_bytes)] {
        for count in [1, 2] {
            let output = review(&["--now", NOW, "-o", "json"], &body.repeat(count));
            assert_eq!((lines(&output), output.status.code()), (vec![alone.clone(); count].concat(), Some(0)));
        }
    }
}

#[test]
fn undecodable_text_is_an_error_with_its_position() {
    let text = format!("{}\n  {{\"kind\": \"AdmissionReview\", \"x\": \"", completed().trim_end());
    let (line, column) =
        (completed().trim_end().lines().count() + 1, "  {\"kind\": \"AdmissionReview\", \"x\": \"".len() + 1);
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let half = [utf16(&format!("\u{FEFF}{text}")), 0xD800_u16.to_le_bytes().into(), utf16("\"}")].concat();
    for (body, position, message) in [
        ([text.as_bytes(), b"\xE9\"}"].concat(), format!("{line}:{column}"), "invalid UTF-8 (byte 0xE9)"),
        (half, format!("{line}:{column}"), "invalid UTF-16"),
        (utf16(&completed()), "1:1".to_owned(), "UTF-16 without a byte order mark"),
    ] {
        let output = review(&["--now", NOW, "-o", "text"], &body);
        let errors = String::from_utf8(output.stderr).unwrap();
        let prefix = format!("error: standard input:{position}: ");
        assert!(errors.starts_with(&prefix) && errors.contains(message), "{prefix}{message}: {errors}");
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn input_cannot_control_the_terminal() {
    let folder = Folder::new();
    let name = |rest: &str| folder.join(&format!("a\u{1b}[31m\n{rest}.json")).display().to_string();
    let denied = completed().replacen("94f92d23", "\\u001b[2J\\u202e", 1).replacen(
        "\"total\": 192",
        "\"total\": \"\\u001b[2J\", \"\\u001b[2J\": 7",
        1,
    );
    let wide = completed().replace("\"kind\": \"SourceScan\"", "\"kind\": \"Pod\\u001b[2J\"");
    fs::write(name("denied"), denied).unwrap();
    fs::write(name("wide"), wide).unwrap();
    fs::write(name("empty"), "").unwrap();
    let files = [name("denied"), name("wide"), name("empty"), name("missing")];
    for arguments in [&["-o", "text"][..], &["-o", "text", "--webhook", "mutating"]] {
        let arguments = [arguments, &files.each_ref().map(String::as_str)].concat();
        let output = review(&arguments, b"");
        let (text, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        for printed in [&text, &errors] {
            let unfit = |c: &char| c.is_control() && *c != '\n' || *c == '\u{202e}';
            assert_eq!(printed.chars().find(unfit), None, "{printed:?}");
            assert!(!printed.contains("\ndenied.json") && !printed.contains("\nempty"), "{printed}");
        }
        assert!(text.contains("a?[31m?denied.json#1 ?[2J?"), "{text}");
        assert_eq!(errors.lines().count(), 2, "{errors}");
    }
}

#[test]
fn an_unreadable_file_does_not_hide_others() {
    let folder = Folder::new();
    let valid_scan = folder.join("valid.json");
    fs::write(&valid_scan, completed()).unwrap();
    // A folder instead of standard input.
    let mut command = Command::new(env!("CARGO_BIN_EXE_scan-admission"));
    program::clean(&mut command);
    let stdin = fs::File::open(folder.path()).unwrap();
    let output = command.args(["review", "-o", "json", "-"]).arg(&valid_scan).stdin(stdin).output().unwrap();
    assert_eq!((lines(&output).len(), output.status.code()), (1, Some(2)), "{output:?}");
}

/// A reader that closes the pipe early causes no error.
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
