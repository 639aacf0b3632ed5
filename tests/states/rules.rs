//! RULES §2 "Stale", §3 and §4, as far as undamaged objects can meet them, in the order and words of the rules.
use std::collections::BTreeSet;

use super::Phase::{self, Completed, Error, Failed, Pending, Scanning};
use super::Status::{self, False, True, Unknown};

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub status: Status,
    /// RFC 3339 in whole seconds UTC, so that texts compare as times do.
    pub time: String,
    pub generation: Option<i64>,
}

/// What the rules look at in an object with legal conditions, counts and sources.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    pub phase: Option<Phase>,
    pub scanning: Option<Entry>,
    pub succeeded: Option<Entry>,
    pub sending: Option<Entry>,
    pub policy: Option<Entry>,
    pub scan_policy: bool,
    pub generation: i64,
    pub observed: Option<i64>,
    pub total: Option<i64>,
    /// X of `Policy violated because of X CVEs`.
    pub violations: Option<i64>,
    pub metadata_url: bool,
    pub scanned_by: bool,
    pub scanned_at: bool,
    pub compliant_artifact: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expected {
    pub denied: BTreeSet<&'static str>,
    pub warned: BTreeSet<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    Deny,
    Warn,
}

/// A sentence of the rules and whether it holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    pub rule: &'static str,
    pub verdict: Verdict,
    pub says: &'static str,
    pub holds: bool,
}

fn deny(rule: &'static str, says: &'static str, holds: bool) -> Line {
    Line { rule, verdict: Verdict::Deny, says, holds }
}

fn warn(rule: &'static str, says: &'static str, holds: bool) -> Line {
    Line { rule, verdict: Verdict::Warn, says, holds }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stale {
    pub scanning: bool,
    pub succeeded: bool,
    pub sending: bool,
    pub policy: bool,
}

/// The statuses of §4: s, u, d, p.
struct Statuses {
    s: Option<Status>,
    u: Option<Status>,
    d: Option<Status>,
    p: Option<Status>,
}

impl Facts {
    /// §2 "Stale".
    pub fn stale(&self) -> Stale {
        // (b) "its own observedGeneration is present and lower than status.observedGeneration (Scanning=False too)"
        let b = |it: &Option<Entry>| {
            let own = it.as_ref().and_then(|it| it.generation);
            own.zip(self.observed).is_some_and(|(own, observed)| own < observed)
        };
        // "On Completed and Failed nothing is stale, except by (b) a PolicySucceeded of a scan that has no
        // spec.scanPolicy any more." "In every phase but Completed and Failed (also when the phase is absent) …"
        if matches!(self.phase, Some(Completed | Failed)) {
            let policy = b(&self.policy) && !self.scan_policy;
            return Stale { scanning: false, succeeded: false, sending: false, policy };
        }
        // (a) "Scanning=True is present and the condition's lastTransitionTime is not later than Scanning's":
        // of the other conditions, else no scan could ever run.
        let running = self.scanning.as_ref().filter(|scanning| scanning.status == True);
        let a = |it: &Option<Entry>| running.zip(it.as_ref()).is_some_and(|(running, it)| it.time <= running.time);
        let scanning = b(&self.scanning);
        let succeeded = a(&self.succeeded) || b(&self.succeeded);
        let sending = a(&self.sending) || b(&self.sending);
        // (c) "it is PolicySucceeded and its lastTransitionTime is earlier than that of a Scanning or Succeeded which
        // is not stale"
        let before = |other: &Option<Entry>, stale: bool| {
            let pair = self.policy.as_ref().zip(other.as_ref());
            !stale && pair.is_some_and(|(policy, other)| policy.time < other.time)
        };
        let c = before(&self.scanning, scanning) || before(&self.succeeded, succeeded);
        Stale { scanning, succeeded, sending, policy: a(&self.policy) || b(&self.policy) || c }
    }

    /// All that are there, stale or not: "where a rule needs a condition to be there, it counts as there".
    fn present(&self) -> Statuses {
        let status = |it: &Option<Entry>| it.as_ref().map(|it| it.status);
        Statuses {
            s: status(&self.scanning),
            u: status(&self.succeeded),
            d: status(&self.sending),
            p: status(&self.policy),
        }
    }

    /// "All others are current."
    fn current(&self) -> Statuses {
        let (all, stale) = (self.present(), self.stale());
        Statuses {
            s: all.s.filter(|_| !stale.scanning),
            u: all.u.filter(|_| !stale.succeeded),
            d: all.d.filter(|_| !stale.sending),
            p: all.p.filter(|_| !stale.policy),
        }
    }

    pub fn findings(&self) -> Vec<Line> {
        let mut lines = self.between_conditions();
        lines.extend(self.phase_against_conditions());
        lines.extend(self.fields());
        lines.retain(|line| line.holds);
        lines
    }

    pub fn expected(&self) -> Expected {
        let mut expected = Expected::default();
        for line in self.findings() {
            match line.verdict {
                Verdict::Deny => expected.denied.insert(line.rule),
                Verdict::Warn => expected.warned.insert(line.rule),
            };
        }
        expected
    }

    /// §3, the rules of one condition against another, against the spec and against no phase at all.
    fn between_conditions(&self) -> Vec<Line> {
        let Statuses { s, u, p, .. } = self.current();
        let all = self.present();
        let judged = matches!(p, Some(True | False));
        let unasked = p.is_some() && !self.scan_policy;
        let caught_up = self.observed == Some(self.generation);
        let conditions = all.s.is_some() || all.u.is_some() || all.d.is_some() || all.p.is_some();
        vec![
            deny(
                "running-with-result",
                "Scanning=True beside a current Succeeded or PolicySucceeded",
                s == Some(True) && (u.is_some() || p.is_some()),
            ),
            deny(
                "policy-without-success",
                "current PolicySucceeded True/False beside current Succeeded=False",
                judged && u == Some(False),
            ),
            // A stale Succeeded counts as there.
            warn("policy-without-success", "… beside no Succeeded", judged && all.u.is_none()),
            deny(
                "policy-without-scanpolicy",
                "current PolicySucceeded, no spec.scanPolicy, status.observedGeneration = metadata.generation",
                unasked && caught_up,
            ),
            warn("policy-without-scanpolicy", "same, with observedGeneration lower or absent", unasked && !caught_up),
            warn("phase-unknown", "phase absent beside conditions", self.phase.is_none() && conditions),
        ]
    }

    /// §4.
    fn phase_against_conditions(&self) -> Vec<Line> {
        let Statuses { s, u, p, .. } = self.current();
        let all = self.present();
        let policy_due = self.scan_policy && self.observed == Some(self.generation); // P
        // Stale ones excuse: "is not" asks whether such a condition is there at all.
        let (not_unknown, not_sent) = (all.p != Some(Unknown), all.d == Some(False));
        let deny = |says, holds| deny("phase-disagrees", says, holds);
        let warn = |says, holds| warn("phase-disagrees", says, holds);
        match self.phase {
            None => vec![],
            Some(Pending) => vec![
                deny("Pending: s=True", s == Some(True)),
                deny("Pending: u or p", u.is_some() || p.is_some()),
                warn("Pending: s=False", s == Some(False)),
            ],
            Some(Scanning) => vec![
                deny("Scanning: u=False", u == Some(False)),
                deny("Scanning: p", p.is_some()),
                warn("Scanning: s absent", all.s.is_none()),
                warn(
                    "Scanning: s=False or u=True, unless P and no current p",
                    (s == Some(False) || u == Some(True)) && !(policy_due && p.is_none()),
                ),
            ],
            Some(Completed) => vec![
                deny("Completed: s=True", s == Some(True)),
                deny("Completed: u not True (absent too)", all.u != Some(True)),
                deny("Completed: p False/Unknown", matches!(p, Some(False | Unknown))),
                deny("Completed: P and p absent", policy_due && all.p.is_none()),
            ],
            Some(Failed) => vec![
                deny("Failed: s=True", s == Some(True)),
                deny("Failed: u not True (absent too)", all.u != Some(True)),
                deny("Failed: p not False (absent too)", all.p != Some(False)),
            ],
            Some(Error) => vec![
                deny("Error: s=True", s == Some(True)),
                deny(
                    "Error: u=True while p is not Unknown and d is not False",
                    u == Some(True) && not_unknown && !not_sent,
                ),
                warn("Error: neither u nor p present", all.u.is_none() && all.p.is_none()),
                warn("Error: u=True, p not Unknown, d=False", u == Some(True) && not_unknown && not_sent),
            ],
        }
    }

    /// §3, the rules of the other fields beside phase and conditions.
    fn fields(&self) -> Vec<Line> {
        let Statuses { d, p, .. } = self.current();
        let on = |phase| self.phase == Some(phase);
        let done = on(Completed) || on(Failed);
        vec![
            warn("cve-count-timing", "counts on Pending", on(Pending) && self.total.is_some()),
            warn(
                "cve-count-timing",
                "Failed with counts absent or total 0",
                on(Failed) && matches!(self.total, None | Some(0)),
            ),
            // No total, nothing to compare with; and a stale verdict never accuses.
            warn(
                "policy-violation-count",
                "X > total",
                p.is_some() && self.violations.zip(self.total).is_some_and(|(x, t)| x > t),
            ),
            warn("metadata-url", "set while current SendingResults=False", self.metadata_url && d == Some(False)),
            warn("metadata-url", "absent while True", !self.metadata_url && d == Some(True)),
            warn("scanned-by", "absent on Completed/Failed", !self.scanned_by && done),
            warn("scanned-at", "absent on Completed/Failed", !self.scanned_at && done),
            deny("compliant-artifact", "present on Failed", self.compliant_artifact && on(Failed)),
            deny(
                "compliant-artifact",
                "present beside a current PolicySucceeded=False",
                self.compliant_artifact && p == Some(False),
            ),
            warn("compliant-artifact", "present on Error", self.compliant_artifact && on(Error)),
            warn(
                "compliant-artifact",
                "present beside PolicySucceeded=Unknown",
                self.compliant_artifact && p == Some(Unknown),
            ),
            warn(
                "compliant-artifact",
                "absent on Completed with a scanPolicy",
                !self.compliant_artifact && on(Completed) && self.scan_policy,
            ),
        ]
    }
}
