//! `cve-count-values`: counts are whole numbers.

use std::borrow::Cow;

use crate::law::finding::quote;
use crate::law::{Change, Example, Findings, Part, Patch, Rule, Verdict};
use crate::scan::count::whole;
use crate::scan::{Count, CveCount, Field, Json, Member, Spelling, Status};

pub const RULE: Rule = Rule {
    id: "cve-count-values",
    title: "CVE counts are whole numbers.",
    checks: "`cveCount` is an object, `critical`, `high`, `medium`, `low`, `unknown` and `total` are integers ≥ 0, and \
             the sum of the severities fits int64. Another member is advice.",
    why: "`kubectl get` prints the counts as integer columns, and metrics sum them.",
    breaks: "A count that is a string or negative is shown as empty, so a critical vulnerability disappears from the \
             dashboard.",
    repair: "Write counts as JSON integers, without quotes. The webhook fills in severities that are missing beside \
             others as 0.",
    part: Part::Status,
    check,
    mend: Some(mend),
    examples: &[
        Example {
            says: "all six",
            old: None,
            new: r#"{"status": {"cveCount": {"critical": 1, "high": 2, "medium": 0, "low": 3, "unknown": 0, "total": 6}}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "no counts: zero CVEs",
            old: None,
            new: r#"{"status": {"phase": "Completed"}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "a count in quotes",
            old: None,
            new: r#"{"status": {"cveCount": {"critical": "1"}}}"#,
            verdict: Verdict::Refused("status.cveCount.critical"),
        },
        Example {
            says: "a negative count, in the spelling of the vendor's page",
            old: None,
            new: r#"{"status": {"CVECount": {"HIGH": -1}}}"#,
            verdict: Verdict::Refused("status.CVECount.HIGH"),
        },
        Example {
            says: "a sum that no int64 holds",
            old: None,
            new: r#"{"status": {"cveCount": {"low": 9223372036854775807, "high": 1}}}"#,
            verdict: Verdict::Refused("status.cveCount"),
        },
        Example {
            says: "a severity that is not ours",
            old: None,
            new: r#"{"status": {"cveCount": {"low": 1, "total": 1, "negligible": 4}}}"#,
            verdict: Verdict::Advised("status.cveCount.negligible"),
        },
        Example {
            says: "a standing fault beside another count",
            old: Some(r#"{"status": {"cveCount": {"critical": "1", "high": 1}}}"#),
            new: r#"{"status": {"cveCount": {"critical": "1", "high": 2}}}"#,
            verdict: Verdict::Advised("status.cveCount.critical"),
        },
        Example {
            says: "a standing sum that no int64 holds beside another total",
            old: Some(r#"{"status": {"cveCount": {"low": 9223372036854775807, "high": 1}}}"#),
            new: r#"{"status": {"cveCount": {"low": 9223372036854775807, "high": 1, "total": 2}}}"#,
            verdict: Verdict::Advised("status.cveCount"),
        },
        Example {
            says: "missing severities are filled in",
            old: None,
            new: r#"{"status": {"cveCount": {"critical": 1, "high": 2, "low": 3, "total": 6}}}"#,
            verdict: Verdict::Mended(
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
            Member::Wrong(found) => {
                findings.refuse(Field::CveCount(container), format!("is {found}: an object of counts would be right"));
            }
            Member::Is(counts) => check_counts(container, counts, findings),
        }
    }
}

fn check_counts<'a>(container: Spelling, counts: &'a CveCount<'a>, findings: &mut Findings<'a>) {
    for count in Count::ALL {
        for key in counts.spellings(count) {
            let json = counts.get(count, key);
            if let Member::Wrong(_) = whole(json) {
                findings.refuse(
                    Field::Count(container, count, key),
                    format!("is {}: an integer ≥ 0 would be right", quote(json)),
                );
            }
        }
    }
    if let Some(sum) = counts.sum().filter(|sum| i64::try_from(*sum).is_err()) {
        let message = format!("adds up to {sum}: severities whose sum is at most {} would be right", i64::MAX);
        findings.refuse(Field::CveCount(container), message).reads = Field::severities(container);
    }
    for (key, _) in counts.others.iter().filter(|(_, value)| !value.is_absent()) {
        findings.advise(
            Field::OtherCount(container, Cow::Borrowed(key.as_ref())),
            "is none of critical, high, medium, low, unknown and total: readers will not see it",
        );
    }
}

/// The containers whose severities can be added up, with their sums: what the mends of counts work on.
pub fn mendable<'s, 'a>(status: &'s Status<'a>) -> impl Iterator<Item = (Spelling, &'s CveCount<'a>, i64)> {
    Spelling::BOTH.into_iter().filter_map(|container| {
        let counts = status.cve_count.get(container).is()?;
        let sum = i64::try_from(counts.sum()?).ok()?;
        (counts.has_severity() && !counts.has_other_number()).then_some((container, counts, sum))
    })
}

/// Missing severities beside others are 0.
fn mend(change: &Change<'_>, patch: &mut Patch) {
    for (container, counts, _) in change.new.status().into_iter().flat_map(mendable) {
        for severity in Count::SEVERITIES {
            if counts.spellings(severity).next().is_none() {
                patch.set(Field::Count(container, severity, container), Json::from_integer(0));
            }
        }
    }
}
