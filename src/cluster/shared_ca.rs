//! The CA that all replicas share: its state in the Secret, and the steps of its rotation. Pure: no network, no clock.
//!
//! The old and the new CA overlap, so that every API server verifies the certificate of every replica at every moment:
//!
//! ```text
//!  announced ──> in every caBundle, and settled ──> signs ──> the certificates of the old CA have expired
//!  next.crt      announced-at + settle              ca.crt    old.crt is removed at signs-since + leaf-life + settle
//! ```
//!
//! Each step is one write of the Secret, which names the resourceVersion that was read. There is no leader: the first
//! replica that writes takes the step, and if it stops, any other replica continues from the state in the Secret.

use std::collections::BTreeMap;

use rustls::pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};

use crate::scan::time as clock;
use crate::tls::bundle::{ParsedBundle, SkippedBlock};
use crate::tls::ca::{Ca, CaError, LIFE_MAX, is_ours, whole_second};
use crate::tls::verify::is_valid_ca;
use crate::tls::{CertificateInfo, TlsFileError, bundle, pem};

/// Durations of the rotation, from the flags. Replicas may run with different flags.
#[derive(Debug, Clone, Copy)]
pub struct CaTimes {
    /// The lifetime of a CA.
    pub ca: Duration,
    /// The lifetime of a serving certificate.
    pub leaf: Duration,
    /// How long API servers may take to use a CA once it is in every caBundle, and how far the clocks of replicas may
    /// differ.
    pub settle: Duration,
}

/// The CA certificates of a caBundle.
pub type Bundle = Vec<CertificateDer<'static>>;

/// The state of the shared CA, as the Secret stores it.
#[derive(Default)]
pub struct SharedCa {
    /// The CA that signs.
    pub current: Option<Ca>,
    /// The CA that is announced, and signs next.
    pub next: Option<Ca>,
    /// When a replica first found `next` in every caBundle.
    announced_at: Option<OffsetDateTime>,
    /// When `current` began to sign.
    signs_since: Option<OffsetDateTime>,
    /// CAs that no longer sign, but whose certificates replicas may still serve.
    old: Bundle,
    /// Whether the Secret also holds old CAs that cannot be used. A later step removes them.
    is_old_damaged: bool,
    /// The longest lifetime of a serving certificate that any replica signs, since their flags may differ.
    leaf_life: Duration,
}

/// The contents of the Secret.
pub struct ParsedCa {
    pub ca: SharedCa,
    /// What is wrong with the entries that cannot be used.
    pub damages: Vec<Damage>,
}

/// What is wrong with an entry of the Secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("{0} has expired")]
    Expired(&'static str),
    #[error("{0} is not valid yet")]
    NotYetValid(&'static str),
    #[error("{name}: {error}")]
    Ca { name: &'static str, error: String },
    #[error("{name} is {found}")]
    Value { name: &'static str, found: &'static str },
}

/// The outcome of [`SharedCa::step`]: the state to save with the reason to log, or the unchanged state.
pub enum CaStep {
    Save(SharedCa, &'static str),
    Unchanged(SharedCa),
}

const CURRENT: [&str; 2] = ["ca.crt", "ca.key"];
const NEXT: [&str; 2] = ["next.crt", "next.key"];
const OLD: &str = "old.crt";
const ANNOUNCED_AT: &str = "announced-at";
const SIGNS_SINCE: &str = "signs-since";
const LEAF_LIFE: &str = "leaf-life-seconds";

/// The largest difference between the clocks of replicas. A time further ahead was not written by a replica.
const CLOCKS_APART_MAX: Duration = Duration::minutes(5);

type Data = BTreeMap<String, Vec<u8>>;

impl SharedCa {
    /// Parses the data of the Secret. An entry that cannot be used, such as an expired CA, is ignored and reported as
    /// damage.
    pub fn parse(data: &Data, now: OffsetDateTime) -> ParsedCa {
        let mut damages = Vec::new();
        let [current, next] = [CURRENT, NEXT].map(|names| {
            parse_ca(data, names, now).unwrap_or_else(|damage| {
                damages.push(damage);
                None
            })
        });
        let mut text = |name: &'static str, is_good: &dyn Fn(&str) -> bool, found: &'static str| {
            let text = String::from_utf8_lossy(data.get(name)?);
            let is_good = is_good(&text);
            if !is_good {
                damages.push(Damage::Value { name, found });
            }
            is_good.then(|| text.into_owned())
        };
        let is_past = |text: &str| clock::parse(text).is_some_and(|time| time <= now + CLOCKS_APART_MAX);
        let mut time = |name| text(name, &is_past, "not a time, or in the future").as_deref().and_then(clock::parse);
        let (announced_at, signs_since) = (time(ANNOUNCED_AT).filter(|_| next.is_some()), time(SIGNS_SINCE));
        let seconds = |text: &str| {
            text.parse::<u32>().ok().map(|life| Duration::seconds(life.into())).filter(|life| *life <= LIFE_MAX)
        };
        let leaf_life = text(LEAF_LIFE, &|text| seconds(text).is_some(), "not a number of seconds, or too large");
        let leaf_life = leaf_life.as_deref().and_then(seconds).unwrap_or_default();
        let ParsedOld { mut old, damages: of_old } = parse_old(data, now);
        let is_old_damaged = !of_old.is_empty();
        damages.extend(of_old);
        if current.is_none() {
            // Possibly only its key is lost, and replicas still serve certificates that it signed.
            let lost = data.get(CURRENT[0]).map(|text| bundle::certificates(text)).unwrap_or_default();
            old.extend(lost.into_iter().filter(|ca| is_valid_ca(ca, now) && is_ours(ca)));
        }
        let ca = Self { current, next, announced_at, signs_since, old, is_old_damaged, leaf_life };
        ParsedCa { ca, damages }
    }

    /// Encodes the state as the data of the Secret.
    pub fn data(&self) -> Data {
        let mut data = Data::new();
        let mut put = |name: &str, text: String| data.insert(name.to_owned(), text.into_bytes());
        for (ca, [certificate, key]) in [(&self.current, CURRENT), (&self.next, NEXT)] {
            if let Some(ca) = ca {
                put(certificate, pem::encode([&ca.certificate]));
                put(key, ca.key_pem());
            }
        }
        if !self.old.is_empty() {
            put(OLD, pem::encode(&self.old));
        }
        for (name, time) in [(ANNOUNCED_AT, self.announced_at), (SIGNS_SINCE, self.signs_since)] {
            // Rounded up to a whole second, so that no wait that starts at this time ends early.
            if let Some(text) = time.and_then(|time| clock::format(whole_second(time))) {
                put(name, text);
            }
        }
        put(LEAF_LIFE, self.leaf_life.whole_seconds().to_string());
        data
    }

    /// Returns the certificates that every caBundle must hold.
    pub fn bundle(&self) -> Bundle {
        let signing = [&self.current, &self.next].into_iter().flatten().map(|ca| &ca.certificate);
        distinct(signing.chain(&self.old))
    }

    /// Returns the next step, if one is due. `bundles` are the caBundles of all existing webhooks: a webhook that does
    /// not exist is not called, so it needs no CA. `serving_ca` is the CA of the certificate that this replica serves.
    pub fn step(
        mut self,
        bundles: &[Bundle],
        serving_ca: Option<&CertificateDer<'static>>,
        now: OffsetDateTime,
        times: CaTimes,
    ) -> Result<CaStep, CaError> {
        let is_in_all = |ca: &Ca| bundles.iter().all(|bundle| bundle.contains(&ca.certificate));
        let is_over = |since: OffsetDateTime, time: Duration| since.saturating_add(time) <= now;
        let known = self.bundle();
        let is_unknown = |ca: &&CertificateDer<'static>| !known.contains(ca) && is_valid_ca(ca, now);
        let found = distinct(bundles.iter().flatten().chain(serving_ca).filter(is_unknown));
        let is_longer = times.leaf > self.leaf_life;
        self.leaf_life = self.leaf_life.max(times.leaf);
        // The Secret was replaced, for instance from a backup, so its CA has not been announced.
        let is_replaced = self.current.as_ref().is_some_and(|current| match serving_ca {
            Some(ca) => found.contains(ca),
            None => !is_in_all(current) && !found.is_empty(),
        });
        let this = match self.recover(is_replaced, found, now, times)? {
            CaStep::Unchanged(this) => this,
            step => return Ok(step),
        };
        Ok(match this {
            Self { next: Some(next), announced_at: None, .. } if is_in_all(&next) => {
                let announced = Self { next: Some(next), announced_at: Some(now), ..this };
                CaStep::Save(announced, "every caBundle holds the new CA")
            }
            Self { next: Some(next), announced_at: Some(_), .. } if !is_in_all(&next) => {
                let announced = Self { next: Some(next), announced_at: None, ..this };
                CaStep::Save(announced, "announced the new CA again: it was removed from a caBundle")
            }
            Self { next: Some(next), announced_at: Some(since), .. } if is_over(since, times.settle) => {
                let mut old = this.old;
                old.extend(this.current.map(|ca| ca.certificate));
                let current = Some(next);
                let promoted = Self { current, next: None, announced_at: None, signs_since: Some(now), old, ..this };
                CaStep::Save(promoted, "the new CA now signs")
            }
            Self { next: None, current: Some(current), .. } if current.needs_renewal(now) => {
                let next = Some(Ca::new(now, times.ca)?);
                let announced = Self { current: Some(current), next, announced_at: None, ..this };
                CaStep::Save(announced, "announced a new CA")
            }
            Self { current: Some(_), signs_since: None, .. } if !this.old.is_empty() => CaStep::Save(
                Self { signs_since: Some(now), ..this },
                "keeping the old CA until its certificates expire",
            ),
            Self { current: Some(_), signs_since: Some(since), .. }
                if !this.old.is_empty() && is_over(since, this.leaf_life + times.settle) =>
            {
                CaStep::Save(Self { old: Bundle::new(), ..this }, "removed the old CA: its certificates have expired")
            }
            this if this.is_old_damaged => CaStep::Save(this, "removed the old CAs that cannot be used"),
            this if is_longer => CaStep::Save(this, "recorded a longer lifetime of certificates"),
            this => CaStep::Unchanged(this),
        })
    }

    /// Returns the step that is due if the Secret names no CA that signs, or a different one than is in use.
    fn recover(
        self,
        is_replaced: bool,
        mut found: Bundle,
        now: OffsetDateTime,
        times: CaTimes,
    ) -> Result<CaStep, CaError> {
        Ok(match self {
            Self { current: Some(current), next, mut old, .. } if is_replaced => {
                old.append(&mut found);
                let next = match next {
                    None => current,
                    Some(next) => {
                        old.push(current.certificate);
                        next
                    }
                };
                let replaced = Self { current: None, next: Some(next), announced_at: None, old, ..self };
                CaStep::Save(replaced, "announced the CA of the Secret: a different CA is in use")
            }
            // A replica may still serve a certificate of one of these CAs. Where the Secret names a CA that signs, the
            // certificates of all other CAs are known to have expired.
            Self { current: None, mut old, .. } if !found.is_empty() => {
                old.append(&mut found);
                CaStep::Save(
                    Self { announced_at: None, old, ..self },
                    "keeping the CAs of the caBundles until their certificates expire",
                )
            }
            Self { current: None, next: None, .. } => {
                let ca = Some(Ca::new(now, times.ca)?);
                if self.old.is_empty() {
                    CaStep::Save(
                        Self { current: ca, signs_since: Some(now), ..self },
                        "created a CA, which signs at once",
                    )
                } else {
                    CaStep::Save(Self { next: ca, announced_at: None, ..self }, "announced a new CA")
                }
            }
            rest => CaStep::Unchanged(rest),
        })
    }
}

/// Returns each certificate once, in the order of its first occurrence.
pub fn distinct<'a>(certificates: impl Iterator<Item = &'a CertificateDer<'static>>) -> Bundle {
    let mut distinct = Bundle::new();
    for certificate in certificates {
        if !distinct.contains(certificate) {
            distinct.push(certificate.clone());
        }
    }
    distinct
}

/// The old CAs that can be used, and what is wrong with the others.
struct ParsedOld {
    old: Bundle,
    damages: Vec<Damage>,
}

/// Parses the old CAs. They may include a CA that this program did not make: one that was in a caBundle before the
/// Secret existed.
fn parse_old(data: &Data, now: OffsetDateTime) -> ParsedOld {
    let Some(text) = data.get(OLD) else { return ParsedOld { old: Bundle::new(), damages: Vec::new() } };
    let ParsedBundle { certificates, skipped } = bundle::parse(text);
    let damage = |error: String| Damage::Ca { name: OLD, error };
    let mut damages: Vec<Damage> =
        skipped.into_iter().map(|SkippedBlock { line, reason }| damage(format!("line {line}: {reason}"))).collect();
    if certificates.is_empty() && damages.is_empty() {
        damages.push(damage(CaError::Certificate(TlsFileError::NoCertificate).to_string()));
    }
    let mut old = Bundle::new();
    for certificate in certificates {
        match CertificateInfo::of(&certificate) {
            Ok(info) if !info.may_sign => damages.push(damage(CaError::NoCa.to_string())),
            // An old CA is removed only once it has expired by the clock of every replica.
            Ok(info) if info.not_after + CLOCKS_APART_MAX <= now => damages.push(Damage::Expired(OLD)),
            Ok(info) if now < info.not_before => damages.push(Damage::NotYetValid(OLD)),
            Ok(_) => old.push(certificate),
            Err(error) => damages.push(damage(error.to_string())),
        }
    }
    ParsedOld { old, damages }
}

/// Parses a CA; `None` if the Secret has neither its certificate nor its key.
fn parse_ca(data: &Data, [certificate, key]: [&'static str; 2], now: OffsetDateTime) -> Result<Option<Ca>, Damage> {
    let ca = match (data.get(certificate), data.get(key)) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => Ca::parse(certificate, key),
        (Some(_), None) => Err(CaError::Missing(key)),
        (None, Some(_)) => Err(CaError::Missing(certificate)),
    };
    match ca {
        Ok(ca) if ca.not_after <= now => Err(Damage::Expired(certificate)),
        Ok(ca) if !is_valid_ca(&ca.certificate, now) => Err(Damage::NotYetValid(certificate)),
        Ok(ca) => Ok(Some(ca)),
        Err(error) => Err(Damage::Ca { name: certificate, error: error.to_string() }),
    }
}
