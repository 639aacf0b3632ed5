//! The last known object of each scan, in bounded memory. A status write is compared with it.

use std::collections::{BTreeMap, HashMap};
use std::mem::size_of;
use std::rc::Rc;

use time::OffsetDateTime;

/// The memory of all old objects: 48 MB, so that the program takes at most 100 MB. A scan takes about 3 KB, so there is room
/// for 16,000 scans. The rest is 48 MiB at most: the current event 8, its judgement 20, events that wait for their turn 4,
/// buffers and decompressors of 16 open logs 5, the table of findings 4, and the program itself 7. This holds for events of
/// two objects with at most 3 MiB each, the API server's limit of a request. `--audit-log-truncate-max-event-size`, which is
/// 100 KiB by default, only makes events shorter. Measured: 59 MB for the logs of the benchmark, and 96 MB for 16 overlapping
/// logs with objects of 3 MiB that have 19,999 conditions each, the most that are read.
pub const OLD_OBJECTS_MAX_BYTES: usize = 48_000_000;

/// The largest object that is kept: 3 MiB, the API server's limit of a request. etcd stores 1.5 MiB by default.
pub const OLD_OBJECT_MAX_BYTES: usize = 3 << 20;

/// The memory of an entry besides its texts. A hash table of which entries are removed all the time is at least 7/32 full.
/// When it grows, the table with half as many places exists beside it, so an entry takes up to 3/2 × 32/7 places and as
/// many control bytes. A node of a B-tree is at least half full, and a pointer leads to each. The three texts have two
/// counters each, and the four allocations take up to 32 bytes of the allocator each.
const ENTRY_BYTES: usize = 48 * (size_of::<(Rc<str>, Box<CachedObject>)>() + 1) / 7
    + 2 * (size_of::<(u64, Rc<str>)>() + size_of::<usize>())
    + size_of::<CachedObject>()
    + 3 * 2 * size_of::<usize>()
    + 4 * 32;

/// An object that was stored.
#[derive(Debug, Clone)]
pub struct OldObject {
    /// The parts that rules read, as the JSON of an object.
    pub json: Rc<str>,
    pub uid: Rc<str>,
    /// The resourceVersion, if it is a number.
    pub resource_version: Option<u64>,
    /// The time at which the request with this object was done.
    pub stage_timestamp: OffsetDateTime,
}

#[derive(Debug)]
struct CachedObject {
    object: OldObject,
    insertion: u64,
}

/// Old objects by the kind, namespace and name of the scan. The uid is part of the object, since not every event has it.
#[derive(Debug)]
pub struct OldObjects {
    max_bytes: usize,
    bytes: usize,
    entries: HashMap<Rc<str>, Box<CachedObject>>,
    /// The keys by the number of the insertion.
    by_insertion: BTreeMap<u64, Rc<str>>,
    insertions: u64,
    /// The number of objects that were dropped because of the limit.
    pub evicted: u64,
}

impl OldObjects {
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes, bytes: 0, entries: HashMap::new(), by_insertion: BTreeMap::new(), insertions: 0, evicted: 0 }
    }

    /// The counted memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the object.
    pub fn get(&self, key: &str) -> Option<OldObject> {
        self.entries.get(key).map(|cached| cached.object.clone())
    }

    /// Stores an object in place of an older one with the same key, and drops the least recently stored objects beyond the
    /// limit. Each event of a scan stores its object, so these are the least recently used. An object that is older than
    /// the stored one, such as one from a cache, is not stored.
    pub fn insert(&mut self, key: &str, object: OldObject) {
        if let Some(stored) = self.entries.get(key).map(|cached| &cached.object)
            && stored.uid == object.uid
            && let (Some(stored), Some(version)) = (stored.resource_version, object.resource_version)
            && version < stored
        {
            return;
        }
        self.remove(key);
        let bytes = entry_bytes(key, &object);
        if bytes > self.max_bytes {
            self.evicted += 1;
            return;
        }
        while self.bytes + bytes > self.max_bytes {
            let Some((_, oldest)) = self.by_insertion.first_key_value() else { break };
            let oldest = Rc::clone(oldest);
            self.remove(&oldest);
            self.evicted += 1;
        }
        self.bytes += bytes;
        self.insertions += 1;
        let key: Rc<str> = key.into();
        self.by_insertion.insert(self.insertions, Rc::clone(&key));
        self.entries.insert(key, Box::new(CachedObject { object, insertion: self.insertions }));
    }

    /// Drops the object, as it is deleted or was changed by an event without it.
    pub fn remove(&mut self, key: &str) {
        if let Some((key, entry)) = self.entries.remove_entry(key) {
            self.bytes -= entry_bytes(&key, &entry.object);
            self.by_insertion.remove(&entry.insertion);
        }
    }
}

fn entry_bytes(key: &str, object: &OldObject) -> usize {
    ENTRY_BYTES + key.len() + object.json.len() + object.uid.len()
}
