//! §3: the rules of single conditions: `condition-…`, `…-vocabulary`, `transition-time` and `observed-generation`.

use serde_json::{Value, json};

use super::read::{Read, count, seconds, text, time};
use super::{Judge, Place, as_read};

const KNOWN: [&str; 4] = ["Scanning", "Succeeded", "SendingResults", "PolicySucceeded"];

/// An entry of the list of conditions.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    pub index: usize,
    pub json: &'a Value,
    /// Whether another entry has the same type, malformed or not.
    is_doubled: bool,
}

/// "null in the list of conditions is absent; `{}` is an entry without a type."
pub fn entries(conditions: &Value) -> Vec<Entry<'_>> {
    let list = || conditions.as_array().into_iter().flatten().enumerate();
    let is_doubled = |json: &Value| list().filter(|other| other.1["type"] == json["type"]).count() > 1;
    let there = list().filter(|(_, json)| !json.is_null());
    there.map(|(index, json)| Entry { index, json, is_doubled: is_doubled(json) }).collect()
}

impl<'a> Entry<'a> {
    pub fn name(&self) -> Read<&'a str> {
        text(&self.json["type"])
    }

    fn is_named_by_index(&self) -> bool {
        self.is_doubled || !self.name().is_there()
    }

    pub fn status(&self) -> &'a str {
        self.json["status"].as_str().unwrap_or_default()
    }

    pub fn time(&self) -> Option<i128> {
        time(&self.json["lastTransitionTime"]).there()
    }

    pub fn generation(&self) -> Read<i64> {
        count(&self.json["observedGeneration"])
    }

    /// "A condition entry in which `condition-fields` finds an error is left out of all other rules."
    pub fn is_whole(&self) -> bool {
        self.field_errors().is_empty()
    }

    /// "List items by key; by index where the type is missing or doubled. … An entry named by its index is the same entry
    /// where its JSON, less what our mutations filled in, is the same."
    pub fn is_same_as(&self, old: &Entry<'_>) -> bool {
        if !self.is_named_by_index() && !old.is_named_by_index() {
            return self.name() == old.name();
        }
        let (Some(new), Some(old)) = (self.json.as_object(), old.json.as_object()) else {
            return self.json == old.json;
        };
        let is_filled = |key: &str| ["lastTransitionTime", "reason", "message"].contains(&key);
        let absent = json!(null);
        new.keys().chain(old.keys()).all(|key| {
            let (new, old) = (new.get(key).unwrap_or(&absent), old.get(key).unwrap_or(&absent));
            as_read(new) == as_read(old) || is_filled(key) && as_read(old).is_null()
        })
    }

    /// The members in which `condition-fields` finds an error, and what is wrong there.
    fn field_errors(&self) -> Vec<(&'static str, &'static str)> {
        let mut errors = Vec::new();
        if !self.json.is_object() {
            return vec![("", "no object")];
        }
        let mut check = |member, row, is_wrong: bool| is_wrong.then(|| errors.push((member, row)));
        let value = |member: &str| &self.json[member];
        let length = |member: &str| text(value(member)).there().map_or(0, |text| text.chars().count());
        check("type", "absent", self.name().is_absent());
        check("type", "too long", length("type") > 316);
        check("type", "not a qualified name", !self.name().is_absent() && !is_qualified(self.name()));
        check("status", "not supported", !["True", "False", "Unknown"].contains(&self.status()));
        check("lastTransitionTime", "absent", time(value("lastTransitionTime")).is_absent());
        check("lastTransitionTime", "not RFC 3339", time(value("lastTransitionTime")).is_wrong());
        let reason = text(value("reason"));
        let has_rows = ["Scanning", "Succeeded", "PolicySucceeded"].map(Read::Is).contains(&self.name());
        check("reason", "absent", reason.is_absent() && has_rows);
        check("reason", "too long", length("reason") > 1024);
        check("reason", "malformed", !reason.is_absent() && !reason.there().is_some_and(is_reason));
        for member in ["message", "error"] {
            check(member, "not a string", text(value(member)).is_wrong());
            check(member, "too long", length(member) > 32768);
        }
        check("observedGeneration", "not an integer", self.generation().is_wrong());
        errors
    }
}

fn is_qualified(name: Read<&str>) -> bool {
    let Some(name) = name.there() else { return false };
    let (prefix, name) = name.split_once('/').map_or((None, name), |(prefix, name)| (Some(prefix), name));
    let is_within = |text: &str, is: fn(char) -> bool, and: &str| {
        text.starts_with(is) && text.ends_with(is) && text.chars().all(|char| is(char) || and.contains(char))
    };
    let is_label = |label: &str| is_within(label, |char| char.is_ascii_lowercase() || char.is_ascii_digit(), "-");
    prefix.is_none_or(|prefix| prefix.split('.').all(is_label))
        && is_within(name, |char| char.is_ascii_alphanumeric(), "-_.")
}

/// `^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`
fn is_reason(reason: &str) -> bool {
    reason.starts_with(|char: char| char.is_ascii_alphabetic())
        && reason.chars().all(|char| char.is_ascii_alphanumeric() || "_,:".contains(char))
        && !reason.ends_with([',', ':'])
}

/// Returns X of `Policy violated because of X CVEs`: "X ≥ 1 (`CVE` for X = 1 too)".
pub fn violations(message: &str) -> Option<i128> {
    let rest = message.strip_prefix("Policy violated because of ")?;
    let (number, is_one) = match rest.strip_suffix(" CVEs") {
        Some(number) => (number, false),
        None => (rest.strip_suffix(" CVE")?, true),
    };
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
    number.parse().ok().filter(|count| is_number && *count >= 1 && (!is_one || *count == 1))
}

impl<'a> Judge<'a> {
    pub fn condition_rules(&mut self) {
        let entries = self.new.entries.clone();
        for (number, entry) in entries.iter().enumerate() {
            for (member, row) in entry.field_errors() {
                let read = if member.is_empty() { entry.json } else { &entry.json[member] };
                self.error("condition-fields", Place::Condition(*entry, member), row, &[as_read(read)]);
            }
            let has_rows = ["Scanning", "Succeeded", "PolicySucceeded"].map(Read::Is).contains(&entry.name());
            let is_reason_absent = entry.json.is_object() && text(&entry.json["reason"]).is_absent();
            self.warn_if("condition-fields", is_reason_absent && !has_rows);
            let Some(name) = entry.name().there().filter(|_| entry.is_whole()) else { continue };
            self.warn_if("condition-unknown-type", !KNOWN.contains(&name));
            // "Of two entries of one type the first counts."
            if entries[..number].iter().any(|other| other.is_whole() && other.name() == entry.name()) {
                self.error("condition-duplicate", Place::Condition(*entry, "type"), "", &[]);
            } else {
                self.vocabulary(name, entry);
            }
        }
    }

    /// §2: the row of the condition's status.
    fn vocabulary(&mut self, name: &str, entry: &Entry<'a>) {
        let rule = match name {
            "Scanning" => "scanning-vocabulary",
            "Succeeded" => "succeeded-vocabulary",
            "SendingResults" => "sending-results-vocabulary",
            "PolicySucceeded" => "policy-vocabulary",
            _ => return,
        };
        let [reason, message, error] = ["reason", "message", "error"].map(|member| text(&entry.json[member]).there());
        let is_silent = message.is_none() && error.is_none();
        let is = |texts: &[&str]| message.is_some_and(|message| texts.contains(&message));
        let begins = |text: &str| message.is_some_and(|message| message.starts_with(text));
        // The reason of the row, whether the message contradicts it, whether the error has to be empty, and whether
        // something is a warning.
        let (row_reason, is_other_message, is_without_error, is_warned) = match (name, entry.status()) {
            ("Scanning", "True") => (Some("JobStarted"), !is(&["The scan job is running"]), true, message.is_none()),
            ("Scanning", "False") => (Some("JobFinished"), !is(&["The scan job terminated"]), true, message.is_none()),
            ("Succeeded", "True") => (Some("JobFinished"), false, true, false),
            ("Succeeded", "False") => (Some("Error"), false, false, is_silent),
            ("SendingResults", "True") => (None, false, true, false),
            ("SendingResults", _) => (None, false, false, is_silent),
            ("PolicySucceeded", "True") => {
                let is_old = is(&["No non-compliant vulnerabilities found", "No noncompliant vulnerabilities found"]);
                let is_fixed = is(&["No CVEs were found that violated the policy"]);
                (Some("EvaluationPassed"), !is_fixed && !is_old, true, message.is_none() || is_old)
            }
            ("PolicySucceeded", "False") => {
                let is_old = begins("Vulnerabilities that failed OPA policy: ");
                let is_fixed = message.is_some_and(|message| violations(message).is_some());
                (Some("EvaluationFailed"), !is_fixed && !is_old, false, message.is_none() || is_old)
            }
            ("PolicySucceeded", "Unknown") => {
                (Some("Error"), !begins("An error has occurred"), false, message.is_none() || error.is_none())
            }
            _ => {
                let reads = [json!(entry.status())];
                return self.error(rule, Place::Condition(*entry, "status"), "no row", &reads);
            }
        };
        let status = json!(entry.status());
        if row_reason.is_some() && reason != row_reason {
            self.error(rule, Place::Condition(*entry, "reason"), "", &[status.clone(), json!(reason)]);
        }
        // "A missing explanation is a warning, a contradicting one an error."
        if message.is_some() && is_other_message {
            self.error(rule, Place::Condition(*entry, "message"), "", &[status.clone(), json!(message)]);
        }
        if is_without_error && error.is_some() {
            self.error(rule, Place::Condition(*entry, "error"), "", &[status, json!(error)]);
        }
        self.warn_if(rule, is_warned);
    }

    /// The first well-formed entries of each type.
    fn counting(entries: &[Entry<'a>]) -> Vec<Entry<'a>> {
        let mut first: Vec<Entry<'a>> = Vec::new();
        for entry in entries.iter().filter(|entry| entry.is_whole()) {
            if !first.iter().any(|other| other.name() == entry.name()) {
                first.push(*entry);
            }
        }
        first
    }

    pub fn transition_time(&mut self) {
        let Some(old) = &self.old else { return };
        let (old, new) = (Self::counting(&old.entries), Self::counting(&self.new.entries));
        for entry in new {
            let Some(before) = old.iter().find(|old| old.name() == entry.name()) else { continue };
            let (was, is) = (before.time().unwrap(), entry.time().unwrap());
            let is_other_status = before.status() != entry.status();
            let is_just_now = is <= self.now && self.now - is <= seconds(2);
            self.warn_if("transition-time", is_other_status && was == is && !is_just_now);
            self.warn_if("transition-time", !is_other_status && was != is);
            self.warn_if("transition-time", is < was);
            self.warn_if("transition-time", was != is && is > self.now + seconds(300));
        }
    }

    pub fn observed_generation(&mut self) {
        let rule = "observed-generation";
        let observed = self.new.observed;
        if observed.is_wrong() {
            let reads = [as_read(&self.new.status["observedGeneration"])];
            self.error(rule, Place::Field("observedGeneration"), "", &reads);
        }
        let is_less = |one: Read<i64>, other: Read<i64>| match (one, other) {
            (Read::Is(one), Read::Is(other)) => one < other,
            _ => false,
        };
        let generation = self.new.generation;
        self.warn_if(rule, is_less(generation, observed));
        let before = self.old.as_ref().map_or(Read::Absent, |old| old.observed);
        self.warn_if(rule, is_less(observed, before));
        for entry in Self::counting(&self.new.entries) {
            self.warn_if(rule, is_less(generation, entry.generation()));
            let is_done = self.new.is_on(&["Completed", "Failed"]);
            self.warn_if(rule, is_done && !self.new.is_stale(&entry) && is_less(entry.generation(), observed));
        }
    }
}
