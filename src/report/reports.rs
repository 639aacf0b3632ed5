//! The reports of one run. Each finding goes to every report, and is counted.

use std::io;
use std::path::Path;

use super::finding::{ReportedError, ReportedObject};
use super::format::{Output, OutputError, ReportFormat, Stdout, append, unwritable};
use super::github::GithubReport;
use super::json::JsonReport;
use super::junit::JunitReport;
use super::markdown::MarkdownReport;
use super::progress::Progress;
use super::sarif::SarifReport;
use super::text::TextReport;
use super::totals::Totals;
use super::{FindingSink, Report, print_error, print_warning};

/// The reports that a command writes.
pub struct Reports {
    open: Vec<OpenReport>,
    pub totals: Totals,
    progress: Progress,
}

struct OpenReport {
    destination: String,
    report: Box<dyn Report>,
}

impl Reports {
    /// Opens the destinations. `job_summary` is the file to which the format `github` appends a summary.
    pub fn open(outputs: &[Output], stdout: Stdout, job_summary: Option<&Path>, totals: Totals) -> io::Result<Self> {
        let (mut open, mut identities) = (Vec::new(), Vec::new());
        for output in outputs {
            let out = output.open(stdout)?;
            let report: Box<dyn Report> = match output.format {
                ReportFormat::Text => Box::new(TextReport::new(out)),
                ReportFormat::Json => Box::new(JsonReport::new(out)),
                ReportFormat::Junit => Box::new(JunitReport::new(out)),
                ReportFormat::Sarif => Box::new(SarifReport::new(out)),
                ReportFormat::Github => Box::new(GithubReport::new(out)),
                ReportFormat::Markdown => Box::new(MarkdownReport::new(out)),
            };
            // Only now are two names of one file known to be the same.
            let identity = output.file.as_deref().and_then(regular_file);
            if identity.is_some() && identities.contains(&identity) {
                return Err(io::Error::other(OutputError::SameFile(output.destination())));
            }
            identities.push(identity);
            open.push(OpenReport { destination: output.destination(), report });
        }
        let is_github = outputs.iter().any(|output| output.format == ReportFormat::Github);
        if let Some(file) = job_summary.filter(|_| is_github) {
            match append(file) {
                Ok(out) if !identities.contains(&regular_file(file)) => {
                    let report = Box::new(MarkdownReport::new(out));
                    open.push(OpenReport { destination: file.display().to_string(), report });
                }
                Ok(_) => return Err(io::Error::other(OutputError::SameFile(file.display().to_string()))),
                // The annotations do not need it.
                Err(error) => print_warning(format_args!("no summary of the job: {error}")),
            }
        }
        Ok(Self { open, totals, progress: Progress::start() })
    }

    /// Draws the progress line if it is due. Findings may be on the same terminal, so they are written first, and the
    /// line is cleared before the next one.
    pub fn progress(&mut self, line: impl FnOnce(&Totals) -> String) -> io::Result<()> {
        if self.progress.is_due() {
            self.progress.clear();
            self.each(|report| report.flush())?;
            self.progress.draw(&line(&self.totals));
        }
        Ok(())
    }

    /// Clears the progress line, so that something else can be printed.
    pub fn clear_progress(&mut self) {
        self.progress.clear();
    }

    /// Ends the reports, and prints a summary on stderr.
    pub fn finish(mut self) -> io::Result<Totals> {
        self.progress.clear();
        let totals = self.totals;
        for OpenReport { destination, report } in self.open {
            match report.finish(&totals) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                done => done.map_err(|error| unwritable(&destination, &error))?,
            }
        }
        anstream::eprintln!("{}", totals.summary());
        Ok(totals)
    }

    /// Calls `write` for each report. A report whose reader has closed the pipe ends; the last one to end stops the run.
    fn each(&mut self, mut write: impl FnMut(&mut dyn Report) -> io::Result<()>) -> io::Result<()> {
        let mut index = 0;
        while let Some(OpenReport { destination, report }) = self.open.get_mut(index) {
            match write(report.as_mut()) {
                Ok(()) => index += 1,
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    self.open.remove(index);
                    if self.open.is_empty() {
                        return Err(error);
                    }
                }
                Err(error) => return Err(unwritable(destination, &error)),
            }
        }
        Ok(())
    }
}

impl FindingSink for Reports {
    fn need_fixes(&self) -> bool {
        self.open.iter().any(|open| open.report.needs_fixes())
    }

    fn count_file(&mut self) {
        self.totals.files = self.totals.files.map(|files| files + 1);
    }

    fn skip_object(&mut self) {
        self.totals.skipped = self.totals.skipped.map(|skipped| skipped + 1);
    }

    fn object(&mut self, object: &ReportedObject<'_>) -> io::Result<()> {
        if let Some(subject) = &object.subject {
            self.totals.tally.count(object.findings.iter().map(|finding| finding.action));
            for finding in object.findings {
                let Some(rule) = finding.rule else { continue };
                finding.origin.iter().for_each(|origin| self.totals.origins.count(origin));
                self.totals.rules.entry((subject.namespace.to_owned(), rule)).or_default().count(finding.action);
            }
        }
        if !object.findings.is_empty() {
            self.progress.clear();
        }
        self.each(|report| report.object(object))
    }

    fn error(&mut self, error: &ReportedError) -> io::Result<()> {
        self.totals.errors += 1;
        self.progress.clear();
        print_error(error.printable());
        self.each(|report| report.error(error))
    }
}

/// Returns what identifies a regular file; `None` for a device, which several reports may be written to.
#[cfg(unix)]
fn regular_file(file: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;

    let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some((metadata.dev(), metadata.ino()))
}

/// WebAssembly, for which the playground is built, has no files.
#[cfg(not(unix))]
fn regular_file(_: &Path) -> Option<(u64, u64)> {
    None
}
