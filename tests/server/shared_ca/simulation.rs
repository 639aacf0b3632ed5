//! Simulates replicas, one Secret and two webhook configurations on a clock of their own, in an order that a seed
//! decides.
//!
//! Each replica runs the rounds of `cluster::ca_controller` request by request. Other replicas may act between two
//! requests. A request takes milliseconds or, at times, minutes. API servers learn of a caBundle late. After every
//! request this must hold: every caBundle that an API server may still use verifies the certificates that live replicas
//! serve, unless an act has just destroyed a caBundle.

use std::collections::{BTreeMap, BTreeSet};

use rustls::pki_types::CertificateDer;
use scan_admission::cluster::shared_ca::{Bundle, CaStep, CaTimes, SharedCa};
use time::{Duration, OffsetDateTime};

/// How late an API server learns of a caBundle. The rest of the settle time covers differences between clocks.
const LAG: Duration = Duration::seconds(40);
const CLOCKS_APART_MS: i64 = 8_000;
const ROUND: Duration = Duration::seconds(10);
const REPLICAS: usize = 3;

type Data = BTreeMap<String, Vec<u8>>;
type Der = CertificateDer<'static>;

/// An act of a person or program other than the replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    DeleteSecret,
    EmptySecret,
    /// Damages one value, but not `old.crt`: the CAs that only this entry holds would be lost.
    DamageSecret,
    DamageOld,
    EmptyBundle,
    OverwriteBundle,
    DeleteConfiguration,
}

impl Act {
    pub const ON_THE_SECRET: &[Self] = &[Self::DeleteSecret, Self::EmptySecret, Self::DamageSecret];
    pub const ALL: &[Self] = &[
        Self::DeleteSecret,
        Self::EmptySecret,
        Self::DamageSecret,
        Self::DamageOld,
        Self::EmptyBundle,
        Self::OverwriteBundle,
        Self::DeleteConfiguration,
    ];
}

/// A value with its version. `None` is an object that does not exist.
#[derive(Clone)]
struct Stored<T> {
    value: Option<T>,
    version: u64,
}

struct Leaf {
    ca: Der,
    end: OffsetDateTime,
    renew_at: OffsetDateTime,
}

/// What a round has read so far.
#[derive(Default)]
struct Round {
    configurations: Vec<Stored<Bundle>>,
    wanted: Option<Bundle>,
    written: usize,
    has_changed: bool,
}

struct Replica {
    is_alive: bool,
    clock_offset: Duration,
    times: CaTimes,
    leaf: Option<Leaf>,
    round: Round,
    round_began: OffsetDateTime,
    /// The start of the last round that found everything as it should be.
    last_complete_round: OffsetDateTime,
    acts_at: OffsetDateTime,
}

pub struct Simulation {
    random: fastrand::Rng,
    times: CaTimes,
    acts: &'static [Act],
    now: OffsetDateTime,
    version: u64,
    secret: Stored<Data>,
    /// The caBundle that the Secret prescribes.
    wanted: Bundle,
    /// The caBundles of each configuration, and since when each was stored.
    configurations: [Vec<(OffsetDateTime, Stored<Bundle>)>; 2],
    replicas: Vec<Replica>,
    /// The time since which everything is as the Secret prescribes after a caBundle was destroyed. `None` if it is not.
    healed: Option<OffsetDateTime>,
    signed: BTreeSet<Vec<u8>>,
    saves: usize,
    acts_done: usize,
    seed: u64,
}

impl Simulation {
    pub fn new(seed: u64, times: CaTimes, acts: &'static [Act]) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let replicas = (0..REPLICAS).map(|index| Replica {
            is_alive: true,
            clock_offset: Duration::milliseconds(random.i64(-CLOCKS_APART_MS..=CLOCKS_APART_MS)),
            // The last replica has flags with other lifetimes.
            times: if index + 1 == REPLICAS {
                CaTimes { leaf: times.leaf * 4 / 3, ca: times.ca * 2, ..times }
            } else {
                times
            },
            leaf: None,
            round: Round::default(),
            round_began: now,
            last_complete_round: now - Duration::SECOND,
            acts_at: now + Duration::milliseconds(random.i64(0..5_000)),
        });
        let replicas = replicas.collect();
        let empty = |version| vec![(now - LAG, Stored { value: Some(Bundle::new()), version })];
        Self {
            times,
            acts,
            now,
            version: 2,
            secret: Stored { value: None, version: 0 },
            wanted: Bundle::new(),
            configurations: [empty(1), empty(2)],
            replicas,
            healed: None,
            signed: BTreeSet::new(),
            saves: 0,
            acts_done: 0,
            seed,
            random,
        }
    }

    /// Runs for this time and checks the invariants after every request.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let next = (0..REPLICAS).min_by_key(|&index| self.replicas[index].acts_at).unwrap();
            self.now = self.replicas[next].acts_at;
            self.crash_or_act(next);
            if self.replicas[next].is_alive {
                self.request(next);
            }
            self.check_invariants();
        }
    }

    /// Runs without further acts, and checks that CAs are changed with a bounded number of writes. Returns the number
    /// of changes.
    pub fn settle_down(&mut self) -> usize {
        self.acts = &[];
        self.run(self.times.ca * 2);
        let (signed, saves) = (self.signed.len(), self.saves);
        self.run(self.times.ca * 6);
        let (signed, saves) = (self.signed.len() - signed, self.saves - saves);
        assert!(signed >= 3, "seed {}: only {signed} CAs signed", self.seed);
        // The steps are: announced, carried, signs, dropped. A round that began too early sometimes announces a CA
        // again.
        assert!(saves <= 6 * (signed + 1), "seed {}: {saves} writes for {signed} CAs", self.seed);
        signed
    }

    /// Crashes or restarts the replica whose turn it is, or performs an act.
    fn crash_or_act(&mut self, index: usize) {
        let die = self.random.u32(0..1000);
        let replica = &mut self.replicas[index];
        if !replica.is_alive {
            replica.is_alive = true;
        } else if die < 8 {
            replica.is_alive = false;
            (replica.leaf, replica.round) = (None, Round::default());
            replica.acts_at = self.now + Duration::seconds(self.random.i64(1..200));
        } else if die < 16 && !self.acts.is_empty() {
            let act = self.acts[self.random.usize(0..self.acts.len())];
            self.act(act);
        }
    }

    fn act(&mut self, act: Act) {
        self.acts_done += 1;
        let which = self.random.usize(0..2);
        match act {
            Act::DeleteSecret => self.write_secret(None),
            Act::EmptySecret => self.write_secret(Some(Data::new())),
            Act::DamageSecret | Act::DamageOld => {
                let Some(mut data) = self.secret.value.clone() else { return };
                let is_meant = |name: &&String| (name.as_str() == "old.crt") == (act == Act::DamageOld);
                let names: Vec<_> = data.keys().filter(is_meant).cloned().collect();
                if names.is_empty() {
                    return;
                }
                let name = names[self.random.usize(0..names.len())].clone();
                if self.random.bool() {
                    data.remove(&name);
                } else {
                    data.insert(name, b"damaged".to_vec());
                }
                self.write_secret(Some(data));
            }
            Act::EmptyBundle => self.write_configuration(which, Some(Bundle::new())),
            Act::OverwriteBundle => {
                let strange = scan_admission::tls::ca::Ca::new(self.now, self.times.ca).unwrap().certificate;
                self.write_configuration(which, Some(vec![strange]));
            }
            // The configuration is deleted, or applied again.
            Act::DeleteConfiguration => {
                let is_there = self.configuration(which).value.is_some();
                self.write_configuration(which, (!is_there).then(Bundle::new));
            }
        }
        if !Act::ON_THE_SECRET.contains(&act) {
            self.healed = None;
        }
    }

    fn configuration(&self, index: usize) -> &Stored<Bundle> {
        &self.configurations[index].last().unwrap().1
    }

    fn write_secret(&mut self, value: Option<Data>) {
        self.version += 1;
        self.wanted = value.as_ref().map(|data| SharedCa::parse(data, self.now).ca.bundle()).unwrap_or_default();
        self.secret = Stored { value, version: self.version };
        self.wake();
    }

    fn write_configuration(&mut self, index: usize, value: Option<Bundle>) {
        self.version += 1;
        self.configurations[index].push((self.now, Stored { value, version: self.version }));
        self.wake();
    }

    /// A watch wakes most of the replicas that are not in a round.
    fn wake(&mut self) {
        for replica in &mut self.replicas {
            if replica.round.configurations.is_empty() && self.random.u32(0..10) < 7 {
                replica.acts_at = replica.acts_at.min(self.now + Duration::milliseconds(self.random.i64(10..300)));
            }
        }
    }

    /// Sends the next request of a round.
    fn request(&mut self, index: usize) {
        let mut round = std::mem::take(&mut self.replicas[index].round);
        let is_done = match round.configurations.len() {
            read @ 0..2 => {
                if read == 0 {
                    self.replicas[index].round_began = self.now;
                }
                round.configurations.push(self.configuration(read).clone());
                false
            }
            _ if round.wanted.is_none() => self.step(index, &mut round),
            _ => {
                let (read, wanted) = (&round.configurations[round.written], round.wanted.clone().unwrap());
                let is_same =
                    |found: &Bundle| found.len() == wanted.len() && wanted.iter().all(|ca| found.contains(ca));
                if read.value.as_ref().is_some_and(|found| !is_same(found)) {
                    round.has_changed = true;
                    if self.configuration(round.written).version == read.version {
                        self.write_configuration(round.written, Some(wanted));
                    }
                }
                round.written += 1;
                round.written == 2
            }
        };
        let takes = match self.random.u32(0..500) {
            0 => Duration::seconds(self.random.i64(30..600)),
            1..10 => Duration::seconds(self.random.i64(1..20)),
            _ => Duration::milliseconds(self.random.i64(1..100)),
        };
        let replica = &mut self.replicas[index];
        let mut wait = takes;
        if is_done && !round.has_changed {
            replica.last_complete_round = replica.round_began;
            let renew_in = replica.leaf.as_ref().map_or(ROUND, |leaf| leaf.renew_at - self.now - replica.clock_offset);
            wait += ROUND.min(renew_in.max(Duration::ZERO));
        }
        if !is_done {
            replica.round = round;
        }
        replica.acts_at = self.now + wait;
    }

    /// Reads the Secret and performs the step. Returns true if the round ends here and the next one begins.
    fn step(&mut self, index: usize, round: &mut Round) -> bool {
        let replica = &self.replicas[index];
        let now = self.now + replica.clock_offset;
        let data = self.secret.value.clone().unwrap_or_default();
        let carried: Vec<Bundle> = round.configurations.iter().filter_map(|stored| stored.value.clone()).collect();
        let served_by = replica.leaf.as_ref().map(|leaf| &leaf.ca);
        match SharedCa::parse(&data, now).ca.step(&carried, served_by, now, replica.times).unwrap() {
            CaStep::Save(shared, _) => {
                self.saves += 1;
                round.has_changed = true;
                self.write_secret(Some(shared.data()));
                true
            }
            CaStep::Unchanged(shared) => {
                round.wanted = Some(shared.bundle());
                let Some(ca) = shared.current else { return false };
                self.signed.insert(ca.certificate.to_vec());
                let is_good = |leaf: &Leaf| leaf.ca == ca.certificate && now < leaf.renew_at;
                let replica = &mut self.replicas[index];
                if !replica.leaf.as_ref().is_some_and(is_good) {
                    let end = ca.leaf_dates(now, replica.times.leaf).1;
                    replica.leaf = Some(Leaf { ca: ca.certificate, end, renew_at: now + (end - now) * 3 / 5 });
                }
                false
            }
        }
    }

    fn check_invariants(&mut self) {
        let wanted = &self.wanted;
        assert!(wanted.len() <= 3 + self.acts_done, "seed {}: {} CAs", self.seed, wanted.len());
        let is_right = |stored: &Stored<Bundle>| {
            stored.value.as_ref().is_none_or(|found| wanted.iter().all(|ca| found.contains(ca)))
        };
        let has_ca = self.secret.value.as_ref().is_some_and(|data| data.contains_key("ca.crt"));
        if self.healed.is_none() && has_ca && (0..2).all(|index| is_right(self.configuration(index))) {
            self.healed = Some(self.now);
        }
        let oldest = self.now - LAG;
        for history in &mut self.configurations {
            // The caBundle at that time is the last one that was written before.
            let gone = history.iter().rposition(|(since, _)| *since <= oldest).unwrap_or(0);
            history.drain(..gone);
        }
        let Some(healed) = self.healed.filter(|healed| *healed <= oldest) else { return };
        for (index, replica) in self.replicas.iter().enumerate() {
            let Some(leaf) = replica.leaf.as_ref().filter(|leaf| self.now <= leaf.end) else { continue };
            if replica.last_complete_round < healed {
                continue;
            }
            for (_, known) in self.configurations.iter().flatten() {
                let is_verified = known.value.as_ref().is_none_or(|bundle| bundle.contains(&leaf.ca));
                assert!(
                    is_verified,
                    "seed {}, {}: the certificate of replica {index} is rejected",
                    self.seed, self.now
                );
            }
        }
    }
}
