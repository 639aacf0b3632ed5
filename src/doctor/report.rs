//! Writes the diagnostics of `doctor` as text or JSON.
//!
//! The JSON is one document. Its members are stable; more may be added:
//!
//! ```json
//! {
//!   "diagnostics": [{
//!     "check": "ca-bundle-empty", "level": "problem", "message": "the caBundle of … is empty",
//!     "causes": "…", "remedy": "…", "docs": "docs/doctor.md#ca-bundle-empty"
//!   }],
//!   "counts": {"checks": 41, "problems": 1, "notes": 0, "unknown": 0}
//! }
//! ```
//!
//! `level` is `problem`, `note` or `unknown`.

use std::io::{self, Write};

use serde::Serialize;

use super::check::{Diagnostic, Level};
use super::checks::CHECKS;
use crate::report::{Format, counted};
use crate::scan::json::printable;

#[derive(Serialize)]
struct JsonDiagnostic<'a> {
    check: &'a str,
    level: &'a str,
    message: &'a str,
    causes: &'a str,
    remedy: &'a str,
    docs: String,
}

#[derive(Serialize)]
struct JsonDiagnostics<'a> {
    diagnostics: Vec<JsonDiagnostic<'a>>,
    counts: DiagnosticCounts,
}

#[derive(Clone, Copy, Serialize)]
struct DiagnosticCounts {
    checks: usize,
    problems: usize,
    notes: usize,
    unknown: usize,
}

/// Returns a diagnostic with the documentation of its check.
fn line(diagnostic: &Diagnostic) -> JsonDiagnostic<'_> {
    let Diagnostic { check, level, message } = diagnostic;
    let docs = format!("docs/doctor.md#{}", check.id);
    JsonDiagnostic { check: check.id, level: level.name(), message, causes: check.causes, remedy: check.remedy, docs }
}

/// Writes the diagnostics, and prints their number by level on stderr.
pub fn write(mut out: impl Write, format: Format, diagnostics: &[Diagnostic]) -> io::Result<()> {
    let counts = counts(diagnostics);
    match format {
        Format::Json => {
            let document = JsonDiagnostics { diagnostics: diagnostics.iter().map(line).collect(), counts };
            serde_json::to_writer_pretty(&mut out, &document)?;
            out.write_all(b"\n")?;
        }
        // The problems first.
        Format::Text => {
            for level in Level::ALL {
                diagnostics
                    .iter()
                    .filter(|diagnostic| diagnostic.level == level)
                    .try_for_each(|diagnostic| text(&mut out, diagnostic))?;
            }
        }
    }
    out.flush()?;
    let DiagnosticCounts { checks, problems, notes, unknown } = counts;
    let (problems, notes) = (counted(problems, "problem"), counted(notes, "note"));
    let unknown = if unknown > 0 { format!(", {unknown} unknown") } else { String::new() };
    anstream::eprintln!("{checks} checks: {problems}, {notes}{unknown}");
    Ok(())
}

fn counts(diagnostics: &[Diagnostic]) -> DiagnosticCounts {
    let of = |level| diagnostics.iter().filter(|diagnostic| diagnostic.level == level).count();
    DiagnosticCounts {
        checks: CHECKS.iter().map(|checks| checks.len()).sum(),
        problems: of(Level::Problem),
        notes: of(Level::Note),
        unknown: of(Level::Unknown),
    }
}

/// The longest message that is shown, in characters: messages of the API server may be long.
const MESSAGE_MAX_CHARS: usize = 2_000;

fn text(out: &mut impl Write, diagnostic: &Diagnostic) -> io::Result<()> {
    let JsonDiagnostic { check, level, message, causes, remedy, docs } = line(diagnostic);
    let style = match diagnostic.level {
        Level::Problem => anstyle::AnsiColor::Red,
        Level::Note => anstyle::AnsiColor::Cyan,
        Level::Unknown => anstyle::AnsiColor::Yellow,
    };
    let style = style.on_default().bold();
    let message = printable(message, MESSAGE_MAX_CHARS);
    writeln!(out, "{style}{level}{style:#}: {message} [{check}]")?;
    if diagnostic.level == Level::Problem {
        writeln!(out, "  causes: {causes}\n  do: {remedy}")?;
    }
    writeln!(out, "  see {docs}")
}
