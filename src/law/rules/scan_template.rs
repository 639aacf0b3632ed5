//! `scan-template`: The spec names a scan template.

use crate::law::{Change, Example, Findings, Part, Rule, Verdict};
use crate::scan::{Field, Member};

pub const RULE: Rule = Rule {
    id: "scan-template",
    title: "The spec names a scan template.",
    checks: "`spec.scanTemplate` is set. A missing one is advice.",
    why: "The template says how to scan; in use it is always set.",
    breaks: "The controller cannot build the scan job.",
    repair: "Name a ScanTemplate of the namespace.",
    part: Part::Spec,
    check,
    mend: None,
    examples: &[
        Example {
            says: "a template",
            old: None,
            new: r#"{"spec": {"scanTemplate": "blob-source-scan-template"}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "no template",
            old: None,
            new: r#"{"spec": {"scanTemplate": null}}"#,
            verdict: Verdict::Advised("spec.scanTemplate"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    if change.new.spec.is().is_none_or(|spec| spec.scan_template.string() == Member::Absent) {
        findings.advise(Field::ScanTemplate, "is absent: the name of a ScanTemplate would be right");
    }
}
