//! RULES §2 "Stale", §3 and §4 as a table, in the order and wording of RULES, for objects whose fields are valid by
//! themselves.
//!
//! Comparisons of new with old are in `changes.rs` and `tests/core/transitions.rs`. The checks of single fields are in
//! the tests of their rules.

use std::collections::BTreeSet;

use super::states::Phase::{self, Completed, Error, Failed, Pending, Scanning};
use super::states::Status::{self, False, True, Unknown};

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub status: Status,
    /// RFC 3339 in whole seconds of UTC, so that the texts compare as times.
    pub time: String,
    pub generation: Option<i64>,
}

/// How compliantArtifact compares with artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// The same, or the same image with a tag in place of the digest.
    Same,
    /// "another tag, a part that only one of them has, …"
    Differs,
    /// Another "blob.url, git.url or image repository", "or both images have a digest and the digests differ".
    Contradicts,
}

/// The inputs of the rules, from an object with valid conditions, counts and sources.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    pub phase: Option<Phase>,
    pub scanning: Option<Entry>,
    pub succeeded: Option<Entry>,
    pub sending: Option<Entry>,
    pub policy: Option<Entry>,
    pub scan_policy: bool,
    pub generation: Option<i64>,
    pub observed: Option<i64>,
    pub total: Option<i64>,
    /// X of `Policy violated because of X CVEs`.
    pub violations: Option<i64>,
    pub metadata_url: bool,
    pub scanned_by: bool,
    pub scanned_at: bool,
    /// Whether the artifact is of another source than the spec's.
    pub is_artifact_of_another: bool,
    pub compliant_artifact: Option<Comparison>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expected {
    pub denied: BTreeSet<&'static str>,
    pub warned: BTreeSet<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    Deny,
    Warn,
}

/// A sentence of the rules and whether it holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    pub rule: &'static str,
    pub action: Action,
    pub sentence: &'static str,
    pub holds: bool,
}

fn deny(rule: &'static str, sentence: &'static str, holds: bool) -> Line {
    Line { rule, action: Action::Deny, sentence, holds }
}

fn warn(rule: &'static str, sentence: &'static str, holds: bool) -> Line {
    Line { rule, action: Action::Warn, sentence, holds }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stale {
    pub scanning: bool,
    pub succeeded: bool,
    pub sending: bool,
    pub policy: bool,
}

/// The statuses of conditions in the letters of §4: s Scanning, u Succeeded, d SendingResults, p PolicySucceeded.
struct Statuses {
    s: Option<Status>,
    u: Option<Status>,
    d: Option<Status>,
    p: Option<Status>,
}

impl Facts {
    /// §2: "status.observedGeneration and metadata.generation are both there and equal".
    pub fn is_caught_up(&self) -> bool {
        self.observed.is_some() && self.observed == self.generation
    }

    /// §2 "Stale".
    pub fn stale(&self) -> Stale {
        // (a) "a current Scanning=True is present, the condition is another one, and its lastTransitionTime is not
        // later than Scanning's"
        let running = self.scanning.as_ref().filter(|it| it.status == True && !self.is_of_older_generation(it));
        let a = |it: &Entry| running.is_some_and(|running| it.time <= running.time);
        // (b) "its own observedGeneration is present and lower than status.observedGeneration (Scanning=False too)"
        let b = |it: &Entry| self.is_of_older_generation(it);
        // (c) "it is PolicySucceeded and its lastTransitionTime is earlier than that of Scanning or Succeeded, stale or
        // not"
        let c = |it: &Entry| [&self.scanning, &self.succeeded].into_iter().flatten().any(|other| it.time < other.time);
        let is = |it: &Option<Entry>, stale: &dyn Fn(&Entry) -> bool| it.as_ref().is_some_and(stale);
        if matches!(self.phase, Some(Completed | Failed)) {
            // "nothing is stale …, except a PolicySucceeded of a scan that has no spec.scanPolicy any more: by (b), or
            // because its time is earlier than that of Scanning or Succeeded"
            let policy = !self.scan_policy && is(&self.policy, &|it| b(it) || c(it));
            return Stale { scanning: false, succeeded: false, sending: false, policy };
        }
        Stale {
            scanning: is(&self.scanning, &b),
            succeeded: is(&self.succeeded, &|it| a(it) || b(it)),
            sending: is(&self.sending, &|it| a(it) || b(it)),
            policy: is(&self.policy, &|it| a(it) || b(it) || c(it)),
        }
    }

    fn is_of_older_generation(&self, it: &Entry) -> bool {
        it.generation.zip(self.observed).is_some_and(|(own, observed)| own < observed)
    }

    /// The present conditions, stale or not: "where a rule needs a condition to be there, it counts as there".
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
        lines.extend(self.artifacts());
        lines.extend(self.generations());
        lines.retain(|line| line.holds);
        lines
    }

    pub fn expected(&self) -> Expected {
        let mut expected = Expected::default();
        for line in self.findings() {
            match line.action {
                Action::Deny => expected.denied.insert(line.rule),
                Action::Warn => expected.warned.insert(line.rule),
            };
        }
        expected
    }

    /// The rules of §3 that compare a condition with another, with the spec, or with an absent phase.
    fn between_conditions(&self) -> Vec<Line> {
        let Statuses { s, u, p, .. } = self.current();
        let all = self.present();
        let judged = matches!(p, Some(True | False));
        let unasked = p.is_some() && !self.scan_policy;
        let decided = matches!(self.phase, Some(Completed | Failed | Error) | None);
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
            // A stale Succeeded counts as present.
            warn("policy-without-success", "… beside no Succeeded", judged && all.u.is_none()),
            deny(
                "policy-without-scanpolicy",
                "on Completed, Failed, Error or without a phase: current PolicySucceeded, no spec.scanPolicy, caught up",
                decided && unasked && self.is_caught_up(),
            ),
            warn(
                "policy-without-scanpolicy",
                "same, not caught up or in another phase",
                unasked && !(decided && self.is_caught_up()),
            ),
            warn("phase-unknown", "phase absent beside conditions", self.phase.is_none() && conditions),
        ]
    }

    /// The table of §4. A line with "x is not Y" requires the status Y, and a line with "absent" requires the
    /// condition. A stale
    /// condition satisfies both requirements.
    fn phase_against_conditions(&self) -> Vec<Line> {
        let Statuses { s, u, p, .. } = self.current();
        let all = self.present();
        let policy_due = self.scan_policy && self.is_caught_up(); // P
        let (not_unknown, not_sent) = (all.p != Some(Unknown), all.d == Some(False));
        let deny = |sentence, holds| deny("phase-disagrees", sentence, holds);
        let warn = |sentence, holds| warn("phase-disagrees", sentence, holds);
        match self.phase {
            None => vec![],
            Some(Pending) => vec![
                deny("Pending: s=True", s == Some(True)),
                warn("Pending: u or p", u.is_some() || p.is_some()),
                warn("Pending: s=False", s == Some(False)),
            ],
            Some(Scanning) => vec![
                warn(
                    "Scanning: u=False, or p, where s is not True",
                    (u == Some(False) || p.is_some()) && all.s != Some(True),
                ),
                warn("Scanning: s absent", all.s.is_none()),
                warn(
                    "Scanning: s=False or u=True, unless P and no current p (the policy is still to come)",
                    (s == Some(False) || u == Some(True)) && !(policy_due && p.is_none()),
                ),
            ],
            Some(Completed) => vec![
                deny("Completed: s=True", s == Some(True)),
                deny("Completed: u not True (absent too)", all.u != Some(True)),
                deny("Completed: p False/Unknown", matches!(p, Some(False | Unknown))),
                deny("Completed: P and p absent", policy_due && all.p.is_none()),
                warn(
                    "Completed: scanPolicy set, p absent, not caught up",
                    self.scan_policy && all.p.is_none() && !self.is_caught_up(),
                ),
            ],
            Some(Failed) => vec![
                deny("Failed: s=True", s == Some(True)),
                deny("Failed: u not True (absent too)", all.u != Some(True)),
                deny("Failed: p not False (absent too; a stale p has to be False)", all.p != Some(False)),
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

    /// The rules of §3 that compare other fields with the phase and the conditions.
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
            // Without a total there is nothing to compare with, and a stale condition violates nothing.
            warn(
                "policy-violation-count",
                "X > total",
                p.is_some() && self.violations.zip(self.total).is_some_and(|(x, t)| x > t),
            ),
            warn("metadata-url", "set while current SendingResults=False", self.metadata_url && d == Some(False)),
            warn("metadata-url", "absent while True", !self.metadata_url && d == Some(True)),
            warn("scanned-by", "on Completed/Failed: absent", !self.scanned_by && done),
            warn("scanned-at", "absent on Completed/Failed", !self.scanned_at && done),
        ]
    }

    /// §3 `compliant-artifact` and `artifact-source`.
    fn artifacts(&self) -> Vec<Line> {
        let p = self.current().p;
        let all = self.present();
        let on = |phase| self.phase == Some(phase);
        let present = self.compliant_artifact.is_some();
        let contradicts = self.compliant_artifact == Some(Comparison::Contradicts);
        let is_without_policy =
            present && (on(Completed) || self.phase.is_none()) && self.scan_policy && all.p.is_none();
        let is_error = self.is_caught_up() || self.observed.is_none();
        vec![
            deny("compliant-artifact", "present on Failed", present && on(Failed)),
            deny(
                "compliant-artifact",
                "present, while a scanPolicy is set, beside PolicySucceeded=False, stale or not",
                present && self.scan_policy && all.p == Some(False),
            ),
            deny(
                "compliant-artifact",
                "on Completed or without a phase, present with a scanPolicy and no PolicySucceeded at all, caught up or \
                 observedGeneration absent",
                is_without_policy && is_error,
            ),
            warn("compliant-artifact", "present on Error", present && on(Error)),
            // A stale Unknown violates nothing.
            warn("compliant-artifact", "present beside PolicySucceeded=Unknown", present && p == Some(Unknown)),
            warn(
                "compliant-artifact",
                "the last of the errors in every other case of observedGeneration",
                is_without_policy && !is_error,
            ),
            warn(
                "compliant-artifact",
                "absent on Completed with a scanPolicy",
                !present && on(Completed) && self.scan_policy,
            ),
            deny(
                "artifact-source",
                "on Completed, compliantArtifact's blob.url, git.url or image repository is not artifact's, or both images \
                 have a digest and the digests differ",
                contradicts && on(Completed),
            ),
            warn(
                "artifact-source",
                "compliantArtifact ≠ artifact otherwise",
                contradicts && !on(Completed) || self.compliant_artifact == Some(Comparison::Differs),
            ),
            warn(
                "artifact-source",
                "on Completed and Failed with observedGeneration = generation: artifact ≠ spec",
                (on(Completed) || on(Failed)) && self.is_caught_up() && self.is_artifact_of_another,
            ),
        ]
    }

    /// §3 `observed-generation`.
    fn generations(&self) -> Vec<Line> {
        let stale = self.stale();
        let entries = [
            (&self.scanning, stale.scanning),
            (&self.succeeded, stale.succeeded),
            (&self.sending, stale.sending),
            (&self.policy, stale.policy),
        ];
        let is_ahead = |own: Option<i64>| own.zip(self.generation).is_some_and(|(own, of)| own > of);
        let of_another = |entry: &Entry, is_stale: bool| !is_stale && self.is_of_older_generation(entry);
        let done = matches!(self.phase, Some(Completed | Failed));
        let mut there = entries.into_iter().filter_map(|(entry, is_stale)| Some((entry.as_ref()?, is_stale)));
        vec![
            warn(
                "observed-generation",
                "status' or a condition's > metadata.generation",
                is_ahead(self.observed) || there.clone().any(|(entry, _)| is_ahead(entry.generation)),
            ),
            warn(
                "observed-generation",
                "on Completed and Failed a current condition's lower than the status' (a verdict of another generation)",
                done && there.any(|(entry, is_stale)| of_another(entry, is_stale)),
            ),
        ]
    }
}
