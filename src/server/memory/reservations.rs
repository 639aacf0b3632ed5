//! The reservations of memory, and their eviction at a limit.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::received::PartialBody;
use crate::server::limits::{
    DRAINED_BODIES, PREFIX_BYTES, REQUEST_BYTES, SHORT_BYTES, connection_bytes, long_bodies_bytes, memory_bytes,
};

/// All reservations, with their sums in total and per connection.
pub struct Reservations {
    bodies_bytes: usize,
    pub held_bytes: usize,
    /// The last id. Ids ascend, so the lowest is the oldest.
    last_id: u64,
    by_id: HashMap<u64, Reservation>,
    /// Reservations that wait for a client, and may be evicted.
    evictable: BTreeSet<u64>,
    /// Shed bodies whose rest is being read and dropped.
    draining: BTreeSet<u64>,
    connections: HashMap<u64, ConnectionReservations>,
}

pub struct Reservation {
    connection: u64,
    bytes: usize,
    reserved_for: ReservedFor,
}

pub enum ReservedFor {
    Body(Arc<PartialBody>),
    Answer { since: Instant },
}

#[derive(Default)]
struct ConnectionReservations {
    held_bytes: usize,
    evictable: BTreeSet<u64>,
    answers: BTreeSet<u64>,
    close: Arc<Notify>,
}

impl Reservations {
    pub fn new(bodies_bytes: usize) -> Self {
        Self {
            bodies_bytes,
            held_bytes: 0,
            last_id: 0,
            by_id: HashMap::new(),
            evictable: BTreeSet::new(),
            draining: BTreeSet::new(),
            connections: HashMap::new(),
        }
    }

    /// Adds a connection and returns its id. A notification of `close` closes the connection.
    pub fn connect(&mut self, close: Arc<Notify>) -> u64 {
        let id = self.next_id();
        self.connections.insert(id, ConnectionReservations { close, ..ConnectionReservations::default() });
        id
    }

    /// Removes a connection that has no reservations left.
    pub fn disconnect(&mut self, connection: u64) {
        self.connections.remove(&connection);
    }

    /// When the oldest unsent answer of a connection was made.
    pub fn oldest_answer(&self, connection: u64) -> Option<Instant> {
        let oldest = self.connections.get(&connection)?.answers.first()?;
        match self.by_id.get(oldest)?.reserved_for {
            ReservedFor::Answer { since } => Some(since),
            ReservedFor::Body(_) => None,
        }
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty() && self.connections.is_empty()
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Adds an evictable reservation and returns its id. The caller then makes room for it.
    pub fn add(&mut self, connection: u64, bytes: usize, reserved_for: ReservedFor) -> u64 {
        let id = self.next_id();
        self.held_bytes += bytes;
        self.evictable.insert(id);
        let own = self.connections.entry(connection).or_default();
        own.held_bytes += bytes;
        own.evictable.insert(id);
        if matches!(reserved_for, ReservedFor::Answer { .. }) {
            own.answers.insert(id);
        }
        self.by_id.insert(id, Reservation { connection, bytes, reserved_for });
        id
    }

    /// Sets the reservation of a body to `bytes`. Returns false if a limit does not allow it, and then reserves only
    /// the beginning of the body. Also returns false if the reservation was evicted before.
    pub fn grow(&mut self, id: u64, bytes: usize) -> bool {
        let Some(connection) = self.set(id, bytes) else { return false };
        let is_long = bytes > REQUEST_BYTES + SHORT_BYTES;
        let limit_bytes = if is_long { long_bodies_bytes(self.bodies_bytes) } else { memory_bytes(self.bodies_bytes) };
        let has_room = self.make_room(connection, id, limit_bytes);
        if !has_room {
            self.drain(id);
        }
        has_room
    }

    /// Sets the bytes of a reservation and returns its connection, or `None` if the reservation does not exist.
    fn set(&mut self, id: u64, bytes: usize) -> Option<u64> {
        let reservation = self.by_id.get_mut(&id)?;
        let before_bytes = std::mem::replace(&mut reservation.bytes, bytes);
        let connection = self.connections.entry(reservation.connection).or_default();
        connection.held_bytes = connection.held_bytes - before_bytes + bytes;
        self.held_bytes = self.held_bytes - before_bytes + bytes;
        Some(reservation.connection)
    }

    /// Makes room for a head or an answer, which may use all of the memory.
    pub fn make_room_for_any(&mut self, connection: u64, id: u64) {
        self.make_room(connection, id, memory_bytes(self.bodies_bytes));
    }

    /// Evicts reservations older than `id` until the limits are met. Returns false if that is not enough.
    fn make_room(&mut self, connection: u64, id: u64, limit_bytes: usize) -> bool {
        let most_bytes = connection_bytes(self.bodies_bytes);
        loop {
            let own = self.connections.get(&connection);
            let oldest = if own.is_some_and(|own| own.held_bytes > most_bytes) {
                own.and_then(|own| own.evictable.first())
            } else if self.held_bytes > limit_bytes {
                self.evictable.first()
            } else {
                return true;
            };
            match oldest.copied().filter(|oldest| *oldest < id) {
                Some(oldest) => self.evict(oldest),
                None => return false,
            }
        }
    }

    fn evict(&mut self, id: u64) {
        let Some(reservation) = self.by_id.get(&id) else { return };
        match &reservation.reserved_for {
            ReservedFor::Body(partial) => {
                let is_abandoned = reservation.bytes <= REQUEST_BYTES + PREFIX_BYTES;
                partial.evict(is_abandoned);
                if is_abandoned {
                    self.remove(id);
                } else {
                    self.drain(id);
                }
            }
            ReservedFor::Answer { .. } => {
                let Some(connection) = self.connections.get(&reservation.connection) else { return };
                connection.close.notify_one();
                // Closing the connection drops all of its answers.
                for answer in connection.answers.clone() {
                    self.remove(answer);
                }
            }
        }
    }

    /// Reserves only the beginning of a shed body, whose rest is read and dropped. Beyond [`DRAINED_BODIES`] such
    /// bodies, the rest of the oldest one is left unread.
    fn drain(&mut self, id: u64) {
        self.set(id, REQUEST_BYTES + PREFIX_BYTES);
        self.protect(id);
        self.draining.insert(id);
        if self.draining.len() > DRAINED_BODIES
            && let Some(oldest) = self.draining.first().copied()
            && let Some(Reservation { reserved_for: ReservedFor::Body(partial), .. }) = self.remove(oldest)
        {
            partial.evict(true);
        }
    }

    /// Protects a reservation from eviction.
    pub fn protect(&mut self, id: u64) {
        self.evictable.remove(&id);
        let connection = self.by_id.get(&id).map(|reservation| reservation.connection);
        if let Some(connection) = connection.and_then(|connection| self.connections.get_mut(&connection)) {
            connection.evictable.remove(&id);
        }
    }

    /// Removes a reservation. Returns `None` if it was evicted before.
    pub fn remove(&mut self, id: u64) -> Option<Reservation> {
        let reservation = self.by_id.remove(&id)?;
        self.held_bytes -= reservation.bytes;
        self.evictable.remove(&id);
        self.draining.remove(&id);
        if let Some(connection) = self.connections.get_mut(&reservation.connection) {
            connection.held_bytes -= reservation.bytes;
            connection.evictable.remove(&id);
            connection.answers.remove(&id);
        }
        Some(reservation)
    }
}
