//! Non-blocking logging to stderr, whose reader may be stuck and whose disk may be full.

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

/// How long a line may take to be written before stderr counts as stuck: longer than a busy disk takes, and shorter
/// than the API server waits for a review.
const STUCK_AFTER: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Auto,
    Text,
    Json,
}

/// Starts to log the lines that pass the filter to stderr. Returns the counter of lines that could not be written.
pub fn to_stderr(filter: &Targets, format: LogFormat) -> io::Result<Counter> {
    let is_terminal = io::stderr().is_terminal();
    let is_json = format == LogFormat::Json || (format == LogFormat::Auto && !is_terminal);
    let lost = Counter::default();
    let writer = Mutex::new(LogWriter::to(io::stderr(), lost.clone())?);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(is_terminal);
    let lines = if is_json { lines.json().flatten_event(true).boxed() } else { lines.boxed() };
    // A second call, as in tests, has no effect.
    let _ = tracing_subscriber::registry().with(filter.clone()).with(lines).try_init();
    Ok(lost)
}

/// Writes lines on a separate thread. The caller waits for each line, so that a line is written before the program
/// continues, but at most for [`STUCK_AFTER`]. While a line is stuck, further lines are lost without waiting.
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

/// Never fails: `tracing` would print the error to stderr, which panics if stderr is full.
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

    /// Waits for permission before it writes a line, and fails if permission is not given.
    struct ControlledWriter(Receiver<bool>, Sender<Vec<u8>>);

    impl Write for ControlledWriter {
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
    fn a_stuck_or_full_stderr_loses_only_lines() {
        let ((permit, permitted), (sender, lines)) = (channel(), channel());
        let lost = Counter::default();
        let mut log = LogWriter::to(ControlledWriter(permitted, sender), lost.clone()).unwrap();
        let mut write = |line: &str| log.write_all(line.as_bytes()).unwrap();
        permit.send(true).unwrap();
        write("1");
        permit.send(false).unwrap();
        write("full");
        assert_eq!(lost.get(), 1);
        for stuck in ["2", "lost", "lost"] {
            write(stuck);
        }
        assert_eq!(lost.get(), 3);
        permit.send(true).unwrap();
        let next = || String::from_utf8(lines.recv().unwrap()).unwrap();
        assert_eq!([next(), next()], ["1", "2"]);
        // Lines are written again once the log knows that the stuck line was written.
        permit.send(true).unwrap();
        while lines.try_recv().is_err() {
            write("3");
        }
        drop(permit);
        write("4");
        assert_eq!(next(), "4");
    }
}
