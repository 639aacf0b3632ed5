//! The tables of a replay: aligned for a terminal, and in Markdown for a comment.

use std::io::{self, Write};

use super::{Outcome, ReplayCounts, ReplayReport, RowKey, Tallied, WriteRow};
use crate::report::markdown::{ORIGINS_MAX_BYTES, REPORT_MAX_BYTES, cell, code, write_fitting};
use crate::report::{column_width, counted};
use crate::scan::time::format;

/// The most bytes of the rows in Markdown. The other parts take less than 15,000 bytes: a sentence of at most 100 bytes for
/// each of the 13 counts, and a line for each of the 10 reasons, with a position of at most 1,100 bytes.
const MARKDOWN_ROWS_MAX_BYTES: usize = REPORT_MAX_BYTES - ORIGINS_MAX_BYTES - 15_000;

/// Writes the report for a terminal.
pub fn text(report: &ReplayReport, out: &mut impl Write) -> io::Result<()> {
    let rows = report.sorted_rows();
    if !rows.is_empty() {
        text_rows(&rows, out)?;
        for (outcome, writes) in &report.more {
            let padding = " ".repeat("OUTCOME".len() - outcome.name().len());
            writeln!(out, "{}{padding}  {} in further rows", coloured(*outcome), counted(*writes, "write"))?;
        }
        writeln!(out)?;
    }
    let origins = report.origins.sentences();
    if !origins.is_empty() {
        writeln!(out, "{}\n", origins.join("\n"))?;
    }
    let reasons = reasons(report);
    if !reasons.is_empty() {
        let width = column_width("NOT REPLAYED", reasons.iter().map(|(reason, _)| *reason));
        writeln!(out, "{:width$}  COUNT  FIRST", "NOT REPLAYED")?;
        for (reason, Tallied { count, first }) in reasons {
            writeln!(out, "{reason:width$}  {count:>5}  {first}")?;
        }
        writeln!(out)?;
    }
    writeln!(out, "{}", summary(&report.counts).join("\n"))
}

fn text_rows(rows: &[(&RowKey, &WriteRow)], out: &mut impl Write) -> io::Result<()> {
    let rules = column_width("RULE", rows.iter().map(|(key, _)| key.rule));
    let namespaces = column_width("NAMESPACE", rows.iter().map(|(key, _)| key.namespace.as_str()));
    let users = column_width("USER", rows.iter().map(|(key, _)| key.user.as_str()));
    let times = "2026-11-20T08:00:00Z".len();
    writeln!(
        out,
        "OUTCOME  {:rules$}  {:namespaces$}  {:users$}  WRITES  {:times$}  LAST",
        "RULE", "NAMESPACE", "USER", "FIRST"
    )?;
    for (key, row) in rows {
        let RowKey { outcome, rule, namespace, user } = key;
        let [first, last] = [row.first, row.last].map(|time| format(time).unwrap_or_default());
        // A style has no width, so the name is padded by hand.
        let padding = " ".repeat("OUTCOME".len() - outcome.name().len());
        writeln!(
            out,
            "{}{padding}  {rule:rules$}  {namespace:namespaces$}  {user:users$}  {:>6}  {first}  {last}",
            coloured(*outcome),
            row.writes,
        )?;
        writeln!(out, "         {}", example(key, row))?;
    }
    Ok(())
}

/// Writes the report in Markdown.
pub fn markdown(report: &ReplayReport, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", summary(&report.counts).join(" "))?;
    let rows = report.sorted_rows();
    if !rows.is_empty() {
        writeln!(out, "\n| outcome | rule | namespace | user | writes | first | last | example |")?;
        writeln!(out, "|---|---|---|---|--:|---|---|---|")?;
    }
    let mut room = MARKDOWN_ROWS_MAX_BYTES;
    let written = write_fitting(out, "", rows.iter().map(|(key, row)| markdown_row(key, row)), &mut room)?;
    let left = rows.iter().skip(written).map(|(_, row)| row.writes).chain(report.more.values().copied()).sum::<u64>();
    if left > 0 {
        writeln!(out, "| | further rows | | | {left} | | | |")?;
    }
    let sentences = report.origins.sentences();
    let lines = sentences.iter().map(|sentence| format!("- {}\n", code(sentence)));
    write_fitting(out, "\n", lines, &mut { ORIGINS_MAX_BYTES })?;
    for (index, (reason, Tallied { count, first })) in reasons(report).into_iter().enumerate() {
        if index == 0 {
            writeln!(out, "\n| not replayed | count | first |\n|---|--:|---|")?;
        }
        writeln!(out, "| {reason} | {count} | {} |", cell(first))?;
    }
    Ok(())
}

fn markdown_row(key: &RowKey, row: &WriteRow) -> String {
    let [first, last] = [row.first, row.last].map(|time| format(time).unwrap_or_default());
    let (outcome, rule, writes) = (key.outcome.name(), key.rule, row.writes);
    let [namespace, user, example] = [&key.namespace, &key.user, &example(key, row)].map(|text| cell(text));
    format!("| {outcome} | {rule} | {namespace} | {user} | {writes} | {first} | {last} | {example} |\n")
}

/// Returns the reasons why parts of the input are not judged, with their numbers.
fn reasons(report: &ReplayReport) -> Vec<(&'static str, &Tallied)> {
    let not_replayed = report.not_replayed.iter().map(|(reason, tallied)| (reason.description(), tallied));
    let unread = report.unread.iter().map(|(reason, tallied)| (reason.description(), tallied));
    not_replayed.chain(unread).collect()
}

/// Returns the example of a row, on one line.
fn example(key: &RowKey, row: &WriteRow) -> String {
    let example = &row.example;
    let slash = if key.namespace.is_empty() { "" } else { "/" };
    let bounds = match row.upper_bounds {
        0 => String::new(),
        count => format!("; {count} without an old object"),
    };
    format!(
        "{}{slash}{} {} {}: {} ({}, audit ID {}{bounds})",
        key.namespace,
        example.name,
        example.kind.name(),
        example.path,
        example.message,
        example.position,
        example.audit_id
    )
}

/// Returns the numbers of the report as sentences.
fn summary(counts: &ReplayCounts) -> Vec<String> {
    let ReplayCounts { events, status_writes, denied, warned, clean, mutated, .. } = *counts;
    let mut summary = vec![format!(
        "{} in {}: {denied} would be denied, {warned} with warnings, {clean} clean; {mutated} mutated.",
        counted(status_writes, "status write"),
        counted(events, "audit event"),
    )];
    for (count, noun, rest) in [
        (counts.upper_bounds, "judged write", "without an old object: errors among them may be warnings"),
        (counts.dry_runs, "dry run", "not judged"),
        (counts.failed, "failed write", "not judged"),
        (counts.not_replayed, "event", "not replayed"),
        (counts.unread, "part", "of the input not read"),
        (counts.panics, "panic", "of the API server"),
        (counts.evicted, "old object", "dropped beyond 48 MB"),
    ] {
        if count > 0 {
            summary.push(format!("{} {rest}.", counted(count, noun)));
        }
    }
    summary
}

/// Returns the name of the outcome in its colour. Colours are removed elsewhere than on a terminal.
fn coloured(outcome: Outcome) -> String {
    let colour = match outcome {
        Outcome::Deny => anstyle::AnsiColor::Red,
        Outcome::Warn => anstyle::AnsiColor::Yellow,
        Outcome::Mutate => anstyle::AnsiColor::Green,
        Outcome::Audit => anstyle::AnsiColor::Cyan,
    };
    let style = colour.on_default().bold();
    format!("{style}{}{style:#}", outcome.name())
}
