//! The report as a Markdown table, for a comment on a pull request or the summary of a job.

use std::io::{self, Write};

use super::finding::{ReportedError, ReportedFinding, ReportedObject};
use super::totals::Totals;
use super::worst::WorstFirst;
use super::{Report, counted};
use crate::engine::Action;
use crate::scan::json::printable;

/// The most bytes of the report. A comment on GitHub may have 65,536 characters; the rest is for the text of the person or
/// program that posts it.
pub const REPORT_MAX_BYTES: usize = 60_000;

/// The most bytes of the lists of errors and findings. Heads and counts take less than 500 bytes.
const LISTS_MAX_BYTES: usize = REPORT_MAX_BYTES - ORIGINS_MAX_BYTES - 500;

/// The most bytes of the list of origins: 11 lines with names of usual lengths. The rest is left out.
pub const ORIGINS_MAX_BYTES: usize = 11 * 310;

/// The most bytes of the list of stuck scans, if there may be one: 20 lines of 300 characters, nearly all of one byte. The rest is
/// counted.
const STUCK_MAX_BYTES: usize = 20 * 330;

/// The most findings, and the most errors, that are kept for the table. A row has 60 bytes or more, so the table never
/// has room for more of them.
const ROWS_MAX: usize = LISTS_MAX_BYTES / 60;

/// The most characters of a message, a path and a name in the table, so that a row stays readable.
const TEXT_MAX_CHARS: usize = 300;

/// Keeps the rows in memory, and writes the most severe ones at the end.
pub struct MarkdownReport<W> {
    out: W,
    objects: usize,
    rows: WorstFirst<FindingRow>,
    errors: WorstFirst<String>,
}

/// A finding in the table.
struct FindingRow {
    /// The number of the object in the order of the report. Findings of one object stand together.
    object: usize,
    title: String,
    place: String,
    finding: String,
}

impl<W: Write> MarkdownReport<W> {
    pub fn new(out: W) -> Self {
        Self { out, objects: 0, rows: WorstFirst::new(ROWS_MAX), errors: WorstFirst::new(ROWS_MAX) }
    }
}

impl<W: Write> Report for MarkdownReport<W> {
    fn object(&mut self, object: &ReportedObject<'_>) -> io::Result<()> {
        self.objects += 1;
        // An object stands where its most severe finding would.
        let worst = object.findings.iter().map(|finding| finding.action).max();
        for finding in object.findings {
            let row = FindingRow {
                object: self.objects,
                title: cell(&object.title()),
                place: object.file_position(finding).as_deref().map(cell).unwrap_or_default(),
                finding: description(finding),
            };
            self.rows.push(worst.unwrap_or(finding.action), row);
        }
        Ok(())
    }

    fn error(&mut self, error: &ReportedError) -> io::Result<()> {
        self.errors.push(Action::Deny, code(&error.printable()));
        Ok(())
    }

    fn finish(mut self: Box<Self>, totals: &Totals) -> io::Result<()> {
        let out = &mut self.out;
        writeln!(out, "### scan-admission: {}\n", totals.summary().replace(", see above", ""))?;
        let (errors, errors_omitted) = self.errors.finish();
        let mut room = LISTS_MAX_BYTES - totals.stuck.as_ref().map_or(0, |_| STUCK_MAX_BYTES);
        let lines = errors.iter().map(|error| format!("- :x: {error}\n"));
        let shown = write_fitting(out, "", lines, &mut room)?;
        more(out, errors.len() - shown + errors_omitted, "error")?;
        if shown > 0 {
            writeln!(out)?;
        }
        let (rows, rows_omitted) = self.rows.finish();
        let lines = (0..rows.len()).map(|index| row(&rows, index));
        let shown = write_fitting(out, "| scan | place | finding |\n|---|---|---|\n", lines, &mut room)?;
        if shown > 0 {
            writeln!(out)?;
        }
        more(out, rows.len() - shown + rows_omitted, "finding")?;
        let sentences = totals.origins.sentences();
        let lines = sentences.iter().map(|sentence| format!("- {}\n", code(sentence)));
        let mut room = ORIGINS_MAX_BYTES;
        write_fitting(out, "\n", lines, &mut room)?;
        if let Some(stuck) = &totals.stuck {
            let lines =
                stuck.lines().map(|(title, line)| format!("- :hourglass: {}\n", code(&format!("{title} is {line}"))));
            let mut room = STUCK_MAX_BYTES;
            let shown = write_fitting(out, "\n", lines, &mut room)?;
            more(out, stuck.count - shown, "stuck scan")?;
        }
        out.flush()
    }
}

/// Writes the lines that fit into the room, which becomes smaller, and returns their number. The head is written before the
/// first one.
pub fn write_fitting(
    out: &mut impl Write,
    head: &str,
    lines: impl Iterator<Item = String>,
    room: &mut usize,
) -> io::Result<usize> {
    let mut written = 0;
    for line in lines {
        let Some(left) = room.checked_sub(line.len()) else { break };
        *room = left;
        out.write_all(if written == 0 { head.as_bytes() } else { b"" })?;
        out.write_all(line.as_bytes())?;
        written += 1;
    }
    Ok(written)
}

/// Returns the row of the table. Only the first row of an object has its title.
fn row(rows: &[FindingRow], index: usize) -> String {
    let FindingRow { object, title, place, finding } = &rows[index];
    let is_first = index.checked_sub(1).is_none_or(|before| rows[before].object != *object);
    format!("| {} | {place} | {finding} |\n", if is_first { title } else { "" })
}

fn more(out: &mut impl Write, count: usize, noun: &str) -> io::Result<()> {
    if count == 0 { Ok(()) } else { writeln!(out, "and {}", counted(count, &format!("more {noun}"))) }
}

fn description(finding: &ReportedFinding) -> String {
    let mark = match finding.action {
        Action::Deny => ":x:",
        Action::Warn => ":warning:",
        Action::Audit => ":information_source:",
    };
    let rule = finding.rule.map(|rule| format!(" `{rule}`")).unwrap_or_default();
    format!("{mark} {}{rule}", cell(&format!("{}: {}", finding.path, finding.message)))
}

/// Returns text as code. The text may come from an object: in code, no character is markup, and GitHub and GitLab link no
/// mention, issue or address.
pub fn code(text: &str) -> String {
    let text = printable(text, TEXT_MAX_CHARS);
    let longest = text.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    // A space at each end is not part of the code. Without it, backticks of the text would belong to the fence.
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// Returns text as code in a cell of a table, in which a pipe is written as `\|`. After a backslash, it would end the cell
/// all the same, so there it is replaced.
pub fn cell(text: &str) -> String {
    code(text).replace("\\|", "\\\u{A6}").replace('|', "\\|")
}
