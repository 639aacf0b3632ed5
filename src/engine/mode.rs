//! Modes: how the configuration changes the action of a rule's findings.

use serde::Deserialize;

use super::finding::{Action, Downgrade, Finding};

/// The mode of a rule: the effect of its findings and its mutation on a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// An error denies the write, a warning is shown to the client, and the rule's mutation is applied.
    #[default]
    Deny,
    /// An error does not deny the write, but is shown to the client as a warning. The rule's mutation is still applied.
    Warn,
    /// Findings are only written to the audit annotation `audited`, and the rule's mutation is not applied.
    Audit,
    /// The rule is not checked, and its mutation is not applied.
    Off,
}

/// The mode of one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleMode {
    pub rule: &'static str,
    pub mode: Mode,
}

/// Lists of rule modes, in increasing precedence: the last list that names a rule decides. A rule that no list names is
/// in mode `deny`.
pub type Modes<'a> = &'a [&'a [RuleMode]];

impl Mode {
    /// Returns the mode of the rule with this id.
    pub fn of(rule: &str, modes: Modes<'_>) -> Self {
        let set = modes.iter().rev().find_map(|list| list.iter().find(|set| set.rule == rule));
        set.map_or(Self::Deny, |set| set.mode)
    }

    /// Returns whether the rule's mutation is applied.
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
