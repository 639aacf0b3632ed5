//! Replays audit logs: judges each status write in them as the webhooks would have done.
//!
//! [`AuditLogs`] finds the events of scans, [`Replay`] judges them.

pub mod event;
pub mod old_objects;
pub mod records;
mod replay;
mod starts;

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;
use memchr::memmem;
use time::OffsetDateTime;

use super::input::{Input, has_extension, inputs_named, with_name};
use crate::report::counted;
use crate::report::replay::{LogPosition, ReplayReport, Unread};
use crate::scan::json::printable;
use crate::scan::{GROUP, reader, time as scan_time};
use event::RecordHead;
use records::{Record, RecordForm, Records};
pub use replay::Replay;

/// The extensions of the files in a folder that are read. A number or a date may follow, as logrotate appends them.
const EXTENSIONS: [&str; 4] = ["log", "json", "jsonl", "gz"];

/// The most logs that are open at once: 16. Only logs that overlap in time are: those of different API servers, of which a
/// cluster has three to five, and not the rotated files of one. Each has a buffer of 64 to 192 KiB, a decompressor of about
/// 45 KiB and its buffer of 32 KiB, which makes at most 5 MiB.
const OPEN_MAX: usize = 16;

/// The most memory of long events in open logs, besides the event that is read last: 4 MiB. It is enough for events of
/// 256 KiB in each log. API servers with `--audit-log-truncate-enabled` write events of at most 100 KiB by default. It is
/// also enough for an event with two objects of 1.5 MiB, the most that etcd stores by default. Beyond the limit, the log
/// with the longest event is read on out of turn.
const WAITING_EVENTS_MAX_BYTES: usize = 4 << 20;

/// The end of a message about an input without events.
pub const NO_EVENT: &str =
    "expected events of audit.k8s.io/v1 (JSON lines or an EventList, as kube-apiserver writes them), found none";

/// The number of records among which the first time of a log is looked for. The first record may be damaged.
const PEEKED_RECORDS: usize = 8;

/// The first bytes of gzip.
const GZIP: [u8; 2] = [0x1F, 0x8B];

/// Is called with each number of bytes that was read from an input.
pub type OnRead = Rc<dyn Fn(usize)>;

/// Returns the inputs that the arguments name, and prints how many other files in folders are skipped.
pub fn inputs(paths: &[PathBuf]) -> Vec<Input> {
    let mut skipped = Vec::new();
    let inputs = inputs_named(paths, &EXTENSIONS, None, |path| {
        let is_log = is_log(path);
        if !is_log {
            skipped.push(path.to_owned());
        }
        is_log
    });
    if let Some(first) = skipped.first() {
        let files = counted(skipped.len(), "file");
        let (first, extensions) = (printable(&first.display().to_string(), usize::MAX), EXTENSIONS.join(", ."));
        eprintln!("skipped {files} in folders, whose names have none of .{extensions}: the first is {first}");
    }
    inputs
}

/// Whether a file in a folder is a log, by its name.
fn is_log(path: &Path) -> bool {
    let is_rotation = |character: char| character.is_ascii_digit() || matches!(character, '.' | '-');
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    has_extension(path, &EXTENSIONS) || has_extension(Path::new(name.trim_end_matches(is_rotation)), &EXTENSIONS)
}

/// The events of scans in all inputs, merged by the time at which their requests were done.
pub struct AuditLogs {
    /// The inputs that are not open yet, the earliest at the end.
    waiting: Vec<WaitingLog>,
    open: Vec<OpenLog>,
    /// The index of the open log whose event was returned last.
    returned: Option<usize>,
    on_read: OnRead,
}

struct WaitingLog {
    input: Input,
    /// The time of the first event; `None` if it is not known before the log is read.
    first: Option<OffsetDateTime>,
    order: usize,
}

struct OpenLog {
    name: String,
    /// Whether an argument names it. Such a log must have an event.
    is_named: bool,
    order: usize,
    records: Records<Box<dyn Read>>,
    head: Record,
    head_time: Option<OffsetDateTime>,
    is_empty: bool,
    has_event: bool,
}

/// What a record is read as.
enum RecordUse {
    Event,
    /// An event that does not name the group of scans and is not in memory.
    EventOfOther,
    Unread(Unread),
}

/// An event that names the group of scans.
pub struct LogEvent<'a> {
    pub bytes: &'a [u8],
    pub at: LogPosition<'a>,
    /// Whether its end was found; otherwise the log ends with it.
    pub is_ended: bool,
    /// Whether earlier events of other logs come later, since too many long events would have to be kept until then.
    pub is_early: bool,
}

impl AuditLogs {
    pub fn new(inputs: Vec<Input>, on_read: OnRead) -> Self {
        let is_single = inputs.len() < 2;
        let logs = inputs.into_iter().enumerate().map(|(order, input)| {
            let first = if is_single { None } else { first_time(&input) };
            WaitingLog { input, first, order }
        });
        let mut waiting: Vec<WaitingLog> = logs.collect();
        waiting.sort_by_key(|log| std::cmp::Reverse((log.first, log.order)));
        Self { waiting, open: Vec::new(), returned: None, on_read }
    }

    /// Returns the next event that names the group of scans. Counts all other events.
    pub fn next_event(&mut self, report: &mut ReplayReport) -> Option<LogEvent<'_>> {
        if let Some(returned) = self.returned.take()
            && !self.open[returned].advance(report)
        {
            self.open.swap_remove(returned);
        }
        loop {
            let earliest = (0..self.open.len()).min_by_key(|&at| (self.open[at].head_time, self.open[at].order));
            let too_long = self.longest_beyond_limit();
            let is_due = |log: &WaitingLog| earliest.is_none_or(|at| log.first <= self.open[at].head_time);
            let is_log_due = self.waiting.last().is_some_and(is_due);
            if too_long.is_none() && is_log_due {
                let log = self.waiting.pop()?;
                self.open(log, report);
                continue;
            }
            self.returned = too_long.or(earliest);
            let log = &self.open[self.returned?];
            let at = LogPosition { file: &log.name, line: log.head.line };
            let is_early = is_log_due || self.returned != earliest;
            return Some(LogEvent { bytes: log.records.bytes(), at, is_ended: log.head.is_ended, is_early });
        }
    }

    /// Returns the open log with the longest event, if the events take too much memory together.
    fn longest_beyond_limit(&self) -> Option<usize> {
        let bytes = |log: &OpenLog| log.records.additional_bytes();
        let is_beyond = self.open.iter().map(bytes).sum::<usize>() > WAITING_EVENTS_MAX_BYTES;
        is_beyond.then(|| (0..self.open.len()).max_by_key(|&at| bytes(&self.open[at])))?
    }

    /// Opens a log, if it has an event that names the group of scans.
    fn open(&mut self, log: WaitingLog, report: &mut ReplayReport) {
        let WaitingLog { input, order, .. } = log;
        if self.open.len() == OPEN_MAX {
            let name = input.name();
            report.error(format!("{name}: more than {OPEN_MAX} logs overlap in time: replay some of them at a time"));
            return;
        }
        let reader = match open(&input, Rc::clone(&self.on_read)) {
            Ok(reader) => reader,
            Err(error) => return report.error(error),
        };
        let mut log = OpenLog {
            name: input.name(),
            is_named: !input.is_found(),
            order,
            records: Records::new(reader),
            head: Record { form: RecordForm::Value, line: 0, is_ended: true },
            head_time: None,
            is_empty: true,
            has_event: false,
        };
        if log.advance(report) {
            self.open.push(log);
        }
    }
}

impl OpenLog {
    /// Reads up to the next event that names the group of scans. Returns false at the end.
    fn advance(&mut self, report: &mut ReplayReport) -> bool {
        let group = memmem::Finder::new(GROUP);
        loop {
            let record = match self.records.next_record() {
                Ok(Some(record)) => record,
                Ok(None) => break,
                Err(error) => {
                    report.error(with_name(&self.name, &error));
                    return false;
                }
            };
            self.is_empty = false;
            let bytes = self.records.bytes();
            match RecordUse::of(&record, bytes) {
                RecordUse::Event => {
                    self.has_event = true;
                    if group.find(bytes).is_some() {
                        self.head_time = stage_time(bytes);
                        self.head = record;
                        return true;
                    }
                    report.counts.events += 1;
                }
                RecordUse::EventOfOther => {
                    self.has_event = true;
                    report.counts.events += 1;
                }
                RecordUse::Unread(reason) => {
                    report.unread(reason, &LogPosition { file: &self.name, line: record.line })
                }
            }
        }
        if self.is_named && !self.is_empty && !self.has_event {
            report.error(format!("{}: {}", self.name, NO_EVENT));
        }
        false
    }
}

impl RecordUse {
    fn of(record: &Record, bytes: &[u8]) -> Self {
        let damaged = if record.is_ended { Unread::Malformed } else { Unread::Cut };
        match record.form {
            RecordForm::CutList => RecordUse::Unread(Unread::Cut),
            RecordForm::TooLong { is_other: true } => RecordUse::EventOfOther,
            RecordForm::TooLong { is_other: false } => RecordUse::Unread(Unread::TooLong),
            // Most lines are of other resources. They are not parsed, except for the last one, which may be cut off.
            RecordForm::Line if record.is_ended && bytes.trim_ascii_end().ends_with(b"}") => RecordUse::Event,
            RecordForm::Line | RecordForm::Value | RecordForm::Item => {
                let text = std::str::from_utf8(bytes).ok();
                let Some(head) = text.and_then(read_object::<RecordHead<'_>>) else {
                    return RecordUse::Unread(damaged);
                };
                let is_item = record.form == RecordForm::Item && head.kind.is_absent() && head.api_version.is_absent();
                let is_event = head.kind.is_text("Event") && head.api_version.is_text("audit.k8s.io/v1");
                if is_item || is_event { RecordUse::Event } else { RecordUse::Unread(Unread::OtherKind) }
            }
        }
    }
}

/// Reads a text that holds exactly one object.
fn read_object<'a, T: crate::scan::Object<'a>>(text: &'a str) -> Option<T> {
    let mut object = T::default();
    let mut reader = reader::Reader::new(text);
    if reader.peek() != b'{' {
        return None;
    }
    object.fill(&mut reader).and_then(|()| reader.end()).ok()?;
    Some(object)
}

/// Returns the time at which the request of an event was done, without parsing the event. An API server writes it after
/// the objects.
fn stage_time(bytes: &[u8]) -> Option<OffsetDateTime> {
    let time = records::last_string(bytes, "\"stageTimestamp\"")?;
    scan_time::parse(std::str::from_utf8(&bytes[time]).ok()?)
}

/// Returns the time of the first event of a file. Other inputs can be read only once.
fn first_time(input: &Input) -> Option<OffsetDateTime> {
    let (Input::File(path) | Input::Found(path)) = input else { return None };
    if !fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        return None;
    }
    let mut records = Records::new(open(input, Rc::new(|_| ())).ok()?);
    for _ in 0..PEEKED_RECORDS {
        records.next_record().ok()??;
        if let Some(time) = stage_time(records.bytes()) {
            return Some(time);
        }
    }
    None
}

/// Opens an input, and decompresses it if it is compressed.
fn open(input: &Input, on_read: OnRead) -> io::Result<Box<dyn Read>> {
    let mut reader = CountingReader { reader: input.open()?, on_read };
    let mut first = Vec::new();
    let read = (&mut reader).take(GZIP.len() as u64).read_to_end(&mut first);
    read.map_err(|error| with_name(&input.name(), &error))?;
    let is_compressed = first == GZIP;
    let reader = Cursor::new(first).chain(reader);
    Ok(if is_compressed { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) })
}

struct CountingReader<R> {
    reader: R,
    on_read: OnRead,
}

impl<R: Read> Read for CountingReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(into)?;
        (self.on_read)(count);
        Ok(count)
    }
}
