//! Findings of rules: the field, the error, the severity, and the action that is taken.

use std::borrow::Cow;

use super::field_error::{CauseReason, FieldError};
use crate::scan::Field;

/// The most findings of one rule in one object; the last one then says that there are more. A list of conditions can
/// have 20,000 malformed entries, and the ratchet looks up each finding in the old object. It is four times the number
/// that is shown, since errors that deny the write are shown first, wherever they are in the list.
const FINDINGS_MAX: usize = 4 * FINDINGS_SHOWN;

/// The most findings of one rule that are shown: about a screenful.
pub const FINDINGS_SHOWN: usize = 64;

/// How severe a rule considers a finding, whatever is done about it.
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

/// What is done about a finding, in increasing order of effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// The finding is written to the audit annotation `audited` and counted in the metrics. The client does not see it.
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
    /// The old object has the same error at the same path, and no field that the rule read for it has changed.
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

    /// Why the write is not denied, as a message says it. `action` is what is done about the finding instead.
    pub fn reason(self, action: Action) -> &'static str {
        match (self, action) {
            (Downgrade::Mode, Action::Audit) => "the rule is set to audit",
            (Downgrade::Mode, _) => "the rule is set to warn",
            (Downgrade::PreExisting, _) => "the old object has the same error",
            (Downgrade::Deleting, _) => "the object is being deleted",
        }
    }
}

/// A finding of a rule.
#[derive(Debug)]
pub struct Finding<'a> {
    pub rule: &'static str,
    pub severity: Severity,
    pub action: Action,
    /// Why the action of an error is not [`Action::Deny`]; `None` otherwise.
    pub downgraded: Option<Downgrade>,
    pub field: Field<'a>,
    /// The fields that the rule read for this error, for the ratchet. By default only `field`.
    pub reads: Vec<Field<'a>>,
    /// The row of the rule's table that is violated, for the ratchet: several rows can have errors at one path.
    pub row: usize,
    pub error: FieldError,
}

impl Finding<'_> {
    /// Turns the denial of an error into a warning. Other findings stay as they are.
    pub fn downgrade(&mut self, why: Downgrade) {
        if self.action == Action::Deny {
            self.action = Action::Warn;
            self.downgraded = Some(why);
        }
    }

    /// Returns the message. For a downgraded error it ends with the reason why the write is not denied.
    pub fn explained(&self) -> Cow<'_, str> {
        match self.downgraded {
            None => Cow::Borrowed(&self.error.message),
            Some(why) => Cow::Owned(format!("{} (not denied: {})", self.error.message, why.reason(self.action))),
        }
    }
}

/// The findings of all rules, in the order of the rules.
#[derive(Debug, Default)]
pub struct Findings<'a> {
    list: Vec<Finding<'a>>,
    /// The id of the current rule.
    rule: &'static str,
    /// The index of the first finding of the current rule.
    start: usize,
}

impl<'a> Findings<'a> {
    /// Makes the rule with this id the current one.
    pub(super) fn start(&mut self, rule: &'static str) {
        self.rule = rule;
        self.start = self.list.len();
    }

    /// Returns the findings of the current rule.
    pub(super) fn current(&mut self) -> &mut [Finding<'a>] {
        &mut self.list[self.start..]
    }

    /// Truncates the findings of the current rule to those that are shown, with those that deny the write first. The
    /// last one then says that there are more.
    pub(super) fn truncate(&mut self) {
        if self.list.len() - self.start <= FINDINGS_SHOWN {
            return;
        }
        self.list[self.start..].sort_by_key(|finding| std::cmp::Reverse(finding.action));
        let rest = self.list.split_off(self.start + FINDINGS_SHOWN - 1);
        if let Some(most_severe) = rest.first() {
            let more = more_findings(self.rule, most_severe.severity, FINDINGS_SHOWN - 1);
            self.list.push(Finding { action: most_severe.action, downgraded: most_severe.downgraded, ..more });
        }
    }

    /// Adds an error of the current rule. The caller may change its `reads` and its `row`.
    pub fn error(&mut self, field: Field<'a>, error: FieldError) -> &mut Finding<'a> {
        self.push(Severity::Error, field, error)
    }

    /// Adds a warning of the current rule.
    pub fn warning(&mut self, field: Field<'a>, error: FieldError) -> &mut Finding<'a> {
        self.push(Severity::Warning, field, error)
    }

    /// Returns whether another finding of this severity would not be listed. A rule that goes through a list can then
    /// stop.
    pub fn is_full(&self, severity: Severity) -> bool {
        self.list.len() - self.start >= FINDINGS_MAX && self.list.last().is_some_and(|last| last.severity >= severity)
    }

    pub fn list(&self) -> &[Finding<'a>] {
        &self.list
    }

    /// Returns the first finding that denies the write.
    pub fn denial(&self) -> Option<&Finding<'a>> {
        self.list.iter().find(|finding| finding.action == Action::Deny)
    }

    fn push(&mut self, severity: Severity, field: Field<'a>, error: FieldError) -> &mut Finding<'a> {
        let mut finding = finding(self.rule, severity, field, error);
        if self.list.len() - self.start >= FINDINGS_MAX
            && let Some(last) = self.list.pop()
        {
            // This finding represents all that are not listed. It reads the whole status, so the ratchet downgrades it
            // only if nothing in the status changed.
            finding = more_findings(self.rule, severity.max(last.severity), FINDINGS_MAX - 1);
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

/// Returns the finding that represents those that are not listed; `listed` findings are.
fn more_findings<'a>(rule: &'static str, severity: Severity, listed: usize) -> Finding<'a> {
    let message = format!(
        "Too many: {listed} {}s of this rule are listed, and there are more; repair the listed ones first",
        severity.name()
    );
    let error = FieldError { reason: CauseReason::TooMany, message };
    Finding { reads: vec![Field::Status], ..finding(rule, severity, Field::Status, error) }
}
