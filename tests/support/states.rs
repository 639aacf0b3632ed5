//! The product of states of RULES §7, and complete objects in each state.

pub mod lifecycles;
pub mod object;

pub use object::{Compliant, Kind, Scan, Spelling};

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

/// One of the 2,592 states. None is an absent phase or condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub phase: Option<Phase>,
    pub scanning: Option<bool>,
    pub succeeded: Option<bool>,
    pub sending: Option<bool>,
    pub policy: Option<Status>,
    pub scan_policy: bool,
    /// Whether the times of the results are later than that of Scanning; otherwise they are earlier.
    pub results_later: bool,
}

pub const PHASES: [Option<Phase>; 6] = [
    None,
    Some(Phase::Pending),
    Some(Phase::Scanning),
    Some(Phase::Completed),
    Some(Phase::Failed),
    Some(Phase::Error),
];
const SWITCHES: [Option<bool>; 3] = [None, Some(true), Some(false)];
pub const POLICIES: [Option<Status>; 4] = [None, Some(Status::True), Some(Status::False), Some(Status::Unknown)];

const EARLIER: &str = "2026-11-20T08:01:00Z";
const SCANNING_SINCE: &str = "2026-11-20T08:02:00Z";
const LATER: &str = "2026-11-20T08:03:00Z";

/// critical, high, medium, low, unknown. The critical ones are as many as the message of a violated policy says.
pub const COUNTS: [i64; 5] = [7, 88, 92, 5, 0];

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

/// The fields that are not part of a state are chosen so that no rule has a finding about them. Where a finding cannot
/// be avoided, it is that the field is absent and not that it changed, because the old object has no status.
impl State {
    pub fn done(&self) -> bool {
        matches!(self.phase, Some(Phase::Completed | Phase::Failed))
    }

    /// cve-count-timing: no counts on Pending, and no new counts while Scanning=True (so Failed beside it has a
    /// warning).
    pub fn has_counts(&self) -> bool {
        self.phase != Some(Phase::Pending) && self.scanning != Some(true)
    }

    /// metadata-url: set if and only if SendingResults=True.
    pub fn has_metadata_url(&self) -> bool {
        self.sending == Some(true)
    }

    /// scanned-at: not new together with Succeeded=False (so Completed and Failed beside it have a warning).
    pub fn has_scanned_at(&self) -> bool {
        self.done() && self.succeeded != Some(false)
    }

    /// compliant-artifact: set on Completed with a scanPolicy and PolicySucceeded=True (so Completed without it has a
    /// warning).
    fn has_compliant_artifact(&self) -> bool {
        self.phase == Some(Phase::Completed) && self.scan_policy && self.policy == Some(Status::True)
    }

    fn results_at(&self) -> &'static str {
        if self.results_later { LATER } else { EARLIER }
    }

    pub fn conditions(&self) -> [Option<(&'static str, Status, &'static str)>; 4] {
        let at = self.results_at();
        [
            self.scanning.map(|is| ("Scanning", is.into(), SCANNING_SINCE)),
            self.succeeded.map(|is| ("Succeeded", is.into(), at)),
            self.sending.map(|is| ("SendingResults", is.into(), at)),
            self.policy.map(|is| ("PolicySucceeded", is, at)),
        ]
    }

    /// Returns the state with the other inputs of the rules as in the product of §7.
    pub fn case(self) -> Case {
        let compliant = self.has_compliant_artifact().then_some(Compliant::Same);
        Case { state: self, observed: Observed::Current, older: [false; 4], is_artifact_of_another: false, compliant }
    }

    /// Returns a complete object in this state.
    pub fn object(&self, kind: Kind, spelling: Spelling) -> serde_json::Value {
        self.case().object(kind, spelling)
    }
}

/// How status.observedGeneration compares with metadata.generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Observed {
    Absent,
    Lower,
    Current,
    /// The generation of a restored object begins at 1 again.
    Higher,
    /// There is no metadata.generation, as in a manifest.
    NoGeneration,
}

impl Observed {
    pub const ALL: [Observed; 5] =
        [Observed::Absent, Observed::Lower, Observed::Current, Observed::Higher, Observed::NoGeneration];

    /// status.observedGeneration and metadata.generation.
    pub fn generations(self) -> (Option<i64>, Option<i64>) {
        match self {
            Observed::Absent => (None, Some(2)),
            Observed::Lower => (Some(2), Some(3)),
            Observed::Current => (Some(2), Some(2)),
            Observed::Higher => (Some(2), Some(1)),
            Observed::NoGeneration => (Some(2), None),
        }
    }
}

/// A state and the other inputs of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Case {
    pub state: State,
    pub observed: Observed,
    /// Whether Scanning, Succeeded, SendingResults and PolicySucceeded are of a generation before
    /// status.observedGeneration.
    pub older: [bool; 4],
    pub is_artifact_of_another: bool,
    pub compliant: Option<Compliant>,
}

impl Case {
    /// Returns the states without SendingResults, which compliantArtifact and observedGeneration do not depend on.
    fn unsent() -> impl Iterator<Item = State> {
        all().filter(|state| state.sending.is_none())
    }

    /// Returns every state with every observedGeneration and every compliantArtifact or none, with the matching kind of
    /// scan.
    pub fn of_artifacts() -> impl Iterator<Item = (Kind, Case)> {
        let compliant = Compliant::ALL.into_iter().map(Some).chain([None]);
        Case::unsent().flat_map(move |state| {
            let compliant = compliant.clone();
            compliant.flat_map(move |compliant| {
                let kind = compliant.map_or(Kind::SourceScan, Compliant::kind);
                Observed::ALL.map(|observed| (kind, Case { observed, compliant, ..state.case() }))
            })
        })
    }

    /// Returns every state with each condition of the observed or of the previous generation. Only the presence of
    /// SendingResults matters, so it is absent or True.
    pub fn of_generations() -> impl Iterator<Item = Case> {
        all().filter(|state| state.sending != Some(false)).flat_map(|state| {
            let there = state.conditions().map(|entry| entry.is_some());
            let older = (0..16).map(|bits| [0, 1, 2, 3].map(|index| bits >> index & 1 == 1));
            let older = older.filter(move |older| older.iter().zip(there).all(|(is_older, is)| is || !is_older));
            let observed = [Observed::Absent, Observed::Lower, Observed::Current];
            older.flat_map(move |older| observed.map(|observed| Case { older, observed, ..state.case() }))
        })
    }

    /// Returns every state with an artifact that is not the spec's source.
    pub fn of_other_artifacts() -> impl Iterator<Item = Case> {
        Case::unsent().flat_map(|state| {
            Observed::ALL.map(|observed| Case { observed, is_artifact_of_another: true, ..state.case() })
        })
    }

    pub fn object(&self, kind: Kind, spelling: Spelling) -> serde_json::Value {
        let state = &self.state;
        let (observed, generation) = self.observed.generations();
        let mut scan = Scan::created(kind, spelling, state.scan_policy);
        scan.observe().generations(observed, generation).phase(state.phase).artifact();
        for (index, (name, status, at)) in
            state.conditions().into_iter().enumerate().filter_map(|(i, it)| Some((i, it?)))
        {
            scan.condition(name, status, at).of_generation(name, self.own_generation(index));
        }
        if state.has_counts() {
            scan.counts(COUNTS);
        }
        if state.has_metadata_url() {
            scan.metadata_url();
        }
        if state.done() {
            scan.scanned_by("v0.37.0");
        }
        if state.has_scanned_at() {
            scan.scanned_at(LATER);
        }
        if self.is_artifact_of_another {
            scan.artifact_of_another();
        }
        match self.compliant {
            Some(compliant) => scan.compliant_artifact_that_is(compliant).value(),
            None => scan.value(),
        }
    }

    pub fn own_generation(&self, index: usize) -> i64 {
        if self.older[index] { 1 } else { 2 }
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
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Status::True => "True",
            Status::False => "False",
            Status::Unknown => "Unknown",
        }
    }
}
