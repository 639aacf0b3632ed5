//! Modes: what a configuration makes of a rule's findings. The default is what the rule itself says.

use serde::Deserialize;

use super::finding::{Action, Downgrade, Finding};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// An error denies the write, a warning is shown to the client, and the rule's mutation is applied.
    #[default]
    Deny,
    /// An error is shown to the client as a warning. The rule's mutation is still applied, since it denies nothing.
    Warn,
    /// What the rule finds is written to the audit annotation `audited` only, and its mutation is not applied.
    Audit,
    /// The rule is not asked, and its mutation is not applied.
    Off,
}

/// The mode of one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleMode {
    pub rule: &'static str,
    pub mode: Mode,
}

/// Modes of rules, one list upon the other: the last list that names a rule counts. A rule that none names is at `deny`.
pub type Modes<'a> = &'a [&'a [RuleMode]];

impl Mode {
    /// The mode of the rule with this id.
    pub fn of(rule: &str, modes: Modes<'_>) -> Self {
        let set = modes.iter().rev().find_map(|list| list.iter().find(|set| set.rule == rule));
        set.map_or(Self::Deny, |set| set.mode)
    }

    pub fn mutates(self) -> bool {
        matches!(self, Self::Deny | Self::Warn)
    }

    /// Applies this mode to a finding.
    pub fn apply(self, finding: &mut Finding<'_>) {
        match self {
            Self::Deny | Self::Off => {}
            Self::Warn => finding.downgrade(Downgrade::Mode),
            Self::Audit => {
                finding.downgrade(Downgrade::Mode);
                finding.action = Action::Audit;
            }
        }
    }
}
