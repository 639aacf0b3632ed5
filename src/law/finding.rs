//! What a rule found: where, what is wrong, what would be right.

use time::Duration;

use super::{Change, Rule};
use crate::scan::json::printable;
use crate::scan::{Field, Json, Member};

/// Findings that one rule may have at one object. A list of conditions may have 20,000 malformed entries, and the ratchet
/// looks each finding up in it; 1,000 take it less than half a second. Beyond this the rule says that there is more.
const FINDINGS_MAX: usize = 1_000;

/// Findings of one rule that are shown: nobody reads more than a screenful.
pub const FINDINGS_SHOWN: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Advise,
    Refuse,
}

impl Severity {
    pub const ALL: [Severity; 2] = [Severity::Advise, Severity::Refuse];

    pub fn name(self) -> &'static str {
        match self {
            Severity::Advise => "advise",
            Severity::Refuse => "refuse",
        }
    }
}

/// Why a refusal became less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Softened {
    /// The old object was as bad at the same place, and nothing that matters there changed.
    Standing,
    /// The object is being deleted.
    Deleting,
    /// The rule is set to warn.
    Warn,
    /// The rule is set to audit.
    Audit,
}

impl Softened {
    pub const ALL: [Softened; 4] = [Softened::Standing, Softened::Deleting, Softened::Warn, Softened::Audit];

    pub fn words(self) -> &'static str {
        match self {
            Softened::Standing => "not refused, since it was so before this change",
            Softened::Deleting => "not refused, since the object is being deleted",
            Softened::Warn => "not refused, since the rule is set to warn",
            Softened::Audit => "not refused, since the rule is set to audit",
        }
    }
}

#[derive(Debug)]
pub struct Finding<'a> {
    pub rule: &'static str,
    pub severity: Severity,
    pub field: Field<'a>,
    /// What the rule read for this refusal: `field`, unless the rule says otherwise.
    pub reads: Vec<Field<'a>>,
    /// One sentence: what is wrong and what would be right.
    pub message: String,
    pub softened: Option<Softened>,
    /// For the audit log and the metrics alone.
    pub is_audited: bool,
}

impl Finding<'_> {
    /// Makes a refusal advice.
    pub fn soften(&mut self, why: Softened) {
        if self.severity == Severity::Refuse {
            self.severity = Severity::Advise;
            self.softened = Some(why);
        }
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
    /// Asks `rule` and returns what it found.
    pub fn of(&mut self, rule: &Rule, change: &Change<'a>) -> &mut [Finding<'a>] {
        self.rule = rule.id;
        self.start = self.list.len();
        (rule.check)(change, self);
        &mut self.list[self.start..]
    }

    /// Cuts what the current rule found to what is shown, the gravest first.
    pub fn shorten(&mut self) {
        if self.list.len() - self.start <= FINDINGS_SHOWN {
            return;
        }
        self.list[self.start..].sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        let rest = self.list.split_off(self.start + FINDINGS_SHOWN - 1);
        if let Some(gravest) = rest.first() {
            let more = more(self.rule, FINDINGS_SHOWN - 1);
            let Finding { severity, softened, is_audited, .. } = *gravest;
            self.list.push(Finding { severity, softened, is_audited, ..more });
        }
    }

    pub fn refuse(&mut self, field: Field<'a>, message: impl Into<String>) -> &mut Finding<'a> {
        self.push(Severity::Refuse, field, message.into())
    }

    pub fn advise(&mut self, field: Field<'a>, message: impl Into<String>) -> &mut Finding<'a> {
        self.push(Severity::Advise, field, message.into())
    }

    pub fn list(&self) -> &[Finding<'a>] {
        &self.list
    }

    pub fn is_refused(&self) -> bool {
        self.list.iter().any(|finding| finding.severity == Severity::Refuse)
    }

    fn push(&mut self, severity: Severity, field: Field<'a>, message: String) -> &mut Finding<'a> {
        let rule = self.rule;
        let reads = if severity == Severity::Refuse { vec![field.clone()] } else { Vec::new() };
        let mut finding = Finding { rule, severity, field, reads, message, softened: None, is_audited: false };
        if self.list.len() - self.start >= FINDINGS_MAX
            && let Some(last) = self.list.pop()
        {
            // The last place stands for all that is not listed, so only an unchanged status softens it.
            finding = Finding { severity: severity.max(last.severity), ..more(rule, FINDINGS_MAX - 1) };
        }
        let at = self.list.len();
        self.list.push(finding);
        &mut self.list[at]
    }
}

/// Stands for findings that are not listed beside `listed` that are.
fn more<'a>(rule: &'static str, listed: usize) -> Finding<'a> {
    let message = format!("has more than {listed} faults of this kind: mend those that are listed first");
    let (field, reads) = (Field::Status, vec![Field::Status]);
    Finding { rule, severity: Severity::Advise, field, reads, message, softened: None, is_audited: false }
}

/// How far a time may be ahead of now: clocks in a cluster differ by seconds, and 5 minutes is what Kerberos allows.
pub const AHEAD_MAX: Duration = Duration::minutes(5);

/// Characters of a value that a message shows.
const QUOTE_MAX_CHARS: usize = 64;

/// A value as a message shows it: its JSON text, cut short, without control characters; `absent` where there is none.
pub fn quote(json: &Json<'_>) -> String {
    match json.string() {
        Member::Absent => "absent".to_owned(),
        // Written anew: the API server escapes `<`, `>` and `&`, which nobody would recognise.
        Member::Is(text) => {
            let shown: String = text.chars().take(QUOTE_MAX_CHARS).collect();
            printable(Json::from_text(&shown).as_str(), QUOTE_MAX_CHARS)
        }
        Member::Wrong(_) => printable(json.as_str(), QUOTE_MAX_CHARS),
    }
}
