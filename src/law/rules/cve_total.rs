//! `cve-total`: the total is the sum of the severities.

use super::cve_count_values::mendable;
use crate::law::{Change, Example, Findings, Part, Patch, Rule, Verdict};
use crate::scan::count::whole;
use crate::scan::{Count, CveCount, Field, Json, Member, Spelling};

pub const RULE: Rule = Rule {
    id: "cve-total",
    title: "The total is the sum of the severities.",
    checks: "`cveCount.total` (or `CVETOTAL`) is the sum of the five severities, an absent one counting as 0. An absent \
             total beside a severity is advice, and so is a mismatch where another numeric member may be counted too.",
    why: "People sort and alert by the total. It is derived, so it can only be right or wrong.",
    breaks: "A total that is too low hides vulnerabilities from everyone who looks at that column alone.",
    repair: "Leave the total out or write the sum: where the webhook mends, it fills in or corrects the total by itself.",
    part: Part::Status,
    check,
    mend: Some(mend),
    examples: &[
        Example {
            says: "a total that is the sum",
            old: None,
            new: r#"{"status": {"cveCount": {"critical": 1, "high": 22, "total": 23}}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "a total off by one",
            old: None,
            new: r#"{"status": {"cveCount": {"critical": 1, "high": 22, "total": 22}}}"#,
            verdict: Verdict::Refused("status.cveCount.total"),
        },
        Example {
            says: "a total off by one in the spelling of the vendor's page",
            old: None,
            new: r#"{"status": {"CVECount": {"CRITICAL": 1, "HIGH": 22, "CVETOTAL": 24}}}"#,
            verdict: Verdict::Refused("status.CVECount.CVETOTAL"),
        },
        Example {
            says: "a total without severities",
            old: None,
            new: r#"{"status": {"cveCount": {"total": 5}}}"#,
            verdict: Verdict::Refused("status.cveCount.total"),
        },
        Example {
            says: "no total",
            old: None,
            new: r#"{"status": {"cveCount": {"critical": 1}}}"#,
            verdict: Verdict::Advised("status.cveCount.total"),
        },
        Example {
            says: "a total that seems to count a severity of its own",
            old: None,
            new: r#"{"status": {"cveCount": {"critical": 1, "negligible": 4, "total": 5}}}"#,
            verdict: Verdict::Advised("status.cveCount.total"),
        },
        Example {
            says: "a wrong total that stood there before, while the phase changes",
            old: Some(r#"{"status": {"phase": "Scanning", "cveCount": {"critical": 1, "total": 2}}}"#),
            new: r#"{"status": {"phase": "Error", "cveCount": {"critical": 1, "total": 2}}}"#,
            verdict: Verdict::Advised("status.cveCount.total"),
        },
        Example {
            says: "the total is filled in beside the severities",
            old: None,
            new: r#"{"status": {"CVECount": {"CRITICAL": 1, "HIGH": 22, "MEDIUM": 0, "LOW": 0, "UNKNOWN": 0}}}"#,
            verdict: Verdict::Mended(r#"[{"op": "add", "path": "/status/CVECount/CVETOTAL", "value": 23}]"#),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    for container in Spelling::BOTH {
        let Some(counts) = status.cve_count.get(container).is() else { continue };
        // A sum that no total can hold is refused by `cve-count-values`.
        let Some(sum) = counts.sum().filter(|sum| i64::try_from(*sum).is_ok()) else { continue };
        if counts.spellings(Count::Total).next().is_none() && counts.has_severity() {
            findings
                .advise(Field::Count(container, Count::Total, container), format!("is absent: {sum} would be right"));
        }
        for key in counts.spellings(Count::Total) {
            let Member::Is(total) = whole(counts.get(Count::Total, key)) else { continue };
            if i128::from(total) != sum {
                wrong(Field::Count(container, Count::Total, key), total, sum, container, counts, findings);
            }
        }
    }
}

fn wrong<'a>(
    field: Field<'a>,
    total: i64,
    sum: i128,
    container: Spelling,
    counts: &CveCount<'a>,
    findings: &mut Findings<'a>,
) {
    if counts.has_other_number() {
        let message =
            format!("is {total}, but the five severities add up to {sum}: other members seem to be counted too");
        findings.advise(field, message);
        return;
    }
    let message = format!("is {total}, but the severities add up to {sum}: {sum} would be right");
    findings.refuse(field, message).reads.extend(Field::severities(container));
}

/// The total is written wherever it is absent, wrong or malformed.
fn mend(change: &Change<'_>, patch: &mut Patch) {
    for (container, counts, sum) in change.new.status().into_iter().flat_map(mendable) {
        let mut keys: Vec<Spelling> = counts.spellings(Count::Total).collect();
        if keys.is_empty() {
            keys.push(container);
        }
        for key in keys {
            if whole(counts.get(Count::Total, key)) != Member::Is(sum) {
                patch.set(Field::Count(container, Count::Total, key), Json::from_integer(sum));
            }
        }
    }
}
