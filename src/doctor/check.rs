//! A check as a value, and what it finds.

use super::snapshot::Snapshot;

/// One thing that may be wrong, and everything that is documented about it.
pub struct Check {
    /// The final name: an anchor in docs/doctor.md, and `check` in the JSON.
    pub id: &'static str,
    /// What is true of a sound installation, in one sentence.
    pub title: &'static str,
    /// What happens where it is not true.
    pub causes: &'static str,
    pub remedy: &'static str,
    pub run: fn(&Snapshot, &mut Diagnostics),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Problem,
    /// It differs from the manifests, or may matter; it may be intended.
    Note,
    /// It could not be looked up from here, or with these rights.
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

pub struct Diagnostic {
    pub check: &'static Check,
    pub level: Level,
    /// What is true here, in one sentence.
    pub message: String,
}

/// What the checks have found so far.
#[derive(Default)]
pub struct Diagnostics {
    list: Vec<(Level, String)>,
}

impl Diagnostics {
    /// What `check` finds.
    pub fn of(check: &'static Check, snapshot: &Snapshot) -> impl Iterator<Item = Diagnostic> {
        let mut diagnostics = Diagnostics::default();
        (check.run)(snapshot, &mut diagnostics);
        diagnostics.list.into_iter().map(move |(level, message)| Diagnostic { check, level, message })
    }

    fn add(&mut self, level: Level, message: String) {
        let diagnostic = (level, message);
        // Four webhooks call one Service: what is wrong with it is reported once.
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
