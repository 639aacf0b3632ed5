//! The facts of each state, and with them its expected findings.

use super::state_rules::{Comparison, Entry, Expected, Facts, Line};
use super::states::{COUNTS, Case, Compliant, State, Status};

/// The number X in the message `Policy violated because of X CVEs` of the states.
const VIOLATIONS: i64 = 7;

impl State {
    pub fn facts(&self) -> Facts {
        self.case().facts()
    }

    /// Returns the rules with a finding of the validating webhook for an UPDATE of `*/status`, where the old object is
    /// the same without a status.
    pub fn expected(&self) -> Expected {
        self.facts().expected()
    }

    /// Returns the sentences of the rules that [`State::expected`] is derived from.
    pub fn findings(&self) -> Vec<Line> {
        self.facts().findings()
    }
}

impl Case {
    pub fn facts(&self) -> Facts {
        let state = &self.state;
        let (observed, generation) = self.observed.generations();
        let conditions = state.conditions();
        let entry = |index: usize| {
            let (_, status, at) = conditions[index]?;
            Some(Entry { status, time: at.to_owned(), generation: Some(self.own_generation(index)) })
        };
        Facts {
            phase: state.phase,
            scanning: entry(0),
            succeeded: entry(1),
            sending: entry(2),
            policy: entry(3),
            scan_policy: state.scan_policy,
            generation,
            observed,
            total: state.has_counts().then(|| COUNTS.iter().sum()),
            violations: (state.policy == Some(Status::False)).then_some(VIOLATIONS),
            metadata_url: state.has_metadata_url(),
            scanned_by: state.done(),
            scanned_at: state.has_scanned_at(),
            is_artifact_of_another: self.is_artifact_of_another,
            compliant_artifact: self.compliant.map(Compliant::compared),
        }
    }
}

impl Compliant {
    /// §3 `artifact-source`.
    pub fn compared(self) -> Comparison {
        match self {
            // "tag vs digest is fine, here and between the two artifacts"
            Compliant::Same | Compliant::Tag => Comparison::Same,
            Compliant::AnotherRevision | Compliant::AnotherPart => Comparison::Differs,
            Compliant::AnotherUrl | Compliant::AnotherRepository | Compliant::AnotherDigest => Comparison::Contradicts,
        }
    }
}
