//! A second evaluation of RULES §2, §3, §4 and §6, for comparison with the engine. It is written from RULES alone and
//! works on JSON values: each rule is the plain statement of its row, without regard to speed.

mod artifacts;
mod conditions;
mod counts;
mod lifecycle;
mod read;
mod results;
mod spec;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use time::OffsetDateTime;

use conditions::Entry;
use read::Scan;

/// The rule, whether the finding is an error, and whether it denies the write.
pub type Judged = BTreeSet<(&'static str, bool, bool)>;

/// Where a finding is.
enum Place<'a> {
    Field(&'static str),
    /// A member of a container of counts or of an artifact.
    Member(&'static str, &'static str, &'static str),
    /// A member of a condition; empty for the whole condition.
    Condition(Entry<'a>, &'static str),
}

struct Finding<'a> {
    rule: &'static str,
    is_error: bool,
    place: Place<'a>,
    /// Tells the rows of a table apart.
    row: &'static str,
    /// The values that the rule read, in an order that its row fixes.
    reads: Vec<Value>,
}

/// One evaluation of a scan.
struct Judge<'a> {
    new: Scan<'a>,
    old: Option<Scan<'a>>,
    now: i128,
    /// §2: for the ratchet the old object is judged without the silences.
    is_silent: bool,
    findings: Vec<Finding<'a>>,
}

impl<'a> Judge<'a> {
    fn error(&mut self, rule: &'static str, place: Place<'a>, row: &'static str, reads: &[Value]) {
        self.findings.push(Finding { rule, is_error: true, place, row, reads: reads.to_vec() });
    }

    fn warning(&mut self, rule: &'static str) {
        self.findings.push(Finding { rule, is_error: false, place: Place::Field(""), row: "", reads: Vec::new() });
    }

    fn warn_if(&mut self, rule: &'static str, holds: bool) {
        if holds {
            self.warning(rule);
        }
    }

    fn status_rules(&mut self) {
        self.status_shape();
        if !(self.new.status.is_null() || self.new.status.is_object()) {
            return;
        }
        self.condition_rules();
        self.phase_unknown();
        self.phase_jump();
        self.phase_disagrees();
        self.running_with_result();
        self.policy_without_success();
        self.policy_without_scanpolicy();
        self.count_rules();
        self.metadata_url();
        self.scanned_by();
        self.scanned_at();
        self.observed_generation();
        self.transition_time();
        self.artifact_rules();
    }
}

/// Judges a request of the validating webhook by §6. `writers` is the configured list of status writers, empty if none is
/// configured.
pub fn judge(request: &Value, writers: &[String], now: OffsetDateTime) -> Judged {
    let (operation, is_status) = (request["operation"].as_str().unwrap(), request["subResource"] == "status");
    let (new, old) = (&request["object"], &request["oldObject"]);
    if operation != "CREATE" && operation != "UPDATE" {
        return Judged::new();
    }
    let is_update = operation == "UPDATE" && !old.is_null();
    // "The status is judged only if it differs at all from the old one, as JSON."
    let is_changed = match is_update {
        true => new.get("status") != old.get("status"),
        false => !read::is_empty_status(&new["status"]),
    };
    let (parts, is_image) = ([!is_status, is_status || is_changed], request["kind"]["kind"] == "ImageScan");
    let judged = |new, old, is_silent| {
        let now = now.unix_timestamp_nanos();
        let mut judge = Judge { new: Scan::read(new), old, now, is_silent, findings: Vec::new() };
        if parts[0] {
            judge.spec_rules(is_image);
        }
        if parts[1] {
            judge.status_rules();
        }
        judge.findings
    };
    let found = judged(new, is_update.then(|| Scan::read(old)), true);
    let found_in_old = if is_update { judged(old, None, false) } else { Vec::new() };
    let is_deleting = !new["metadata"]["deletionTimestamp"].is_null();
    let mut all: Judged = found
        .iter()
        .map(|found| {
            let is_pre_existing = || found_in_old.iter().any(|old| is_same(found, old));
            (found.rule, found.is_error, found.is_error && !is_deleting && !is_pre_existing())
        })
        .collect();
    let user = request["userInfo"]["username"].as_str().unwrap_or_default();
    if !writers.is_empty() && !writers.iter().any(|writer| writer == user) && is_changed {
        all.insert(("status-writer", true, true));
    }
    all
}

/// §6 "Ratchet": "the old object breaks the same rule at the same path in the same way (the same row of a table) and none
/// of the fields that the rule read for it changed".
fn is_same(new: &Finding<'_>, old: &Finding<'_>) -> bool {
    let is_same_place = match (&new.place, &old.place) {
        (Place::Field(new), Place::Field(old)) => new == old,
        (Place::Member(a, b, c), Place::Member(x, y, z)) => (a, b, c) == (x, y, z),
        (Place::Condition(new, member), Place::Condition(old, other)) => member == other && new.is_same_as(old),
        _ => false,
    };
    old.is_error && (new.rule, new.row) == (old.rule, old.row) && is_same_place && new.reads == old.reads
}

/// A value as §2 reads it, for the comparison of what a rule read: what counts as absent is null.
fn as_read(value: &Value) -> Value {
    if value == "" { json!(null) } else { value.clone() }
}
