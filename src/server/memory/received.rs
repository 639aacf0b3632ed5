//! The received bytes of a body, in reusable pieces of memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::server::limits::{PREFIX_BYTES, SHORT_BYTES};

/// The received bytes of a body that is being read, shared with [`Reservations`](super::reservations::Reservations),
/// which may evict them.
#[derive(Default)]
pub struct PartialBody {
    bytes: Mutex<ReceivedBytes>,
    /// Notified when the bytes are evicted.
    pub changed: Notify,
}

#[derive(Default)]
pub struct ReceivedBytes {
    pub bytes: ReceivedBody,
    pub is_shed: bool,
    /// Whether the rest of the body is left unread.
    pub is_abandoned: bool,
    /// The number of pieces received so far. While it grows, the client is still sending.
    pub pieces: usize,
}

/// The received bytes of a body: the first [`SHORT_BYTES`] in one piece, the rest in pieces of that size.
#[derive(Default)]
pub struct ReceivedBody {
    pub first: Piece,
    pub rest: Vec<Piece>,
}

impl ReceivedBody {
    pub fn bytes(&self) -> usize {
        self.pieces().map(|piece| piece.bytes.len()).sum()
    }

    pub fn capacity_bytes(&self) -> usize {
        self.pieces().map(|piece| piece.bytes.capacity()).sum()
    }

    fn pieces(&self) -> impl Iterator<Item = &Piece> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    /// Makes room for `capacity_bytes` in total.
    pub fn reserve(&mut self, capacity_bytes: usize, spare: &Arc<SparePieces>) {
        if capacity_bytes < SHORT_BYTES {
            let more_bytes = capacity_bytes.saturating_sub(self.first.bytes.len());
            return self.first.bytes.reserve_exact(more_bytes);
        }
        if self.first.bytes.capacity() < SHORT_BYTES {
            let mut first = spare.take();
            first.bytes.extend_from_slice(&self.first.bytes);
            self.first = first;
        }
        while self.capacity_bytes() < capacity_bytes {
            self.rest.push(spare.take());
        }
    }

    /// Appends as much of `data` as fits.
    pub fn push(&mut self, mut data: &[u8]) {
        for Piece { bytes, .. } in std::iter::once(&mut self.first).chain(&mut self.rest) {
            let fits_bytes = data.len().min(bytes.capacity() - bytes.len());
            bytes.extend_from_slice(&data[..fits_bytes]);
            data = &data[fits_bytes..];
        }
    }

    /// Joins all pieces. The memory of each piece is released as soon as it is copied.
    pub fn joined(first: &[u8], rest: Vec<Piece>) -> Vec<u8> {
        let mut all = Vec::with_capacity(first.len() + rest.iter().map(|piece| piece.bytes.len()).sum::<usize>());
        all.extend_from_slice(first);
        for piece in rest {
            all.extend_from_slice(&piece.bytes);
        }
        all
    }
}

/// A part of a body. Dropping a piece of [`SHORT_BYTES`] keeps its memory for the next body.
#[derive(Default)]
pub struct Piece {
    pub bytes: Vec<u8>,
    spare: Option<Arc<SparePieces>>,
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(spare) = &self.spare {
            let mut bytes = std::mem::take(&mut self.bytes);
            bytes.clear();
            spare.lock().push(bytes);
        }
    }
}

/// Unused pieces, kept for the next body. Freeing them fragments the heap: the process grew to twice the memory in use.
/// There are never more pieces than were in use at the same time, and all are freed when no memory is reserved.
#[derive(Default)]
pub struct SparePieces(Mutex<Vec<Vec<u8>>>);

impl SparePieces {
    pub fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn clear(&self) {
        *self.lock() = Vec::new();
    }

    fn take(self: &Arc<Self>) -> Piece {
        let spare = self.lock().pop();
        Piece { bytes: spare.unwrap_or_else(|| Vec::with_capacity(SHORT_BYTES)), spare: Some(self.clone()) }
    }
}

impl PartialBody {
    pub fn lock(&self) -> MutexGuard<'_, ReceivedBytes> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops all bytes except the beginning.
    pub fn evict(&self, is_abandoned: bool) {
        let mut received = self.lock();
        received.shed();
        received.is_abandoned = is_abandoned;
        drop(received);
        self.changed.notify_one();
    }
}

impl ReceivedBytes {
    /// Drops all bytes except the beginning, which contains the uid.
    pub fn shed(&mut self) {
        self.is_shed = true;
        self.bytes.rest = Vec::new();
        let first = &self.bytes.first.bytes;
        let bytes = first[..first.len().min(PREFIX_BYTES)].to_vec();
        self.bytes.first = Piece { bytes, spare: None };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_contain_the_received_bytes() {
        let bytes: Vec<u8> = (0..300_000_usize).map(|at| at as u8).collect();
        for step in [1_000, SHORT_BYTES, 70_000, 300_000] {
            let spare = Arc::default();
            let mut body = ReceivedBody::default();
            for (index, data) in bytes.chunks(step).enumerate() {
                let needed_bytes = bytes.len().min((index + 1) * step);
                body.reserve(needed_bytes, &spare);
                body.push(data);
                assert!(body.capacity_bytes() <= needed_bytes.next_multiple_of(SHORT_BYTES));
            }
            assert_eq!(body.first.bytes[..], bytes[..SHORT_BYTES]);
            assert!(ReceivedBody::joined(&body.first.bytes, body.rest) == bytes);
            drop(body.first);
            assert_eq!(spare.lock().len(), bytes.len().div_ceil(SHORT_BYTES), "each piece is reused");
        }
    }
}
