//! §3: the rules of CVE counts and of fields with two spellings.

use serde_json::{Map, Value, json};

use super::conditions::violations;
use super::read::{Read, count, text};
use super::{Judge, Place};

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

    fn has_conflict(&self) -> bool {
        NAMES.iter().any(|(wire, documented)| {
            let both = [self.member(wire), self.member(documented)];
            both.iter().all(|value| !value.is_null()) && both[0] != both[1]
        })
    }

    fn is_valid(&self) -> bool {
        NAMES.iter().flat_map(|names| [names.0, names.1]).all(|key| !count(self.member(key)).is_wrong())
    }

    fn sum(&self) -> i128 {
        (0..5).map(|index| i128::from(count(self.value(index)).there().unwrap_or(0))).sum()
    }

    fn overflows(&self) -> bool {
        self.sum() > i128::from(i64::MAX)
    }

    /// Whether the other rules say nothing of the container.
    fn is_silenced(&self) -> bool {
        self.has_conflict() || self.overflows()
    }

    fn others(&self) -> impl Iterator<Item = &'a Value> {
        let is_named = |key: &str| NAMES.iter().any(|names| key == names.0 || key == names.1);
        self.members.iter().filter(move |(key, value)| !is_named(key) && !value.is_null()).map(|(_, value)| value)
    }

    /// The members with the names of the wire.
    fn normalized(&self) -> Map<String, Value> {
        let name = |key: &str| {
            let named = NAMES.iter().find(|names| names.1 == key);
            named.map_or(key, |names| names.0).to_owned()
        };
        let there = self.members.iter().filter(|(_, value)| !value.is_null());
        there.map(|(key, value)| (name(key), value.clone())).collect()
    }
}

impl Judge<'_> {
    pub fn count_rules(&mut self) {
        let status = self.new.status;
        for field in ["cveCount", "CVECount"] {
            if !status[field].is_null() && !status[field].is_object() {
                let reads = [status[field].clone()];
                self.error("cve-count-values", Place::Field(field), "", &reads);
            }
            let Some(counts) = Counts::read(status, field) else { continue };
            self.count_values(&counts);
            if self.is_silent && counts.is_silenced() {
                continue;
            }
            self.total(&counts);
            self.timing(&counts);
            let violations = self.new.condition("PolicySucceeded").there().and_then(|entry| {
                let is_judged = entry.status() == "False" && !self.new.is_stale(entry);
                text(&entry.json["message"]).there().filter(|_| is_judged).and_then(violations)
            });
            let total = count(counts.value(5)).there();
            let is_more = violations.zip(total).is_some_and(|(violations, total)| violations > i128::from(total));
            self.warn_if("policy-violation-count", is_more);
        }
        let is_none = ["cveCount", "CVECount"].iter().all(|field| match &status[*field] {
            Value::Object(_) => Counts::read(status, field).is_none(),
            value => value.is_null(),
        });
        self.warn_if("cve-count-timing", is_none && self.new.is_on(&["Failed"]));
        self.spellings();
    }

    fn count_values(&mut self, counts: &Counts<'_>) {
        let field = counts.field;
        for key in NAMES.into_iter().flat_map(|names| [names.0, names.1]) {
            if count(counts.member(key)).is_wrong() {
                let reads = [counts.member(key).clone()];
                self.error("cve-count-values", Place::Member(field, key, ""), "", &reads);
            }
        }
        if counts.overflows() {
            let reads: Vec<_> = (0..5).map(|index| counts.value(index).clone()).collect();
            self.error("cve-count-values", Place::Field(field), "sum", &reads);
        }
        self.warn_if("cve-count-values", counts.others().next().is_some());
    }

    fn total(&mut self, counts: &Counts<'_>) {
        let is_severity_there = (0..5).any(|index| !counts.value(index).is_null());
        self.warn_if("cve-total", is_severity_there && counts.value(5).is_null());
        let Read::Is(total) = count(counts.value(5)) else { return };
        if !counts.is_valid() || i128::from(total) == counts.sum() {
            return;
        }
        if counts.others().any(Value::is_number) {
            return self.warning("cve-total");
        }
        let reads: Vec<_> = (0..6).map(|index| json!(count(counts.value(index)).there().unwrap_or(0))).collect();
        self.error("cve-total", Place::Field(counts.field), "", &reads);
    }

    fn timing(&mut self, counts: &Counts<'_>) {
        let rule = "cve-count-timing";
        self.warn_if(rule, self.new.is_on(&["Pending"]));
        if let Some(old) = &self.old
            && self.new.current("Scanning") == Some("True")
        {
            let was = Counts::read(old.status, counts.field);
            let value = |counts: &Counts<'_>, index| match count(counts.value(index)) {
                Read::Absent => Read::Is(0),
                other => other,
            };
            let is_changed = (0..6).any(|index| {
                let (is, was) = (value(counts, index), was.as_ref().map_or(Read::Is(0), |was| value(was, index)));
                is != was && is.is_there() && was.is_there()
            });
            self.warn_if(rule, is_changed);
        }
        let total = match count(counts.value(5)) {
            Read::Absent => counts.is_valid().then(|| counts.sum()),
            total => total.there().map(i128::from),
        };
        self.warn_if(rule, self.new.is_on(&["Failed"]) && total == Some(0));
    }

    /// `spelling-conflict`: "both spellings of one field with different values (inner keys normalised)", and "two
    /// spellings inside one cveCount … like two containers".
    fn spellings(&mut self) {
        let status = self.new.status;
        let both = |one: &Value, other: &Value, is_same: bool, place, judge: &mut Self| {
            if is_same {
                judge.warning("spelling-conflict");
            } else {
                judge.error("spelling-conflict", place, "", &[one.clone(), other.clone()]);
            }
        };
        let [wire, documented] = ["metadataUrl", "metadataURL"].map(|field| &status[field]);
        if ![wire, documented].iter().any(|value| text(value).is_absent()) {
            both(wire, documented, wire == documented, Place::Field("metadataUrl"), self);
        }
        let value = |field: &'static str| match (&status[field], Counts::read(status, field)) {
            (_, Some(counts)) => Value::Object(counts.normalized()),
            (Value::Object(_), None) => Value::Null,
            (other, None) => other.clone(),
        };
        let (wire, documented) = (value("cveCount"), value("CVECount"));
        if !wire.is_null() && !documented.is_null() {
            both(&wire, &documented, wire == documented, Place::Field("cveCount"), self);
        }
        for field in ["cveCount", "CVECount"] {
            let Some(counts) = Counts::read(status, field) else { continue };
            for (wire, documented) in NAMES {
                let (one, other) = (counts.member(wire), counts.member(documented));
                if !one.is_null() && !other.is_null() {
                    both(one, other, one == other, Place::Member(field, wire, ""), self);
                }
            }
        }
    }
}
