//! CVE counts: five severities and their total, with either spelling of the keys.

use super::Spelling;
use super::json::{Container, Json, JsonType, Member, Object};
use super::reader::{Key, ReadError, Reader};

/// The members of a cveCount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// The number of unknown members of a cveCount that are kept. A scan has none; a template that counts other severities
/// has one or two.
pub const OTHERS_MAX: usize = 16;

/// A cveCount object. Its keys may have either spelling, even both at once.
#[derive(Debug, Clone, Default)]
pub struct CveCount<'a> {
    counts: [[Json<'a>; 2]; 6],
    /// The first [`OTHERS_MAX`] unknown members. The last value of a repeated key wins.
    others: Vec<(Key<'a>, Json<'a>)>,
    /// The number of unknown members that are not kept.
    more_others: usize,
    /// Whether one of the unknown members that are not kept is a number.
    has_more_numbers: bool,
}

impl<'a> Object<'a> for CveCount<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        if let Some((count, spelling)) = Count::parse(key.as_ref()) {
            *self.get_mut(count, spelling) = value.read()?;
        } else if let Some((_, other)) = self.others.iter_mut().find(|(other, _)| *other == key) {
            *other = value.read()?;
        } else if self.others.len() < OTHERS_MAX {
            self.others.push((key, value.read()?));
        } else {
            let first = value.peek();
            self.more_others += usize::from(first != b'n');
            self.has_more_numbers |= matches!(first, b'-' | b'0'..=b'9');
            value.skip()?;
        }
        Ok(())
    }
}

/// Equality ignores the order of members. Null counts as absent.
impl PartialEq for CveCount<'_> {
    fn eq(&self, other: &Self) -> bool {
        let has_all = |one: &Self, other: &Self| one.others().all(|member| other.others().any(|found| found == member));
        self.counts == other.counts
            && (self.more_others, self.has_more_numbers) == (other.more_others, other.has_more_numbers)
            && has_all(self, other)
            && has_all(other, self)
    }
}

impl<'a> CveCount<'a> {
    /// Reads a cveCount. If all its members are null, it counts as absent.
    pub fn read(reader: &mut Reader<'a>) -> Result<Container<'a, Self>, ReadError> {
        let container: Container<'a, Self> = reader.read()?;
        Ok(if container.present().is_some_and(CveCount::is_empty) { Member::Absent } else { container })
    }

    fn is_empty(&self) -> bool {
        self.counts.iter().flatten().all(Json::is_absent) && self.others().next().is_none() && self.more_others == 0
    }

    /// The unknown members that are kept.
    pub fn others(&self) -> impl Iterator<Item = (&str, &Json<'a>)> {
        self.others.iter().filter(|(_, value)| !value.is_absent()).map(|(key, value)| (key.as_ref(), value))
    }

    pub fn get(&self, count: Count, spelling: Spelling) -> &Json<'a> {
        &self.counts[count as usize][spelling as usize]
    }

    pub fn get_mut(&mut self, count: Count, spelling: Spelling) -> &mut Json<'a> {
        &mut self.counts[count as usize][spelling as usize]
    }

    /// The spellings in which `count` is present.
    pub fn spellings(&self, count: Count) -> impl Iterator<Item = Spelling> {
        Spelling::BOTH.into_iter().filter(move |&spelling| !self.get(count, spelling).is_absent())
    }

    /// The value of a count in either spelling; of the wrong type if the two spellings have different values.
    pub fn count(&self, count: Count) -> Member<i64> {
        let [wire, documented] = Spelling::BOTH.map(|spelling| self.get(count, spelling));
        match (wire.is_absent(), self.has_conflict(count)) {
            (_, true) => Member::WrongType(JsonType::Number),
            (true, false) => non_negative(documented),
            (false, false) => non_negative(wire),
        }
    }

    /// Whether a count is the same JSON in both objects, in any spelling of the key.
    pub fn is_same_count(&self, count: Count, other: &CveCount<'_>) -> bool {
        self.spellings(count)
            .map(|key| self.get(count, key))
            .eq(other.spellings(count).map(|key| other.get(count, key)))
    }

    /// Whether a count is present in both spellings with different values.
    pub fn has_conflict(&self, count: Count) -> bool {
        let [wire, documented] = Spelling::BOTH.map(|spelling| self.get(count, spelling));
        !wire.is_absent() && !documented.is_absent() && wire != documented
    }

    /// The sum of the severities that are present, if all of them are integers ≥ 0. The sum of five int64 fits an
    /// int128.
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

    /// The number of unknown members that are not kept.
    pub fn more_others(&self) -> usize {
        self.more_others
    }

    /// Whether an unknown member is a number, which the total may include.
    pub fn has_other_number(&self) -> bool {
        self.has_more_numbers || self.others().any(|(_, value)| value.json_type() == JsonType::Number)
    }
}

/// Reads an integer ≥ 0 that fits int64.
pub fn non_negative(json: &Json<'_>) -> Member<i64> {
    match json.integer() {
        Member::Present(negative) if negative < 0 => Member::WrongType(JsonType::Number),
        read => read,
    }
}
