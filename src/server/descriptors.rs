//! File descriptors: each connection takes one, and the process may have so many.

use super::limits::{ADMIN_CONNECTIONS, OWN_DESCRIPTORS};
use super::process::descriptors;

/// As many connections as there are descriptors for, so that health and metrics keep theirs.
pub fn fit(connections: usize) -> usize {
    let Some(most) = descriptors().and_then(|most| usize::try_from(most).ok()) else { return connections };
    let (needed, room) = (needed(connections), room(most));
    if needed > most {
        tracing::warn!(
            "the process may open {most} files, and {connections} connections need {needed} ({ADMIN_CONNECTIONS} for the \
             admin address, {OWN_DESCRIPTORS} of its own): {room} are accepted; raise the limit of open files, or lower \
             limits.connections"
        );
    }
    connections.min(room)
}

fn needed(connections: usize) -> usize {
    connections + ADMIN_CONNECTIONS + OWN_DESCRIPTORS
}

fn room(most: usize) -> usize {
    most.saturating_sub(needed(0)).max(1)
}
