//! A second evaluation of RULES §2, §3, §4 and §6, for comparison with the engine. It is written from RULES alone and
//! works on JSON values: each rule is the plain statement of its row, without regard to speed.

mod artifacts;
mod conditions;
mod counts;
mod lifecycle;
mod ratchet;
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
    Field(String),
    /// A member of a condition; empty for the whole condition.
    Condition(Entry<'a>, &'static str),
}

/// A field that a rule reads.
#[derive(Clone)]
enum Field {
    Path(String),
    /// A member of the condition that the finding is at.
    Own(&'static str),
    /// A member of the condition of a type.
    Of(&'static str, &'static str),
}

struct Finding<'a> {
    rule: &'static str,
    is_error: bool,
    place: Place<'a>,
    /// Tells the rows of a table apart.
    row: &'static str,
    /// What the rule read for an error.
    reads: Vec<Field>,
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
    /// An error at a field of the object, for which the rule read that field and others.
    fn error(&mut self, rule: &'static str, path: &str, row: &'static str, others: Vec<Field>) {
        let reads = std::iter::once(Field::Path(path.to_owned())).chain(others).collect();
        self.findings.push(Finding { rule, is_error: true, place: Place::Field(path.to_owned()), row, reads });
    }

    fn condition_error(
        &mut self,
        rule: &'static str,
        at: (Entry<'a>, &'static str),
        row: &'static str,
        own: Vec<Field>,
    ) {
        self.findings.push(Finding { rule, is_error: true, place: Place::Condition(at.0, at.1), row, reads: own });
    }

    fn warning(&mut self, rule: &'static str) {
        self.findings.push(Finding {
            rule,
            is_error: false,
            place: Place::Field(String::new()),
            row: "",
            reads: Vec::new(),
        });
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
    // "The status is judged only if it differs at all from the old one, as JSON." "On CREATE … any status differs."
    let is_changed = in_status(new) != if is_update { in_status(old) } else { &Value::Null };
    let (parts, is_image) = ([!is_status, is_status || is_changed], request["kind"]["kind"] == "ImageScan");
    let judged = |new, old, is_silent| {
        let now = now.unix_timestamp_nanos();
        let mut judge = Judge { new: Scan::read(new, is_silent), old, now, is_silent, findings: Vec::new() };
        if parts[0] {
            judge.spec_rules(is_image);
        }
        if parts[1] {
            judge.status_rules();
        }
        judge
    };
    let found = judged(new, is_update.then(|| Scan::read(old, true)), true);
    let found_in_old = is_update.then(|| judged(old, None, false));
    let is_deleting = !new["metadata"]["deletionTimestamp"].is_null();
    let is_pre_existing = |finding: &Finding<'_>| {
        let before = found_in_old.as_ref();
        before.is_some_and(|old| ratchet::is_pre_existing(finding, &found.new, &old.new, &old.findings))
    };
    let is_denied = |finding: &Finding<'_>| finding.is_error && !is_deleting && !is_pre_existing(finding);
    let mut all: Judged = found.findings.iter().map(|it| (it.rule, it.is_error, is_denied(it))).collect();
    let user = request["userInfo"]["username"].as_str().unwrap_or_default();
    if !writers.is_empty() && !writers.iter().any(|writer| writer == user) && is_changed {
        all.insert(("status-writer", true, true));
    }
    all
}

/// The status as JSON. An empty one is absent.
fn in_status(object: &Value) -> &Value {
    match &object["status"] {
        Value::Object(members) if members.is_empty() => &Value::Null,
        status => status,
    }
}

/// A value as §2 reads it, for the comparison of what a rule read: what counts as absent is null.
fn as_read(value: &Value) -> Value {
    if value == "" { json!(null) } else { value.clone() }
}
