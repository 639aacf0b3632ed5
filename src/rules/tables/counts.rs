//! Sums of the CVE counts.

use crate::scan::{Count, CveCount, Member, Spelling, Status};

/// What the counts of a failed scan must do.
pub const FAILED: &str = "must count the CVEs that violated the policy while phase is \"Failed\"";

/// A `cveCount` whose severities can be added up. The mutations of counts write only to these.
pub struct Summable<'s, 'a> {
    pub container: Spelling,
    pub counts: &'s CveCount<'a>,
    pub sum: i64,
}

/// Returns the containers that have a severity, no invalid severity, a sum that fits int64, and no other numeric member, which
/// the total might include.
pub fn summable<'s, 'a>(status: &'s Status<'a>) -> impl Iterator<Item = Summable<'s, 'a>> {
    Spelling::BOTH.into_iter().filter_map(|container| {
        let counts = status.cve_count.get(container).present()?;
        let sum = i64::try_from(counts.sum()?).ok()?;
        (counts.has_severity() && !counts.has_other_number()).then_some(Summable { container, counts, sum })
    })
}

/// Returns the total, or the sum of the severities if there is no total.
pub fn total(counts: &CveCount<'_>) -> Option<i128> {
    match counts.count(Count::Total) {
        Member::Present(total) => Some(total.into()),
        Member::Absent if counts.has_severity() => counts.sum(),
        _ => None,
    }
}
