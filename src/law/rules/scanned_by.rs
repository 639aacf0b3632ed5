//! `scanned-by`: The status says who scanned.

use crate::law::finding::quote;
use crate::law::{Change, Example, Findings, Part, Rule, Verdict};
use crate::scan::{Field, Member, Phase, ScannedBy, ScannerMember};

pub const RULE: Rule = Rule {
    id: "scanned-by",
    title: "The status says who scanned.",
    checks: "`scannedBy` is an object of strings: `scanner.name`, `scanner.vendor` and `scanner.version`, or the \
             same three flat. Where the phase is Completed or Failed, a missing name or version is \
             advice.",
    why: "A result is worth as much as the scanner that found it.",
    breaks: "Nobody can tell whether a finding is missing because the scanner was old.",
    repair: "Write the scanner's own name and version.",
    part: Part::Status,
    check,
    mend: None,
    examples: &[
        Example {
            says: "a scanner",
            old: None,
            new: r#"{"status": {"phase": "Completed", "scannedBy": {"scanner": {"name": "Grype", "vendor": "Anchore", "version": "v0.37.0"}}}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "a flat scanner",
            old: None,
            new: r#"{"status": {"phase": "Completed", "scannedBy": {"name": "Grype", "version": "v0.37.0"}}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "a scanner that is a string",
            old: None,
            new: r#"{"status": {"scannedBy": "Grype"}}"#,
            verdict: Verdict::Refused("status.scannedBy"),
        },
        Example {
            says: "a version that is a number",
            old: None,
            new: r#"{"status": {"scannedBy": {"scanner": {"name": "Grype", "version": 0.37}}}}"#,
            verdict: Verdict::Refused("status.scannedBy.scanner.version"),
        },
        Example {
            says: "a result by nobody",
            old: None,
            new: r#"{"status": {"phase": "Failed"}}"#,
            verdict: Verdict::Advised("status.scannedBy"),
        },
        Example {
            says: "a scanner without a version",
            old: None,
            new: r#"{"status": {"phase": "Completed", "scannedBy": {"scanner": {"name": "Grype"}}}}"#,
            verdict: Verdict::Advised("status.scannedBy"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    let by = match &status.scanned_by {
        Member::Is(by) => Some(by),
        Member::Absent => None,
        Member::Wrong(found) => {
            findings.refuse(Field::ScannedBy, format!("is {found}: an object of strings would be right"));
            return;
        }
    };
    if let Some(by) = by {
        check_strings(by, findings);
    }
    if matches!(status.phase(), Some(Phase::Completed | Phase::Failed)) {
        let is_missing = |member: &ScannerMember| !by.is_some_and(|by| by.has(*member));
        let missing: Vec<_> = [ScannerMember::Name, ScannerMember::Version].into_iter().filter(is_missing).collect();
        if !missing.is_empty() {
            let names: Vec<_> = missing.into_iter().map(ScannerMember::name).collect();
            findings.advise(
                Field::ScannedBy,
                format!(
                    "does not say the scanner's {}, which would be right on a scan that has ended",
                    names.join(" and ")
                ),
            );
        }
    }
}

fn check_strings<'a>(by: &'a ScannedBy<'a>, findings: &mut Findings<'a>) {
    if let Member::Wrong(found) = &by.scanner {
        findings.refuse(Field::Scanner, format!("is {found}: an object of strings would be right"));
    }
    let nested = by.scanner.is().map(|scanner| (true, scanner));
    for (is_nested, scanner) in nested.into_iter().chain([(false, &by.flat)]) {
        for member in ScannerMember::ALL {
            if let Member::Wrong(_) = scanner.get(member).string() {
                let message = format!("is {}: a string would be right", quote(scanner.get(member)));
                findings.refuse(Field::ScannerMember(is_nested, member), message);
            }
        }
    }
}
