//! Non-blocking logging to stderr: its reader may be stuck, and a disk may be full.

use std::io::{self, IsTerminal as _, Write};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use prometheus_client::metrics::counter::Counter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How long a line may take until what writes it counts as stuck: more than a busy disk needs, and less than a review waits.
const STUCK_AFTER: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Auto,
    Text,
    Json,
}

/// From here on what passes the filter is written to stderr. Returns the count of lines that could not be.
pub fn to_stderr(filter: &Targets, format: LogFormat) -> io::Result<Counter> {
    let is_terminal = io::stderr().is_terminal();
    let is_json = format == LogFormat::Json || (format == LogFormat::Auto && !is_terminal);
    let lost = Counter::default();
    let writer = Mutex::new(LogWriter::to(io::stderr(), lost.clone())?);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(is_terminal);
    let lines = if is_json { lines.json().flatten_event(true).boxed() } else { lines.boxed() };
    // A second one, in a test, changes nothing.
    let _ = tracing_subscriber::registry().with(filter.clone()).with(lines).try_init();
    Ok(lost)
}

/// Writes on a thread of its own, and waits for each line, so that a line is there before what it reports goes on. The wait
/// is short: while one line is stuck the next ones are lost.
struct LogWriter {
    lines: Sender<Vec<u8>>,
    written: Receiver<()>,
    is_stuck: bool,
    lost: Counter,
}

impl LogWriter {
    fn to(mut out: impl Write + Send + 'static, lost: Counter) -> io::Result<Self> {
        let (lines, to_write) = channel::<Vec<u8>>();
        let (report_written, written) = channel();
        let not_written = lost.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            for line in to_write {
                if out.write_all(&line).is_err() {
                    not_written.inc();
                }
                if report_written.send(()).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { lines, written, is_stuck: false, lost })
    }
}

/// Never fails: an error would be printed to stderr, which panics where stderr is full.
impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.is_stuck &= self.written.try_recv().is_err();
        if self.is_stuck || self.lines.send(line.to_vec()).is_err() {
            self.lost.inc();
        } else {
            self.is_stuck = self.written.recv_timeout(STUCK_AFTER).is_err();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a line when it is allowed to, and fails when it is not.
    struct Gated(Receiver<bool>, Sender<Vec<u8>>);

    impl Write for Gated {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            if !self.0.recv().unwrap_or(true) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let _ = self.1.send(line.to_vec());
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_stuck_or_full_costs_lines_and_nothing_else() {
        let ((gate, gated), (taken, lines)) = (channel(), channel());
        let lost = Counter::default();
        let mut log = LogWriter::to(Gated(gated, taken), lost.clone()).unwrap();
        let mut write = |line: &str| log.write_all(line.as_bytes()).unwrap();
        gate.send(true).unwrap();
        write("1");
        gate.send(false).unwrap();
        write("full");
        assert_eq!(lost.get(), 1);
        for stuck in ["2", "lost", "lost"] {
            write(stuck);
        }
        assert_eq!(lost.get(), 3);
        gate.send(true).unwrap();
        let next = || String::from_utf8(lines.recv().unwrap()).unwrap();
        assert_eq!([next(), next()], ["1", "2"]);
        // Once it is known that the stuck one was written.
        gate.send(true).unwrap();
        while lines.try_recv().is_err() {
            write("3");
        }
        drop(gate);
        write("4");
        assert_eq!(next(), "4");
    }
}
