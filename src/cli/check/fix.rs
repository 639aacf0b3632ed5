//! `check --fix` and `check --diff`.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal as _, Write as _};

use clap::builder::BoolishValueParser;

use crate::manifest::{ManifestError, Position, encoding};
use crate::offline::fix::{FixedFile, Fixer};
use crate::offline::input::{Input, with_name};
use crate::offline::replace_file::{ReplaceError, ReplaceableFile, read_whole};
use crate::report::diff;
use crate::report::format::stdout;
use crate::report::relative_path::RelativePath;
use crate::report::{FindingSink as _, ReportedError, Reports, counted, print_warning};
use crate::scan::json::printable;

#[derive(clap::Args)]
pub struct FixFlags {
    /// Write the fields that the mutating webhook would write, then check the result: totals, severities, reasons,
    /// messages, phase, scannedAt, and with --now the times of conditions. Standard input is printed on stdout
    #[arg(long, conflicts_with = "diff", env = "SCAN_ADMISSION_FIX", value_parser = BoolishValueParser::new())]
    fix: bool,
    /// Print what --fix would change as a unified diff, and write nothing
    #[arg(long, env = "SCAN_ADMISSION_DIFF", value_parser = BoolishValueParser::new())]
    diff: bool,
}

/// The most paths that a line about a fixed file shows. One scan rarely needs more.
const PATHS_SHOWN: usize = 8;

/// Fixes inputs, or shows how it would.
pub struct FixRun<'j> {
    fixer: &'j Fixer<'j>,
    is_diff: bool,
    /// Whether a diff was printed.
    pub has_difference: bool,
}

impl FixFlags {
    /// Returns how inputs are fixed, if they are.
    pub fn fix_run<'j>(&self, fixer: &'j Fixer<'j>) -> Option<FixRun<'j>> {
        (self.fix || self.diff).then_some(FixRun { fixer, is_diff: self.diff, has_difference: false })
    }

    /// Whether stdout is for a diff or for the fixed standard input, so that findings go to stderr.
    pub fn uses_stdout(&self, inputs: &[Input]) -> bool {
        self.diff || self.fix && inputs.iter().any(Input::is_stdin)
    }
}

impl FixRun<'_> {
    /// Fixes an input, and returns its contents afterwards, to be checked. Returns `None` if the input was not read.
    pub fn run(&mut self, input: &Input, reports: &mut Reports) -> io::Result<Option<Vec<u8>>> {
        let name = &input.name();
        let read = match self.read(input) {
            Ok(Some(read)) => read,
            // The check reports that the input cannot be read.
            Ok(None) => return Ok(None),
            Err(error) => {
                reports
                    .error(&ReportedError::unreadable(name, &with_name(name, &io::Error::other(error))).not_fixed())?;
                return Ok(None);
            }
        };
        let fixed = self.fixer.fix(input, read.contents());
        if !fixed.left.is_empty() || fixed.contents.is_some() {
            reports.clear_progress();
        }
        for ManifestError { position: Position { line, column }, message } in &fixed.left {
            print_warning(format_args!("{name}:{line}:{column}: {message}"));
        }
        for error in &fixed.errors {
            reports.error(&ReportedError::in_document(name, error.clone()).not_fixed())?;
        }
        if self.is_diff {
            self.diff(input, read.contents(), &fixed)?;
            return Ok(Some(read.into_contents()));
        }
        if let (ReadInput::File(file), Some(contents)) = (&read, &fixed.contents)
            && let Err(error) = file.replace(contents)
        {
            reports.error(&ReportedError::unreadable(name, &with_name(name, &io::Error::other(error))).not_fixed())?;
            return Ok(Some(read.into_contents()));
        }
        if input.is_stdin() {
            let mut out = io::stdout().lock();
            out.write_all(fixed.contents.as_deref().unwrap_or(read.contents()))?;
            out.flush()?;
        }
        if !fixed.paths.is_empty() {
            eprintln!("{}", printable(&format!("{name}: fixed {}", fields(&fixed.paths)), usize::MAX));
        }
        Ok(Some(fixed.contents.unwrap_or_else(|| read.into_contents())))
    }

    /// Returns `None` if the input cannot be opened.
    fn read(&self, input: &Input) -> Result<Option<ReadInput>, ReplaceError> {
        match input {
            Input::File(path) | Input::Found(path) if !self.is_diff => match ReplaceableFile::read(path) {
                Ok(file) => Ok(Some(ReadInput::File(file))),
                Err(ReplaceError::Read(_)) => Ok(None),
                Err(error) => Err(error),
            },
            _ => {
                let Ok(reader) = input.open() else { return Ok(None) };
                Ok(Some(ReadInput::Contents(read_whole(reader)?)))
            }
        }
    }

    fn diff(&mut self, input: &Input, old: &[u8], fixed: &FixedFile) -> io::Result<()> {
        let Some(new) = &fixed.contents else { return Ok(()) };
        self.has_difference = true;
        let name = RelativePath::of(&input.name()).joined();
        let is_utf8 = matches!(encoding::detect(old), encoding::Encoding::Utf8);
        if !is_utf8 {
            print_warning(format_args!(
                "{name}: the file is UTF-16, so the diff shows its text in UTF-8 and cannot be applied"
            ));
        }
        // A terminal gets colours, where it has them. Elsewhere the diff is byte for byte that of the file.
        let is_terminal = io::stdout().is_terminal();
        let mut out = stdout(is_terminal);
        if is_utf8 {
            diff::write(&mut out, &name, old, new, is_terminal)?;
        } else {
            diff::write(&mut out, &name, &encoding::decode(old), &encoding::decode(new), is_terminal)?;
        }
        out.flush()
    }
}

/// An input that was read as a whole.
enum ReadInput {
    File(ReplaceableFile),
    Contents(Vec<u8>),
}

impl ReadInput {
    fn contents(&self) -> &[u8] {
        match self {
            ReadInput::File(file) => &file.contents,
            ReadInput::Contents(contents) => contents,
        }
    }

    fn into_contents(self) -> Vec<u8> {
        match self {
            ReadInput::File(file) => file.contents,
            ReadInput::Contents(contents) => contents,
        }
    }
}

/// `2 fields (status.cveCount.total, status.phase)`
fn fields(paths: &[String]) -> String {
    let mut known = BTreeSet::new();
    let distinct: Vec<&str> = paths.iter().map(String::as_str).filter(|path| known.insert(*path)).collect();
    let more = match distinct.len().checked_sub(PATHS_SHOWN) {
        None | Some(0) => String::new(),
        Some(more) => format!(" and {more} more"),
    };
    let shown = distinct.iter().take(PATHS_SHOWN).copied().collect::<Vec<_>>().join(", ");
    format!("{} ({shown}{more})", counted(paths.len(), "field"))
}
