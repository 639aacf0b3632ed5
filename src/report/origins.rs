//! Whose findings in a cluster or an audit log are: the manager that has written the field, and the ScanTemplate of the scan.

use std::collections::BTreeMap;

use serde::Serialize;
use time::OffsetDateTime;

use super::counted;
use crate::scan::json::printable;
use crate::scan::time::format;

/// The most groups of findings that are kept. A group takes at most 600 bytes, since names have at most 253. Clients choose the
/// names of managers, so there could be one for each finding.
const GROUPS_MAX: usize = 1_000;

/// The most groups that are shown to people.
const SHOWN_MAX: usize = 10;

/// The most characters of a name: the limit of names in Kubernetes. Those of managers have at most 128.
const NAME_MAX_CHARS: usize = 253;

/// Where a finding in a stored scan, or in a write of an audit log, comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The ScanTemplate that the spec names; empty if it names none.
    pub template: String,
    /// The manager that has written the field; empty if it is not known.
    pub manager: String,
    /// When it wrote last.
    pub written: Option<OffsetDateTime>,
}

/// The findings by template and manager.
#[derive(Debug, Default)]
pub struct Origins {
    groups: BTreeMap<(String, String), OriginCounts>,
    findings: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct OriginCounts {
    findings: u64,
    since: Option<OffsetDateTime>,
}

/// The findings of a ScanTemplate and a manager.
#[derive(Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct JsonOrigin<'a> {
    /// The ScanTemplate of the scans; empty if they name none.
    scan_template: &'a str,
    /// The manager that has written the fields; empty if it is not known.
    manager: &'a str,
    findings: u64,
    /// The earliest time at which the manager wrote one of these fields (RFC 3339), of the times that are known; absent if none
    /// is.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

impl Origins {
    /// Counts a finding.
    pub fn count(&mut self, origin: &Origin) {
        self.findings += 1;
        let key = [&origin.template, &origin.manager].map(|name| printable(name, NAME_MAX_CHARS));
        let key = <(String, String)>::from(key);
        if self.groups.len() == GROUPS_MAX && !self.groups.contains_key(&key) {
            return;
        }
        let counts = self.groups.entry(key).or_default();
        counts.findings += 1;
        counts.since = [counts.since, origin.written].into_iter().flatten().min();
    }

    /// Returns the groups, those with the most findings first.
    pub fn groups(&self) -> Vec<JsonOrigin<'_>> {
        let mut groups: Vec<JsonOrigin<'_>> = self
            .groups
            .iter()
            .map(|((scan_template, manager), counts)| JsonOrigin {
                scan_template,
                manager,
                findings: counts.findings,
                since: counts.since.and_then(format),
            })
            .collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.findings));
        groups
    }

    /// Returns a sentence for each of the largest groups: `12 of 14 findings come from ScanTemplate X, manager Y, since DATE`.
    pub fn sentences(&self) -> Vec<String> {
        let groups = self.groups();
        let mut sentences: Vec<String> = groups.iter().take(SHOWN_MAX).map(|group| self.sentence(group)).collect();
        if let Some(more @ 1..) = groups.len().checked_sub(SHOWN_MAX) {
            sentences.push(format!("and {}", counted(more, "more origin")));
        }
        sentences
    }

    fn sentence(&self, group: &JsonOrigin<'_>) -> String {
        let JsonOrigin { scan_template, manager, findings, since } = group;
        let all = counted(self.findings, "finding");
        let verb = if *findings == 1 { "comes" } else { "come" };
        let template = if scan_template.is_empty() {
            "scans without a ScanTemplate".to_owned()
        } else {
            format!("ScanTemplate {scan_template}")
        };
        let manager = if manager.is_empty() { "an unknown manager".to_owned() } else { format!("manager {manager}") };
        let since = since.as_ref().map(|since| format!(", since {since}")).unwrap_or_default();
        format!("{findings} of {all} {verb} from {template}, {manager}{since}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::time as scan_time;

    fn origin(template: &str, manager: &str, written: &str) -> Origin {
        Origin { template: template.to_owned(), manager: manager.to_owned(), written: scan_time::parse(written) }
    }

    #[test]
    fn findings_are_grouped() {
        let mut origins = Origins::default();
        for (template, manager, written) in [
            ("public", "kubectl", ""),
            ("private", "controller", "2026-11-20T08:02:00Z"),
            ("private", "controller", "2026-11-20T08:01:00Z"),
            ("", "", "2026-11-20T08:03:00Z"),
        ] {
            origins.count(&origin(template, manager, written));
        }
        let expected = [
            "2 of 4 findings come from ScanTemplate private, manager controller, since 2026-11-20T08:01:00Z",
            "1 of 4 findings comes from scans without a ScanTemplate, an unknown manager, since 2026-11-20T08:03:00Z",
            "1 of 4 findings comes from ScanTemplate public, manager kubectl",
        ];
        assert_eq!(origins.sentences(), expected);
    }

    #[test]
    fn the_number_of_groups_is_limited() {
        let mut origins = Origins::default();
        for index in 0..2 * GROUPS_MAX {
            origins.count(&origin("template", &index.to_string(), ""));
        }
        origins.count(&origin("template", "0", ""));
        assert_eq!(origins.groups().len(), GROUPS_MAX);
        assert_eq!(origins.sentences()[0], "2 of 2001 findings come from ScanTemplate template, manager 0");
        assert_eq!(origins.sentences()[SHOWN_MAX..], ["and 990 more origins"]);
    }
}
