//! The account of what is held, and who gives way.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::received::PartialBody;
use crate::server::limits::{
    LINGERING, PREFIX_BYTES, REQUEST_BYTES, SHORT_BYTES, connection_bytes, long_bodies_bytes, memory_bytes,
};

/// What is held, and by which connection.
pub struct Ledger {
    bodies_bytes: usize,
    pub held_bytes: usize,
    /// Each holding has the next number, so the lowest has waited longest.
    next: u64,
    holdings: HashMap<u64, Holding>,
    /// Those that may have to give way.
    waiting: BTreeSet<u64>,
    /// Bodies that have, and whose rest is read.
    lingering: BTreeSet<u64>,
    connections: HashMap<u64, ConnectionHoldings>,
}

struct Holding {
    connection: u64,
    bytes: usize,
    what: What,
}

pub enum What {
    Body(Arc<PartialBody>),
    Answer { since: Instant },
}

#[derive(Default)]
struct ConnectionHoldings {
    held_bytes: usize,
    waiting: BTreeSet<u64>,
    answers: BTreeSet<u64>,
    close: Arc<Notify>,
}

impl Ledger {
    pub fn new(bodies_bytes: usize) -> Self {
        Self {
            bodies_bytes,
            held_bytes: 0,
            next: 0,
            holdings: HashMap::new(),
            waiting: BTreeSet::new(),
            lingering: BTreeSet::new(),
            connections: HashMap::new(),
        }
    }

    /// A connection, which `close` closes.
    pub fn connect(&mut self, close: Arc<Notify>) -> u64 {
        let id = self.number();
        self.connections.insert(id, ConnectionHoldings { close, ..ConnectionHoldings::default() });
        id
    }

    /// It holds nothing any more.
    pub fn disconnect(&mut self, connection: u64) {
        self.connections.remove(&connection);
    }

    /// Since when the oldest answer of a connection has not been taken.
    pub fn oldest_answer(&self, connection: u64) -> Option<Instant> {
        let oldest = self.connections.get(&connection)?.answers.first()?;
        match self.holdings.get(oldest)?.what {
            What::Answer { since } => Some(since),
            What::Body(_) => None,
        }
    }

    /// It is held no more, unless it has given way before.
    pub fn release(&mut self, id: u64) {
        self.forget(id);
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.holdings.is_empty() && self.connections.is_empty()
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub fn hold(&mut self, connection: u64, bytes: usize, what: What) -> u64 {
        let id = self.number();
        self.held_bytes += bytes;
        self.waiting.insert(id);
        let holdings = self.connections.entry(connection).or_default();
        holdings.held_bytes += bytes;
        holdings.waiting.insert(id);
        if matches!(what, What::Answer { .. }) {
            holdings.answers.insert(id);
        }
        self.holdings.insert(id, Holding { connection, bytes, what });
        id
    }

    /// False where there is no room: then it holds its beginning. Or it has given way already.
    pub fn grow(&mut self, id: u64, bytes: usize) -> bool {
        let Some(connection) = self.set(id, bytes) else { return false };
        let is_long = bytes > REQUEST_BYTES + SHORT_BYTES;
        let limit_bytes = if is_long { long_bodies_bytes(self.bodies_bytes) } else { memory_bytes(self.bodies_bytes) };
        let has_room = self.make_room(connection, id, limit_bytes);
        if !has_room {
            self.linger(id);
        }
        has_room
    }

    /// Sets what it holds, and says on which connection.
    fn set(&mut self, id: u64, bytes: usize) -> Option<u64> {
        let holding = self.holdings.get_mut(&id)?;
        let before_bytes = std::mem::replace(&mut holding.bytes, bytes);
        let connection = self.connections.entry(holding.connection).or_default();
        connection.held_bytes = connection.held_bytes - before_bytes + bytes;
        self.held_bytes = self.held_bytes - before_bytes + bytes;
        Some(holding.connection)
    }

    /// For what is small.
    pub fn make_room_for_any(&mut self, connection: u64, id: u64) {
        self.make_room(connection, id, memory_bytes(self.bodies_bytes));
    }

    /// Those that have waited longer than `id` give way until all is within the limits; false where that is not enough.
    fn make_room(&mut self, connection: u64, id: u64, limit_bytes: usize) -> bool {
        let most_bytes = connection_bytes(self.bodies_bytes);
        loop {
            let own = self.connections.get(&connection);
            let oldest = if own.is_some_and(|own| own.held_bytes > most_bytes) {
                own.and_then(|own| own.waiting.first())
            } else if self.held_bytes > limit_bytes {
                self.waiting.first()
            } else {
                return true;
            };
            match oldest.copied().filter(|oldest| *oldest < id) {
                Some(oldest) => self.give_way(oldest),
                None => return false,
            }
        }
    }

    fn give_way(&mut self, id: u64) {
        let Some(holding) = self.holdings.get(&id) else { return };
        match &holding.what {
            What::Body(partial) => {
                let is_over = holding.bytes <= REQUEST_BYTES + PREFIX_BYTES;
                partial.give_way(is_over);
                if is_over {
                    self.forget(id);
                } else {
                    self.linger(id);
                }
            }
            What::Answer { .. } => {
                let Some(connection) = self.connections.get(&holding.connection) else { return };
                connection.close.notify_one();
                // The others go with it.
                for answer in connection.answers.clone() {
                    self.forget(answer);
                }
            }
        }
    }

    /// The rest of a body may still come, on some at a time.
    fn linger(&mut self, id: u64) {
        self.set(id, REQUEST_BYTES + PREFIX_BYTES);
        self.stop_waiting(id);
        self.lingering.insert(id);
        if self.lingering.len() > LINGERING
            && let Some(oldest) = self.lingering.first().copied()
            && let Some(Holding { what: What::Body(partial), .. }) = self.forget(oldest)
        {
            partial.give_way(true);
        }
    }

    pub fn stop_waiting(&mut self, id: u64) {
        self.waiting.remove(&id);
        let connection = self.holdings.get(&id).map(|holding| holding.connection);
        if let Some(connection) = connection.and_then(|connection| self.connections.get_mut(&connection)) {
            connection.waiting.remove(&id);
        }
    }

    fn forget(&mut self, id: u64) -> Option<Holding> {
        let holding = self.holdings.remove(&id)?;
        self.held_bytes -= holding.bytes;
        self.waiting.remove(&id);
        self.lingering.remove(&id);
        if let Some(connection) = self.connections.get_mut(&holding.connection) {
            connection.held_bytes -= holding.bytes;
            connection.waiting.remove(&id);
            connection.answers.remove(&id);
        }
        Some(holding)
    }
}
