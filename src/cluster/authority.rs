//! Who signs: what the Secret that all replicas share says, and what is to be done next. No network, no clock.
//!
//! A CA is changed with overlap, so that at every moment each replica's certificate is verified by each API server:
//!
//! ```text
//!  announced ──> carried by every webhook, and settled ──> signs ──> every certificate of the old one has ended
//!  next.crt      announced-at + settle                     ca.crt    old.crt goes at signs-since + leaf-life + settle
//! ```
//!
//! Each step is one write of the Secret under its resourceVersion. Whoever comes first takes it, there is no leader, and
//! a replica that dies leaves a state from which any other goes on.

use std::collections::BTreeMap;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use time::{Duration, OffsetDateTime};

use super::ca::{Ca, Error, LIFE_MAX, is_valid, whole_second};
use crate::scan::time as clock;

/// How long things hold. Replicas may have been started with different ones.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    pub ca: Duration,
    pub leaf: Duration,
    /// From where every webhook carries a CA to where every API server is sure to know. Clocks may be this far apart.
    pub settle: Duration,
}

/// The certificates of a caBundle.
pub type Bundle = Vec<CertificateDer<'static>>;

#[derive(Default)]
pub struct Authority {
    /// Signs.
    pub current: Option<Ca>,
    /// Is announced, and will sign.
    pub next: Option<Ca>,
    /// Since when every webhook has been seen to carry `next`.
    announced_at: Option<OffsetDateTime>,
    /// Since when `current` signs.
    signs_since: Option<OffsetDateTime>,
    /// Sign no more, but certificates of theirs may still be served.
    old: Bundle,
    /// The longest life of a certificate that any replica signs: they may have been told different ones.
    leaf_life: Duration,
}

/// What is to be written, and why.
pub enum Step {
    Save(Authority, &'static str),
    Rest(Authority),
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

impl Authority {
    /// What is whole in the Secret, and what is wrong with the rest. A CA that has ended is as good as none.
    pub fn parse(data: &Data, now: OffsetDateTime) -> (Self, Vec<String>) {
        let mut damages = Vec::new();
        let [current, next] = [CURRENT, NEXT].map(|names| {
            whole(data, names, now).unwrap_or_else(|damage| {
                damages.push(damage);
                None
            })
        });
        let mut text = |name: &str, is_good: &dyn Fn(&str) -> bool, what: &str| {
            let text = String::from_utf8_lossy(data.get(name)?);
            let is_good = is_good(&text);
            if !is_good {
                damages.push(format!("{name} is {what}"));
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
        let old = text(OLD, &|text| !bundle(text.as_bytes()).is_empty(), "no certificate");
        let mut old = old.map(|text| bundle(text.as_bytes())).unwrap_or_default();
        if current.is_none() {
            // Only its key may be lost: what it has signed is served all the same.
            let lost = data.get(CURRENT[0]).map(|text| bundle(text)).unwrap_or_default();
            old.extend(lost.into_iter().filter(|ca| is_valid(ca, now)));
        }
        (Self { current, next, announced_at, signs_since, old, leaf_life }, damages)
    }

    /// As it is written to the Secret.
    pub fn data(&self) -> Data {
        let mut data = Data::new();
        let mut put = |name: &str, text: String| data.insert(name.to_owned(), text.into_bytes());
        for (ca, [certificate, key]) in [(&self.current, CURRENT), (&self.next, NEXT)] {
            if let Some(ca) = ca {
                put(certificate, pem([&ca.certificate]));
                put(key, ca.key_pem());
            }
        }
        if !self.old.is_empty() {
            put(OLD, pem(&self.old));
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
        times: Times,
    ) -> Result<Step, Error> {
        let is_carried = |ca: &Ca| carried.iter().all(|bundle| bundle.contains(&ca.certificate));
        let is_over = |since: OffsetDateTime, time: Duration| since.saturating_add(time) <= now;
        let known = self.bundle();
        let is_strange = |ca: &&CertificateDer<'static>| !known.contains(ca) && is_valid(ca, now);
        let found = distinct(carried.iter().flatten().chain(served_by).filter(is_strange));
        let is_longer = times.leaf > self.leaf_life;
        self.leaf_life = self.leaf_life.max(times.leaf);
        // Another Secret than before, out of a backup perhaps: what it names has not been announced.
        let is_replaced = self.current.as_ref().is_some_and(|current| match served_by {
            Some(ca) => found.contains(ca),
            None => !is_carried(current) && !found.is_empty(),
        });
        let this = match self.recover(is_replaced, found, now, times)? {
            Step::Rest(this) => this,
            step => return Ok(step),
        };
        Ok(match this {
            Self { next: Some(next), announced_at: None, .. } if is_carried(&next) => {
                let announced = Self { next: Some(next), announced_at: Some(now), ..this };
                Step::Save(announced, "every webhook carries the new CA")
            }
            Self { next: Some(next), announced_at: Some(_), .. } if !is_carried(&next) => {
                let lost = Self { next: Some(next), announced_at: None, ..this };
                Step::Save(lost, "not every webhook carries the new CA any more: it is announced again")
            }
            Self { next: Some(next), announced_at: Some(since), .. } if is_over(since, times.settle) => {
                let mut old = this.old;
                old.extend(this.current.map(|ca| ca.certificate));
                let current = Some(next);
                let promoted = Self { current, next: None, announced_at: None, signs_since: Some(now), old, ..this };
                Step::Save(promoted, "the new CA signs")
            }
            Self { next: None, current: Some(current), .. } if current.is_due(now) => {
                let next = Some(Ca::new(now, times.ca)?);
                let announced = Self { current: Some(current), next, announced_at: None, ..this };
                Step::Save(announced, "a new CA is announced")
            }
            Self { current: Some(_), signs_since: None, .. } if !this.old.is_empty() => {
                Step::Save(Self { signs_since: Some(now), ..this }, "the old CA is kept for now")
            }
            Self { current: Some(_), signs_since: Some(since), .. }
                if !this.old.is_empty() && is_over(since, this.leaf_life + times.settle) =>
            {
                Step::Save(Self { old: Bundle::new(), ..this }, "the old CA is dropped: all it signed has ended")
            }
            _ if is_longer => Step::Save(this, "certificates hold longer than before"),
            _ => Step::Rest(this),
        })
    }

    /// What to do where the Secret does not say who signs, or says another than before.
    fn recover(self, is_replaced: bool, mut found: Bundle, now: OffsetDateTime, times: Times) -> Result<Step, Error> {
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
                Step::Save(replaced, "the Secret names another CA than was in use: it is announced first")
            }
            // Somebody may serve what one of these has signed. Where a CA signs, all others are known to have ended.
            Self { current: None, mut old, .. } if !found.is_empty() => {
                old.append(&mut found);
                Step::Save(Self { announced_at: None, old, ..self }, "the CAs that webhooks carry are kept for now")
            }
            Self { current: None, next: None, .. } => {
                let ca = Some(Ca::new(now, times.ca)?);
                if self.old.is_empty() {
                    Step::Save(Self { current: ca, signs_since: Some(now), ..self }, "a new CA signs")
                } else {
                    Step::Save(Self { next: ca, announced_at: None, ..self }, "a new CA is announced")
                }
            }
            rest => Step::Rest(rest),
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

/// A CA, if there is one, or what is wrong with it.
fn whole(data: &Data, [certificate, key]: [&str; 2], now: OffsetDateTime) -> Result<Option<Ca>, String> {
    let ca = match (data.get(certificate), data.get(key)) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => Ca::parse(certificate, key),
        (Some(_), None) => Err(Error::missing(key)),
        (None, Some(_)) => Err(Error::missing(certificate)),
    };
    match ca {
        Ok(ca) if ca.not_after <= now => Err(format!("{certificate} has expired")),
        Ok(ca) if !is_valid(&ca.certificate, now) => Err(format!("{certificate} is not valid yet")),
        Ok(ca) => Ok(Some(ca)),
        Err(error) => Err(format!("{certificate}: {error}")),
    }
}

/// The certificates that are in a text; what is none is left out.
pub fn bundle(text: &[u8]) -> Bundle {
    CertificateDer::pem_slice_iter(text).filter_map(Result::ok).collect()
}

/// As text, in this order.
pub fn pem<'a>(certificates: impl IntoIterator<Item = &'a CertificateDer<'static>>) -> String {
    let lines = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    let block = |certificate: &CertificateDer<'_>| {
        pem::encode_config(&pem::Pem::new("CERTIFICATE", certificate.as_ref()), lines)
    };
    certificates.into_iter().map(block).collect()
}
