//! LAW §2 "Left over", §3 and §4, as far as undamaged objects can meet them, in the order and words of the law.
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

/// What the law looks at in an object with legal conditions, counts and sources.
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
    pub refused: BTreeSet<&'static str>,
    pub advised: BTreeSet<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    Refuse,
    Advise,
}

/// A sentence of the law and whether it holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    pub rule: &'static str,
    pub verdict: Verdict,
    pub says: &'static str,
    pub holds: bool,
}

fn refuse(rule: &'static str, says: &'static str, holds: bool) -> Line {
    Line { rule, verdict: Verdict::Refuse, says, holds }
}

fn advise(rule: &'static str, says: &'static str, holds: bool) -> Line {
    Line { rule, verdict: Verdict::Advise, says, holds }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeftOver {
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
    /// §2 "Left over".
    pub fn left_over(&self) -> LeftOver {
        // (b) "its own observedGeneration is present and lower than status.observedGeneration (Scanning=False too)"
        let b = |it: &Option<Entry>| {
            let own = it.as_ref().and_then(|it| it.generation);
            own.zip(self.observed).is_some_and(|(own, observed)| own < observed)
        };
        // "On Completed and Failed nothing is left over, except by (b) a PolicySucceeded of a scan that has no
        // spec.scanPolicy any more." "In every phase but Completed and Failed (also when the phase is absent) …"
        if matches!(self.phase, Some(Completed | Failed)) {
            let policy = b(&self.policy) && !self.scan_policy;
            return LeftOver { scanning: false, succeeded: false, sending: false, policy };
        }
        // (a) "Scanning=True is present and the condition's lastTransitionTime is not later than Scanning's":
        // of the other conditions, else no scan could ever run.
        let running = self.scanning.as_ref().filter(|scanning| scanning.status == True);
        let a = |it: &Option<Entry>| running.zip(it.as_ref()).is_some_and(|(running, it)| it.time <= running.time);
        let scanning = b(&self.scanning);
        let succeeded = a(&self.succeeded) || b(&self.succeeded);
        let sending = a(&self.sending) || b(&self.sending);
        // (c) "it is PolicySucceeded and its lastTransitionTime is earlier than that of a Scanning or Succeeded which
        // is not left over"
        let before = |other: &Option<Entry>, left_over: bool| {
            let pair = self.policy.as_ref().zip(other.as_ref());
            !left_over && pair.is_some_and(|(policy, other)| policy.time < other.time)
        };
        let c = before(&self.scanning, scanning) || before(&self.succeeded, succeeded);
        LeftOver { scanning, succeeded, sending, policy: a(&self.policy) || b(&self.policy) || c }
    }

    /// All that are there, left over or not: "where a rule needs a condition to be there, it counts as there".
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
        let (all, left_over) = (self.present(), self.left_over());
        Statuses {
            s: all.s.filter(|_| !left_over.scanning),
            u: all.u.filter(|_| !left_over.succeeded),
            d: all.d.filter(|_| !left_over.sending),
            p: all.p.filter(|_| !left_over.policy),
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
                Verdict::Refuse => expected.refused.insert(line.rule),
                Verdict::Advise => expected.advised.insert(line.rule),
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
            refuse(
                "running-with-result",
                "Scanning=True beside a current Succeeded or PolicySucceeded",
                s == Some(True) && (u.is_some() || p.is_some()),
            ),
            refuse(
                "policy-without-success",
                "current PolicySucceeded True/False beside current Succeeded=False",
                judged && u == Some(False),
            ),
            // A left-over Succeeded counts as there.
            advise("policy-without-success", "… beside no Succeeded", judged && all.u.is_none()),
            refuse(
                "policy-without-scanpolicy",
                "current PolicySucceeded, no spec.scanPolicy, status.observedGeneration = metadata.generation",
                unasked && caught_up,
            ),
            advise("policy-without-scanpolicy", "same, with observedGeneration lower or absent", unasked && !caught_up),
            advise("phase-unknown", "phase absent beside conditions", self.phase.is_none() && conditions),
        ]
    }

    /// §4.
    fn phase_against_conditions(&self) -> Vec<Line> {
        let Statuses { s, u, p, .. } = self.current();
        let all = self.present();
        let policy_due = self.scan_policy && self.observed == Some(self.generation); // P
        // Left-over ones excuse: "is not" asks whether such a condition is there at all.
        let (not_unknown, not_sent) = (all.p != Some(Unknown), all.d == Some(False));
        let refuse = |says, holds| refuse("phase-disagrees", says, holds);
        let advise = |says, holds| advise("phase-disagrees", says, holds);
        match self.phase {
            None => vec![],
            Some(Pending) => vec![
                refuse("Pending: s=True", s == Some(True)),
                refuse("Pending: u or p", u.is_some() || p.is_some()),
                advise("Pending: s=False", s == Some(False)),
            ],
            Some(Scanning) => vec![
                refuse("Scanning: u=False", u == Some(False)),
                refuse("Scanning: p", p.is_some()),
                advise("Scanning: s absent", all.s.is_none()),
                advise(
                    "Scanning: s=False or u=True, unless P and no current p",
                    (s == Some(False) || u == Some(True)) && !(policy_due && p.is_none()),
                ),
            ],
            Some(Completed) => vec![
                refuse("Completed: s=True", s == Some(True)),
                refuse("Completed: u not True (absent too)", all.u != Some(True)),
                refuse("Completed: p False/Unknown", matches!(p, Some(False | Unknown))),
                refuse("Completed: P and p absent", policy_due && all.p.is_none()),
            ],
            Some(Failed) => vec![
                refuse("Failed: s=True", s == Some(True)),
                refuse("Failed: u not True (absent too)", all.u != Some(True)),
                refuse("Failed: p not False (absent too)", all.p != Some(False)),
            ],
            Some(Error) => vec![
                refuse("Error: s=True", s == Some(True)),
                refuse(
                    "Error: u=True while p is not Unknown and d is not False",
                    u == Some(True) && not_unknown && !not_sent,
                ),
                advise("Error: neither u nor p present", all.u.is_none() && all.p.is_none()),
                advise("Error: u=True, p not Unknown, d=False", u == Some(True) && not_unknown && not_sent),
            ],
        }
    }

    /// §3, the rules of the other fields beside phase and conditions.
    fn fields(&self) -> Vec<Line> {
        let Statuses { d, p, .. } = self.current();
        let on = |phase| self.phase == Some(phase);
        let done = on(Completed) || on(Failed);
        vec![
            advise("cve-count-timing", "counts on Pending", on(Pending) && self.total.is_some()),
            advise(
                "cve-count-timing",
                "Failed with counts absent or total 0",
                on(Failed) && matches!(self.total, None | Some(0)),
            ),
            // No total, nothing to compare with; and a left-over verdict never accuses.
            advise(
                "policy-violation-count",
                "X > total",
                p.is_some() && self.violations.zip(self.total).is_some_and(|(x, t)| x > t),
            ),
            advise("metadata-url", "set while current SendingResults=False", self.metadata_url && d == Some(False)),
            advise("metadata-url", "absent while True", !self.metadata_url && d == Some(True)),
            advise("scanned-by", "absent on Completed/Failed", !self.scanned_by && done),
            advise("scanned-at", "absent on Completed/Failed", !self.scanned_at && done),
            refuse("compliant-artifact", "present on Failed", self.compliant_artifact && on(Failed)),
            refuse(
                "compliant-artifact",
                "present beside a current PolicySucceeded=False",
                self.compliant_artifact && p == Some(False),
            ),
            advise("compliant-artifact", "present on Error", self.compliant_artifact && on(Error)),
            advise(
                "compliant-artifact",
                "present beside PolicySucceeded=Unknown",
                self.compliant_artifact && p == Some(Unknown),
            ),
            advise(
                "compliant-artifact",
                "absent on Completed with a scanPolicy",
                !self.compliant_artifact && on(Completed) && self.scan_policy,
            ),
        ]
    }
}
