//! `review`: AdmissionReviews in, the server's answers out.

use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::Value;
use time::OffsetDateTime;

use super::output::Output;
use super::stream::Values;
use super::{REFUSED, UNUSABLE, config, input};
use crate::admission::{self, Answer, BODY_MAX_BYTES, Context, Door};
use crate::law::RULES;

/// Answers a stream of AdmissionReviews as the server would, one response a line
#[derive(Args)]
#[command(after_help = "Examples:
  scan-admission review tests/fixtures/reviews
  scan-admission review --door mutate -o json review.json
  kubectl get --raw ... | scan-admission review --now 2026-11-20T08:05:00Z -

Exit: 0 all allowed, 1 something refused, 2 something was no review.")]
pub struct Review {
    /// Which webhook answers
    #[arg(long, value_enum, default_value_t = DoorName::Validate, env = "SCAN_ADMISSION_DOOR")]
    door: DoorName,
    /// The time of the verdict [default: the clock's]
    #[arg(long, value_name = "RFC3339", value_parser = super::parse_time, env = "SCAN_ADMISSION_NOW")]
    now: Option<OffsetDateTime>,
    #[command(flatten)]
    config: config::Args,
    /// Words, or the bytes that the server would send [default: text on a terminal, json elsewhere]
    #[arg(short, long, value_enum, env = "SCAN_ADMISSION_OUTPUT")]
    output: Option<Output>,
    /// Files, folders (their .json files) or `-` for standard input, which is the default
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum DoorName {
    Validate,
    Mutate,
}

impl Review {
    pub fn run(self) -> io::Result<ExitCode> {
        let door = match self.door {
            DoorName::Validate => Door::Validate,
            DoorName::Mutate => Door::Mutate,
        };
        let (config, _) = self.config.load().map_err(io::Error::other)?;
        let output = self.output.unwrap_or(if io::stdout().is_terminal() { Output::Text } else { Output::Json });
        let mut out = output.stdout();
        let mut worst = 0;
        for input in input::inputs(&self.files, &["json"])? {
            let reader = match input.open() {
                Ok(reader) => reader,
                // The other files are still worth an answer.
                Err(error) => {
                    super::complain(error);
                    worst = UNUSABLE;
                    continue;
                }
            };
            // One byte beyond the limit is enough to see that it is exceeded.
            let mut values = Values::new(reader, BODY_MAX_BYTES + 1);
            let mut count = 0_u64;
            while let Some(body) = values.next().map_err(|error| input::named(&input.name(), &error))? {
                count += 1;
                let now = self.now.unwrap_or_else(OffsetDateTime::now_utc);
                let context = Context { door, now, rules: RULES, policy: &config.policy };
                let answer = admission::answer(body, &context);
                worst = worst.max(exit_code(&answer));
                match output {
                    Output::Json => {
                        out.write_all(&answer.body)?;
                        out.write_all(b"\n")?;
                    }
                    Output::Text => text(&mut out, &input.name(), count, &answer)?,
                }
            }
            if count == 0 {
                super::complain(format_args!("{}: no AdmissionReview in it", input.name()));
                worst = UNUSABLE;
            }
        }
        out.flush()?;
        Ok(ExitCode::from(worst))
    }
}

fn exit_code(answer: &Answer) -> u8 {
    match (answer.http, answer.is_allowed) {
        (200, true) => 0,
        (200, false) => REFUSED,
        _ => UNUSABLE,
    }
}

/// The answer in words: the verdict, then what is wrong, a line each.
fn text(out: &mut impl Write, name: &str, count: u64, answer: &Answer) -> io::Result<()> {
    let body: Value = serde_json::from_slice(&answer.body)?;
    let (word, style) = match (answer.http, answer.is_allowed, body["response"]["patch"].is_string()) {
        (200, true, false) => ("allowed", anstyle::AnsiColor::Green),
        (200, true, true) => ("mended", anstyle::AnsiColor::Yellow),
        (200, false, _) => ("refused", anstyle::AnsiColor::Red),
        _ => ("no answer", anstyle::AnsiColor::Red),
    };
    let style = style.on_default().bold();
    let uid = body["response"]["uid"].as_str().unwrap_or("no uid");
    writeln!(out, "{style}{word}{style:#} {name}#{count} {uid}")?;
    let status = if answer.http == 200 { &body["response"]["status"] } else { &body };
    match status["details"]["causes"].as_array() {
        Some(causes) => {
            for cause in causes {
                let text = |key: &str| cause[key].as_str().unwrap_or_default();
                writeln!(out, "  {}: {}", text("field"), text("message"))?;
            }
        }
        None => {
            if let Some(message) = status["message"].as_str() {
                writeln!(out, "  {message}")?;
            }
        }
    }
    for warning in body["response"]["warnings"].as_array().into_iter().flatten() {
        writeln!(out, "  warning: {}", warning.as_str().unwrap_or_default())?;
    }
    Ok(())
}
