//! §3: the rules of CVE counts and of fields with two spellings.

use serde_json::{Map, Value, json};

use super::conditions::violations;
use super::read::{Read, count, text};
use super::{Field, Finding, Judge, Place};

const NAMES: [(&str, &str); 6] = [
    ("critical", "CRITICAL"),
    ("high", "HIGH"),
    ("medium", "MEDIUM"),
    ("low", "LOW"),
    ("unknown", "UNKNOWN"),
    ("total", "CVETOTAL"),
];

/// A container of counts that is there and is an object.
struct Counts<'a> {
    field: &'static str,
    members: &'a Map<String, Value>,
}

impl<'a> Counts<'a> {
    /// "A container whose members are all null counts as absent."
    fn read(status: &'a Value, field: &'static str) -> Option<Counts<'a>> {
        let members = status[field].as_object()?;
        members.values().any(|member| !member.is_null()).then_some(Counts { field, members })
    }

    fn member(&self, key: &str) -> &'a Value {
        self.members.get(key).unwrap_or(&Value::Null)
    }

    /// A count by its number, in the spelling that is there.
    fn value(&self, index: usize) -> &'a Value {
        let (wire, documented) = NAMES[index];
        if self.member(wire).is_null() { self.member(documented) } else { self.member(wire) }
    }

    fn has_conflict(&self, index: usize) -> bool {
        let (wire, documented) = (self.member(NAMES[index].0), self.member(NAMES[index].1));
        !wire.is_null() && !documented.is_null() && wire != documented
    }

    fn has_severity_conflict(&self) -> bool {
        (0..5).any(|index| self.has_conflict(index))
    }

    fn has_severity(&self) -> bool {
        (0..5).any(|index| !self.value(index).is_null())
    }

    fn are_severities_valid(&self) -> bool {
        NAMES[..5].iter().all(|(wire, documented)| {
            !count(self.member(wire)).is_wrong() && !count(self.member(documented)).is_wrong()
        })
    }

    fn severities(&self) -> Vec<Field> {
        let keys = NAMES[..5].iter().flat_map(|(wire, documented)| [wire, documented]);
        keys.map(|key| Field::Path(format!("status/{}/{key}", self.field))).collect()
    }

    fn sum(&self) -> i128 {
        (0..5).map(|index| i128::from(count(self.value(index)).there().unwrap_or(0))).sum()
    }

    /// The total, or the sum of the severities if it is absent.
    fn total(&self) -> Option<i128> {
        match count(self.value(5)) {
            _ if self.has_conflict(5) => None,
            Read::Absent if !self.has_severity() || self.has_severity_conflict() || self.overflows() => None,
            Read::Absent => self.are_severities_valid().then(|| self.sum()),
            total => total.there().map(i128::from),
        }
    }

    fn is_zero(&self) -> bool {
        match count(self.value(5)) {
            Read::Is(total) if !self.has_conflict(5) => total == 0,
            _ => self.are_severities_valid() && !self.has_severity_conflict() && self.sum() == 0,
        }
    }

    /// What is compared of two containers: an absent count is 0, and a total is the sum if it is absent.
    fn five_and_total(&self) -> Value {
        let value = |index: usize| match self.value(index) {
            _ if self.has_conflict(index) => json!([self.member(NAMES[index].0), self.member(NAMES[index].1)]),
            Value::Null => json!(0),
            value => value.clone(),
        };
        let total = i64::try_from(self.total().unwrap_or_default()).unwrap_or_default();
        json!([value(0), value(1), value(2), value(3), value(4), total])
    }

    fn overflows(&self) -> bool {
        self.are_severities_valid() && self.sum() > i128::from(i64::MAX)
    }

    fn others(&self) -> impl Iterator<Item = &'a Value> {
        let is_named = |key: &str| NAMES.iter().any(|names| key == names.0 || key == names.1);
        self.members.iter().filter(move |(key, value)| !is_named(key) && !value.is_null()).map(|(_, value)| value)
    }

    /// The members with the names of the wire, unless both spellings are there and differ.
    fn normalized(&self) -> Map<String, Value> {
        let name = |key: &str| {
            let named = (0..6).find(|index| NAMES[*index].1 == key && !self.has_conflict(*index));
            named.map_or(key, |index| NAMES[index].0).to_owned()
        };
        let there = self.members.iter().filter(|(_, value)| !value.is_null());
        there.map(|(key, value)| (name(key), value.clone())).collect()
    }
}

impl Judge<'_> {
    pub fn count_rules(&mut self) {
        let status = self.new.status;
        let is_there = |field: &str| match &status[field] {
            Value::Object(members) => members.values().any(|member| !member.is_null()),
            value => !value.is_null(),
        };
        for field in ["cveCount", "CVECount"].into_iter().filter(|field| is_there(field)) {
            if let Some(counts) = Counts::read(status, field) {
                self.count_values(&counts);
                self.total(&counts);
                let is_zero = self.new.is_on(&["Failed"]) && counts.is_zero();
                self.warn_if("cve-count-timing", is_zero);
            } else {
                self.error("cve-count-values", &format!("status/{field}"), "", vec![]);
            }
            self.warn_if("cve-count-timing", self.new.is_on(&["Pending"]));
            let is_running = self.new.current("Scanning") == Some("True");
            self.warn_if("cve-count-timing", is_running && self.has_changed(field));
        }
        let is_none = !is_there("cveCount") && !is_there("CVECount");
        self.warn_if("cve-count-timing", is_none && self.new.is_on(&["Failed"]));
        self.violations();
        self.spellings();
    }

    /// Whether counts changed: those of the old container in this spelling, or else in the other. "An absent one is 0."
    fn has_changed(&self, field_of_new: &'static str) -> bool {
        let Some(old) = &self.old else { return false };
        let other = if field_of_new == "cveCount" { "CVECount" } else { "cveCount" };
        let is_absent = |field: &str| match &old.status[field] {
            Value::Object(members) => members.values().all(Value::is_null),
            value => value.is_null(),
        };
        let was = if is_absent(field_of_new) { other } else { field_of_new };
        let read = |status: &Value, field: &'static str| match (&status[field], Counts::read(status, field)) {
            (_, Some(counts)) => counts.five_and_total(),
            (Value::Object(_) | Value::Null, None) => json!([0, 0, 0, 0, 0, 0]),
            // Nothing is compared with a container of a wrong type, except another one.
            (_, None) if self.new.status[field_of_new].is_object() => json!([0, 0, 0, 0, 0, 0]),
            (wrong, None) => wrong.clone(),
        };
        read(self.new.status, field_of_new) != read(old.status, was)
    }

    /// `policy-violation-count`: "X > total", of a current PolicySucceeded.
    fn violations(&mut self) {
        let status = self.new.status;
        let entry = self.new.condition("PolicySucceeded").there().filter(|entry| !self.new.is_stale(entry));
        let violations = entry.and_then(|entry| violations(text(&entry.json["message"]).there()?));
        // Counts in both spellings are a conflict or the same.
        let containers = ["cveCount", "CVECount"].map(|field| Counts::read(status, field));
        let mut totals = containers.iter().flatten().filter_map(Counts::total);
        let is_more = violations.zip(totals.next()).is_some_and(|(violations, total)| violations > total);
        self.warn_if("policy-violation-count", is_more);
    }

    fn count_values(&mut self, counts: &Counts<'_>) {
        let field = counts.field;
        for key in NAMES.into_iter().flat_map(|names| [names.0, names.1]) {
            if count(counts.member(key)).is_wrong() {
                self.error("cve-count-values", &format!("status/{field}/{key}"), "", vec![]);
            }
        }
        if counts.overflows() && !counts.has_severity_conflict() {
            let place = Place::Field(format!("{field}: sum"));
            let reads = counts.severities();
            self.findings.push(Finding { rule: "cve-count-values", is_error: true, place, row: "", reads });
        }
        self.warn_if("cve-count-values", counts.others().next().is_some());
    }

    fn total(&mut self, counts: &Counts<'_>) {
        // "Where all that are there are valid."
        if self.is_silent && counts.has_severity_conflict() || !counts.are_severities_valid() || counts.overflows() {
            return;
        }
        self.warn_if("cve-total", counts.has_severity() && counts.value(5).is_null());
        if self.is_silent && counts.has_conflict(5) {
            return;
        }
        for key in [NAMES[5].0, NAMES[5].1] {
            let Read::Is(total) = count(counts.member(key)) else { continue };
            if i128::from(total) == counts.sum() {
                continue;
            }
            if counts.others().any(Value::is_number) {
                self.warning("cve-total");
            } else {
                self.error("cve-total", &format!("status/{}/{key}", counts.field), "", counts.severities());
            }
        }
    }

    /// `spelling-conflict`: "both spellings of one field with different values (inner keys normalised)", and "two
    /// spellings inside one cveCount … like two containers".
    fn spellings(&mut self) {
        let status = self.new.status;
        let both = |is_same: bool, [path, other]: [String; 2], judge: &mut Self| match is_same {
            true => judge.warning("spelling-conflict"),
            false => judge.error("spelling-conflict", &path, "", vec![Field::Path(other)]),
        };
        let paths = |wire: &str, documented: &str| [wire, documented].map(|field| format!("status/{field}"));
        let [wire, documented] = ["metadataUrl", "metadataURL"].map(|field| &status[field]);
        if ![wire, documented].iter().any(|value| text(value).is_absent()) {
            both(wire == documented, paths("metadataUrl", "metadataURL"), self);
        }
        let value = |field: &'static str| match (&status[field], Counts::read(status, field)) {
            (_, Some(counts)) => Value::Object(counts.normalized()),
            (Value::Object(_), None) => Value::Null,
            (other, None) => other.clone(),
        };
        let (wire, documented) = (value("cveCount"), value("CVECount"));
        if !wire.is_null() && !documented.is_null() {
            both(wire == documented, paths("cveCount", "CVECount"), self);
        }
        for field in ["cveCount", "CVECount"] {
            let Some(counts) = Counts::read(status, field) else { continue };
            for (wire, documented) in NAMES {
                let (one, other) = (counts.member(wire), counts.member(documented));
                if !one.is_null() && !other.is_null() {
                    let keys = [wire, documented].map(|key| format!("{field}/{key}"));
                    both(one == other, paths(&keys[0], &keys[1]), self);
                }
            }
        }
    }
}
