//! A check of an installation, and the diagnostics that it reports.

use super::snapshot::Snapshot;

/// A check, with its documentation.
pub struct Check {
    /// The permanent name: an anchor in docs/doctor.md, and `check` in the JSON.
    pub id: &'static str,
    /// The state of a correct installation, in one sentence.
    pub title: &'static str,
    /// The effects of any other state.
    pub causes: &'static str,
    /// The steps to the correct state.
    pub remedy: &'static str,
    pub run: fn(&Snapshot, &mut Diagnostics),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The installation is wrong.
    Problem,
    /// The installation differs from the manifests, possibly on purpose.
    Note,
    /// The check could not be made from this machine, or with these rights.
    Unknown,
}

impl Level {
    pub const ALL: [Level; 3] = [Level::Problem, Level::Note, Level::Unknown];

    pub fn name(self) -> &'static str {
        match self {
            Level::Problem => "problem",
            Level::Note => "note",
            Level::Unknown => "unknown",
        }
    }
}

/// A result of a check.
pub struct Diagnostic {
    pub check: &'static Check,
    pub level: Level,
    /// The state that was found, in one sentence.
    pub message: String,
}

/// Collects the results of one check.
#[derive(Default)]
pub struct Diagnostics {
    list: Vec<(Level, String)>,
}

impl Diagnostics {
    /// Runs a check, and returns its diagnostics.
    pub fn of(check: &'static Check, snapshot: &Snapshot) -> impl Iterator<Item = Diagnostic> {
        let mut diagnostics = Diagnostics::default();
        (check.run)(snapshot, &mut diagnostics);
        diagnostics.list.into_iter().map(move |(level, message)| Diagnostic { check, level, message })
    }

    fn add(&mut self, level: Level, message: String) {
        let diagnostic = (level, message);
        // Four webhooks call one Service, whose faults are reported once.
        if !self.list.contains(&diagnostic) {
            self.list.push(diagnostic);
        }
    }

    pub fn problem(&mut self, message: impl Into<String>) {
        self.add(Level::Problem, message.into());
    }

    pub fn note(&mut self, message: impl Into<String>) {
        self.add(Level::Note, message.into());
    }

    pub fn unknown(&mut self, message: impl Into<String>) {
        self.add(Level::Unknown, message.into());
    }
}
