//! The Event object of a series, of events.k8s.io/v1.

use std::fmt::Write as _;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::series::EventWrite;
use crate::admission::event::REPORTING_CONTROLLER;

/// What the controller did when the Event occurred.
const ACTION: &str = "Validate";
/// The longest name of a reporting instance: the limit of the API server, in bytes.
pub const INSTANCE_MAX_BYTES: usize = 128;
/// The longest name of an object.
const NAME_MAX_BYTES: usize = 253;
/// The bytes of the digest in a name: with 8 bytes, two of a million names are equal with a probability of 1 in 36 million.
const DIGEST_BYTES: usize = 8;

/// Returns the name of the Event: that of the scan, as far as it fits, and a digest. A write that is tried again has the
/// same name, so it does not create a second Event.
pub fn name(write: &EventWrite, instance: &str) -> String {
    let scan = &write.event.scan;
    let (reason, rules) = (write.event.reason.name(), write.event.rules.join(","));
    let (first, deleted) = (write.first.unix_timestamp_nanos(), write.deleted);
    let identity = format!("{} {reason} {rules} {first} {deleted} {instance}", scan.uid);
    let mut end = ".".to_owned();
    for byte in &digest(&SHA256, identity.as_bytes()).as_ref()[..DIGEST_BYTES] {
        // Writing to a String cannot fail.
        let _ = write!(end, "{byte:02x}");
    }
    let room = NAME_MAX_BYTES - end.len();
    // The part before the point must end with a letter or a digit.
    let start = scan.name[..scan.name.floor_char_boundary(room)].trim_end_matches(['.', '-']);
    start.to_owned() + &end
}

/// Returns the Event to create.
pub fn event(write: &EventWrite, instance: &str) -> Event {
    let scan = &write.event.scan;
    Event {
        metadata: ObjectMeta {
            name: Some(name(write, instance)),
            namespace: Some(scan.namespace.clone()),
            ..ObjectMeta::default()
        },
        event_time: Some(micro_time(write.first)),
        series: (write.count > 1).then(|| series(write)),
        reporting_controller: Some(REPORTING_CONTROLLER.to_owned()),
        reporting_instance: Some(instance.to_owned()),
        action: Some(ACTION.to_owned()),
        reason: Some(write.event.reason.name().to_owned()),
        type_: Some("Warning".to_owned()),
        note: Some(write.event.note.clone()),
        regarding: Some(ObjectReference {
            api_version: Some(scan.api_version.clone()),
            kind: Some(scan.kind.to_owned()),
            namespace: Some(scan.namespace.clone()),
            name: Some(scan.name.clone()),
            uid: Some(scan.uid.clone()),
            ..ObjectReference::default()
        }),
        ..Event::default()
    }
}

/// Returns the merge patch of an Event that exists. The API server allows no other change.
pub fn patch(write: &EventWrite) -> Value {
    json!({"series": series(write)})
}

fn series(write: &EventWrite) -> EventSeries {
    let count = i32::try_from(write.count).unwrap_or(i32::MAX);
    EventSeries { count, last_observed_time: micro_time(write.last) }
}

fn micro_time(time: OffsetDateTime) -> MicroTime {
    // Every time of a clock is within the range of a timestamp.
    MicroTime(Timestamp::from_nanosecond(time.unix_timestamp_nanos()).unwrap_or(Timestamp::UNIX_EPOCH))
}
