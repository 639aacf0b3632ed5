//! CVE counts: five severities and their total, in either set of keys.

use super::Spelling;
use super::json::{Json, JsonType, Member, Object};
use super::reader::{Key, ReadError, Reader};

/// The members of a cveCount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    Critical,
    High,
    Medium,
    Low,
    Unknown,
    Total,
}

impl Count {
    pub const ALL: [Count; 6] = [Count::Critical, Count::High, Count::Medium, Count::Low, Count::Unknown, Count::Total];
    pub const SEVERITIES: [Count; 5] = [Count::Critical, Count::High, Count::Medium, Count::Low, Count::Unknown];

    pub fn name(self, spelling: Spelling) -> &'static str {
        match (self, spelling) {
            (Count::Critical, Spelling::Wire) => "critical",
            (Count::Critical, Spelling::Documented) => "CRITICAL",
            (Count::High, Spelling::Wire) => "high",
            (Count::High, Spelling::Documented) => "HIGH",
            (Count::Medium, Spelling::Wire) => "medium",
            (Count::Medium, Spelling::Documented) => "MEDIUM",
            (Count::Low, Spelling::Wire) => "low",
            (Count::Low, Spelling::Documented) => "LOW",
            (Count::Unknown, Spelling::Wire) => "unknown",
            (Count::Unknown, Spelling::Documented) => "UNKNOWN",
            (Count::Total, Spelling::Wire) => "total",
            (Count::Total, Spelling::Documented) => "CVETOTAL",
        }
    }

    fn parse(key: &str) -> Option<(Count, Spelling)> {
        Count::ALL
            .into_iter()
            .flat_map(|count| Spelling::BOTH.map(|spelling| (count, spelling)))
            .find(|&(count, spelling)| count.name(spelling) == key)
    }
}

/// One cveCount object. Either container may use either set of keys, even both at once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CveCount<'a> {
    counts: [[Json<'a>; 2]; 6],
    /// Members that are none of the six, in their order.
    pub others: Vec<(Key<'a>, Json<'a>)>,
}

impl<'a> Object<'a> for CveCount<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match Count::parse(key.as_ref()) {
            Some((count, spelling)) => *self.get_mut(count, spelling) = value.read()?,
            None => self.others.push((key, value.read()?)),
        }
        Ok(())
    }
}

impl<'a> CveCount<'a> {
    pub fn get(&self, count: Count, spelling: Spelling) -> &Json<'a> {
        &self.counts[count as usize][spelling as usize]
    }

    pub fn get_mut(&mut self, count: Count, spelling: Spelling) -> &mut Json<'a> {
        &mut self.counts[count as usize][spelling as usize]
    }

    /// The spellings in which `count` is there.
    pub fn spellings(&self, count: Count) -> impl Iterator<Item = Spelling> {
        Spelling::BOTH.into_iter().filter(move |&spelling| !self.get(count, spelling).is_absent())
    }

    /// A count whatever its spelling; malformed too where its two spellings disagree.
    pub fn count(&self, count: Count) -> Member<i64> {
        let [wire, documented] = Spelling::BOTH.map(|spelling| self.get(count, spelling));
        match (wire.is_absent(), documented.is_absent()) {
            (_, true) => non_negative(wire),
            (true, false) => non_negative(documented),
            (false, false) if wire == documented => non_negative(wire),
            (false, false) => Member::WrongType(JsonType::Number),
        }
    }

    /// The sum of the severities, where all that are there are whole numbers. Five int64 fit an int128.
    pub fn sum(&self) -> Option<i128> {
        Count::SEVERITIES.into_iter().try_fold(0, |sum, severity| match self.count(severity) {
            Member::Absent => Some(sum),
            Member::WrongType(_) => None,
            Member::Present(count) => Some(sum + i128::from(count)),
        })
    }

    pub fn has_severity(&self) -> bool {
        Count::SEVERITIES.into_iter().any(|severity| self.spellings(severity).next().is_some())
    }

    /// A member that is none of the six; of two of one key the last.
    pub fn other(&self, key: &str) -> Option<&Json<'a>> {
        self.others.iter().rev().find(|(other, _)| other.as_ref() == key).map(|(_, value)| value)
    }

    /// Whether a member that we do not know holds a number: a total may then count it too.
    pub fn has_other_number(&self) -> bool {
        self.others.iter().any(|(_, value)| !value.is_absent() && value.json_type() == JsonType::Number)
    }
}

/// Reads a whole number: an integer ≥ 0 that fits int64.
pub fn non_negative(json: &Json<'_>) -> Member<i64> {
    match json.integer() {
        Member::Present(negative) if negative < 0 => Member::WrongType(JsonType::Number),
        read => read,
    }
}
