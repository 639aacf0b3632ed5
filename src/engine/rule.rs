//! A rule as a value.

use super::change::Change;
use super::finding::{Finding, Findings};
use super::patch::Patch;

/// One rule: what it checks, what its mutation writes, and everything that is documented about it.
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
    pub check: for<'a> fn(&Change<'a>, &mut Findings<'a>),
    pub mutate: Option<fn(&Change<'_>, &mut Patch)>,
    /// At least one with a finding and one without; they are the tests of the rule.
    pub examples: &'static [Example],
}

impl Rule {
    /// Adds what the rule finds in a change to `findings`, and returns it.
    pub(super) fn find<'f, 'a>(&self, change: &Change<'a>, findings: &'f mut Findings<'a>) -> &'f mut [Finding<'a>] {
        findings.start(self.id);
        (self.check)(change, findings);
        findings.current()
    }
}

/// The part of a scan that a rule judges: it decides for which requests the rule is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Status,
    Spec,
    /// Whether the user may write the status, where the write changes it. This is about rights, so an error is downgraded by the
    /// rule's mode only.
    Writer,
    /// The status that a CREATE carries. Only the mutating webhook sees it.
    Create,
}

/// An example of a rule. `old` and `new` are JSON with the members that matter; the rest of the object is valid.
/// `user` in `new` is who writes, where [`EXAMPLE_WRITER`] is the only status writer.
pub struct Example {
    pub title: &'static str,
    pub old: Option<&'static str>,
    pub new: &'static str,
    pub expect: Expectation,
}

/// The only status writer that examples know.
pub const EXAMPLE_WRITER: &str = "system:serviceaccount:scan-link-system:scan-link-controller";

/// What a rule makes of an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    Passes,
    /// A warning, or an error that is downgraded to one, at this field path.
    Warns(&'static str),
    /// An error that denies the write, at this field path.
    Denies(&'static str),
    /// The JSON Patch that the rule's mutation makes.
    Mutates(&'static str),
}
