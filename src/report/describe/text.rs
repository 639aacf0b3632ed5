//! The page of `describe` for people. Columns are aligned, and no line is wrapped.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::{ConditionState, DescribedCondition, DescribedCounts, DescribedScan, Description};
use crate::engine::Action;
use crate::report::age::{short, with_age};
use crate::report::event::ReportedEvent;
use crate::report::finding::ReportedFinding;
use crate::report::{column_width, counted};
use crate::scan::json::printable;
use crate::scan::time::format;

/// The most characters of a value of the scan that a line shows. The JSON document has the rest.
const VALUE_MAX_CHARS: usize = 1_000;

/// The style of headings.
const HEADING: Style = Style::new().bold();

/// Writes the page.
pub fn write(description: &Description<'_>, out: &mut impl Write) -> io::Result<()> {
    head(description, out)?;
    conditions(&description.scan, out)?;
    findings(description, out)?;
    events(description, out)?;
    writeln!(out, "\n{HEADING}Next{HEADING:#}")?;
    description.scan.next.iter().try_for_each(|sentence| writeln!(out, "  {sentence}"))
}

/// Writes the names and values of the scan as a whole.
fn head(description: &Description<'_>, out: &mut impl Write) -> io::Result<()> {
    let Description { subject, now, scan, .. } = description;
    writeln!(out, "{HEADING}{}{HEADING:#}", subject.title())?;
    let time = |text: &Option<String>| text.as_deref().map(|text| with_age(text, *now));
    let since =
        scan.waiting.as_ref().map(|waiting| format!("{} since {}", waiting.state, with_age(&waiting.since, *now)));
    let phase =
        scan.phase.as_deref().map_or_else(|| scan.meaning.clone(), |phase| format!("{phase}: {}", scan.meaning));
    let policy = match &scan.scan_policy {
        Some(policy) => format!("{policy}: {}", scan.verdict),
        None => scan.verdict.clone(),
    };
    let scanned = match (time(&scan.scanned_at), &scan.scanner) {
        (Some(at), Some(scanner)) => Some(format!("{at} by {scanner}")),
        (at, scanner) => at.or_else(|| scanner.as_ref().map(|scanner| format!("by {scanner}"))),
    };
    let rows = [
        ("Created", time(&scan.created)),
        ("Template", scan.scan_template.clone()),
        ("Phase", Some(phase)),
        ("Waiting", since),
        ("Generation", generation(scan)),
        ("Policy", Some(policy)),
        ("CVEs", Some(scan.cve_count.as_ref().map_or_else(|| "no counts".to_owned(), counts))),
        ("Scanned", scanned),
        ("Source", scan.source.clone()),
        ("Ships", scan.compliant_artifact.clone()),
        ("Results", scan.metadata_url.clone()),
    ];
    let width = column_width("", rows.iter().map(|(label, _)| *label)) + 1;
    for (label, value) in rows {
        let Some(value) = value else { continue };
        let style = if label == "Phase" { phase_style(scan.phase.as_deref()) } else { Style::new() };
        let label = format!("{label}:");
        writeln!(out, "{label:width$}  {style}{}{style:#}", printable(&value, VALUE_MAX_CHARS))?;
    }
    Ok(())
}

fn phase_style(phase: Option<&str>) -> Style {
    match phase {
        Some("Completed") => AnsiColor::Green.on_default(),
        Some("Failed" | "Error") => AnsiColor::Red.on_default(),
        _ => AnsiColor::Yellow.on_default(),
    }
}

fn generation(scan: &DescribedScan) -> Option<String> {
    let generation = scan.generation?;
    Some(match scan.observed_generation {
        Some(observed) if observed == generation => format!("{generation}, as the status says"),
        Some(observed) => format!("{generation}, but the status was written for {observed}"),
        None => format!("{generation}; the status does not say for which it was written"),
    })
}

fn counts(counts: &DescribedCounts) -> String {
    let DescribedCounts { critical, high, medium, low, unknown, total } = counts;
    let severities = [
        ("critical", critical),
        ("high", high),
        ("medium", medium),
        ("low", low),
        ("unknown", unknown),
        ("in total", total),
    ];
    let present = severities.iter().filter_map(|(name, count)| Some(format!("{} {name}", (**count)?)));
    let present: Vec<String> = present.collect();
    if present.is_empty() { "none is valid".to_owned() } else { present.join(", ") }
}

fn conditions(scan: &DescribedScan, out: &mut impl Write) -> io::Result<()> {
    if scan.conditions.is_empty() {
        return Ok(());
    }
    let rows: Vec<[String; 5]> = scan.conditions.iter().map(condition_row).collect();
    let headers = ["TYPE", "STATUS", "REASON", "SINCE"];
    let widths: Vec<usize> = headers
        .iter()
        .enumerate()
        .map(|(column, header)| column_width(header, rows.iter().map(|row| row[column].as_str())))
        .collect();
    writeln!(out, "\n{HEADING}Conditions{HEADING:#}")?;
    let line = |row: &[&str; 4]| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ")
    };
    writeln!(out, "  {}  STATE", line(&headers))?;
    for (condition, row) in scan.conditions.iter().zip(&rows) {
        let [condition_type, status, reason, since, state] = row.each_ref().map(String::as_str);
        let style = if condition.state == ConditionState::Current { Style::new() } else { Style::new().dimmed() };
        writeln!(out, "  {}  {style}{state}{style:#}", line(&[condition_type, status, reason, since]))?;
        for (label, text) in [("", &condition.message), ("error: ", &condition.error)] {
            if let Some(text) = text {
                writeln!(out, "    {label}{}", printable(text, VALUE_MAX_CHARS))?;
            }
        }
    }
    if scan.more_conditions > 0 {
        writeln!(out, "  and {}", counted(scan.more_conditions, "more condition"))?;
    }
    Ok(())
}

fn condition_row(condition: &DescribedCondition) -> [String; 5] {
    let DescribedCondition { condition_type, status, reason, since, state, why, .. } = condition;
    let cell = |text: &Option<String>| printable(text.as_deref().unwrap_or("-"), VALUE_MAX_CHARS);
    let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    [cell(condition_type), cell(status), cell(reason), cell(since), state.name().to_owned() + &why]
}

fn findings(description: &Description<'_>, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\n{HEADING}Findings{HEADING:#}")?;
    if description.findings.is_empty() {
        return writeln!(out, "  none: the status agrees with itself");
    }
    for finding in &description.findings {
        let colour = match finding.action {
            Action::Deny => AnsiColor::Red,
            Action::Warn => AnsiColor::Yellow,
            Action::Audit => AnsiColor::Cyan,
        };
        let style = colour.on_default().bold();
        writeln!(out, "  {style}{}{style:#}: {}", finding.level(), finding.printable())?;
        if let Some(writer) = writer(finding, description) {
            writeln!(out, "    {}", printable(&writer, VALUE_MAX_CHARS))?;
        }
    }
    Ok(())
}

/// Returns who has written the field of a finding, and by which ScanTemplate.
fn writer(finding: &ReportedFinding, description: &Description<'_>) -> Option<String> {
    let origin = finding.origin.as_ref()?;
    let template = match origin.template.as_str() {
        "" => "without a ScanTemplate".to_owned(),
        template => format!("by ScanTemplate {template}"),
    };
    Some(match (origin.manager.as_str(), origin.written.and_then(format)) {
        ("", _) => format!("{template}; it is not known who has written it"),
        (manager, None) => format!("{template}; written by {manager}"),
        (manager, Some(at)) => format!("{template}; written by {manager}, last {}", with_age(&at, description.now)),
    })
}

fn events(description: &Description<'_>, out: &mut impl Write) -> io::Result<()> {
    for (heading, are_denials) in [("Denied lately", true), ("Other Events", false)] {
        let events: Vec<&ReportedEvent> = description.events(are_denials).collect();
        if !events.is_empty() {
            writeln!(out, "\n{HEADING}{heading}{HEADING:#}")?;
        }
        let ages =
            |event: &ReportedEvent| event.last.map_or_else(|| "-".to_owned(), |last| short(description.now - last));
        let ages: Vec<String> = events.iter().map(|event| ages(event)).collect();
        let width = column_width("", ages.iter().map(String::as_str));
        for (event, age) in events.iter().zip(&ages) {
            let style = if event.is_warning { AnsiColor::Yellow.on_default() } else { Style::new() };
            writeln!(out, "  {age:>width$} ago  {style}{}{style:#}", event.printable())?;
        }
    }
    if let Err(error) = &description.events {
        writeln!(out, "\n{HEADING}Denied lately{HEADING:#}\n  unknown: {}", printable(error, VALUE_MAX_CHARS))?;
    }
    Ok(())
}
