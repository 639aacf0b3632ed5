//! Runs `tests/controlplane/policies`, which evaluates policies as the API server does.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use serde_json::{Value, json};

use super::case::Case;
use super::comparison::Compared;
use super::generated::Policies;

/// The most cases that are sent and not yet compared. Their objects are in memory.
const IN_FLIGHT_MAX: usize = 512;

pub struct Evaluator {
    child: Child,
    stdin: Option<BufWriter<ChildStdin>>,
    stdout: BufReader<ChildStdout>,
}

impl Evaluator {
    /// Starts a process with these policies and bindings.
    pub fn start(program: &Path, policies: &[Value]) -> Evaluator {
        let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take().map(BufWriter::new);
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut evaluator = Evaluator { child, stdin, stdout };
        evaluator.send(&json!({"policies": policies}).to_string());
        evaluator
    }

    /// Replaces the policies. Returns the problems for which the API server would not store them.
    pub fn replace(&mut self, policies: &[Value]) -> Vec<Value> {
        self.send(&json!({"policies": policies}).to_string());
        self.flush();
        self.receive()["problems"].as_array().expect("a list").clone()
    }

    /// Returns the results of a few cases.
    pub fn evaluate(&mut self, cases: &[&Case]) -> Vec<Value> {
        cases.iter().for_each(|case| self.send(&case.line()));
        self.flush();
        cases.iter().map(|_| self.receive()).collect()
    }

    /// Calls `each` with every case and its result, while the next cases are made and evaluated.
    pub fn evaluate_all(&mut self, cases: impl Iterator<Item = Case> + Send, mut each: impl FnMut(Case, Value)) {
        let mut stdin = self.stdin.take().expect("running");
        let Evaluator { child, stdout, .. } = self;
        let (sender, receiver) = mpsc::sync_channel(IN_FLIGHT_MAX);
        let stdin = thread::scope(|scope| {
            let _guard = KilledOnPanic(child);
            let writer = scope.spawn(move || {
                for case in cases {
                    writeln!(stdin, "{}", case.line()).expect("the evaluator reads");
                    if sender.send(case).is_err() {
                        break;
                    }
                    stdin.flush().expect("the evaluator reads");
                }
                stdin
            });
            for case in receiver {
                each(case, receive(stdout));
            }
            writer.join().expect("the writer does not panic")
        });
        self.stdin = Some(stdin);
    }

    fn send(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().expect("running"), "{line}").expect("the evaluator reads");
    }

    fn flush(&mut self) {
        self.stdin.as_mut().expect("running").flush().expect("the evaluator reads");
    }

    fn receive(&mut self) -> Value {
        receive(&mut self.stdout)
    }
}

fn receive(stdout: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    stdout.read_line(&mut line).expect("the evaluator writes UTF-8");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("the evaluator ended or failed: {error}: {line}"))
}

/// Ends the evaluator if the comparison panics. Nothing reads its results then, and the writer would wait for it forever.
struct KilledOnPanic<'a>(&'a mut Child);

impl Drop for KilledOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            drop(self.0.kill());
        }
    }
}

impl Drop for Evaluator {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // Its output is not read to the end if a test fails.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The evaluators of the generated policies, which take long to compile.
static FINDINGS: Mutex<Option<Evaluator>> = Mutex::new(None);
static MUTATIONS: Mutex<Option<Evaluator>> = Mutex::new(None);

/// The evaluator of the generated policies, which one test after another uses.
pub struct Shared {
    evaluator: Evaluator,
    slot: MutexGuard<'static, Option<Evaluator>>,
}

impl Shared {
    /// Returns the evaluator, or starts it the first time and after a test has failed.
    pub fn of(program: &Path, compared: Compared, policies: &Policies) -> Shared {
        let slot = if compared == Compared::Findings { &FINDINGS } else { &MUTATIONS };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let evaluator = slot.take().unwrap_or_else(|| Evaluator::start(program, &policies.objects));
        Shared { evaluator, slot }
    }

    /// Leaves the evaluator to the next test. All its results have been read.
    pub fn give_back(mut self) {
        *self.slot = Some(self.evaluator);
    }
}

impl Deref for Shared {
    type Target = Evaluator;

    fn deref(&self) -> &Evaluator {
        &self.evaluator
    }
}

impl DerefMut for Shared {
    fn deref_mut(&mut self) -> &mut Evaluator {
        &mut self.evaluator
    }
}
