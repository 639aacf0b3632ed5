//! The type of a rule: a value with its check, its mutation, its documentation and its examples.

use super::cel::Cel;
use super::change::Change;
use super::finding::{Finding, Findings};
use super::patch::Patch;

/// A rule, with everything that is documented about it.
pub struct Rule {
    /// The name in messages, metrics, docs and configurations, and that of its file. It is never changed.
    pub id: &'static str,
    /// The rule in one sentence.
    pub title: &'static str,
    /// Docs: what it checks.
    pub checks: &'static str,
    /// Docs: why it matters.
    pub why: &'static str,
    /// Docs: what breaks when the rule is violated.
    pub breaks: &'static str,
    /// Docs: how to repair the controller or the object.
    pub repair: &'static str,
    pub part: Part,
    pub check: for<'a> fn(&Change<'a>, &mut Findings<'a>),
    pub mutate: Option<fn(&Change<'_>, &mut Patch)>,
    /// The same check as expressions in CEL.
    pub cel: Cel,
    /// At least one example with a finding and one without. They are the tests of the rule.
    pub examples: &'static [Example],
}

impl Rule {
    /// Runs the rule's check on a change, adds its findings to `findings` and returns them.
    pub(super) fn run<'f, 'a>(&self, change: &Change<'a>, findings: &'f mut Findings<'a>) -> &'f mut [Finding<'a>] {
        findings.start(self.id);
        (self.check)(change, findings);
        findings.current()
    }
}

/// The part of a scan that a rule judges. It decides for which requests the rule is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Status,
    Spec,
    /// The user of a write that changes the status. These rules are about rights, so only the rule's mode downgrades an
    /// error.
    Writer,
    /// The status of a CREATE. Only the mutating webhook sees it, since the API server then drops it.
    Create,
}

/// An example of a rule. `old` and `new` are JSON with the members that matter; the rest of the object is valid. A
/// member `user` in `new` names the user who makes the change. The only status writer is [`EXAMPLE_WRITER`], which is
/// also the default user.
pub struct Example {
    pub title: &'static str,
    pub old: Option<&'static str>,
    pub new: &'static str,
    pub expect: Expectation,
}

/// The only status writer in examples.
pub const EXAMPLE_WRITER: &str = "system:serviceaccount:scan-link-system:scan-link-controller";

/// The expected result of a rule on an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    /// No finding.
    Passes,
    /// A warning, or an error that is downgraded to one, at this field path.
    Warns(&'static str),
    /// An error that denies the write, at this field path.
    Denies(&'static str),
    /// This JSON Patch from the rule's mutation.
    Mutates(&'static str),
}
