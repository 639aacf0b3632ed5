//! The product of states of RULES §7 with what the rules say of each, written from the rules alone.
#![allow(dead_code, reason = "each test crate that includes this module uses a part of it")]

pub mod lifecycles;
pub mod object;
pub mod rules;

pub use object::{Kind, Scan, Spelling};
pub use rules::{Entry, Expected, Facts, Line};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    Pending,
    Scanning,
    Completed,
    Failed,
    Error,
}

/// The status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    True,
    False,
    Unknown,
}

/// One of the 2,592: None is an absent phase or condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub phase: Option<Phase>,
    pub scanning: Option<bool>,
    pub succeeded: Option<bool>,
    pub sending: Option<bool>,
    pub policy: Option<Status>,
    pub scan_policy: bool,
    /// The results' times are later than Scanning's, or earlier.
    pub results_later: bool,
}

const PHASES: [Option<Phase>; 6] = [
    None,
    Some(Phase::Pending),
    Some(Phase::Scanning),
    Some(Phase::Completed),
    Some(Phase::Failed),
    Some(Phase::Error),
];
const SWITCHES: [Option<bool>; 3] = [None, Some(true), Some(false)];
const POLICIES: [Option<Status>; 4] = [None, Some(Status::True), Some(Status::False), Some(Status::Unknown)];

const EARLIER: &str = "2026-11-20T08:01:00Z";
const SCANNING_SINCE: &str = "2026-11-20T08:02:00Z";
const LATER: &str = "2026-11-20T08:03:00Z";

/// critical, high, medium, low, unknown; as many as the fixed message of a violated policy names are critical.
const COUNTS: [i64; 5] = [7, 88, 92, 5, 0];

pub fn all() -> impl Iterator<Item = State> {
    (0..6 * 3 * 3 * 3 * 4 * 2 * 2).map(|number| {
        let mut rest = number;
        let mut pick = |of: usize| {
            let digit = rest % of;
            rest /= of;
            digit
        };
        State {
            phase: PHASES[pick(6)],
            scanning: SWITCHES[pick(3)],
            succeeded: SWITCHES[pick(3)],
            sending: SWITCHES[pick(3)],
            policy: POLICIES[pick(4)],
            scan_policy: pick(2) == 1,
            results_later: pick(2) == 1,
        }
    })
}

/// What a state leaves open is chosen so that no rule has a finding, or, where one cannot be avoided, so that it is
/// the plainer one: "absent" rather than "changed", as the old object has no status.
impl State {
    fn done(&self) -> bool {
        matches!(self.phase, Some(Phase::Completed | Phase::Failed))
    }

    /// cve-count-timing: not on Pending, and not new while Scanning=True (so Failed beside it cannot avoid the warning).
    fn has_counts(&self) -> bool {
        self.phase != Some(Phase::Pending) && self.scanning != Some(true)
    }

    /// metadata-url: set with SendingResults=True and only then.
    fn has_metadata_url(&self) -> bool {
        self.sending == Some(true)
    }

    /// scanned-at: never new together with Succeeded=False (so done beside it cannot avoid the warning).
    fn has_scanned_at(&self) -> bool {
        self.done() && self.succeeded != Some(false)
    }

    /// compliant-artifact: on Completed with a scanPolicy, except where the policy did not pass.
    fn has_compliant_artifact(&self) -> bool {
        self.phase == Some(Phase::Completed)
            && self.scan_policy
            && !matches!(self.policy, Some(Status::False | Status::Unknown))
    }

    fn results_at(&self) -> &'static str {
        if self.results_later { LATER } else { EARLIER }
    }

    fn conditions(&self) -> [Option<(&'static str, Status, &'static str)>; 4] {
        let at = self.results_at();
        [
            self.scanning.map(|is| ("Scanning", is.into(), SCANNING_SINCE)),
            self.succeeded.map(|is| ("Succeeded", is.into(), at)),
            self.sending.map(|is| ("SendingResults", is.into(), at)),
            self.policy.map(|is| ("PolicySucceeded", is, at)),
        ]
    }

    /// A complete object in this state, undamaged otherwise.
    pub fn object(&self, kind: Kind, spelling: Spelling) -> serde_json::Value {
        let mut scan = Scan::created(kind, spelling, self.scan_policy);
        scan.observe().phase(self.phase).artifact();
        for (name, status, at) in self.conditions().into_iter().flatten() {
            scan.condition(name, status, at);
        }
        if self.has_counts() {
            scan.counts(COUNTS);
        }
        if self.has_metadata_url() {
            scan.metadata_url();
        }
        if self.done() {
            scan.scanned_by("v0.37.0");
        }
        if self.has_scanned_at() {
            scan.scanned_at(LATER);
        }
        if self.has_compliant_artifact() {
            scan.compliant_artifact();
        }
        scan.value()
    }

    pub fn facts(&self) -> Facts {
        let [scanning, succeeded, sending, policy] = self
            .conditions()
            .map(|found| found.map(|(_, status, at)| Entry { status, time: at.to_owned(), generation: Some(1) }));
        Facts {
            phase: self.phase,
            scanning,
            succeeded,
            sending,
            policy,
            scan_policy: self.scan_policy,
            generation: 1,
            observed: Some(1),
            total: self.has_counts().then(|| COUNTS.iter().sum()),
            violations: (self.policy == Some(Status::False)).then_some(object::VIOLATIONS),
            metadata_url: self.has_metadata_url(),
            scanned_by: self.done(),
            scanned_at: self.has_scanned_at(),
            compliant_artifact: self.has_compliant_artifact(),
        }
    }

    /// The rules with a finding on the validating webhook, UPDATE of `*/status` of the same object without a status.
    pub fn expected(&self) -> Expected {
        self.facts().expected()
    }

    /// The sentences of the rules behind `expected`.
    pub fn because(&self) -> Vec<Line> {
        self.facts().findings()
    }
}

impl From<bool> for Status {
    fn from(is: bool) -> Self {
        if is { Status::True } else { Status::False }
    }
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Phase::Pending => "Pending",
            Phase::Scanning => "Scanning",
            Phase::Completed => "Completed",
            Phase::Failed => "Failed",
            Phase::Error => "Error",
        }
    }

    pub fn named(name: &str) -> Option<Phase> {
        PHASES.into_iter().flatten().find(|phase| phase.name() == name)
    }
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Status::True => "True",
            Status::False => "False",
            Status::Unknown => "Unknown",
        }
    }

    pub fn named(name: &str) -> Option<Status> {
        POLICIES.into_iter().flatten().find(|status| status.name() == name)
    }
}
