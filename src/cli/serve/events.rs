//! `--events`: Events about the scans whose status was denied.

use std::path::Path;
use std::sync::Arc;

use clap::ValueEnum;
use time::OffsetDateTime;
use tokio::sync::mpsc::Receiver;

use crate::admission::EventReasons;
use crate::admission::event::StatusEvent;
use crate::cluster::client::{ClientError, event_client};
use crate::cluster::events::EventWriter;
use crate::cluster::events::object::INSTANCE_MAX_BYTES;
use crate::cluster::events::series::SeriesLimits;
use crate::install::NAME;
use crate::server::events::EventQueue;

#[derive(clap::Args)]
#[group(id = "event_flags")]
pub struct EventFlags {
    /// Write an Event about each scan whose status is denied; with denied,warned also about warnings
    #[arg(
        long,
        env = "SCAN_ADMISSION_EVENTS",
        value_name = "REASONS",
        value_enum,
        value_delimiter = ',',
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "denied"
    )]
    events: Vec<EventReasonFlag>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EventReasonFlag {
    /// StatusDenied: a write of the status was denied
    Denied,
    /// StatusWarned: a write of the status was allowed with warnings
    Warned,
}

/// Why no Events can be written.
#[derive(Debug, thiserror::Error)]
#[error("--events: {0}")]
pub struct EventsError(ClientError);

/// The task that writes Events, before it is spawned.
pub struct EventTask {
    pub queue: Arc<EventQueue>,
    writer: EventWriter,
    events: Receiver<Box<StatusEvent>>,
}

impl EventFlags {
    /// Returns `None` without the flag. Must be called within a Tokio runtime.
    pub async fn task(&self, kubeconfig: Option<&Path>) -> Result<Option<EventTask>, EventsError> {
        let has = |reason| self.events.contains(&reason);
        let reasons = EventReasons { denied: has(EventReasonFlag::Denied), warned: has(EventReasonFlag::Warned) };
        if reasons == EventReasons::default() {
            return Ok(None);
        }
        let client = event_client(kubeconfig).await.map_err(EventsError)?;
        let (queue, events) = EventQueue::new(reasons);
        let writer = EventWriter { client, instance: instance(), limits: SeriesLimits::default() };
        Ok(Some(EventTask { queue: Arc::new(queue), writer, events }))
    }
}

impl EventTask {
    /// Writes Events for as long as the runtime runs.
    pub fn spawn(self) {
        let metrics = self.queue.metrics.clone();
        tokio::spawn(self.writer.run(OffsetDateTime::now_utc, self.events, metrics));
    }
}

/// Returns the name of the pod, which is the host name of its containers.
fn instance() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name = &name[..name.floor_char_boundary(INSTANCE_MAX_BYTES)];
    if name.is_empty() { NAME.to_owned() } else { name.to_owned() }
}
