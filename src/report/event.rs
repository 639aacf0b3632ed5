//! Events of Kubernetes about a scan, as reports show them.

use serde::Serialize;
use time::OffsetDateTime;

use super::counted;
use crate::admission::event::{EventReason, REPORTING_CONTROLLER};
use crate::scan::json::printable;
use crate::scan::time::format;

/// The most characters of a note that a line shows: the limit of the API for a new Event.
const NOTE_MAX_CHARS: usize = 1_024;

/// An Event, or a series of equal ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedEvent {
    /// Whether its type is Warning.
    pub is_warning: bool,
    pub reason: String,
    pub note: String,
    /// The controller that has written it; empty if it is not known.
    pub controller: String,
    pub count: u64,
    pub first: Option<OffsetDateTime>,
    pub last: Option<OffsetDateTime>,
}

/// An Event about a scan, or a series of equal ones.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct JsonEvent<'a> {
    /// Whether the type of the Event is Warning.
    warning: bool,
    reason: &'a str,
    note: &'a str,
    /// The controller that has written the Event; empty if it is not known.
    controller: &'a str,
    /// How often it was seen.
    count: u64,
    /// When it was seen first (RFC 3339); absent if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    /// When it was seen last (RFC 3339); absent if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<String>,
}

impl ReportedEvent {
    /// Whether the webhook has written it about writes that it has denied.
    pub fn is_denial(&self) -> bool {
        self.controller == REPORTING_CONTROLLER && self.reason == EventReason::StatusDenied.name()
    }

    /// The order in which Events explain why a scan waits: the newest warning is the last.
    pub fn rank(&self) -> impl Ord {
        (self.is_warning, self.last)
    }

    /// `reason, 3 times, controller: note`, safe for one line of a terminal.
    pub fn printable(&self) -> String {
        let Self { reason, note, controller, count, .. } = self;
        let times = if *count > 1 { format!(", {}", counted(*count, "time")) } else { String::new() };
        let controller = if controller.is_empty() { String::new() } else { format!(", {controller}") };
        let head = printable(&format!("{reason}{times}{controller}"), NOTE_MAX_CHARS);
        format!("{head}: {}", printable(note, NOTE_MAX_CHARS))
    }
}

impl<'a> From<&'a ReportedEvent> for JsonEvent<'a> {
    fn from(event: &'a ReportedEvent) -> Self {
        let ReportedEvent { is_warning, reason, note, controller, count, first, last } = event;
        let [first, last] = [first, last].map(|time| time.and_then(format));
        Self { warning: *is_warning, reason, note, controller, count: *count, first, last }
    }
}
