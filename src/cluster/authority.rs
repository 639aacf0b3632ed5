//! Who signs: what the Secret that all replicas share says, and what is to be done next. No network, no clock.
//!
//! A CA is changed with overlap, so that at every moment each replica's certificate is verified by each API server:
//!
//! ```text
//!  announced ──> carried by every webhook, and settled ──> signs ──> every certificate of the old one has ended
//!  next.crt      announced-at + settle                     ca.crt    old.crt goes at signs-since + leaf + settle
//! ```
//!
//! Each step is one write of the Secret under its resourceVersion. Whoever comes first takes it, there is no leader, and
//! a replica that dies leaves a state from which any other goes on.

use std::collections::BTreeMap;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use time::{Duration, OffsetDateTime};

use super::ca::{Ca, Error, is_valid};
use crate::scan::time as clock;

/// How long things hold.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    pub ca: Duration,
    pub leaf: Duration,
    /// From where every webhook carries a CA to where every API server is sure to know.
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

impl Authority {
    /// What is whole in the Secret, and what is wrong with the rest. A CA that has ended is as good as none.
    pub fn parse(data: &BTreeMap<String, Vec<u8>>, now: OffsetDateTime) -> (Self, Vec<String>) {
        let mut damages = Vec::new();
        let mut ca = |[certificate, key]: [&str; 2]| {
            let (found, found_key) = (data.get(certificate), data.get(key));
            let ca = match (found, found_key) {
                (None, None) => return None,
                (Some(found), Some(found_key)) => Ca::parse(found, found_key),
                (Some(_), None) => Err(Error::missing(key)),
                (None, Some(_)) => Err(Error::missing(certificate)),
            };
            match ca {
                Ok(ca) if ca.not_after <= now => damages.push(format!("{certificate} has expired")),
                Ok(ca) => return Some(ca),
                Err(error) => damages.push(format!("{certificate}: {error}")),
            }
            None
        };
        let (current, next) = (ca(CURRENT), ca(NEXT));
        let time = |name: &str| std::str::from_utf8(data.get(name)?).ok().and_then(clock::parse);
        let old = data.get(OLD).map(|text| bundle(text)).unwrap_or_default();
        (Self { current, next, announced_at: time(ANNOUNCED_AT), signs_since: time(SIGNS_SINCE), old }, damages)
    }

    /// As it is written to the Secret.
    pub fn data(&self) -> BTreeMap<String, Vec<u8>> {
        let mut data = BTreeMap::new();
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
            if let Some(text) = time.and_then(clock::format) {
                put(name, text);
            }
        }
        data
    }

    /// What every webhook has to carry.
    pub fn bundle(&self) -> Bundle {
        let signing = [&self.current, &self.next].into_iter().flatten().map(|ca| &ca.certificate);
        let mut bundle: Bundle = signing.chain(&self.old).cloned().collect();
        bundle.dedup();
        bundle
    }

    /// The next step, if it is time for one. `carried` are the caBundles of all webhooks, none where one is not there;
    /// `served_by` is the CA of the certificate that this replica serves.
    pub fn step(
        self,
        carried: Option<&[Bundle]>,
        served_by: Option<&CertificateDer<'static>>,
        now: OffsetDateTime,
        times: Times,
    ) -> Result<Step, Error> {
        let is_carried =
            |ca: &Ca| carried.is_some_and(|bundles| bundles.iter().all(|bundle| bundle.contains(&ca.certificate)));
        let is_over = |since: OffsetDateTime, time: Duration| since + time <= now;
        let known = self.bundle();
        let mut found = Bundle::new();
        for ca in carried.into_iter().flatten().flatten().chain(served_by) {
            if !known.contains(ca) && !found.contains(ca) && is_valid(ca, now) {
                found.push(ca.clone());
            }
        }
        Ok(match self {
            // Somebody may serve what one of these has signed. Where a CA signs, all others are known to have ended.
            Self { current: None, next, mut old, .. } if !found.is_empty() => {
                old.append(&mut found);
                Step::Save(Self { next, old, ..Self::default() }, "the CAs that webhooks carry are kept for now")
            }
            Self { current: None, next: None, old, .. } => {
                let ca = Some(Ca::new(now, times.ca)?);
                if old.is_empty() {
                    Step::Save(Self { current: ca, signs_since: Some(now), ..Self::default() }, "a new CA signs")
                } else {
                    Step::Save(Self { next: ca, old, ..Self::default() }, "a new CA is announced")
                }
            }
            Self { next: Some(next), announced_at: None, .. } if is_carried(&next) => {
                let announced = Self { next: Some(next), announced_at: Some(now), ..self };
                Step::Save(announced, "every webhook carries the new CA")
            }
            Self { next: Some(next), announced_at: Some(_), .. } if !is_carried(&next) => {
                let lost = Self { next: Some(next), announced_at: None, ..self };
                Step::Save(lost, "a webhook has lost the new CA")
            }
            Self { next: Some(next), announced_at: Some(since), .. } if is_over(since, times.settle) => {
                let mut old = self.old;
                old.extend(self.current.map(|ca| ca.certificate));
                let promoted =
                    Self { current: Some(next), next: None, announced_at: None, signs_since: Some(now), old };
                Step::Save(promoted, "the new CA signs")
            }
            Self { next: None, current: Some(current), .. } if current.is_due(now) => {
                let next = Some(Ca::new(now, times.ca)?);
                Step::Save(Self { current: Some(current), next, ..self }, "a new CA is announced")
            }
            Self { current: Some(_), signs_since: Some(since), .. }
                if !self.old.is_empty() && is_over(since, times.leaf + times.settle) =>
            {
                Step::Save(Self { old: Vec::new(), ..self }, "the old CA is dropped: nothing it signed holds any more")
            }
            rest => Step::Rest(rest),
        })
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
