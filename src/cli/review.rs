//! `review`: answers AdmissionReviews as the server would.

use std::io::{self, IsTerminal as _, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::Value;
use time::OffsetDateTime;

use super::flags::config::ConfigFlags;
use super::flags::parse_time;
use super::{DENIED, UNUSABLE};
use crate::admission::{self, Answer, BODY_MAX_BYTES, Context, EventReasons, ReviewSettings, Webhook};
use crate::manifest::stream::StreamedValue;
use crate::manifest::{Position, Values, encoding};
use crate::offline::input;
use crate::report::{Format, print_error};
use crate::rules::RULES;
use crate::scan::json::printable;

/// Answer a stream of AdmissionReviews as the server would, one response per line
#[derive(Args)]
#[command(after_help = "Examples:
  scan-admission review tests/fixtures/reviews
  scan-admission review --webhook mutating -o json review.json
  scan-admission review --now 2026-11-20T08:05:00Z - < review.json

Exit codes:
  0  every review is allowed
  1  a review is denied
  2  an input cannot be read, or is not an AdmissionReview")]
pub struct ReviewCommand {
    /// Webhook that answers
    #[arg(long, value_enum, default_value_t = WebhookName::Validating, env = "SCAN_ADMISSION_WEBHOOK")]
    webhook: WebhookName,
    /// Time at which to judge [default: the current time]
    #[arg(long, value_name = "RFC3339", value_parser = parse_time, env = "SCAN_ADMISSION_NOW")]
    now: Option<OffsetDateTime>,
    #[command(flatten)]
    config: ConfigFlags,
    /// Output format: text, or the JSON that the server would send [default: text on a terminal, otherwise json]
    #[arg(short, long, value_enum, env = "SCAN_ADMISSION_OUTPUT")]
    output: Option<Format>,
    /// Files, folders (their .json files), or `-` for standard input [default: -]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum WebhookName {
    Validating,
    Mutating,
}

impl ReviewCommand {
    pub fn run(self) -> io::Result<ExitCode> {
        let config = self.config.load().map_err(io::Error::other)?.config;
        let output = self.output.unwrap_or(if io::stdout().is_terminal() { Format::Text } else { Format::Json });
        let mut out = output.stdout();
        let mut worst = 0;
        for input in input::inputs(&self.files, &["json"], None) {
            // A file that cannot be read does not stop the others.
            let code = match input.open() {
                Ok(reader) => self.answer(&input.name(), reader, &config.settings, output, &mut out)?,
                Err(error) => {
                    print_error(error);
                    UNUSABLE
                }
            };
            worst = worst.max(code);
        }
        out.flush()?;
        Ok(ExitCode::from(worst))
    }

    /// Answers the reviews of one file, and returns the exit code. Only a failed write is an error; other errors are
    /// printed.
    fn answer(
        &self,
        name: &str,
        reader: impl Read,
        settings: &ReviewSettings,
        output: Format,
        out: &mut impl Write,
    ) -> io::Result<u8> {
        let webhook = match self.webhook {
            WebhookName::Validating => Webhook::Validating,
            WebhookName::Mutating => Webhook::Mutating,
        };
        // One byte beyond the limit is enough for the server's code to see that it is exceeded.
        let mut values = Values::new(reader, BODY_MAX_BYTES + 1);
        let (mut worst, mut count) = (0, 0_u64);
        loop {
            let StreamedValue { bytes, start } = match values.next_value() {
                Ok(Some(value)) => value,
                Ok(None) if count > 0 => return Ok(worst),
                Ok(None) => {
                    print_error(format_args!("{}: contains no AdmissionReview", printable(name, usize::MAX)));
                    return Ok(UNUSABLE);
                }
                Err(error) => {
                    print_error(input::with_name(name, &error));
                    return Ok(UNUSABLE);
                }
            };
            count += 1;
            if let Err((offset, error)) = encoding::text(bytes) {
                // The answer cannot say the file and the position, since the server does not know them.
                let Position { line, column } = start.after(&bytes[..offset]);
                print_error(format_args!("{}:{line}:{column}: {error}", printable(name, usize::MAX)));
            }
            let now = self.now.unwrap_or_else(OffsetDateTime::now_utc);
            let answer = admission::answer(
                bytes,
                &Context { webhook, now, rules: RULES, settings, events: EventReasons::default() },
            );
            worst = worst.max(exit_code(&answer));
            match output {
                Format::Json => {
                    out.write_all(&answer.body)?;
                    out.write_all(b"\n")?;
                }
                Format::Text => text(out, name, count, &answer)?,
            }
        }
    }
}

/// Returns the exit code for an answer.
fn exit_code(answer: &Answer) -> u8 {
    match (answer.http, answer.is_allowed) {
        (200, true) => 0,
        (200, false) => DENIED,
        _ => UNUSABLE,
    }
}

/// Writes an answer as text: the decision, then each finding on a line of its own.
fn text(out: &mut impl Write, name: &str, count: u64, answer: &Answer) -> io::Result<()> {
    let body: Value = serde_json::from_slice(&answer.body)?;
    let (decision, style) = match (answer.http, answer.is_allowed, body["response"]["patch"].is_string()) {
        (200, true, false) => ("allowed", anstyle::AnsiColor::Green),
        (200, true, true) => ("mutated", anstyle::AnsiColor::Yellow),
        (200, false, _) => ("denied", anstyle::AnsiColor::Red),
        _ => ("no answer", anstyle::AnsiColor::Red),
    };
    let style = style.on_default().bold();
    let shown = |value: &Value| printable(value.as_str().unwrap_or_default(), usize::MAX);
    let (name, uid) = (printable(name, usize::MAX), &body["response"]["uid"]);
    let uid = if uid.is_string() { shown(uid) } else { "no uid".to_owned() };
    writeln!(out, "{style}{decision}{style:#} {name}#{count} {uid}")?;
    let status = if answer.http == 200 { &body["response"]["status"] } else { &body };
    match status["details"]["causes"].as_array() {
        Some(causes) => {
            for cause in causes {
                writeln!(out, "  {}: {}", shown(&cause["field"]), shown(&cause["message"]))?;
            }
        }
        None => {
            if status["message"].is_string() {
                writeln!(out, "  {}", shown(&status["message"]))?;
            }
        }
    }
    for warning in body["response"]["warnings"].as_array().into_iter().flatten() {
        writeln!(out, "  warning: {}", shown(warning))?;
    }
    Ok(())
}
