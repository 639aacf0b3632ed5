//! Reads Events: those of one scan, or those of many scans of a kind.
//!
//! The API server shows every Event as events.k8s.io/v1, also those that are written as core/v1. It selects by the fields of
//! `regarding`, without an index, and keeps an Event for an hour by default (`--event-ttl` of kube-apiserver).

use std::collections::HashMap;

use kube::api::ListParams;
use kube::{Client, Error};
use serde::Deserialize;
use time::OffsetDateTime;

use super::error::ApiError;
use super::listing::{ListPage, Pages};
use crate::report::ReportedEvent;
use crate::scan::time::parse;
use crate::scan::{GROUP, Kind};

/// The most Events of one scan that are kept, the newest ones. Clients of Kubernetes write at most 25 Events about an object
/// at once, and then one in 5 minutes (the spam filter of client-go).
pub const KEPT_MAX: usize = 25;

/// The most pages that are read of the Events of one scan.
const PAGES_MAX: usize = 8;

/// Why Events cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ScanEventsError {
    #[error("{0}; this needs the right to list events of events.k8s.io")]
    Forbidden(ApiError),
    #[error("{0}")]
    List(ApiError),
}

/// The members of an Event that are shown. Those of another type than the API has make the list unreadable.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Event {
    metadata: EventMetadata,
    regarding: Regarding,
    #[serde(rename = "type")]
    event_type: Option<String>,
    reason: Option<String>,
    note: Option<String>,
    reporting_controller: Option<String>,
    deprecated_source: EventSource,
    event_time: Option<String>,
    series: Option<EventSeries>,
    deprecated_count: Option<u64>,
    deprecated_first_timestamp: Option<String>,
    deprecated_last_timestamp: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct EventMetadata {
    creation_timestamp: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Regarding {
    api_version: Option<String>,
    uid: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EventSource {
    component: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct EventSeries {
    count: u64,
    last_observed_time: Option<String>,
}

/// Returns the Events about a scan, the newest first, at most [`KEPT_MAX`].
pub async fn events_of(
    client: &Client,
    namespace: &str,
    name: &str,
    uid: &str,
) -> Result<Vec<ReportedEvent>, ScanEventsError> {
    // A uid selects the Events of this scan, and not those of an earlier one of its name.
    let selector = format!("regarding.name={name},regarding.uid={uid}");
    let path = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
    let mut found = Vec::new();
    let mut pages = Pages::new(client.clone(), path, ListParams::default().fields(&selector));
    for _ in 0..PAGES_MAX {
        let Some(page) = next_page(&mut pages).await? else { break };
        found.extend(page.into_iter().map(ReportedEvent::from));
        found.sort_by_key(|event| std::cmp::Reverse(event.last));
        found.truncate(KEPT_MAX);
    }
    Ok(found)
}

/// Finds for each of these scans of a kind, by uid, the Event that explains best why it waits: the newest warning, else the
/// newest Event.
pub async fn explain(
    client: &Client,
    kind: Kind,
    scans: &mut HashMap<String, Option<ReportedEvent>>,
) -> Result<(), ScanEventsError> {
    let selector = format!("regarding.kind={}", kind.name());
    let path = "/apis/events.k8s.io/v1/events".to_owned();
    let mut pages = Pages::new(client.clone(), path, ListParams::default().fields(&selector));
    while let Some(page) = next_page(&mut pages).await? {
        for event in page.into_iter().filter(Event::is_of_group) {
            let Some(best) = event.regarding.uid.as_ref().and_then(|uid| scans.get_mut(uid)) else { continue };
            let event = ReportedEvent::from(event);
            if best.as_ref().is_none_or(|best| best.rank() < event.rank()) {
                *best = Some(event);
            }
        }
    }
    Ok(())
}

/// Returns the next page of Events; `None` after the last page.
async fn next_page(pages: &mut Pages) -> Result<Option<Vec<Event>>, ScanEventsError> {
    let page = pages.next().await.map_err(ApiError).map_err(|error| {
        if error.is_forbidden() { ScanEventsError::Forbidden(error) } else { ScanEventsError::List(error) }
    })?;
    let Some(ListPage { items, .. }) = page else { return Ok(None) };
    let events: Result<Vec<Event>, _> = items.iter().map(|json| serde_json::from_str(json.get())).collect();
    events.map(Some).map_err(|error| ScanEventsError::List(ApiError(Error::SerdeError(error))))
}

impl Event {
    /// Whether the scan is of our group. The API server cannot select by a group without its version.
    fn is_of_group(&self) -> bool {
        let version = self.regarding.api_version.as_deref().unwrap_or_default();
        version.split_once('/').is_some_and(|(group, _)| group == GROUP)
    }
}

impl From<Event> for ReportedEvent {
    fn from(event: Event) -> Self {
        let time = |text: &Option<String>| text.as_deref().and_then(parse);
        let begun: Option<OffsetDateTime> = time(&event.event_time)
            .or(time(&event.deprecated_first_timestamp))
            .or(time(&event.metadata.creation_timestamp));
        let series = event.series.unwrap_or_default();
        let last = [time(&series.last_observed_time), time(&event.deprecated_last_timestamp), begun];
        let controller =
            event.reporting_controller.filter(|name| !name.is_empty()).or(event.deprecated_source.component);
        Self {
            is_warning: event.event_type.as_deref() == Some("Warning"),
            reason: event.reason.unwrap_or_default(),
            note: event.note.unwrap_or_default(),
            controller: controller.unwrap_or_default(),
            count: series.count.max(event.deprecated_count.unwrap_or_default()).max(1),
            first: begun,
            last: last.into_iter().flatten().max(),
        }
    }
}
