//! `cve-count-values`: the CVE counts are integers that are not negative.

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Patch, Rule};
use crate::rules::cel;
use crate::rules::tables::counts::{Summable, summable};
use crate::rules::tables::values;
use crate::scan::count::non_negative;
use crate::scan::{Count, CveCount, Field, Json, Member, Spelling};

pub const RULE: Rule = Rule {
    id: "cve-count-values",
    title: "The CVE counts are integers that are not negative.",
    checks: "`cveCount` is an object. `critical`, `high`, `medium`, `low`, `unknown` and `total` are integers ≥ 0. The sum of \
             the severities fits int64. Anything else is an error. Another member of `cveCount` is a warning.",
    why: "`kubectl get` prints the counts in integer columns, and metrics add them up.",
    breaks: "A count that is a string is shown as empty, so a critical vulnerability disappears from the dashboard. A \
             negative count makes sums too low.",
    repair: "Write counts as JSON integers, without quotes. If only some severities are missing, the mutating webhook sets \
             them to 0.",
    part: Part::Status,
    check,
    mutate: Some(mutate),
    cel: Cel::Exact(cel::counts::values),
    examples: &[
        Example {
            title: "all six counts",
            old: None,
            new: r#"{"status": {"cveCount": {"critical": 1, "high": 2, "medium": 0, "low": 3, "unknown": 0, "total": 6}}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "no counts, which means no CVEs",
            old: None,
            new: r#"{"status": {"phase": "Completed"}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a count in quotes",
            old: None,
            new: r#"{"status": {"cveCount": {"critical": "1"}}}"#,
            expect: Expectation::Denies("status.cveCount.critical"),
        },
        Example {
            title: "a negative count, in the spelling of the vendor's documentation",
            old: None,
            new: r#"{"status": {"CVECount": {"HIGH": -1}}}"#,
            expect: Expectation::Denies("status.CVECount.HIGH"),
        },
        Example {
            title: "a sum that does not fit int64",
            old: None,
            new: r#"{"status": {"cveCount": {"low": 9223372036854775807, "high": 1}}}"#,
            expect: Expectation::Denies("status.cveCount"),
        },
        Example {
            title: "an unknown severity",
            old: None,
            new: r#"{"status": {"cveCount": {"low": 1, "total": 1, "negligible": 4}}}"#,
            expect: Expectation::Warns("status.cveCount.negligible"),
        },
        Example {
            title: "an old error while another count changes",
            old: Some(r#"{"status": {"cveCount": {"critical": "1", "high": 1}}}"#),
            new: r#"{"status": {"cveCount": {"critical": "1", "high": 2}}}"#,
            expect: Expectation::Warns("status.cveCount.critical"),
        },
        Example {
            title: "an old sum that does not fit int64, while only the total changes",
            old: Some(r#"{"status": {"cveCount": {"low": 9223372036854775807, "high": 1}}}"#),
            new: r#"{"status": {"cveCount": {"low": 9223372036854775807, "high": 1, "total": 2}}}"#,
            expect: Expectation::Warns("status.cveCount"),
        },
        Example {
            title: "missing severities are filled in",
            old: None,
            new: r#"{"status": {"cveCount": {"critical": 1, "high": 2, "low": 3, "total": 6}}}"#,
            expect: Expectation::Mutates(
                r#"[{"op": "add", "path": "/status/cveCount/medium", "value": 0}, {"op": "add", "path": "/status/cveCount/unknown", "value": 0}]"#,
            ),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    for container in Spelling::BOTH {
        match status.cve_count.get(container) {
            Member::Absent => {}
            Member::WrongType(found) => {
                let error = FieldError::type_invalid(found, "must be an object of counts");
                findings.error(Field::CveCount(container), error);
            }
            Member::Present(counts) => check_counts(container, counts, findings),
        }
    }
}

fn check_counts<'a>(container: Spelling, counts: &'a CveCount<'a>, findings: &mut Findings<'a>) {
    for count in Count::ALL {
        for key in counts.spellings(count) {
            let json = counts.get(count, key);
            if let Member::WrongType(_) = non_negative(json) {
                findings.error(Field::Count { container, count, key }, values::not_an_integer(json));
            }
        }
    }
    if let Some(sum) = counts.sum().filter(|sum| i64::try_from(*sum).is_err()) {
        let detail = format!("must be at most {}, the largest sum of the severities", i64::MAX);
        let error = FieldError::invalid(&Json::Other(&sum.to_string()), detail);
        findings.error(Field::CveCount(container), error).reads = Field::severities(container);
    }
    for (key, _) in counts.others() {
        let known = Count::ALL.map(|count| count.name(container));
        findings
            .warning(Field::OtherCount { container, key }, FieldError::not_supported(&Json::from_text(key), &known));
    }
    if counts.more_others() > 0 {
        let error = FieldError::forbidden(format_args!("must not have other members ({} more)", counts.more_others()));
        findings.warning(Field::CveCount(container), error);
    }
}

/// Sets missing severities to 0 if there is another severity.
fn mutate(change: &Change<'_>, patch: &mut Patch) {
    for Summable { container, counts, .. } in change.new.status().into_iter().flat_map(summable) {
        for severity in Count::SEVERITIES {
            if counts.spellings(severity).next().is_none() {
                patch.set(Field::Count { container, count: severity, key: container }, Json::Integer(0));
            }
        }
    }
}
