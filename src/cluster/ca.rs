//! A certificate authority and what it signs: ECDSA on P-256, which every API server verifies.

use std::fmt;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use time::{Duration, OffsetDateTime};
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::{BasicConstraints as FoundConstraints, KeyUsage};
use x509_cert::time::Time;

/// All CAs have it, so that one issuer's parameters do for any of them; key identifiers tell them apart.
const CA_NAME: &str = "scan-admission CA";
/// For clocks that are behind this one.
const BACKDATED: Duration = Duration::minutes(5);
/// Beyond what anybody would want to trust.
pub const LIFE_MAX: Duration = Duration::days(3653);

/// What is wrong with a CA, or why none could be made.
#[derive(Debug)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl Error {
    fn new(what: &str, why: impl fmt::Display) -> Self {
        Self(format!("{what}: {why}"))
    }

    pub fn missing(name: &str) -> Self {
        Self(format!("{name} is missing"))
    }
}

pub struct Ca {
    pub certificate: CertificateDer<'static>,
    key: KeyPair,
    pub made_at: OffsetDateTime,
    pub not_after: OffsetDateTime,
}

impl Ca {
    pub fn new(now: OffsetDateTime, life: Duration) -> Result<Self, Error> {
        let failed = |error| Error::new("no CA could be made", error);
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = params(now - BACKDATED, now + life);
        params.distinguished_name.push(DnType::CommonName, CA_NAME);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(failed)?.der().clone();
        Self::of(certificate, key)
    }

    /// A CA from its two PEM texts: they have to belong together.
    pub fn parse(certificate: &[u8], key: &[u8]) -> Result<Self, Error> {
        let certificate = CertificateDer::from_pem_slice(certificate)
            .map_err(|error| Error::new("the certificate does not parse", format!("{error:?}")))?;
        let key = std::str::from_utf8(key)
            .map_err(|error| Error::new("the key is no text", error))
            .and_then(|text| KeyPair::from_pem(text).map_err(|error| Error::new("the key does not parse", error)))?;
        Self::of(certificate, key)
    }

    fn of(certificate: CertificateDer<'static>, key: KeyPair) -> Result<Self, Error> {
        let parsed =
            Certificate::from_der(&certificate).map_err(|error| Error::new("the certificate does not parse", error))?;
        let public_key = parsed.tbs_certificate().subject_public_key_info().to_der();
        if !public_key.is_ok_and(|public_key| public_key == rcgen::PublicKeyData::subject_public_key_info(&key)) {
            return Err(Error("the key is not that of the certificate".to_owned()));
        }
        if !is_ca(&parsed) {
            return Err(Error("the certificate is not a CA's".to_owned()));
        }
        if parsed.tbs_certificate().subject().to_string() != format!("CN={CA_NAME}") {
            return Err(Error("the certificate is not one that this program has made".to_owned()));
        }
        let (not_before, not_after) = validity(&parsed);
        Ok(Self { certificate, key, made_at: not_before.saturating_add(BACKDATED), not_after })
    }

    /// At two thirds of its life: what is left is long enough for the next one to settle.
    pub fn is_due(&self, now: OffsetDateTime) -> bool {
        self.made_at + (self.not_after - self.made_at) * 2 / 3 <= now
    }

    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// From when to when a certificate holds that is signed now. It ends with the CA at the latest, and is backdated less
    /// than it lives: it should not be old when it is new.
    pub fn leaf_dates(&self, now: OffsetDateTime, life: Duration) -> (OffsetDateTime, OffsetDateTime) {
        (now - BACKDATED.min(life / 10), self.not_after.min(whole_second(now + life)))
    }

    /// A certificate for a server of these names, and its key.
    pub fn leaf(&self, names: &[String], now: OffsetDateTime, life: Duration) -> Result<CertifiedKey, Error> {
        let failed = |error| Error::new("no certificate could be signed", error);
        let mut issuer = params(self.made_at - BACKDATED, self.not_after);
        issuer.distinguished_name.push(DnType::CommonName, CA_NAME);
        let key = KeyPair::generate().map_err(failed)?;
        let (not_before, not_after) = self.leaf_dates(now, life);
        let mut params = params(not_before, not_after);
        params.subject_alt_names = CertificateParams::new(names).map_err(failed)?.subject_alt_names;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &Issuer::new(issuer, &self.key)).map_err(failed)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| Error::new("no key was made", error))?;
        let key = ring::sign::any_supported_type(&key).map_err(|error| Error::new("no key was made", error))?;
        Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
    }
}

/// Certificates know no parts of a second: rounded up, nothing is shorter than it was asked for.
pub fn whole_second(time: OffsetDateTime) -> OffsetDateTime {
    let up = time.saturating_add(Duration::nanoseconds(999_999_999));
    up.replace_nanosecond(0).unwrap_or(up)
}

fn params(not_before: OffsetDateTime, not_after: OffsetDateTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = not_before;
    params.not_after = not_after;
    params
}

/// Whether an API server takes it for an authority: Go asks for the dates and the purpose of that, too.
pub fn is_valid(certificate: &CertificateDer<'_>, now: OffsetDateTime) -> bool {
    Certificate::from_der(certificate).is_ok_and(|certificate| {
        let (not_before, not_after) = validity(&certificate);
        is_ca(&certificate) && (not_before..=not_after).contains(&now)
    })
}

fn is_ca(certificate: &Certificate) -> bool {
    let certificate = certificate.tbs_certificate();
    let constraints = certificate.get_extension::<FoundConstraints>();
    let usage = certificate.get_extension::<KeyUsage>();
    constraints.is_ok_and(|found| found.is_some_and(|(_, constraints)| constraints.ca))
        && usage.is_ok_and(|found| found.is_none_or(|(_, usage)| usage.key_cert_sign()))
}

/// From when to when a certificate holds, where it is one.
pub fn dates(certificate: &CertificateDer<'_>) -> Option<(OffsetDateTime, OffsetDateTime)> {
    Certificate::from_der(certificate).ok().map(|certificate| validity(&certificate))
}

fn validity(certificate: &Certificate) -> (OffsetDateTime, OffsetDateTime) {
    let time = |time: Time| {
        OffsetDateTime::UNIX_EPOCH.saturating_add(time.to_unix_duration().try_into().unwrap_or(Duration::MAX))
    };
    let validity = certificate.tbs_certificate().validity();
    (time(validity.not_before), time(validity.not_after))
}
