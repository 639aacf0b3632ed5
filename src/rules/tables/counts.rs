//! What the counts of a status add up to.

use crate::scan::{Count, CveCount, Json, JsonType, Member, Spelling, Status};

/// A cveCount whose severities can be added up: what the mutations of counts work on.
pub struct Summable<'s, 'a> {
    pub container: Spelling,
    pub counts: &'s CveCount<'a>,
    pub sum: i64,
}

/// The containers with a severity, only valid ones, a sum that fits int64 and no other number that a total may include.
pub fn summable<'s, 'a>(status: &'s Status<'a>) -> impl Iterator<Item = Summable<'s, 'a>> {
    Spelling::BOTH.into_iter().filter_map(|container| {
        let counts = status.cve_count.get(container).present()?;
        let sum = i64::try_from(counts.sum()?).ok()?;
        (counts.has_severity() && !counts.has_other_number()).then_some(Summable { container, counts, sum })
    })
}

/// The total, or the sum where there is none.
pub fn total(counts: &CveCount<'_>) -> Option<i128> {
    match counts.count(Count::Total) {
        Member::Present(total) => Some(total.into()),
        Member::Absent if counts.has_severity() => counts.sum(),
        _ => None,
    }
}

/// What is right instead of what is no integer ≥ 0 that fits int64.
pub fn right_integer(json: &Json<'_>) -> &'static str {
    // 2^63, which the next lower number of this type is below.
    let is_beyond = |number: f64| number.abs() >= 9_223_372_036_854_775_808.0;
    if json.json_type() == JsonType::Number && json.to_json().parse().is_ok_and(is_beyond) {
        "must be from 0 to 9223372036854775807"
    } else {
        "an integer ≥ 0 would be right"
    }
}
