//! The memory of bodies and answers: its limits, in total and per connection, and eviction at a limit.
//!
//! A body counts from its head until the decision, with the memory that is allocated for its received bytes. An answer
//! counts from the decision until its last byte is handed to the connection. While a body is read, or an answer waits
//! to be sent, the server waits for the client. At a limit, the oldest of these is evicted, so that slow clients cannot
//! exhaust the memory for other clients: a body is dropped and its review is shed; an answer is dropped by closing its
//! connection. A review that is being judged is never evicted.

mod received;
mod reservations;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use self::received::PartialBody;
pub use self::received::{Piece, ReceivedBody};
use self::reservations::{Reservations, ReservedFor};
use super::limits::{PREFIX_BYTES, REQUEST_BYTES};

/// The memory that all connections share.
pub struct SharedMemory {
    reservations: Mutex<Reservations>,
    spare: Arc<received::SparePieces>,
    /// The number of bodies that are being received.
    pub bodies: Gauge,
    /// The number of reserved bytes.
    pub held: Gauge,
}

impl SharedMemory {
    pub fn new(bodies_bytes: usize) -> Arc<Self> {
        let reservations = Mutex::new(Reservations::new(bodies_bytes));
        let spare = Arc::default();
        Arc::new(Self { reservations, spare, bodies: Gauge::default(), held: Gauge::default() })
    }

    /// Adds a connection.
    pub fn connection(self: &Arc<Self>) -> Arc<ConnectionMemory> {
        let close = Arc::new(Notify::new());
        let id = self.lock().connect(close.clone());
        Arc::new(ConnectionMemory { memory: self.clone(), id, close })
    }

    fn lock(&self) -> MutexGuard<'_, Reservations> {
        self.reservations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update_gauge(&self, reservations: &Reservations) {
        self.held.set(i64::try_from(reservations.held_bytes).unwrap_or(i64::MAX));
    }
}

/// The memory of one connection. Each reservation keeps it alive.
pub struct ConnectionMemory {
    memory: Arc<SharedMemory>,
    id: u64,
    close: Arc<Notify>,
}

impl ConnectionMemory {
    /// Reserves memory for a body whose head was read. This always succeeds: at a limit, older reservations are
    /// evicted.
    pub fn begin_body(self: &Arc<Self>) -> BodyMemory {
        let partial = Arc::new(PartialBody::default());
        let mut reservations = self.memory.lock();
        let id = reservations.add(self.id, REQUEST_BYTES, ReservedFor::Body(partial.clone()));
        reservations.make_room_for_any(self.id, id);
        self.memory.update_gauge(&reservations);
        self.memory.bodies.inc();
        BodyMemory { guard: ReservationGuard { connection: self.clone(), id }, partial, is_finished: false }
    }

    /// Reserves memory for the bytes of an answer, until the last clone or slice of the returned value is dropped. That is
    /// when the answer has left, or its connection has ended. `until_left` is dropped then, too.
    pub fn answer(self: &Arc<Self>, bytes: Vec<u8>, until_left: impl Send + 'static) -> Bytes {
        let mut reservations = self.memory.lock();
        let id =
            reservations.add(self.id, REQUEST_BYTES + bytes.capacity(), ReservedFor::Answer { since: Instant::now() });
        reservations.make_room_for_any(self.id, id);
        self.memory.update_gauge(&reservations);
        drop(reservations);
        let guard = ReservationGuard { connection: self.clone(), id };
        Bytes::from_owner(AnswerBytes { bytes, _guard: guard, _until_left: until_left })
    }

    /// Waits until an answer has been unsent for `limit`, or for up to a tenth longer. HTTP/2 needs this check: while
    /// the client's window is closed nothing is written, so no write can time out.
    pub async fn unsent_for(&self, limit: Duration) {
        while self.oldest_answer().is_none_or(|since| since.elapsed() < limit) {
            sleep(limit / 10).await;
        }
    }

    /// When the oldest unsent answer was made.
    fn oldest_answer(&self) -> Option<Instant> {
        self.memory.lock().oldest_answer(self.id)
    }

    /// Waits until the connection has to be closed to free the memory of its answers.
    pub async fn evicted(&self) {
        self.close.notified().await;
    }
}

impl Drop for ConnectionMemory {
    fn drop(&mut self) {
        self.memory.lock().disconnect(self.id);
    }
}

/// Removes a reservation when it is dropped.
struct ReservationGuard {
    connection: Arc<ConnectionMemory>,
    id: u64,
}

impl Drop for ReservationGuard {
    fn drop(&mut self) {
        let memory = &self.connection.memory;
        let mut reservations = memory.lock();
        reservations.remove(self.id);
        memory.update_gauge(&reservations);
        if reservations.held_bytes == 0 {
            memory.spare.clear();
        }
    }
}

struct AnswerBytes<T> {
    bytes: Vec<u8>,
    _guard: ReservationGuard,
    _until_left: T,
}

impl<T> AsRef<[u8]> for AnswerBytes<T> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The memory of a body until its review is decided.
pub struct BodyMemory {
    guard: ReservationGuard,
    partial: Arc<PartialBody>,
    is_finished: bool,
}

impl BodyMemory {
    /// The number of kept bytes, and the number of bytes that are allocated for them.
    pub fn sizes(&self) -> (usize, usize) {
        let received = self.partial.lock();
        (received.bytes.bytes(), received.bytes.capacity_bytes())
    }

    /// Whether received bytes were dropped.
    pub fn is_shed(&self) -> bool {
        self.partial.lock().is_shed
    }

    /// Reserves `capacity_bytes` in total. If a limit does not allow it, the body is shed, and only its beginning is
    /// kept.
    pub fn reserve(&self, capacity_bytes: usize) {
        let ReservationGuard { connection, id } = &self.guard;
        let mut reservations = connection.memory.lock();
        let has_room = reservations.grow(*id, REQUEST_BYTES + capacity_bytes);
        connection.memory.update_gauge(&reservations);
        drop(reservations);
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

    /// Appends as much of `data` as fits.
    pub fn push(&self, data: &[u8]) {
        let mut received = self.partial.lock();
        received.pieces += 1;
        received.bytes.push(data);
    }

    /// Waits until the body is shed.
    pub async fn shed(&self) {
        while !self.partial.lock().is_shed {
            self.partial.changed.notified().await;
        }
    }

    /// Waits until the rest of the body has to be left unread, or nothing was received for `silence`.
    pub async fn abandoned(&self, silence: Duration) {
        loop {
            let pieces = self.partial.lock().pieces;
            let _ = timeout(silence, self.partial.changed.notified()).await;
            let received = self.partial.lock();
            if received.is_abandoned || received.pieces == pieces {
                return;
            }
        }
    }

    /// Ends reading: the body can no longer be evicted. Returns the kept bytes, and whether these are all received
    /// bytes.
    pub fn finish(&mut self) -> (ReceivedBody, bool) {
        let memory = &self.guard.connection.memory;
        memory.lock().protect(self.guard.id);
        self.is_finished = true;
        memory.bodies.dec();
        let mut received = self.partial.lock();
        (std::mem::take(&mut received.bytes), !received.is_shed)
    }
}

impl Drop for BodyMemory {
    fn drop(&mut self) {
        if !self.is_finished {
            self.guard.connection.memory.bodies.dec();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::{DRAINED_BODIES, SHORT_BYTES, connection_bytes, memory_bytes};
    use super::*;

    const MIB: usize = 1 << 20;
    /// Fits four bodies of 1 MiB each, with their requests.
    const BODIES_BYTES: usize = 4 * MIB;

    fn held(memory: &SharedMemory) -> usize {
        usize::try_from(memory.held.get()).unwrap()
    }

    /// A body of which `bytes` were received.
    fn body(connection: &Arc<ConnectionMemory>, bytes: usize) -> BodyMemory {
        let body = connection.begin_body();
        receive(&body, bytes);
        body
    }

    fn receive(body: &BodyMemory, bytes: usize) {
        body.reserve(bytes);
        body.push(&vec![b' '; bytes]);
    }

    fn is_abandoned(body: &BodyMemory) -> bool {
        body.partial.lock().is_abandoned
    }

    #[test]
    fn the_oldest_body_is_evicted_unless_it_is_finished() {
        let memory = SharedMemory::new(BODIES_BYTES);
        let connections = [(); 6].map(|()| memory.connection());
        let mut bodies: Vec<_> = connections[..4].iter().map(|connection| body(connection, MIB)).collect();
        assert_eq!(held(&memory), 4 * (MIB + REQUEST_BYTES));
        let (bytes, has_all) = bodies[0].finish();
        assert_eq!((bytes.bytes(), has_all), (MIB, true));

        let fifth = body(&connections[4], MIB);
        let shed: Vec<_> = bodies.iter().map(BodyMemory::is_shed).collect();
        assert_eq!((shed, fifth.is_shed()), (vec![false, true, false, false], false));
        assert!(!is_abandoned(&bodies[1]), "the rest of it is read");
        assert_eq!(bodies[1].finish().0.bytes(), PREFIX_BYTES);
        // A growing body that is older than all other evictable ones is shed itself.
        receive(&bodies[2], 2 * MIB);
        assert!(bodies[2].is_shed() && !bodies[3].is_shed() && !fifth.is_shed());

        bodies.clear();
        drop(fifth);
        assert_eq!((held(&memory), memory.bodies.get()), (0, 0));
        drop(connections);
        assert!(memory.lock().is_empty());
    }

    #[test]
    fn heads_evict_the_oldest_head_once_they_fill_the_memory() {
        let memory = SharedMemory::new(BODIES_BYTES);
        let connection = memory.connection();
        let most = memory_bytes(BODIES_BYTES) / REQUEST_BYTES;
        let heads: Vec<_> = (0..most).map(|_| connection.begin_body()).collect();
        assert!(!heads.iter().any(is_abandoned));
        let one_more = connection.begin_body();
        assert!(is_abandoned(&heads[0]) && !is_abandoned(&heads[1]) && !is_abandoned(&one_more));
        let review = body(&memory.connection(), 10_000);
        assert!(!review.is_shed() && is_abandoned(&heads[1]));
    }

    #[test]
    fn the_rest_of_some_bodies_is_read() {
        let memory = SharedMemory::new(16 * MIB);
        let connections: Vec<_> = (0..DRAINED_BODIES + 50).map(|_| memory.connection()).collect();
        let bodies: Vec<_> = connections.iter().map(|connection| body(connection, 8 * MIB)).collect();
        let count = |is: fn(&BodyMemory) -> bool| bodies.iter().filter(|body| is(body)).count();
        assert!(count(BodyMemory::is_shed) > DRAINED_BODIES);
        assert_eq!(count(is_abandoned), count(BodyMemory::is_shed) - DRAINED_BODIES);
        assert!(held(&memory) <= memory_bytes(16 * MIB));
    }

    #[test]
    fn some_memory_is_for_short_bodies_only() {
        let memory = SharedMemory::new(BODIES_BYTES);
        let connection = memory.connection();
        let sizes = [MIB, MIB, MIB, MIB, 100_000];
        let mut judged = sizes.map(|bytes| body(&connection, bytes));
        assert!(judged.iter_mut().all(|body| body.finish().1));
        let (mut long, mut short) = (body(&connection, SHORT_BYTES + 1), body(&connection, SHORT_BYTES));
        assert_eq!((long.finish().1, short.finish().1), (false, true));
    }

    #[test]
    fn a_connection_beyond_its_share_evicts_its_own_bodies() {
        let memory = SharedMemory::new(64 * MIB);
        let (busy, other) = (memory.connection(), memory.connection());
        let others = body(&other, MIB);
        let bodies: Vec<_> = (0..17).map(|_| body(&busy, MIB)).collect();
        assert!(bodies[0].is_shed() && !bodies[2].is_shed() && !others.is_shed());
        assert!(held(&memory) <= connection_bytes(64 * MIB) + MIB + REQUEST_BYTES);
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_of_the_oldest_answer_is_closed() {
        let memory = SharedMemory::new(BODIES_BYTES);
        let [first, second] = [(); 2].map(|()| memory.connection());
        let until_left = Arc::new(());
        let answers = [
            first.answer(vec![b' '; MIB], until_left.clone()),
            first.answer(vec![b' '; MIB], ()),
            second.answer(vec![b' '; MIB], ()),
        ];
        // A slice keeps the reservation of the whole answer.
        let part = answers[0].slice(10..20);
        assert_eq!(held(&memory), 3 * (MIB + REQUEST_BYTES));
        assert_eq!(Arc::strong_count(&until_left), 2);
        let body = body(&second, 2 * MIB);
        assert!(!body.is_shed());
        first.evicted().await;
        assert_eq!(held(&memory), 3 * MIB + 2 * REQUEST_BYTES, "both answers of the first connection are evicted");
        drop(answers);
        assert_eq!(Arc::strong_count(&until_left), 2, "a part has not left");
        drop(part);
        assert_eq!(Arc::strong_count(&until_left), 1);
        assert_eq!(held(&memory), 2 * MIB + REQUEST_BYTES);

        let limit = Duration::from_secs(10);
        let begun = Instant::now();
        let _unsent = second.answer(vec![b' '], ());
        second.unsent_for(limit).await;
        assert!((limit..=limit + limit / 10).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }
}
