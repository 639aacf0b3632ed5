//! Measures a server: its processor time, its latencies, its memory, and its start.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use procfs::process::Process;
use rustls::ALL_VERSIONS;
use scan_admission::tls::development::certificate;
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::contender::{FLOOR, KUBE};
use crate::load::{self, Answers, Connection, Target, WAIT_MAX, path};
use crate::support::bodies::Body;
use crate::support::client::{connector, handshake};
use crate::support::folder::Folder;
use crate::support::program::{self, addresses};
use crate::support::request_head::head;

/// A server that is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contender {
    Floor,
    Ours,
    /// Ours with more memory for bodies than the default, which is a little less than 64 bodies of 1.1 MB.
    OursWithRoom,
    Kube,
    ControllerRuntime(PathBuf),
}

/// The certificates of all servers, and a folder for their files.
pub struct Workspace {
    folder: Folder,
}

/// A running server.
pub struct Server {
    child: Child,
    address: SocketAddr,
    ca: PathBuf,
    answers: Answers,
}

/// The durations of a measurement.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    pub warm: Duration,
    pub closed: Duration,
    pub open: Duration,
}

/// The result of one measurement.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub cpu_micros: f64,
    pub per_second: f64,
    /// The latency at half of that rate, measured from the time at which a review is due. None if each review has its
    /// own connection.
    pub latency: Option<Latency>,
}

#[derive(Debug, Clone, Copy)]
pub struct Latency {
    pub p50_micros: f64,
    pub p99_micros: f64,
    pub p999_micros: f64,
}

impl Contender {
    pub fn name(&self) -> &'static str {
        match self {
            Contender::Floor => "floor",
            Contender::Ours | Contender::OursWithRoom => "ours",
            Contender::Kube => "kube-rs",
            Contender::ControllerRuntime(_) => "controller-runtime",
        }
    }

    /// The program, if it can be shipped.
    pub fn program(&self) -> Option<PathBuf> {
        match self {
            Contender::Floor | Contender::Kube => None,
            Contender::Ours | Contender::OursWithRoom => Some(program::path()),
            Contender::ControllerRuntime(program) => Some(program.clone()),
        }
    }

    fn answers(&self) -> Answers {
        match self {
            Contender::Floor => Answers::Constant,
            Contender::Ours | Contender::OursWithRoom => Answers::Decision,
            Contender::Kube | Contender::ControllerRuntime(_) => Answers::DeniesOnly,
        }
    }
}

impl Workspace {
    pub fn new() -> Self {
        let folder = Folder::new();
        std::fs::write(folder.join("room.yaml"), "limits: {bodiesBytes: 256Mi}\n").expect("a folder");
        certificate(folder.path(), OffsetDateTime::now_utc()).expect("ca.crt, tls.crt and tls.key");
        Workspace { folder }
    }

    /// Replaces the certificates by one that signs itself: a server that is started later uses it.
    pub fn replace_certificate(&self, certificate: &str, key: &str) {
        for (name, text) in [("ca.crt", certificate), ("tls.crt", certificate), ("tls.key", key)] {
            std::fs::write(self.folder.join(name), text).expect("a folder");
        }
    }

    pub fn start(&self, contender: &Contender) -> Server {
        let [certificate, key] = ["tls.crt", "tls.key"].map(|name| self.folder.join(name));
        let this_program = |name| {
            let mut command = Command::new(std::env::current_exe().expect("a program"));
            command.args(["contender", name]).args([&certificate, &key]);
            command
        };
        let ours = |more: &[&str]| {
            let files = ["--tls-cert", "tls.crt", "--tls-key", "tls.key"];
            program::command(self.folder.path(), &[&files, more].concat())
        };
        let mut command = match contender {
            Contender::Floor => this_program(FLOOR),
            Contender::Kube => this_program(KUBE),
            Contender::Ours => ours(&[]),
            Contender::OursWithRoom => ours(&["--config", "room.yaml"]),
            Contender::ControllerRuntime(program) => {
                let mut command = Command::new(program);
                command.args([&certificate, &key]);
                command
            }
        };
        let log = File::create(self.folder.join(&format!("{}.log", contender.name()))).expect("a folder");
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().expect("the program starts");
        let mut ready = String::new();
        BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut ready).expect("text");
        let (address, _) = addresses(&ready).unwrap_or_else(|| panic!("{} is not ready: {ready:?}", contender.name()));
        Server { child, address, ca: self.folder.join("ca.crt"), answers: contender.answers() }
    }
}

impl Server {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Sends this many reviews, over eight connections.
    pub async fn review_many(&self, body: &Body, protocol: &str, count: u64) {
        let mut connections = load::connect(&self.target(protocol), body, 8).await;
        load::closed(&mut connections, count, Duration::MAX).await;
    }

    /// Stops the server as Kubernetes does, and waits for it.
    pub fn stop(mut self) {
        let killed = Command::new("kill").arg(self.pid().to_string()).status().expect("kill");
        assert!(killed.success() && self.child.wait().expect("its end").success());
    }

    /// Returns a target that expects other answers than the server's own.
    pub fn expecting(&self, answers: Answers) -> ReviewTarget {
        ReviewTarget(Target { answers, ..self.target("http/1.1") })
    }

    fn target(&self, protocol: &str) -> Target {
        let connector = connector(&self.ca, protocol, ALL_VERSIONS);
        Target { connector, address: self.address, answers: self.answers }
    }

    /// Measures `count` connections that are kept open.
    pub async fn keep_alive(&self, body: &Body, protocol: &str, count: usize, times: Times) -> Sample {
        let mut connections = load::connect(&self.target(protocol), body, count).await;
        load::closed(&mut connections, u64::MAX, times.warm).await;
        let before = self.cpu();
        let (sent, took) = load::closed(&mut connections, u64::MAX, times.closed).await;
        let cpu = self.cpu() - before;
        let latencies = load::open(&mut connections, took.mul_f64(2.0 / sent as f64), times.open).await;
        let micros = |quantile| latencies.value_at_quantile(quantile) as f64 / 1e3;
        let latency = Latency { p50_micros: micros(0.5), p99_micros: micros(0.99), p999_micros: micros(0.999) };
        Sample { latency: Some(latency), ..Sample::of(cpu, sent, took) }
    }

    /// Measures a new connection for each review, `count` at once.
    pub async fn cold(&self, body: &Body, protocol: &str, count: usize, times: Times) -> Sample {
        let target = self.target(protocol);
        load::cold(&target, body, count, times.warm).await;
        let before = self.cpu();
        let (sent, took) = load::cold(&target, body, count, times.closed).await;
        Sample::of(self.cpu() - before, sent, took)
    }

    /// Returns the resident memory after this many reviews.
    pub async fn resident_bytes_after(&self, body: &Body, count: u64) -> u64 {
        self.review_many(body, "http/1.1", count).await;
        self.resident_bytes()
    }

    /// Returns the peak of the resident memory when the server has received `count` reviews except for their last byte,
    /// and then answers them.
    pub async fn peak_bytes_with(&self, body: &Body, count: usize) -> u64 {
        let (last, most) = body.text.as_bytes().split_last().expect("a body");
        let mut streams = Vec::new();
        for _ in 0..count {
            let stream = TcpStream::connect(self.address).await.expect("a connection");
            stream.set_nodelay(true).expect("a socket");
            let mut stream = handshake(&self.target("http/1.1").connector, stream).await;
            write(&mut stream, head("/validate", body.text.len()).as_bytes()).await;
            write(&mut stream, most).await;
            streams.push(stream);
        }
        let mut before = 0;
        // Waits until the server has read all of them.
        while before != self.resident_bytes() {
            before = self.resident_bytes();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for stream in &mut streams {
            write(stream, &[*last]).await;
        }
        for stream in &mut streams {
            let mut answer = Vec::new();
            while !answer.ends_with(b"}}") && !answer.ends_with(b"}}\n") {
                let read =
                    tokio::time::timeout(WAIT_MAX, stream.read_buf(&mut answer)).await.expect("an answer in time");
                assert!(read.expect("an answer") > 0, "{}", String::from_utf8_lossy(&answer));
            }
            let answer = String::from_utf8(answer).expect("text");
            assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""allowed":true"#), "{answer}");
        }
        self.status().vmhwm.expect("Linux reports it") << 10
    }

    /// Measures with h2load and `count` connections, in microseconds of processor time for each review. Returns None if it is
    /// not installed. It checks only the code of an answer.
    pub fn h2load(&self, body: &Body, protocol: &str, count: usize, time: Duration) -> Option<f64> {
        let folder = Folder::new();
        std::fs::write(folder.join("body"), &body.text).expect("a folder");
        let run = |time: Duration| {
            let before = self.cpu();
            let output = Command::new("h2load")
                .args(if protocol == "h2" { &[][..] } else { &["--h1"] })
                .args(["-t", "1", "-c", &count.to_string(), "-D", &format!("{}ms", time.as_millis())])
                .args(["-H", "content-type: application/json", "-d"])
                .arg(folder.join("body"))
                .arg(format!("https://{}{}", self.address, path(body.webhook)))
                .output()
                .ok()?;
            let cpu = self.cpu() - before;
            let text = String::from_utf8_lossy(&output.stdout);
            // requests: 9 total, 9 started, 9 done, 9 succeeded, 0 failed, 0 errored, 0 timeout
            let line = text.lines().find(|line| line.starts_with("requests: ")).unwrap_or_else(|| {
                panic!("h2load: {text}{}", String::from_utf8_lossy(&output.stderr));
            });
            assert!(line.contains(" 0 failed, 0 errored, 0 timeout"), "{line}");
            let done = line.split(", ").find_map(|part| part.strip_suffix(" succeeded")).expect("a count");
            Some(cpu.as_secs_f64() * 1e6 / done.parse::<f64>().expect("a number"))
        };
        run(time / 5)?;
        run(time)
    }

    fn cpu(&self) -> Duration {
        cpu(self.pid())
    }

    fn resident_bytes(&self) -> u64 {
        self.status().vmrss.expect("Linux reports it") << 10
    }

    fn status(&self) -> procfs::process::Status {
        self.proc().status().expect("it runs")
    }

    fn proc(&self) -> Process {
        process(self.pid())
    }
}

fn process(pid: u32) -> Process {
    Process::new(pid.try_into().expect("a process")).expect("it runs")
}

/// Returns the processor time of a process, to the nanosecond. It includes that of threads that have ended.
pub fn cpu(pid: u32) -> Duration {
    let clock = clock_getcpuclockid(Pid::from_raw(pid.try_into().expect("a process"))).expect("it runs");
    clock_gettime(clock).expect("it runs").into()
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both calls do nothing if the process has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn write(stream: &mut TlsStream<TcpStream>, bytes: &[u8]) {
    stream.write_all(bytes).await.expect("the server reads");
    stream.flush().await.expect("the server reads");
}

/// A target that reviews can be sent to.
pub struct ReviewTarget(Target);

impl ReviewTarget {
    pub async fn review(&self, body: &Body) {
        Connection::new(&self.0, body, 0).await.review().await;
    }
}

impl Sample {
    fn of(cpu: Duration, sent: u64, took: Duration) -> Self {
        let sent = sent as f64;
        Sample { cpu_micros: cpu.as_secs_f64() * 1e6 / sent, per_second: sent / took.as_secs_f64(), latency: None }
    }
}

/// Returns the time from the start of the program to its first answer.
pub async fn first_answer(workspace: &Workspace, contender: &Contender, body: &Body) -> Duration {
    let begun = Instant::now();
    let server = workspace.start(contender);
    Connection::new(&server.target("http/1.1"), body, 0).await.review().await;
    begun.elapsed()
}
