//! What bodies and answers take of memory, in all and by connection, and who gives way when there is no more.
//!
//! A body counts from its head to its verdict, by what is allocated for what was received of it; an answer from the verdict
//! until its last byte was handed to the connection. While a body is read, or an answer waits to be taken, it is the client
//! that takes its time: at the limit the one that has waited longest gives way. A body is dropped and its review shed; for an
//! answer the connection is closed. What is being judged never gives way. So whatever arrives within the time in which
//! clients can fill the memory is judged, and nobody holds it by being slow.

mod ledger;
mod received;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use self::ledger::{Ledger, What};
use self::received::PartialBody;
pub use self::received::{Piece, ReceivedBody};
use super::limits::{PREFIX_BYTES, REQUEST_BYTES};

/// The memory that all connections share.
pub struct SharedMemory {
    ledger: Mutex<Ledger>,
    spare: Arc<received::SparePieces>,
    /// Bodies that are not whole.
    pub bodies: Gauge,
    /// Bytes that are held.
    pub held: Gauge,
}

impl SharedMemory {
    pub fn new(bodies_bytes: usize) -> Arc<Self> {
        let ledger = Ledger::new(bodies_bytes);
        let (ledger, spare) = (Mutex::new(ledger), Arc::default());
        Arc::new(Self { ledger, spare, bodies: Gauge::default(), held: Gauge::default() })
    }

    /// For a connection that was accepted.
    pub fn connection(self: &Arc<Self>) -> Arc<ConnectionMemory> {
        let close = Arc::new(Notify::new());
        let id = self.lock().connect(close.clone());
        Arc::new(ConnectionMemory { memory: self.clone(), id, close })
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, ledger: &Ledger) {
        self.held.set(i64::try_from(ledger.held_bytes).unwrap_or(i64::MAX));
    }
}

/// The memory of one connection. What it holds, holds it.
pub struct ConnectionMemory {
    memory: Arc<SharedMemory>,
    id: u64,
    close: Arc<Notify>,
}

impl ConnectionMemory {
    /// For a request whose head has come. The youngest never has to give way to others, so this always succeeds.
    pub fn begin(self: &Arc<Self>) -> BodyMemory {
        let partial = Arc::new(PartialBody::default());
        let mut ledger = self.memory.lock();
        let id = ledger.hold(self.id, REQUEST_BYTES, What::Body(partial.clone()));
        ledger.make_room_for_any(self.id, id);
        self.memory.show(&ledger);
        self.memory.bodies.inc();
        BodyMemory { hold: Hold { connection: self.clone(), id }, partial, is_whole: false }
    }

    /// The bytes of an answer; their memory is held until the last of them has left.
    pub fn answer(self: &Arc<Self>, bytes: Vec<u8>) -> Bytes {
        let mut ledger = self.memory.lock();
        let id = ledger.hold(self.id, REQUEST_BYTES + bytes.capacity(), What::Answer { since: Instant::now() });
        ledger.make_room_for_any(self.id, id);
        self.memory.show(&ledger);
        drop(ledger);
        Bytes::from_owner(AnswerBytes { bytes, _hold: Hold { connection: self.clone(), id } })
    }

    /// Returns when an answer has not been taken for `limit`, or a tenth of that later: HTTP/2 writes nothing where its window
    /// is closed, so there is no write that stalls.
    pub async fn untaken_for(&self, limit: Duration) {
        while self.oldest_answer().is_none_or(|since| since.elapsed() < limit) {
            sleep(limit / 10).await;
        }
    }

    /// Since when the oldest answer has not been taken.
    fn oldest_answer(&self) -> Option<Instant> {
        self.memory.lock().oldest_answer(self.id)
    }

    /// Returns when the connection has to be closed, since others need its memory.
    pub async fn gives_way(&self) {
        self.close.notified().await;
    }
}

impl Drop for ConnectionMemory {
    fn drop(&mut self) {
        self.memory.lock().disconnect(self.id);
    }
}

/// Given back when it is dropped.
struct Hold {
    connection: Arc<ConnectionMemory>,
    id: u64,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let memory = &self.connection.memory;
        let mut ledger = memory.lock();
        ledger.release(self.id);
        memory.show(&ledger);
        if ledger.held_bytes == 0 {
            memory.spare.clear();
        }
    }
}

struct AnswerBytes {
    bytes: Vec<u8>,
    _hold: Hold,
}

impl AsRef<[u8]> for AnswerBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The memory of a body, until the verdict on it.
pub struct BodyMemory {
    hold: Hold,
    partial: Arc<PartialBody>,
    is_whole: bool,
}

impl BodyMemory {
    /// What is kept, and what is allocated for it.
    pub fn sizes(&self) -> (usize, usize) {
        let received = self.partial.lock();
        (received.bytes.bytes(), received.bytes.capacity_bytes())
    }

    /// Whether not all is kept that was received.
    pub fn is_shed(&self) -> bool {
        self.partial.lock().is_shed
    }

    /// Makes room for `capacity_bytes` in all. Where there is none the body is shed, with room for its beginning.
    pub fn reserve(&self, capacity_bytes: usize) {
        let Hold { connection, id } = &self.hold;
        let mut ledger = connection.memory.lock();
        let has_room = ledger.grow(*id, REQUEST_BYTES + capacity_bytes);
        connection.memory.show(&ledger);
        drop(ledger);
        let mut received = self.partial.lock();
        if received.is_shed {
            return;
        }
        if !has_room {
            received.shed();
        }
        let capacity_bytes = if has_room { capacity_bytes } else { capacity_bytes.min(PREFIX_BYTES) };
        received.bytes.reserve(capacity_bytes, &connection.memory.spare);
    }

    /// Keeps as much of `data` as there is room for.
    pub fn push(&self, data: &[u8]) {
        let mut received = self.partial.lock();
        received.pieces += 1;
        received.bytes.push(data);
    }

    /// Returns when it is shed.
    pub async fn shed(&self) {
        while !self.partial.lock().is_shed {
            self.partial.taken.notified().await;
        }
    }

    /// Returns when it has to be answered at once, or nothing has come for `silence`.
    pub async fn over(&self, silence: Duration) {
        loop {
            let pieces = self.partial.lock().pieces;
            let _ = timeout(silence, self.partial.taken.notified()).await;
            let received = self.partial.lock();
            if received.is_over || received.pieces == pieces {
                return;
            }
        }
    }

    /// From here on it does not give way. What was kept, and whether that is all that was received.
    pub fn finish(&mut self) -> (ReceivedBody, bool) {
        let memory = &self.hold.connection.memory;
        memory.lock().stop_waiting(self.hold.id);
        self.is_whole = true;
        memory.bodies.dec();
        let mut received = self.partial.lock();
        (std::mem::take(&mut received.bytes), !received.is_shed)
    }
}

impl Drop for BodyMemory {
    fn drop(&mut self) {
        if !self.is_whole {
            self.hold.connection.memory.bodies.dec();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::{LINGERING, SHORT_BYTES, connection_bytes, memory_bytes};
    use super::*;

    const MIB: usize = 1 << 20;
    /// Four bodies of a mebibyte fit, and what is beside them.
    const BODIES_BYTES: usize = 4 * MIB;

    fn held(memory: &SharedMemory) -> usize {
        usize::try_from(memory.held.get()).unwrap()
    }

    /// A body of which so much was received.
    fn body(connection: &Arc<ConnectionMemory>, bytes: usize) -> BodyMemory {
        let body = connection.begin();
        receive(&body, bytes);
        body
    }

    fn receive(body: &BodyMemory, bytes: usize) {
        body.reserve(bytes);
        body.push(&vec![b' '; bytes]);
    }

    fn is_over(body: &BodyMemory) -> bool {
        body.partial.lock().is_over
    }

    #[test]
    fn the_one_that_has_waited_longest_gives_way_and_what_is_whole_does_not() {
        let memory = SharedMemory::new(BODIES_BYTES);
        let connections = [(); 6].map(|()| memory.connection());
        let mut bodies: Vec<_> = connections[..4].iter().map(|connection| body(connection, MIB)).collect();
        assert_eq!(held(&memory), 4 * (MIB + REQUEST_BYTES));
        let (bytes, has_all) = bodies[0].finish();
        assert_eq!((bytes.bytes(), has_all), (MIB, true));

        let fifth = body(&connections[4], MIB);
        let shed: Vec<_> = bodies.iter().map(BodyMemory::is_shed).collect();
        assert_eq!((shed, fifth.is_shed()), (vec![false, true, false, false], false));
        assert!(!is_over(&bodies[1]), "the rest of it is read");
        assert_eq!(bodies[1].finish().0.bytes(), PREFIX_BYTES);
        // One that has waited longer than all that could give way is shed itself.
        receive(&bodies[2], 2 * MIB);
        assert!(bodies[2].is_shed() && !bodies[3].is_shed() && !fifth.is_shed());

        bodies.clear();
        drop(fifth);
        assert_eq!((held(&memory), memory.bodies.get()), (0, 0));
        drop(connections);
        assert!(memory.lock().is_empty());
    }

    #[test]
    fn heads_take_nothing_from_others_until_they_fill_the_memory_and_then_the_oldest_goes() {
        let memory = SharedMemory::new(BODIES_BYTES);
        let connection = memory.connection();
        let most = memory_bytes(BODIES_BYTES) / REQUEST_BYTES;
        let heads: Vec<_> = (0..most).map(|_| connection.begin()).collect();
        assert!(!heads.iter().any(is_over));
        let one_more = connection.begin();
        assert!(is_over(&heads[0]) && !is_over(&heads[1]) && !is_over(&one_more));
        let review = body(&memory.connection(), 10_000);
        assert!(!review.is_shed() && is_over(&heads[1]));
    }

    #[test]
    fn the_rest_of_some_bodies_is_read() {
        let memory = SharedMemory::new(16 * MIB);
        let connections: Vec<_> = (0..LINGERING + 50).map(|_| memory.connection()).collect();
        let bodies: Vec<_> = connections.iter().map(|connection| body(connection, 8 * MIB)).collect();
        let count = |is: fn(&BodyMemory) -> bool| bodies.iter().filter(|body| is(body)).count();
        assert!(count(BodyMemory::is_shed) > LINGERING);
        assert_eq!(count(is_over), count(BodyMemory::is_shed) - LINGERING);
        assert!(held(&memory) <= memory_bytes(16 * MIB));
    }

    #[test]
    fn short_bodies_have_memory_of_their_own() {
        let memory = SharedMemory::new(BODIES_BYTES);
        let connection = memory.connection();
        let sizes = [MIB, MIB, MIB, MIB, 100_000];
        let mut judged = sizes.map(|bytes| body(&connection, bytes));
        assert!(judged.iter_mut().all(|body| body.finish().1));
        let (mut long, mut short) = (body(&connection, SHORT_BYTES + 1), body(&connection, SHORT_BYTES));
        assert_eq!((long.finish().1, short.finish().1), (false, true));
    }

    #[test]
    fn a_connection_takes_its_part_and_gives_way_to_itself() {
        let memory = SharedMemory::new(64 * MIB);
        let (greedy, other) = (memory.connection(), memory.connection());
        let others = body(&other, MIB);
        let bodies: Vec<_> = (0..17).map(|_| body(&greedy, MIB)).collect();
        assert!(bodies[0].is_shed() && !bodies[2].is_shed() && !others.is_shed());
        assert!(held(&memory) <= connection_bytes(64 * MIB) + MIB + REQUEST_BYTES);
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_of_the_oldest_answer_is_closed() {
        let memory = SharedMemory::new(BODIES_BYTES);
        let [first, second] = [(); 2].map(|()| memory.connection());
        let answers = [first.answer(vec![b' '; MIB]), first.answer(vec![b' '; MIB]), second.answer(vec![b' '; MIB])];
        // A part that was taken does not free the rest.
        let part = answers[0].slice(10..20);
        assert_eq!(held(&memory), 3 * (MIB + REQUEST_BYTES));
        let body = body(&second, 2 * MIB);
        assert!(!body.is_shed());
        first.gives_way().await;
        assert_eq!(held(&memory), 3 * MIB + 2 * REQUEST_BYTES, "both answers of the first are given up");
        drop((part, answers));
        assert_eq!(held(&memory), 2 * MIB + REQUEST_BYTES);

        let limit = Duration::from_secs(10);
        let begun = Instant::now();
        let _untaken = second.answer(vec![b' ']);
        second.untaken_for(limit).await;
        assert!((limit..=limit + limit / 10).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }
}
