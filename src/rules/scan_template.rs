//! `scan-template`: the spec names a scan template.

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Rule};
use crate::rules::cel;
use crate::scan::{Field, Member};

pub const RULE: Rule = Rule {
    id: "scan-template",
    title: "The spec names a scan template.",
    checks: "`spec.scanTemplate` is set. A missing one is a warning.",
    why: "The template defines how to scan. In practice it is always set.",
    breaks: "The controller cannot build the scan job.",
    repair: "Set it to the name of a ScanTemplate of the namespace.",
    part: Part::Spec,
    check,
    mutate: None,
    cel: Cel::Exact(cel::spec::template),
    examples: &[
        Example {
            title: "a template",
            old: None,
            new: r#"{"spec": {"scanTemplate": "blob-source-scan-template"}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "no template",
            old: None,
            new: r#"{"spec": {"scanTemplate": null}}"#,
            expect: Expectation::Warns("spec.scanTemplate"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    if change.new.spec.present().is_none_or(|spec| spec.scan_template.string() == Member::Absent) {
        findings.warning(Field::ScanTemplate, FieldError::required("must name a ScanTemplate"));
    }
}
