//! Events about the status of a scan. They reach the people who own the scan, who see neither the answer to its
//! controller nor the log of the server.

use crate::engine::{Action, Findings};

/// The controller that the Events name: a qualified name.
pub const REPORTING_CONTROLLER: &str = "scan-admission.dev/webhook";

/// The longest note: the limit of the API server, in bytes.
pub const NOTE_MAX_BYTES: usize = 1024;
/// The longest end of a note, which lists the rules of the other findings. It leaves half of the note to the first
/// finding. The ids of all rules together take about 500 bytes.
const END_MAX_BYTES: usize = NOTE_MAX_BYTES / 2;

/// The longest name and namespace of an object, and the longest uid: 36 bytes if the API server makes it.
const NAME_MAX_BYTES: usize = 253;
const LABEL_MAX_BYTES: usize = 63;
const UID_MAX_BYTES: usize = 128;

/// The reason of an Event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventReason {
    /// A write of the status was denied.
    StatusDenied,
    /// A write of the status was allowed with warnings.
    StatusWarned,
}

impl EventReason {
    pub fn name(self) -> &'static str {
        match self {
            EventReason::StatusDenied => "StatusDenied",
            EventReason::StatusWarned => "StatusWarned",
        }
    }

    /// Returns the action of the findings that the Event is about.
    fn action(self) -> Action {
        match self {
            EventReason::StatusDenied => Action::Deny,
            EventReason::StatusWarned => Action::Warn,
        }
    }
}

/// The reasons for which Events are made; by default none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventReasons {
    pub denied: bool,
    pub warned: bool,
}

/// The scan that an Event is about. Its namespace and name can be parts of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanReference {
    pub api_version: String,
    pub kind: &'static str,
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// An Event, without its time. Unlike a [`Summary`](super::Summary), it has contents of the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusEvent {
    pub reason: EventReason,
    pub scan: ScanReference,
    /// The ids of the rules of the findings, sorted, each once.
    pub rules: Vec<&'static str>,
    /// The first finding, the number of the others, and their rules: at most [`NOTE_MAX_BYTES`].
    pub note: String,
}

impl StatusEvent {
    /// Returns the Event of a judged review. Returns `None` if there is no finding that the Event would be about, or no
    /// stored scan with valid names. `scan` is called only if there is a finding.
    pub fn new(
        reason: EventReason,
        findings: &Findings<'_>,
        scan: impl FnOnce() -> Option<ScanReference>,
    ) -> Option<Box<Self>> {
        let mut found = findings.list().iter().filter(|finding| finding.action == reason.action());
        let first = found.next()?;
        let scan = scan().filter(ScanReference::is_valid)?;
        let others: Vec<&'static str> = found.map(|finding| finding.rule).collect();
        let note = note(&format!("{}: {}", first.field, first.explained()), first.rule, &others);
        let mut rules = [others, vec![first.rule]].concat();
        rules.sort_unstable();
        rules.dedup();
        Some(Box::new(StatusEvent { reason, scan, rules, note }))
    }
}

impl ScanReference {
    /// Returns whether the names are those of an object that the API server stores.
    fn is_valid(&self) -> bool {
        let is_label = |text: &str, max_bytes: usize| {
            let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            text.len() <= max_bytes
                && text.bytes().all(is_inner)
                && !text.is_empty()
                && !text.starts_with('-')
                && !text.ends_with('-')
        };
        is_label(&self.namespace, LABEL_MAX_BYTES)
            && self.name.len() <= NAME_MAX_BYTES
            && self.name.split('.').all(|part| is_label(part, NAME_MAX_BYTES))
            && (1..=UID_MAX_BYTES).contains(&self.uid.len())
            && self.api_version.rsplit('/').next().is_some_and(|version| is_label(version, LABEL_MAX_BYTES))
    }
}

/// Returns the note. `others` are the rules of the findings after the first one.
fn note(first: &str, rule: &str, others: &[&str]) -> String {
    let mut end = format!(" [{rule}]");
    if !others.is_empty() {
        end += &format!(", and {} more [", others.len());
        let mut distinct: Vec<&str> = others.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        for (index, rule) in distinct.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            if end.len() + comma.len() + rule.len() + ", …]".len() > END_MAX_BYTES {
                end += comma;
                end.push('…');
                break;
            }
            end += comma;
            end += rule;
        }
        end.push(']');
    }
    if first.len() + end.len() <= NOTE_MAX_BYTES {
        return first.to_owned() + &end;
    }
    let room = NOTE_MAX_BYTES.saturating_sub(end.len() + "…".len());
    format!("{}…{end}", &first[..first.floor_char_boundary(room)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_has_the_first_finding_and_the_rules_of_the_others() {
        for (others, due) in [
            (vec![], "status.phase: wrong [phase-unknown]"),
            (vec!["phase-unknown"], "status.phase: wrong [phase-unknown], and 1 more [phase-unknown]"),
            (vec!["b", "a", "b"], "status.phase: wrong [phase-unknown], and 3 more [a, b]"),
        ] {
            assert_eq!(note("status.phase: wrong", "phase-unknown", &others), due);
        }
    }

    #[test]
    fn a_note_is_cut_between_characters_and_keeps_the_rules() {
        let ids: Vec<String> = (0..100).map(|number| format!("rule-{number:02}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        for length in 0..1200 {
            let first = "ü".repeat(length);
            let one = note(&first, "rule", &[]);
            let all = note(&first, "rule", &ids);
            assert!(one.len() <= NOTE_MAX_BYTES && all.len() <= NOTE_MAX_BYTES, "{length}");
            assert!(one.ends_with(" [rule]") && (one.contains('…') == (2 * length + 7 > NOTE_MAX_BYTES)), "{one}");
            assert!(all.contains(" [rule], and 100 more [rule-00, rule-01, ") && all.ends_with(", …]"), "{all}");
        }
    }

    #[test]
    fn names_that_no_stored_scan_has_are_not_valid() {
        let scan = ScanReference {
            api_version: "g/v1".to_owned(),
            kind: "SourceScan",
            namespace: "dev-1".to_owned(),
            name: "a.b-c.d".to_owned(),
            uid: "u".to_owned(),
        };
        assert!(scan.is_valid());
        let long = |length: usize| "a".repeat(length);
        let with = |change: &dyn Fn(&mut ScanReference)| {
            let mut changed = scan.clone();
            change(&mut changed);
            changed.is_valid()
        };
        assert!(
            with(&|it| it.namespace = long(63)) && with(&|it| it.name = long(253)) && with(&|it| it.uid = long(128))
        );
        let too_long = [
            with(&|it| it.namespace = long(64)),
            with(&|it| it.name = long(254)),
            with(&|it| it.uid = long(129)),
            with(&|it| it.uid.clear()),
        ];
        assert_eq!(too_long, [false; 4]);
        for text in ["", "..", ".", "a/b", "a?b", "a%2fb", "A", "-a", "a-", "a..b", "a b", "ü", "a\n"] {
            assert!(!with(&|it| it.namespace = text.to_owned()), "{text:?}");
            assert!(!with(&|it| it.name = text.to_owned()), "{text:?}");
        }
        assert!(!with(&|it| it.namespace = "a.b".to_owned()));
        assert!(!with(&|it| it.api_version = "g/".to_owned()));
    }
}
