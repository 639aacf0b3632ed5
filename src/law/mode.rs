//! Modes: what a configuration makes of what a rule says. The default is what the rule itself says.

use serde::Deserialize;

use super::{Finding, Rule, Softened};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// What the rule refuses is refused, what it advises is warned of, and what it mends is mended.
    #[default]
    Deny,
    /// What the rule refuses is warned of as well; it still mends, since a mend is no refusal.
    Warn,
    /// What the rule finds is told in the audit annotation `audited` alone, and it mends nothing.
    Audit,
    /// The rule is not asked, and mends nothing.
    Off,
}

/// The mode of one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    pub rule: &'static str,
    pub mode: Mode,
}

/// Modes of rules, a list upon the other: the last one that names a rule counts. A rule that none names is at `deny`.
pub type Modes<'a> = &'a [&'a [Setting]];

impl Mode {
    pub fn of(rule: &Rule, modes: Modes<'_>) -> Self {
        let set = modes.iter().rev().find_map(|list| list.iter().find(|setting| setting.rule == rule.id));
        set.map_or(Self::Deny, |setting| setting.mode)
    }

    pub fn mends(self) -> bool {
        matches!(self, Self::Deny | Self::Warn)
    }

    /// Makes of a finding what this mode makes of it.
    pub fn apply(self, finding: &mut Finding<'_>) {
        match self {
            Self::Deny | Self::Off => {}
            Self::Warn => finding.soften(Softened::Warn),
            Self::Audit => {
                finding.soften(Softened::Audit);
                finding.is_audited = true;
            }
        }
    }
}
