//! `scanned-by`: the status names the scanner and its version.

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Rule};
use crate::rules::cel;
use crate::rules::tables::values::not_a_string;
use crate::scan::{Field, Json, Member, Phase, ScannedBy, ScannerForm, ScannerMember};

pub const RULE: Rule = Rule {
    id: "scanned-by",
    title: "The status names the scanner and its version.",
    checks: "`scannedBy` is an object. The scanner's `name`, `vendor` and `version` are strings, either in the object \
             `scannedBy.scanner` or directly in `scannedBy`. Anything else is an error. On phase Completed or Failed, a \
             missing name or version is a warning.",
    why: "How far a result can be trusted depends on the scanner.",
    breaks: "Nobody can tell whether a CVE is missing because the scanner was out of date.",
    repair: "Write the name and version that the scanner reports.",
    part: Part::Status,
    check,
    mutate: None,
    cel: Cel::Exact(cel::shape::scanner),
    examples: &[
        Example {
            title: "a scanner",
            old: None,
            new: r#"{"status": {"phase": "Completed", "scannedBy": {"scanner": {"name": "Grype", "vendor": "Anchore", "version": "v0.37.0"}}}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a scanner directly in scannedBy",
            old: None,
            new: r#"{"status": {"phase": "Completed", "scannedBy": {"name": "Grype", "version": "v0.37.0"}}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a scanner that is a string",
            old: None,
            new: r#"{"status": {"scannedBy": "Grype"}}"#,
            expect: Expectation::Denies("status.scannedBy"),
        },
        Example {
            title: "a version that is a number",
            old: None,
            new: r#"{"status": {"scannedBy": {"scanner": {"name": "Grype", "version": 0.37}}}}"#,
            expect: Expectation::Denies("status.scannedBy.scanner.version"),
        },
        Example {
            title: "a result without a scanner",
            old: None,
            new: r#"{"status": {"phase": "Failed"}}"#,
            expect: Expectation::Warns("status.scannedBy"),
        },
        Example {
            title: "a scanner without a version",
            old: None,
            new: r#"{"status": {"phase": "Completed", "scannedBy": {"scanner": {"name": "Grype"}}}}"#,
            expect: Expectation::Warns("status.scannedBy"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    let by = match &status.scanned_by {
        Member::Present(by) => Some(by),
        Member::Absent => None,
        Member::WrongType(found) => {
            findings.error(Field::ScannedBy, not_an_object(found));
            return;
        }
    };
    if let Some(by) = by {
        check_strings(by, findings);
    }
    if let Some(phase @ (Phase::Completed | Phase::Failed)) = status.phase() {
        let is_missing = |member: &ScannerMember| !by.is_some_and(|by| by.has(*member));
        let missing: Vec<_> = [ScannerMember::Name, ScannerMember::Version].into_iter().filter(is_missing).collect();
        if !missing.is_empty() {
            let names: Vec<_> = missing.into_iter().map(ScannerMember::name).collect();
            let detail = format!("must have the scanner's {} while phase is \"{}\"", names.join(" and "), phase.name());
            findings.warning(Field::ScannedBy, FieldError::required(detail));
        }
    }
}

fn check_strings<'a>(by: &'a ScannedBy<'a>, findings: &mut Findings<'a>) {
    if let Member::WrongType(found) = &by.scanner {
        findings.error(Field::Scanner, not_an_object(found));
    }
    for form in ScannerForm::BOTH {
        let Some(scanner) = by.scanner(form) else { continue };
        for member in ScannerMember::ALL {
            if let Member::WrongType(_) = scanner.get(member).string() {
                findings.error(Field::ScannerMember { form, member }, not_a_string(scanner.get(member)));
            }
        }
    }
}

fn not_an_object(found: &Json<'_>) -> FieldError {
    FieldError::type_invalid(found, "must be an object of strings")
}
