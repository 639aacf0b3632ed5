//! The law: which status a scan may have. A rule is a value; the table of them is [`RULES`].

pub mod book;
pub mod conditions;
pub mod finding;
pub mod lifecycle;
pub mod mending;
pub mod mode;
pub mod ratchet;
pub mod rules;
pub mod vocabulary;

use std::cell::OnceCell;

use time::OffsetDateTime;

use crate::scan::{Kind, Scan};

pub use conditions::Conditions;
pub use finding::{Finding, Findings, Severity, Softened};
pub use mending::{Operation, Patch, mend};
pub use mode::{Mode, Modes, Setting};
pub use rules::RULES;

/// One rule: what it checks, what it mends, and everything that is said about it.
pub struct Rule {
    /// The final name, also the name of its file: it appears in messages, metrics and docs.
    pub id: &'static str,
    /// The rule in one sentence.
    pub title: &'static str,
    /// Docs: what it checks.
    pub checks: &'static str,
    /// Docs: why it matters.
    pub why: &'static str,
    /// Docs: what breaks when it is broken.
    pub breaks: &'static str,
    /// Docs: how to repair the controller or the object.
    pub repair: &'static str,
    pub part: Part,
    pub check: Check,
    pub mend: Option<Mend>,
    /// At least one that the rule finds fault with and one that it passes; they are its tests.
    pub examples: &'static [Example],
}

pub type Check = for<'a> fn(&Change<'a>, &mut Findings<'a>);
pub type Mend = fn(&Change<'_>, &mut Patch);

/// The part of a scan that a rule judges: it decides at which requests the rule is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Status,
    Spec,
    /// The status that a CREATE carries, at the mutating door: the only one that sees it.
    Create,
}

/// An example of a rule. `old` and `new` are JSON with the members that matter; the rest of the object is undamaged.
/// `user` in `new` says who writes, where the status writers are [`EXAMPLE_WRITER`] alone.
pub struct Example {
    pub says: &'static str,
    pub old: Option<&'static str>,
    pub new: &'static str,
    pub verdict: Verdict,
}

/// The only status writer that examples know.
pub const EXAMPLE_WRITER: &str = "system:serviceaccount:scan-link-system:scan-link-controller";

/// What a rule makes of an example. The strings are field paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Passes,
    Advised(&'static str),
    Refused(&'static str),
    /// What the rule's mend makes of it: the JSON Patch.
    Mended(&'static str),
}

/// What is judged: an object, what it was before, and when.
pub struct Change<'a> {
    pub kind: Kind,
    pub new: &'a Scan<'a>,
    /// None where there was nothing before (CREATE), or where the object is judged by itself.
    pub old: Option<&'a Scan<'a>>,
    pub now: OffsetDateTime,
    /// Who makes the change; empty where that is not known.
    pub user: &'a str,
    /// Who may write a status; empty: everybody.
    pub status_writers: &'a [String],
    pub modes: Modes<'a>,
    conditions: OnceCell<Conditions<'a>>,
}

impl<'a> Change<'a> {
    pub fn new(kind: Kind, new: &'a Scan<'a>, old: Option<&'a Scan<'a>>, now: OffsetDateTime) -> Self {
        Change { kind, new, old, now, user: "", status_writers: &[], modes: &[], conditions: OnceCell::new() }
    }

    /// The change as made by `user`, where only `status_writers` may write a status.
    pub fn written_by(self, user: &'a str, status_writers: &'a [String]) -> Self {
        Change { user, status_writers, ..self }
    }

    /// The change as judged where the rules are set to `modes`.
    pub fn under(self, modes: Modes<'a>) -> Self {
        Change { modes, ..self }
    }

    /// The old object judged by itself.
    fn before(&self, old: &'a Scan<'a>) -> Self {
        Change { old: None, ..self.with(old) }
    }

    /// The same change to another new object.
    fn with<'b>(&self, new: &'b Scan<'b>) -> Change<'b>
    where
        'a: 'b,
    {
        let Change { kind, old, now, user, status_writers, modes, .. } = *self;
        Change { kind, new, old, now, user, status_writers, modes, conditions: OnceCell::new() }
    }

    /// The conditions of the new object, well formed and by type.
    pub fn conditions(&self) -> &Conditions<'a> {
        self.conditions.get_or_init(|| Conditions::of(self.new))
    }
}

/// Asks the rules of `part` that are not off. Refusals of an object that is being deleted are softened, and so are, where
/// there is an old object, those that the ratchet excuses; then each finding is what the mode of its rule makes of it.
pub fn judge<'a>(rules: &[Rule], part: Part, change: &Change<'a>, findings: &mut Findings<'a>) {
    for rule in rules.iter().filter(|rule| rule.part == part) {
        ask(rule, change, findings);
    }
}

fn ask<'a>(rule: &Rule, change: &Change<'a>, findings: &mut Findings<'a>) {
    let mode = Mode::of(rule, change.modes);
    if mode == Mode::Off {
        return;
    }
    let found = findings.of(rule, change);
    if found.is_empty() {
        return;
    }
    if change.new.is_deleting() {
        found.iter_mut().for_each(|finding| finding.soften(Softened::Deleting));
    } else if let Some(old) = change.old {
        ratchet::soften(rule, change, old, found);
    }
    found.iter_mut().for_each(|finding| mode.apply(finding));
    findings.shorten();
}
