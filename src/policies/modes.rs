//! The modes of rules in CEL.

use crate::admission::{Override, ReviewSettings};
use crate::engine::cel::{literal, literals};
use crate::engine::{Mode, Rule};
use crate::rules::cel::variables::PolicyVariable;

/// The modes of the rules, some of which depend on the request.
pub struct ModeExpressions<'s> {
    settings: &'s ReviewSettings,
}

impl<'s> ModeExpressions<'s> {
    pub fn new(settings: &'s ReviewSettings) -> Self {
        ModeExpressions { settings }
    }

    /// The link that is shown with each denial; may be empty.
    pub fn help(&self) -> &str {
        &self.settings.help
    }

    /// Returns a variable for each override: whether it applies to the request.
    pub fn variables(&self) -> Vec<PolicyVariable> {
        let variable = |(index, over): (usize, &Override)| PolicyVariable::new(variable_name(index), applies(over));
        self.settings.overrides.iter().enumerate().map(variable).collect()
    }

    /// Returns an expression that says whether the mode of a rule is one of these; `None` if it never is.
    pub fn is_one_of(&self, rule: &Rule, wanted: &[Mode]) -> Option<String> {
        let mode_in =
            |modes: &[crate::engine::RuleMode]| modes.iter().find(|set| set.rule == rule.id).map(|set| set.mode);
        let fallback = mode_in(&self.settings.modes).unwrap_or_default();
        let overrides: Vec<(usize, Mode)> = self
            .settings
            .overrides
            .iter()
            .enumerate()
            .filter_map(|(index, over)| Some((index, mode_in(&over.modes)?)))
            .collect();
        let is_possible = wanted.contains(&fallback) || overrides.iter().any(|(_, mode)| wanted.contains(mode));
        let is_always = wanted.contains(&fallback) && overrides.iter().all(|(_, mode)| wanted.contains(mode));
        if is_always {
            return Some("true".to_owned());
        }
        // The last override that names the rule decides.
        let otherwise = wanted.contains(&fallback).to_string();
        let decided = overrides.iter().fold(otherwise, |otherwise, (index, mode)| {
            format!("(variables.{} ? {} : {otherwise})", variable_name(*index), wanted.contains(mode))
        });
        is_possible.then_some(decided)
    }
}

fn variable_name(index: usize) -> String {
    format!("override{index}")
}

/// Whether an override applies to the request.
fn applies(over: &Override) -> String {
    let matches_any = |value: &str, patterns: &[String]| {
        let (with, without): (Vec<_>, Vec<_>) = patterns.iter().partition(|pattern| pattern.contains('*'));
        let names = (!without.is_empty()).then(|| format!("{value} in {}", literals(without)));
        let patterns = with.into_iter().map(|pattern| format!("{value}.matches({})", literal(&regex(pattern))));
        format!("({})", names.into_iter().chain(patterns).collect::<Vec<_>>().join(" || "))
    };
    let mut all = Vec::new();
    if !over.namespaces.is_empty() {
        all.push(format!("has(request.namespace) && {}", matches_any("request.namespace", &over.namespaces)));
    }
    if !over.users.is_empty() {
        all.push(format!(
            "has(request.userInfo.username) && {}",
            matches_any("request.userInfo.username", &over.users)
        ));
    }
    if !over.groups.is_empty() {
        all.push(format!(
            "has(request.userInfo.groups) && request.userInfo.groups.exists(g, {})",
            matches_any("g", &over.groups)
        ));
    }
    all.join(" && ")
}

/// Returns a pattern with `*` as a regular expression.
fn regex(pattern: &str) -> String {
    let escape = |part: &str| {
        part.chars()
            .map(|c| if c.is_alphanumeric() || c == '-' || c == ':' { c.to_string() } else { format!("\\{c}") })
            .collect::<String>()
    };
    let parts: Vec<String> = pattern.split('*').map(escape).collect();
    format!("(?s)^{}$", parts.join(".*"))
}
