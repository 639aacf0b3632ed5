//! `check`: manifests in, what the law says of the scans in them out, with file, line and column.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use time::OffsetDateTime;

use super::config;
use super::documents::{Document, Documents};
use super::input::{self, Input};
use super::judge::Judge;
use super::manifest::{Found, Manifest, Misfit, Subject};
use super::output::Output;
use super::report::Report;
use crate::scan::{Member, Scan, reader};

/// Checks the scans in manifests: their spec, and the status where there is one
#[derive(Args)]
#[command(after_help = "Reads YAML, JSON, Lists and what kubectl get -o yaml or -o json prints.
Objects of other kinds are skipped.

Examples:
  scan-admission check scans/ more.yaml
  kubectl get sourcescans,imagescans -A -o yaml | scan-admission check
  scan-admission check -o json scans/ | jq -r '.findings[].rule'

Exit: 0 nothing refused, 1 something refused, 2 something could not be read.")]
pub struct Check {
    /// Lines as compilers print them, or one JSON document
    #[arg(short, long, value_enum, default_value_t = Output::Text, env = "SCAN_ADMISSION_OUTPUT")]
    output: Output,
    /// The time of the verdict [default: the clock's]
    #[arg(long, value_name = "RFC3339", value_parser = super::parse_time, env = "SCAN_ADMISSION_NOW")]
    now: Option<OffsetDateTime>,
    #[command(flatten)]
    config: config::Args,
    /// Files, folders (their .yaml, .yml and .json files) or `-` for standard input, which is the default
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Check {
    pub fn run(self) -> io::Result<ExitCode> {
        let (config, _) = self.config.load().map_err(io::Error::other)?;
        let judge = Judge { now: self.now.unwrap_or_else(OffsetDateTime::now_utc), policy: config.policy };
        let mut report = Report::new(self.output.stdout(), self.output);
        for input in input::inputs(&self.files, &["yaml", "yml", "json"])? {
            match input.open() {
                Ok(reader) => file(&input, reader, &judge, &mut report)?,
                // The other files are still worth a check.
                Err(error) => report.unreadable(&input.name(), &error),
            }
        }
        report.finish()
    }
}

fn file(input: &Input, reader: impl Read, judge: &Judge, report: &mut Report<impl Write>) -> io::Result<()> {
    let name = input.name();
    report.counts.files += 1;
    let mut documents = Documents::new(reader);
    loop {
        match documents.next() {
            Ok(Some(document)) => check(&name, &document, judge, report)?,
            Ok(None) => return Ok(()),
            Err(error) => {
                report.unreadable(&name, &input::named(&name, &error));
                return Ok(());
            }
        }
    }
}

fn check(name: &str, document: &Document<'_>, judge: &Judge, report: &mut Report<impl Write>) -> io::Result<()> {
    let manifest = match Manifest::read(document) {
        Ok(manifest) => manifest,
        Err(misfit) => {
            report.fault(name, misfit);
            return Ok(());
        }
    };
    for found in manifest.objects() {
        match found {
            Found::Other => report.counts.skipped += 1,
            Found::Fault(misfit) => report.fault(name, misfit),
            Found::Scan(subject) => scan(name, &manifest, &subject, judge, report)?,
        }
    }
    Ok(())
}

fn scan(
    name: &str,
    manifest: &Manifest<'_>,
    subject: &Subject<'_>,
    judge: &Judge,
    report: &mut Report<impl Write>,
) -> io::Result<()> {
    let scan = match reader::read::<Member<Scan<'_>>>(subject.json) {
        Ok(scan) => scan.value().unwrap_or_default(),
        Err(error) => {
            let place = manifest.field(subject.json, "");
            report.fault(
                name,
                Misfit { place, words: format!("this scan cannot be read: {}", error.words(subject.json)) },
            );
            return Ok(());
        }
    };
    judge.judge(subject.kind, &scan, &subject.namespace, |findings| {
        report.scan(name, subject, findings, |field| manifest.field(subject.json, field))
    })
}
