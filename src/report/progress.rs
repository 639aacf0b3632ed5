//! The progress line of a command that takes longer than a second, on a terminal.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// A command that is faster than this shows no progress.
const SHOWN_AFTER: Duration = Duration::from_secs(1);
/// The time between two lines. People cannot read faster changes.
const REDRAWN_AFTER: Duration = Duration::from_millis(100);
/// Moves to the start of the line, and clears the line.
const CLEAR: &str = "\r\x1b[K";

/// A line on stderr, which is cleared when this value is dropped. Nothing is shown if stderr is not a terminal.
pub struct Progress {
    /// The time of the next line; `None` if there will be none.
    next: Option<Instant>,
    is_drawn: bool,
}

impl Progress {
    pub fn start() -> Self {
        let next = io::stderr().is_terminal().then(|| Instant::now() + SHOWN_AFTER);
        Self { next, is_drawn: false }
    }

    /// Whether the line is due. It then has to be drawn.
    pub fn is_due(&self) -> bool {
        self.next.is_some_and(|next| Instant::now() >= next)
    }

    /// Replaces the line. If results are on the same terminal, clear the line and flush them first.
    pub fn draw(&mut self, line: &str) {
        // A terminal that is gone is no error of the command.
        let _ = io::stderr().write_all(format!("{CLEAR}{line}").as_bytes());
        self.is_drawn = true;
        self.next = self.next.map(|_| Instant::now() + REDRAWN_AFTER);
    }

    /// Clears the line, so that something else can be printed.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            let _ = io::stderr().write_all(CLEAR.as_bytes());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Returns the text of a progress line about an input: `1.2 GB of 3.4 GB read`.
pub fn bytes(read: u64, total: Option<u64>) -> String {
    match total {
        Some(total) => format!("{} of {} read", size(read), size(total)),
        None => format!("{} read", size(read)),
    }
}

fn size(bytes: u64) -> String {
    let (unit, name) = if bytes < 1_000_000_000 { (1e6, "MB") } else { (1e9, "GB") };
    format!("{:.1} {name}", bytes as f64 / unit)
}
