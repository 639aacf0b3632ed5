//! The release of a program: its version, the commit that it was built from, and the digest of its rules.

use std::fmt;
use std::sync::LazyLock;

use super::rules_digest;
use crate::rules::RULES;

/// The product in the `Server` header of a response.
const PRODUCT: &str = "scan-admission/";

/// A release. Two builds with the same rules decide alike, whatever their commits are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    pub version: String,
    pub commit: String,
    pub rules: String,
}

/// The release of this program. The variable SCAN_ADMISSION_COMMIT names the commit when the program is built; without it, the
/// commit is `unknown`.
pub static RELEASE: LazyLock<Release> = LazyLock::new(|| Release {
    version: env!("CARGO_PKG_VERSION").to_owned(),
    commit: option_env!("SCAN_ADMISSION_COMMIT").unwrap_or("unknown").to_owned(),
    rules: rules_digest(RULES),
});

impl Release {
    /// Returns the `Server` header of a response.
    pub fn header(&self) -> String {
        let Self { version, commit, rules } = self;
        format!("{PRODUCT}{version} (commit {commit}; rules {rules})")
    }

    /// Reads a `Server` header.
    pub fn parse(header: &str) -> Option<Self> {
        let (version, rest) = header.strip_prefix(PRODUCT)?.split_once(" (commit ")?;
        let (commit, rules) = rest.strip_suffix(')')?.split_once("; rules ")?;
        let [version, commit, rules] = [version, commit, rules].map(str::to_owned);
        Some(Self { version, commit, rules })
    }
}

impl fmt::Display for Release {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, commit, rules } = self;
        write!(out, "{version} (commit {commit}, rules {rules})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        assert_eq!(Release::parse(&RELEASE.header()).as_ref(), Some(&*RELEASE));
        assert_eq!(Release::parse("nginx/1.29"), None);
    }
}
