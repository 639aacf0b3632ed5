//! The formats of reports, and the destination of each report.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// The format of a command that prints either text or JSON.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "server", derive(clap::ValueEnum))]
pub enum Format {
    Text,
    Json,
}

impl Format {
    /// Returns standard output, locked. Text has colours only on a terminal.
    pub fn stdout(self) -> BufWriter<Box<dyn Write>> {
        stdout(matches!(self, Format::Text))
    }
}

/// The format of a report of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportFormat {
    Text,
    Json,
    Junit,
    Sarif,
    Github,
    Markdown,
}

impl ReportFormat {
    /// The formats for findings in files.
    pub const OF_FILES: &[ReportFormat] = &[
        ReportFormat::Text,
        ReportFormat::Json,
        ReportFormat::Junit,
        ReportFormat::Sarif,
        ReportFormat::Github,
        ReportFormat::Markdown,
    ];

    /// The formats for findings in a cluster. In the other formats each finding has a place in a file.
    pub const OF_CLUSTER: &[ReportFormat] =
        &[ReportFormat::Text, ReportFormat::Json, ReportFormat::Junit, ReportFormat::Markdown];

    pub fn name(self) -> &'static str {
        match self {
            ReportFormat::Text => "text",
            ReportFormat::Json => "json",
            ReportFormat::Junit => "junit",
            ReportFormat::Sarif => "sarif",
            ReportFormat::Github => "github",
            ReportFormat::Markdown => "markdown",
        }
    }
}

/// Whether standard output is free for a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdout {
    Free,
    /// A diff or a fixed document is on standard output. Text goes to standard error instead.
    Taken,
}

/// A report that a command writes: its format and its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    pub format: ReportFormat,
    /// `None` is standard output.
    pub file: Option<PathBuf>,
}

/// Why a value of `-o` is not valid.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    #[error("unknown format {0:?}: write FORMAT or FORMAT=FILE, where FORMAT is one of {1}")]
    Format(String, String),
    #[error("missing the name of the file after {0:?}: write the name, or `-` for standard output")]
    NoFile(String),
    #[error("only one report can go to standard output: write `-o {0}=FILE` for the other one")]
    TwoOnStdout(&'static str),
    #[error("standard output has the fixed document or the diff: write `-o {0}=FILE` for the report")]
    Taken(&'static str),
    #[error("two reports cannot go to the same file, {0}")]
    SameFile(String),
}

impl Output {
    /// Parses `FORMAT` or `FORMAT=FILE`.
    pub fn parse(text: &str, formats: &[ReportFormat]) -> Result<Self, OutputError> {
        let (name, file) = text.split_once('=').map_or((text, None), |(name, file)| (name, Some(file)));
        let Some(format) = formats.iter().copied().find(|format| format.name() == name) else {
            let known: Vec<_> = formats.iter().map(|format| format.name()).collect();
            return Err(OutputError::Format(name.to_owned(), known.join(", ")));
        };
        match file {
            Some("") => Err(OutputError::NoFile(text.to_owned())),
            None | Some("-") => Ok(Output { format, file: None }),
            Some(file) => Ok(Output { format, file: Some(PathBuf::from(file)) }),
        }
    }

    /// Returns the reports to write. Standard output gets text unless another report takes its place.
    pub fn complete(mut outputs: Vec<Self>, stdout: Stdout) -> Result<Vec<Self>, OutputError> {
        for (index, output) in outputs.iter().enumerate() {
            if output.file.is_none() && outputs[..index].iter().any(|other| other.file.is_none()) {
                return Err(OutputError::TwoOnStdout(output.format.name()));
            }
            // Beside the summary and errors on standard error, no program could read it.
            if output.file.is_none() && stdout == Stdout::Taken && output.format != ReportFormat::Text {
                return Err(OutputError::Taken(output.format.name()));
            }
        }
        if outputs.iter().all(|output| output.file.is_some()) {
            outputs.push(Output { format: ReportFormat::Text, file: None });
        }
        Ok(outputs)
    }

    /// Returns the name of the destination in messages.
    pub fn destination(&self) -> String {
        self.file.as_deref().map_or_else(|| "standard output".to_owned(), |file| file.display().to_string())
    }

    /// Opens the destination. A file is created, or emptied if it exists.
    pub fn open(&self, stdout: Stdout) -> io::Result<BufWriter<Box<dyn Write>>> {
        match &self.file {
            // Text has colours only on a terminal.
            Some(file) => {
                let file = File::create(file).map_err(|error| unwritable(file.display(), &error))?;
                Ok(BufWriter::new(Box::new(anstream::StripStream::new(file))))
            }
            None if stdout == Stdout::Free => Ok(self::stdout(self.format == ReportFormat::Text)),
            None => Ok(BufWriter::new(Box::new(anstream::stderr()))),
        }
    }
}

/// Opens a file of a report to add to it. It is created if it does not exist.
pub fn append(file: &Path) -> io::Result<BufWriter<Box<dyn Write>>> {
    let opened = File::options().create(true).append(true).open(file);
    Ok(BufWriter::new(Box::new(opened.map_err(|error| unwritable(file.display(), &error))?)))
}

/// Returns the error with the destination of the report.
pub fn unwritable(destination: impl Display, error: &io::Error) -> io::Error {
    let hint = if error.kind() == io::ErrorKind::NotFound { "; create its folder first" } else { "" };
    io::Error::new(error.kind(), format!("cannot write the report to {destination}: {error}{hint}"))
}

/// Returns standard output, locked. If it has colours, they are removed elsewhere than on a terminal.
pub fn stdout(has_colours: bool) -> BufWriter<Box<dyn Write>> {
    BufWriter::new(if has_colours { Box::new(anstream::stdout().lock()) } else { Box::new(io::stdout().lock()) })
}
