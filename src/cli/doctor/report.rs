//! What doctor has found, for people and for machines.
//!
//! The JSON form is one document and stable; members may be added:
//!
//! ```json
//! {
//!   "findings": [{
//!     "check": "ca-bundle-empty", "severity": "fault", "message": "the caBundle of … is empty",
//!     "causes": "…", "remedy": "…", "docs": "docs/doctor.md#ca-bundle-empty"
//!   }],
//!   "counts": {"checks": 35, "faults": 1, "notes": 0, "couldNotLook": 0}
//! }
//! ```
//!
//! `severity` is `fault`, `note` or `could-not-look`.

use std::io::{self, Write};

use serde::Serialize;

use crate::cli::output::Output;
use crate::cluster::doctor::{CHECKS, Finding, Severity};
use crate::scan::json::printable;

#[derive(Serialize)]
struct Line<'a> {
    check: &'a str,
    severity: &'a str,
    message: &'a str,
    causes: &'a str,
    remedy: &'a str,
    docs: String,
}

#[derive(Serialize)]
struct Document<'a> {
    findings: Vec<Line<'a>>,
    counts: Counts,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    checks: usize,
    faults: usize,
    notes: usize,
    could_not_look: usize,
}

pub struct Report<'a, W> {
    out: W,
    findings: &'a [Finding],
}

fn line(finding: &Finding) -> Line<'_> {
    let Finding { check, severity, message } = finding;
    let docs = format!("docs/doctor.md#{}", check.id);
    Line { check: check.id, severity: severity.name(), message, causes: check.causes, remedy: check.remedy, docs }
}

impl<'a, W: Write> Report<'a, W> {
    pub fn new(out: W, findings: &'a [Finding]) -> Self {
        Self { out, findings }
    }

    /// The findings to stdout, and on stderr how many of each.
    pub fn write(mut self, output: Output) -> io::Result<()> {
        let counts = self.counts();
        match output {
            Output::Json => {
                let document = Document { findings: self.findings.iter().map(line).collect(), counts: self.counts() };
                serde_json::to_writer_pretty(&mut self.out, &document)?;
                self.out.write_all(b"\n")?;
            }
            // What is wrong first.
            Output::Text => {
                for severity in Severity::ALL {
                    self.findings
                        .iter()
                        .filter(|finding| finding.severity == severity)
                        .try_for_each(|finding| text(&mut self.out, finding))?;
                }
            }
        }
        self.out.flush()?;
        let Counts { checks, faults, notes, could_not_look } = counts;
        let blind =
            if could_not_look > 0 { format!(", {could_not_look} could not be looked at") } else { String::new() };
        anstream::eprintln!("{checks} checks: {faults} faults, {notes} notes{blind}");
        Ok(())
    }

    fn counts(&self) -> Counts {
        let of = |severity| self.findings.iter().filter(|finding| finding.severity == severity).count();
        Counts {
            checks: CHECKS.iter().map(|checks| checks.len()).sum(),
            faults: of(Severity::Fault),
            notes: of(Severity::Note),
            could_not_look: of(Severity::Unknown),
        }
    }
}

/// Characters of a message that are shown: the API server's own may be long.
const MESSAGE_MAX_CHARS: usize = 2_000;

fn text(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    let Line { check, severity, message, causes, remedy, docs } = line(finding);
    let style = match finding.severity {
        Severity::Fault => anstyle::AnsiColor::Red,
        Severity::Note => anstyle::AnsiColor::Cyan,
        Severity::Unknown => anstyle::AnsiColor::Yellow,
    };
    let style = style.on_default().bold();
    let message = printable(message, MESSAGE_MAX_CHARS);
    writeln!(out, "{style}{severity}{style:#}: {message} [{check}]")?;
    if finding.severity == Severity::Fault {
        writeln!(out, "  causes: {causes}\n  do: {remedy}")?;
    }
    writeln!(out, "  see {docs}")
}
