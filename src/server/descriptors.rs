//! Limits the connections to the file descriptors that the process may open.

use super::limits::{ADMIN_CONNECTIONS, OWN_DESCRIPTORS};
use super::process::max_descriptors;

/// Returns how many of `connections` there are file descriptors for. Those of the admin address are set aside first, so
/// that health checks and metrics still work at the limit.
pub fn limit_connections(connections: usize) -> usize {
    let Some(most) = max_descriptors().and_then(|most| usize::try_from(most).ok()) else { return connections };
    let (needed, room) = (needed(connections), room(most));
    if needed > most {
        tracing::warn!(
            "the process may open {most} files, but {connections} connections need {needed} ({ADMIN_CONNECTIONS} for \
             the admin address, {OWN_DESCRIPTORS} for the process itself); accepting {room} connections; raise the \
             limit of open files or lower limits.connections"
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
