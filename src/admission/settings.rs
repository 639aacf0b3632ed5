//! The settings of a review: modes, status writers, faults. Without a configuration all have their defaults.

use serde::Deserialize;

use crate::engine::RuleMode;

/// The answer of the validating webhook to a review that cannot be judged. The mutating webhook always allows such a
/// write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FaultPolicy {
    /// Deny the write.
    #[default]
    Deny,
    /// Allow the write, with a warning.
    Allow,
    /// Answer with HTTP 503, so that the failurePolicy of the webhook decides.
    FailurePolicy,
}

/// The settings of a review, from the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReviewSettings {
    pub faults: FaultPolicy,
    /// The modes of rules for all requests.
    pub modes: Vec<RuleMode>,
    /// The modes of rules for some requests. Of the overrides that match a request, the last one that names a rule
    /// applies.
    pub overrides: Vec<Override>,
    /// The users who may write a status; if empty, all users may.
    pub status_writers: Vec<String>,
    /// A help text that is shown with each denial, usually a link; may be empty.
    pub help: String,
    /// The digest of the configuration for audit annotations; may be empty.
    pub digest: String,
}

/// Modes of rules for the requests that match all non-empty lists. In an entry, `*` matches any characters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Override {
    pub namespaces: Vec<String>,
    pub users: Vec<String>,
    pub groups: Vec<String>,
    pub modes: Vec<RuleMode>,
}

impl ReviewSettings {
    /// Returns the lists of modes for a request, in increasing precedence. Allocates nothing if the settings have no
    /// modes.
    pub fn modes(&self, namespace: &str, user: &str, groups: &[String]) -> Vec<&[RuleMode]> {
        let overrides = self.overrides.iter().filter(|over| over.applies_to(namespace, user, groups));
        let lists = Some(&self.modes).into_iter().chain(overrides.map(|over| &over.modes));
        lists.filter(|list| !list.is_empty()).map(Vec::as_slice).collect()
    }

    /// Returns whether an override depends on the groups of the user.
    pub fn needs_groups(&self) -> bool {
        self.overrides.iter().any(|over| !over.groups.is_empty())
    }
}

impl Override {
    fn applies_to(&self, namespace: &str, user: &str, groups: &[String]) -> bool {
        let has = |patterns: &[String], text: &str| patterns.iter().any(|pattern| matches(pattern, text));
        (self.namespaces.is_empty() || has(&self.namespaces, namespace))
            && (self.users.is_empty() || has(&self.users, user))
            && (self.groups.is_empty() || groups.iter().any(|group| has(&self.groups, group)))
    }
}

/// Returns whether `text` matches `pattern`, in which each `*` matches any number of characters.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_matches_any_characters() {
        for (pattern, text, is_match) in [
            ("dev", "dev", true),
            ("dev", "dev-1", false),
            ("", "", true),
            ("*", "", true),
            ("*", "anything", true),
            ("dev-*", "dev-", true),
            ("dev-*", "dev", false),
            ("*-dev", "a-dev", true),
            ("*-dev", "a-dev-b", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
            ("a*bc*bc", "abc", false),
            ("a*bc*bc", "abcbc", true),
            ("a**b", "ab", true),
            ("system:serviceaccount:dev-*:*", "system:serviceaccount:dev-a:default", true),
            ("system:serviceaccount:dev-*:*", "system:serviceaccount:prod:default", false),
            ("ü*", "üb", true),
        ] {
            assert_eq!(matches(pattern, text), is_match, "{pattern} {text}");
        }
    }
}
