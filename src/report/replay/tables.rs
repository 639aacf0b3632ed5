//! The tables of a replay: aligned for a terminal, and in Markdown for a comment.

use std::io::{self, Write};

use super::{Outcome, ReplayCounts, ReplayReport, Row, RowKey, Tallied};
use crate::scan::json::printable;
use crate::scan::time::format;

/// The most rows in Markdown: 50. A row has about 1,200 characters at most, and a comment on GitHub 65,536.
const MARKDOWN_ROWS_MAX: usize = 50;
/// The most characters of a name in Markdown.
const MARKDOWN_NAME_MAX_CHARS: usize = 120;
/// The most characters of a message in Markdown.
const MARKDOWN_MESSAGE_MAX_CHARS: usize = 300;

/// Writes the report for a terminal.
pub fn text(report: &ReplayReport, out: &mut impl Write) -> io::Result<()> {
    let rows = report.sorted_rows();
    if !rows.is_empty() {
        text_rows(&rows, out)?;
        for (outcome, writes) in &report.more {
            writeln!(out, "{}  {writes} writes in further rows", coloured(*outcome))?;
        }
        writeln!(out)?;
    }
    let mut reasons: Vec<(&str, &Tallied)> = Vec::new();
    reasons.extend(report.not_replayed.iter().map(|(reason, tallied)| (reason.description(), tallied)));
    reasons.extend(report.unread.iter().map(|(reason, tallied)| (reason.description(), tallied)));
    if !reasons.is_empty() {
        let width = widest("NOT REPLAYED", reasons.iter().map(|(reason, _)| *reason));
        writeln!(out, "{:width$}  EVENTS  FIRST", "NOT REPLAYED")?;
        for (reason, Tallied { count, first }) in reasons {
            writeln!(out, "{reason:width$}  {count:>6}  {first}")?;
        }
        writeln!(out)?;
    }
    writeln!(out, "{}", summary(&report.counts).join("\n"))
}

fn text_rows(rows: &[(&RowKey, &Row)], out: &mut impl Write) -> io::Result<()> {
    let rules = widest("RULE", rows.iter().map(|(key, _)| key.rule));
    let namespaces = widest("NAMESPACE", rows.iter().map(|(key, _)| key.namespace.as_str()));
    let users = widest("USER", rows.iter().map(|(key, _)| key.user.as_str()));
    let times = "2026-11-20T08:00:00Z".len();
    writeln!(
        out,
        "ACTION  {:rules$}  {:namespaces$}  {:users$}  WRITES  {:times$}  LAST",
        "RULE", "NAMESPACE", "USER", "FIRST"
    )?;
    for (key, row) in rows {
        let RowKey { outcome, rule, namespace, user } = key;
        let [first, last] = [row.first, row.last].map(|time| format(time).unwrap_or_default());
        // The width is that of the longest name. A style has no width, so the name is padded by hand.
        let padding = " ".repeat("ACTION".len() - outcome.name().len());
        writeln!(
            out,
            "{}{padding}  {rule:rules$}  {namespace:namespaces$}  {user:users$}  {:>6}  {first}  {last}",
            coloured(*outcome),
            row.writes,
        )?;
        writeln!(out, "        {}", example(key, row))?;
    }
    Ok(())
}

/// Writes the report in Markdown.
pub fn markdown(report: &ReplayReport, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", summary(&report.counts).join(" "))?;
    let rows = report.sorted_rows();
    if !rows.is_empty() {
        writeln!(out, "\n| action | rule | namespace | user | writes | first | last | example |")?;
        writeln!(out, "|---|---|---|---|--:|---|---|---|")?;
    }
    for (key, row) in rows.iter().take(MARKDOWN_ROWS_MAX) {
        let [first, last] = [row.first, row.last].map(|time| format(time).unwrap_or_default());
        let name = |name: &str| cell(&printable(name, MARKDOWN_NAME_MAX_CHARS));
        let (namespace, user) = (name(&key.namespace), name(&key.user));
        let example = cell(&printable(&example(key, row), MARKDOWN_MESSAGE_MAX_CHARS));
        let (outcome, rule, writes) = (key.outcome.name(), key.rule, row.writes);
        writeln!(out, "| {outcome} | {rule} | {namespace} | {user} | {writes} | {first} | {last} | {example} |")?;
    }
    let left: u64 =
        rows.iter().skip(MARKDOWN_ROWS_MAX).map(|(_, row)| row.writes).chain(report.more.values().copied()).sum();
    if left > 0 {
        writeln!(out, "| | further rows | | | {left} | | | |")?;
    }
    let reasons = report.not_replayed.iter().map(|(reason, tallied)| (reason.description(), tallied));
    let reasons = reasons.chain(report.unread.iter().map(|(reason, tallied)| (reason.description(), tallied)));
    for (index, (reason, Tallied { count, first })) in reasons.enumerate() {
        if index == 0 {
            writeln!(out, "\n| not replayed | events | first |\n|---|--:|---|")?;
        }
        writeln!(out, "| {reason} | {count} | {} |", cell(&printable(first, MARKDOWN_NAME_MAX_CHARS)))?;
    }
    Ok(())
}

/// Returns the example of a row, on one line.
fn example(key: &RowKey, row: &Row) -> String {
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
    let counted = |count: u64, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
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

/// Escapes the characters that have a meaning in a cell of Markdown.
fn cell(text: &str) -> String {
    let mut cell = String::with_capacity(text.len());
    for character in text.chars() {
        // A name with this character would notify a user of the platform.
        if character == '@' {
            cell += "&#64;";
            continue;
        }
        if matches!(character, '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '~' | '#' | '&') {
            cell.push('\\');
        }
        cell.push(character);
    }
    cell
}

fn widest<'t>(header: &str, texts: impl Iterator<Item = &'t str>) -> usize {
    texts.map(|text| text.chars().count()).max().unwrap_or(0).max(header.len())
}
