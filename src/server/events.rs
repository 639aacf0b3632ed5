//! Hands Events to the task that writes them, without waiting for it.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::limits::QUEUED_EVENTS;
use super::metrics::{EventDrop, EventMetrics};
use crate::admission::EventReasons;
use crate::admission::event::StatusEvent;

/// The queue between the reviews and the task that writes their Events.
#[derive(Clone)]
pub struct EventQueue {
    /// The reasons for which reviews make Events.
    pub reasons: EventReasons,
    pub metrics: EventMetrics,
    sender: mpsc::Sender<Box<StatusEvent>>,
}

impl EventQueue {
    /// Returns the queue and its end for the task that writes.
    pub fn new(reasons: EventReasons) -> (Self, mpsc::Receiver<Box<StatusEvent>>) {
        let (sender, events) = mpsc::channel(QUEUED_EVENTS);
        (Self { reasons, metrics: EventMetrics::default(), sender }, events)
    }
}

/// An Event that enters the queue when this value is dropped, which is when the answer of its review has left. If the
/// queue is full, the Event is dropped and counted.
pub struct EventAfterAnswer {
    queue: Arc<EventQueue>,
    event: Option<Box<StatusEvent>>,
}

impl EventAfterAnswer {
    pub fn new(queue: &Arc<EventQueue>, event: Box<StatusEvent>) -> Self {
        Self { queue: queue.clone(), event: Some(event) }
    }
}

impl Drop for EventAfterAnswer {
    fn drop(&mut self) {
        if let Some(event) = self.event.take()
            && self.queue.sender.try_send(event).is_err()
        {
            self.queue.metrics.count_dropped(EventDrop::Queue, 1);
        }
    }
}
