//! A write of a scan: its objects as the API server sends them to the webhooks, its findings and its mutations.

use scan_admission::admission::review::Operation;
use scan_admission::admission::{is_mutated, parts};
use scan_admission::engine::{Change, Findings, Part, PatchOperation, mutate, validate};
use scan_admission::manifest::path::members;
use scan_admission::offline::Judge;
use scan_admission::report::ReportedFinding;
use scan_admission::rules::RULES;
use scan_admission::scan::{Container, GROUP, Kind, Scan, reader};
use serde_json::json;

use crate::request::Write;

/// The uid of the reviews that the page makes.
const UID: &str = "00000000-0000-4000-8000-000000000000";

/// A write of a scan by a user.
pub struct ScanWrite<'w> {
    pub kind: Kind,
    pub namespace: &'w str,
    pub name: &'w str,
    pub user: &'w str,
    pub groups: &'w [String],
    pub write: Write,
    /// The JSON of the object as it is sent.
    pub new: String,
    pub old: Option<String>,
    /// Whether the object is that of a review, which the API server has made.
    pub is_reviewed: bool,
}

impl ScanWrite<'_> {
    fn operation(&self) -> Operation {
        if self.write == Write::Create { Operation::Create } else { Operation::Update }
    }

    fn is_status(&self) -> bool {
        matches!(self.write, Write::File | Write::Status)
    }

    /// Returns the object that is stored if `new` is sent: an update of the status changes nothing else, and no other write
    /// changes the status.
    pub fn stored(&self, new: &str) -> String {
        if self.is_reviewed {
            return new.to_owned();
        }
        match (self.is_status(), &self.old) {
            (true, Some(old)) => with_status(old, status(new)),
            (true, None) => new.to_owned(),
            (false, old) => with_status(new, old.as_deref().and_then(status)),
        }
    }

    /// Returns the AdmissionReview about an object.
    pub fn review(&self, object: &str) -> String {
        let (kind, plural, version) = (self.kind.name(), self.kind.plural(), "v1beta1");
        let mut review = json!({
            "kind": "AdmissionReview",
            "apiVersion": "admission.k8s.io/v1",
            "request": {
                "uid": UID,
                "kind": {"group": GROUP, "version": version, "kind": kind},
                "resource": {"group": GROUP, "version": version, "resource": plural},
                "name": self.name,
                "namespace": self.namespace,
                "operation": if self.write == Write::Create { "CREATE" } else { "UPDATE" },
                "userInfo": {"username": self.user},
            },
        });
        if self.is_status() {
            review["request"]["subResource"] = "status".into();
        }
        let head = review.to_string();
        let old = self.old.as_deref().filter(|_| self.write != Write::Create).unwrap_or("null");
        // The objects are inserted as they are, so that none of their contents changes.
        let end = format!(",\"object\":{object},\"oldObject\":{old}}}}}");
        head.strip_suffix("}}").map(|head| head.to_owned() + &end).unwrap_or_default()
    }

    /// Returns the findings of the rules in the write before its mutations, and the mutations.
    pub fn judge(&self, judge: &Judge) -> (Vec<ReportedFinding>, Vec<PatchOperation>) {
        let (stored, old) = (self.stored(&self.new), self.old.as_deref().filter(|_| self.write != Write::Create));
        let texts = [self.new.as_str(), &stored, old.unwrap_or("null")];
        let [Ok(sent), Ok(stored), Ok(old)] = texts.map(reader::read::<Container<'_, Scan<'_>>>) else {
            return Default::default();
        };
        let (sent, stored) = (sent.value().unwrap_or_default(), stored.value().unwrap_or_default());
        let modes = judge.settings.modes(self.namespace, self.user, self.groups);
        let of = |new| {
            let change = Change::new(self.kind, new, old.present(), judge.now);
            change.with_user(self.user, &judge.settings.status_writers).with_modes(&modes)
        };
        let (at_creation, change) = (of(&sent), of(&stored));
        let mut findings = Findings::default();
        if self.write == Write::Create {
            validate(RULES, Part::Create, &at_creation, &mut findings);
        }
        for part in parts(self.operation(), self.is_status(), &change) {
            validate(RULES, part, &change, &mut findings);
        }
        let is_mutated = self.is_status() && is_mutated(&change);
        let operations = if is_mutated { mutate(RULES, &change).operations } else { Vec::new() };
        (findings.list().iter().map(ReportedFinding::from).collect(), operations)
    }
}

/// Returns the JSON of the status of an object.
fn status(object: &str) -> Option<&str> {
    members(object).into_iter().rev().find(|(key, _)| *key == "\"status\"").map(|(_, status)| status)
}

/// Returns an object with this status in place of its own.
fn with_status(object: &str, status: Option<&str>) -> String {
    let members = members(object).into_iter().filter(|(key, _)| *key != "\"status\"");
    let members: Vec<String> = members
        .chain(status.map(|status| ("\"status\"", status)))
        .map(|(key, value)| format!("{key}:{value}"))
        .collect();
    format!("{{{}}}", members.join(","))
}
