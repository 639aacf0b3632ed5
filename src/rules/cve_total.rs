//! `cve-total`: the total is the sum of the severities.

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Patch, Rule};
use crate::rules::cel;
use crate::rules::tables::counts::{Summable, summable};
use crate::scan::count::non_negative;
use crate::scan::{Count, CveCount, Field, Json, Member, Spelling};

pub const RULE: Rule = Rule {
    id: "cve-total",
    title: "The total is the sum of the severities.",
    checks: "`cveCount.total` (or `CVETOTAL`) is the sum of the five severities. An absent severity counts as 0. A wrong \
             total is an error. It is only a warning if there is another numeric member, since the total may include it. An \
             absent total is a warning if there is a severity.",
    why: "People sort and set alerts by the total. It follows from the severities, so only one value is right.",
    breaks: "A total that is too low hides vulnerabilities from people who look only at this column.",
    repair: "Write the sum, or leave out the total. The mutating webhook fills in a missing total and corrects a wrong one.",
    part: Part::Status,
    check,
    mutate: Some(mutate),
    cel: Cel::Exact(cel::counts::total),
    examples: &[
        Example {
            title: "a total that is the sum",
            old: None,
            new: r#"{"status": {"cveCount": {"critical": 1, "high": 22, "total": 23}}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a total off by one",
            old: None,
            new: r#"{"status": {"cveCount": {"critical": 1, "high": 22, "total": 22}}}"#,
            expect: Expectation::Denies("status.cveCount.total"),
        },
        Example {
            title: "a total off by one, in the spelling of the vendor's documentation",
            old: None,
            new: r#"{"status": {"CVECount": {"CRITICAL": 1, "HIGH": 22, "CVETOTAL": 24}}}"#,
            expect: Expectation::Denies("status.CVECount.CVETOTAL"),
        },
        Example {
            title: "a total without severities",
            old: None,
            new: r#"{"status": {"cveCount": {"total": 5}}}"#,
            expect: Expectation::Denies("status.cveCount.total"),
        },
        Example {
            title: "no total",
            old: None,
            new: r#"{"status": {"cveCount": {"critical": 1}}}"#,
            expect: Expectation::Warns("status.cveCount.total"),
        },
        Example {
            title: "a total that may include another member",
            old: None,
            new: r#"{"status": {"cveCount": {"critical": 1, "negligible": 4, "total": 5}}}"#,
            expect: Expectation::Warns("status.cveCount.total"),
        },
        Example {
            title: "an old wrong total, while only the phase changes",
            old: Some(r#"{"status": {"phase": "Scanning", "cveCount": {"critical": 1, "total": 2}}}"#),
            new: r#"{"status": {"phase": "Error", "cveCount": {"critical": 1, "total": 2}}}"#,
            expect: Expectation::Warns("status.cveCount.total"),
        },
        Example {
            title: "a missing total is filled in",
            old: None,
            new: r#"{"status": {"CVECount": {"CRITICAL": 1, "HIGH": 22, "MEDIUM": 0, "LOW": 0, "UNKNOWN": 0}}}"#,
            expect: Expectation::Mutates(r#"[{"op": "add", "path": "/status/CVECount/CVETOTAL", "value": 23}]"#),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    for container in Spelling::BOTH {
        let Some(counts) = status.cve_count.get(container).present() else { continue };
        // `cve-count-values` reports a sum that does not fit int64.
        let Some(sum) = counts.sum().filter(|sum| i64::try_from(*sum).is_ok()) else { continue };
        if counts.spellings(Count::Total).next().is_none() && counts.has_severity() {
            let error = FieldError::required(format_args!("must be {sum}, the sum of the severities"));
            findings.warning(Field::Count { container, count: Count::Total, key: container }, error);
        }
        // `spelling-conflict` reports two totals that differ.
        if counts.has_conflict(Count::Total) && !change.is_old_object {
            continue;
        }
        for key in counts.spellings(Count::Total) {
            let Member::Present(total) = non_negative(counts.get(Count::Total, key)) else { continue };
            if i128::from(total) != sum {
                wrong(Field::Count { container, count: Count::Total, key }, total, sum, container, counts, findings);
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
        let detail = format!("must be {sum}, the sum of the five severities, unless other members are counted too");
        findings.warning(field, FieldError::invalid(&Json::Integer(total), detail));
        return;
    }
    let detail = format!("must be {sum}, the sum of the severities");
    findings
        .error(field, FieldError::invalid(&Json::Integer(total), detail))
        .reads
        .extend(Field::severities(container));
}

/// Sets each total that is absent, wrong or malformed to the sum.
fn mutate(change: &Change<'_>, patch: &mut Patch) {
    for Summable { container, counts, sum } in change.new.status().into_iter().flat_map(summable) {
        let mut keys: Vec<Spelling> = counts.spellings(Count::Total).collect();
        if keys.is_empty() {
            keys.push(container);
        }
        for key in keys {
            if non_negative(counts.get(Count::Total, key)) != Member::Present(sum) {
                patch.set(Field::Count { container, count: Count::Total, key }, Json::Integer(sum));
            }
        }
    }
}
