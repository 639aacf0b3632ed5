//! What a rule found: where, what is wrong, what is right instead, and what is done about it.

use std::borrow::Cow;

use super::field_error::{CauseReason, FieldError};
use crate::scan::Field;

/// Findings that one rule may have in one object: four times what is shown, since the ratchet looks each up in the old object.
/// A list of conditions may have 20,000 malformed entries. Beyond this the rule says that there are more.
const FINDINGS_MAX: usize = 4 * FINDINGS_SHOWN;

/// Findings of one rule that are shown: nobody reads more than a screenful.
pub const FINDINGS_SHOWN: usize = 64;

/// What a rule says of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Warning,
    Error,
}

impl Severity {
    pub const ALL: [Severity; 2] = [Severity::Warning, Severity::Error];

    pub fn name(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// What is done about a finding, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// It is written to the audit annotation `audited` and counted, and nobody else is told.
    Audit,
    /// The client gets a warning.
    Warn,
    /// The write is denied.
    Deny,
}

impl Action {
    pub const ALL: [Action; 3] = [Action::Audit, Action::Warn, Action::Deny];

    pub fn name(self) -> &'static str {
        match self {
            Action::Audit => "audit",
            Action::Warn => "warn",
            Action::Deny => "deny",
        }
    }
}

/// Why an error does not deny the write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Downgrade {
    /// The mode of the rule is warn or audit.
    Mode,
    /// The old object has the same error at the same path, and nothing that the rule read for it changed.
    PreExisting,
    /// The object is being deleted.
    Deleting,
}

impl Downgrade {
    pub const ALL: [Downgrade; 3] = [Downgrade::Mode, Downgrade::PreExisting, Downgrade::Deleting];

    pub fn name(self) -> &'static str {
        match self {
            Downgrade::Mode => "mode",
            Downgrade::PreExisting => "pre-existing",
            Downgrade::Deleting => "deleting",
        }
    }
}

#[derive(Debug)]
pub struct Finding<'a> {
    pub rule: &'static str,
    pub severity: Severity,
    pub action: Action,
    /// Why the action of an error is not [`Action::Deny`].
    pub downgraded: Option<Downgrade>,
    pub field: Field<'a>,
    /// What the rule read for this error: `field`, unless the rule says otherwise.
    pub reads: Vec<Field<'a>>,
    /// The row of the rule's table that is violated, where several rows can be at one path: the ratchet compares it.
    pub row: usize,
    pub error: FieldError,
}

impl Finding<'_> {
    /// Makes an error that would deny the write a warning.
    pub fn downgrade(&mut self, why: Downgrade) {
        if self.action == Action::Deny {
            self.action = Action::Warn;
            self.downgraded = Some(why);
        }
    }

    /// The message, and for an error that is downgraded why it is not denied.
    pub fn explained(&self) -> Cow<'_, str> {
        let reason = match (self.downgraded, self.action) {
            (None, _) => return Cow::Borrowed(&self.error.message),
            (Some(Downgrade::Mode), Action::Audit) => "the rule is set to audit",
            (Some(Downgrade::Mode), _) => "the rule is set to warn",
            (Some(Downgrade::PreExisting), _) => "the old object has the same error",
            (Some(Downgrade::Deleting), _) => "the object is being deleted",
        };
        Cow::Owned(format!("{} (not denied: {reason})", self.error.message))
    }
}

/// Everything that was found, in the order of the rules.
#[derive(Debug, Default)]
pub struct Findings<'a> {
    list: Vec<Finding<'a>>,
    rule: &'static str,
    /// Where the findings of the current rule begin.
    start: usize,
}

impl<'a> Findings<'a> {
    /// The findings from here on are those of the rule with this id.
    pub(super) fn start(&mut self, rule: &'static str) {
        self.rule = rule;
        self.start = self.list.len();
    }

    /// What the current rule found.
    pub(super) fn current(&mut self) -> &mut [Finding<'a>] {
        &mut self.list[self.start..]
    }

    /// Shortens the findings of the current rule to those that are shown, denied ones first.
    pub(super) fn shorten(&mut self) {
        if self.list.len() - self.start <= FINDINGS_SHOWN {
            return;
        }
        self.list[self.start..].sort_by_key(|finding| std::cmp::Reverse(finding.action));
        let rest = self.list.split_off(self.start + FINDINGS_SHOWN - 1);
        if let Some(most_severe) = rest.first() {
            let more = more(self.rule, most_severe.severity, FINDINGS_SHOWN - 1);
            self.list.push(Finding { action: most_severe.action, downgraded: most_severe.downgraded, ..more });
        }
    }

    pub fn error(&mut self, field: Field<'a>, error: FieldError) -> &mut Finding<'a> {
        self.push(Severity::Error, field, error)
    }

    pub fn warning(&mut self, field: Field<'a>, error: FieldError) -> &mut Finding<'a> {
        self.push(Severity::Warning, field, error)
    }

    /// Whether another finding of this severity would not be listed: a rule that goes through a list need not make it.
    pub fn is_full(&self, severity: Severity) -> bool {
        self.list.len() - self.start >= FINDINGS_MAX && self.list.last().is_some_and(|last| last.severity >= severity)
    }

    pub fn list(&self) -> &[Finding<'a>] {
        &self.list
    }

    /// The first finding that denies the write.
    pub fn denial(&self) -> Option<&Finding<'a>> {
        self.list.iter().find(|finding| finding.action == Action::Deny)
    }

    fn push(&mut self, severity: Severity, field: Field<'a>, error: FieldError) -> &mut Finding<'a> {
        let mut finding = finding(self.rule, severity, field, error);
        if self.list.len() - self.start >= FINDINGS_MAX
            && let Some(last) = self.list.pop()
        {
            // The last place stands for all that is not listed, so only an unchanged status downgrades it.
            finding = more(self.rule, severity.max(last.severity), FINDINGS_MAX - 1);
        }
        let at = self.list.len();
        self.list.push(finding);
        &mut self.list[at]
    }
}

fn finding<'a>(rule: &'static str, severity: Severity, field: Field<'a>, error: FieldError) -> Finding<'a> {
    let (action, reads) = match severity {
        Severity::Warning => (Action::Warn, Vec::new()),
        Severity::Error => (Action::Deny, vec![field]),
    };
    Finding { rule, severity, action, downgraded: None, field, reads, row: 0, error }
}

/// Stands for findings that are not listed beside `listed` that are.
fn more<'a>(rule: &'static str, severity: Severity, listed: usize) -> Finding<'a> {
    let message = format!(
        "Too many: {listed} {}s of this rule are listed, and there are more; repair the listed ones first",
        severity.name()
    );
    let error = FieldError { reason: CauseReason::TooMany, message };
    Finding { reads: vec![Field::Status], ..finding(rule, severity, Field::Status, error) }
}
