//! The CA that all replicas share: its state in the Secret, and the next step of a change of CAs. No network, no clock.
//!
//! A CA is changed with overlap, so that at every moment each replica's certificate is verified by each API server:
//!
//! ```text
//!  announced ──> carried by every webhook, and settled ──> signs ──> every certificate of the old one has ended
//!  next.crt      announced-at + settle                     ca.crt    old.crt goes at signs-since + leaf-life + settle
//! ```
//!
//! Each step is one write of the Secret under its resourceVersion. The first replica takes it, there is no leader, and a
//! replica that dies leaves a state from which any other goes on.

use std::collections::BTreeMap;

use rustls::pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};

use crate::scan::time as clock;
use crate::tls::bundle::{ParsedBundle, SkippedBlock};
use crate::tls::ca::{Ca, CaError, LIFE_MAX, is_ours, whole_second};
use crate::tls::verify::is_valid_ca;
use crate::tls::{CertificateInfo, TlsFileError, bundle, pem};

/// How long CAs and certificates are valid. Replicas may have been started with different times.
#[derive(Debug, Clone, Copy)]
pub struct CaTimes {
    pub ca: Duration,
    pub leaf: Duration,
    /// How long API servers may take to use a CA after every webhook configuration carries it. Clocks may be this far apart.
    pub settle: Duration,
}

/// The certificates of a caBundle.
pub type Bundle = Vec<CertificateDer<'static>>;

#[derive(Default)]
pub struct SharedCa {
    /// The CA that signs.
    pub current: Option<Ca>,
    /// The CA that is announced, and will sign.
    pub next: Option<Ca>,
    /// Since when every webhook has been seen to carry `next`.
    announced_at: Option<OffsetDateTime>,
    /// Since when `current` signs.
    signs_since: Option<OffsetDateTime>,
    /// CAs that no longer sign, but whose certificates may still be served.
    old: Bundle,
    /// Whether the Secret also has old CAs that cannot be used, which the next step removes.
    is_old_damaged: bool,
    /// The longest life of a certificate that any replica signs: their settings may differ.
    leaf_life: Duration,
}

/// What a Secret holds.
pub struct ParsedCa {
    pub ca: SharedCa,
    /// What is wrong with the rest of it.
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

/// What is to be written, and why.
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

/// How far the clocks of replicas may be apart: a time that is later yet was written by no replica.
const CLOCKS_APART_MAX: Duration = Duration::minutes(5);

type Data = BTreeMap<String, Vec<u8>>;

impl SharedCa {
    /// What can be used of the Secret, and what is wrong with the rest. An expired CA is ignored.
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
        let mut time = |name| text(name, &is_past, "no time, or in the future").as_deref().and_then(clock::parse);
        let (announced_at, signs_since) = (time(ANNOUNCED_AT).filter(|_| next.is_some()), time(SIGNS_SINCE));
        let seconds = |text: &str| {
            text.parse::<u32>().ok().map(|life| Duration::seconds(life.into())).filter(|life| *life <= LIFE_MAX)
        };
        let leaf_life = text(LEAF_LIFE, &|text| seconds(text).is_some(), "no number of seconds");
        let leaf_life = leaf_life.as_deref().and_then(seconds).unwrap_or_default();
        let ParsedOld { mut old, damages: of_old } = parse_old(data, now);
        let is_old_damaged = !of_old.is_empty();
        damages.extend(of_old);
        if current.is_none() {
            // Only its key may be lost: certificates that it signed are still served.
            let lost = data.get(CURRENT[0]).map(|text| bundle::certificates(text)).unwrap_or_default();
            old.extend(lost.into_iter().filter(|ca| is_valid_ca(ca, now) && is_ours(ca)));
        }
        let ca = Self { current, next, announced_at, signs_since, old, is_old_damaged, leaf_life };
        ParsedCa { ca, damages }
    }

    /// As it is written to the Secret.
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
            // Rounded up: what is waited for from then on is not to come early.
            if let Some(text) = time.and_then(|time| clock::format(whole_second(time))) {
                put(name, text);
            }
        }
        put(LEAF_LIFE, self.leaf_life.whole_seconds().to_string());
        data
    }

    /// What every webhook has to carry.
    pub fn bundle(&self) -> Bundle {
        let signing = [&self.current, &self.next].into_iter().flatten().map(|ca| &ca.certificate);
        distinct(signing.chain(&self.old))
    }

    /// The next step, if it is time for one. `carried` are the caBundles of all webhooks that are there: one that is not
    /// calls nobody. `served_by` is the CA of the certificate that this replica serves.
    pub fn step(
        mut self,
        carried: &[Bundle],
        served_by: Option<&CertificateDer<'static>>,
        now: OffsetDateTime,
        times: CaTimes,
    ) -> Result<CaStep, CaError> {
        let is_carried = |ca: &Ca| carried.iter().all(|bundle| bundle.contains(&ca.certificate));
        let is_over = |since: OffsetDateTime, time: Duration| since.saturating_add(time) <= now;
        let known = self.bundle();
        let is_strange = |ca: &&CertificateDer<'static>| !known.contains(ca) && is_valid_ca(ca, now);
        let found = distinct(carried.iter().flatten().chain(served_by).filter(is_strange));
        let is_longer = times.leaf > self.leaf_life;
        self.leaf_life = self.leaf_life.max(times.leaf);
        // Another Secret than before, out of a backup perhaps: what it names has not been announced.
        let is_replaced = self.current.as_ref().is_some_and(|current| match served_by {
            Some(ca) => found.contains(ca),
            None => !is_carried(current) && !found.is_empty(),
        });
        let this = match self.recover(is_replaced, found, now, times)? {
            CaStep::Unchanged(this) => this,
            step => return Ok(step),
        };
        Ok(match this {
            Self { next: Some(next), announced_at: None, .. } if is_carried(&next) => {
                let announced = Self { next: Some(next), announced_at: Some(now), ..this };
                CaStep::Save(announced, "every webhook carries the new CA")
            }
            Self { next: Some(next), announced_at: Some(_), .. } if !is_carried(&next) => {
                let lost = Self { next: Some(next), announced_at: None, ..this };
                CaStep::Save(lost, "not every webhook carries the new CA any more: it is announced again")
            }
            Self { next: Some(next), announced_at: Some(since), .. } if is_over(since, times.settle) => {
                let mut old = this.old;
                old.extend(this.current.map(|ca| ca.certificate));
                let current = Some(next);
                let promoted = Self { current, next: None, announced_at: None, signs_since: Some(now), old, ..this };
                CaStep::Save(promoted, "the new CA signs")
            }
            Self { next: None, current: Some(current), .. } if current.needs_renewal(now) => {
                let next = Some(Ca::new(now, times.ca)?);
                let announced = Self { current: Some(current), next, announced_at: None, ..this };
                CaStep::Save(announced, "a new CA is announced")
            }
            Self { current: Some(_), signs_since: None, .. } if !this.old.is_empty() => {
                CaStep::Save(Self { signs_since: Some(now), ..this }, "the old CA is kept for now")
            }
            Self { current: Some(_), signs_since: Some(since), .. }
                if !this.old.is_empty() && is_over(since, this.leaf_life + times.settle) =>
            {
                CaStep::Save(Self { old: Bundle::new(), ..this }, "the old CA is dropped: all it signed has ended")
            }
            this if this.is_old_damaged => CaStep::Save(this, "what cannot be used is removed from the old CAs"),
            this if is_longer => CaStep::Save(this, "certificates hold longer than before"),
            this => CaStep::Unchanged(this),
        })
    }

    /// What to do where the Secret does not say who signs, or says another than before.
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
                CaStep::Save(replaced, "the Secret names another CA than was in use: it is announced first")
            }
            // Somebody may serve what one of these has signed. Where a CA signs, all others are known to have ended.
            Self { current: None, mut old, .. } if !found.is_empty() => {
                old.append(&mut found);
                CaStep::Save(Self { announced_at: None, old, ..self }, "the CAs that webhooks carry are kept for now")
            }
            Self { current: None, next: None, .. } => {
                let ca = Some(Ca::new(now, times.ca)?);
                if self.old.is_empty() {
                    CaStep::Save(Self { current: ca, signs_since: Some(now), ..self }, "a new CA signs")
                } else {
                    CaStep::Save(Self { next: ca, announced_at: None, ..self }, "a new CA is announced")
                }
            }
            rest => CaStep::Unchanged(rest),
        })
    }
}

/// Each once, in the order in which they came.
pub fn distinct<'a>(certificates: impl Iterator<Item = &'a CertificateDer<'static>>) -> Bundle {
    let mut distinct = Bundle::new();
    for certificate in certificates {
        if !distinct.contains(certificate) {
            distinct.push(certificate.clone());
        }
    }
    distinct
}

/// The old CAs that can be used, and what is wrong with the rest.
struct ParsedOld {
    old: Bundle,
    damages: Vec<Damage>,
}

/// Reads the old CAs. They may include another party's CA, which the webhooks carried before there was a Secret.
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
            // Clocks of replicas differ, so an old CA is removed only once it has expired by all of them.
            Ok(info) if info.not_after + CLOCKS_APART_MAX <= now => damages.push(Damage::Expired(OLD)),
            Ok(info) if now < info.not_before => damages.push(Damage::NotYetValid(OLD)),
            Ok(_) => old.push(certificate),
            Err(error) => damages.push(damage(error.to_string())),
        }
    }
    ParsedOld { old, damages }
}

/// A CA, if there is one, or what is wrong with it.
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
