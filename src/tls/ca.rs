//! A certificate authority and what it signs: ECDSA on P-256, which every API server verifies.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use time::{Duration, OffsetDateTime};

use super::certificate::CertificateInfo;
use super::error::TlsFileError;
use super::{key_pair, pem};

/// All CAs have it, so that one issuer's parameters do for any of them; key identifiers tell them apart.
const CA_NAME: &str = "scan-admission CA";
/// For clocks that are behind this one.
const BACKDATED: Duration = Duration::minutes(5);
/// Beyond what anybody would want to trust.
pub const LIFE_MAX: Duration = Duration::days(3653);

/// What is wrong with a CA, or why none could be made.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("the entry {0}")]
    Certificate(TlsFileError),
    #[error("the key does not parse: {0}")]
    Key(String),
    #[error("the key is not that of the certificate")]
    OtherKey,
    #[error("the certificate is not a CA's")]
    NoCa,
    #[error("the certificate is not one that this program has made")]
    Foreign,
    #[error("no CA could be made: {0}")]
    New(rcgen::Error),
    #[error("no certificate could be signed: {0}")]
    Sign(String),
}

pub struct Ca {
    pub certificate: CertificateDer<'static>,
    key: KeyPair,
    pub made_at: OffsetDateTime,
    pub not_after: OffsetDateTime,
}

impl Ca {
    pub fn new(now: OffsetDateTime, life: Duration) -> Result<Self, CaError> {
        let key = KeyPair::generate().map_err(CaError::New)?;
        let mut params = params(now - BACKDATED, now + life);
        params.distinguished_name.push(DnType::CommonName, CA_NAME);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(CaError::New)?.der().clone();
        Self::of(certificate, key)
    }

    /// A CA from its two PEM texts: they have to belong together.
    pub fn parse(certificate: &[u8], key: &[u8]) -> Result<Self, CaError> {
        let certificate = pem::certificates(certificate).map_err(CaError::Certificate)?.swap_remove(0);
        let key = pem::private_key(key).map_err(|error| CaError::Key(error.to_string()))?;
        let key = KeyPair::try_from(&key).map_err(|error| CaError::Key(error.to_string()))?;
        Self::of(certificate, key)
    }

    fn of(certificate: CertificateDer<'static>, key: KeyPair) -> Result<Self, CaError> {
        let info = CertificateInfo::of(&certificate)
            .map_err(|error| CaError::Certificate(TlsFileError::BadCertificate(error.to_string())))?;
        if info.public_key != rcgen::PublicKeyData::subject_public_key_info(&key) {
            return Err(CaError::OtherKey);
        }
        if !info.may_sign {
            return Err(CaError::NoCa);
        }
        if !has_our_name(&info) {
            return Err(CaError::Foreign);
        }
        let made_at = info.not_before.saturating_add(BACKDATED);
        Ok(Self { certificate, key, made_at, not_after: info.not_after })
    }

    /// At two thirds of its life: what is left is long enough for the next one to settle.
    pub fn needs_renewal(&self, now: OffsetDateTime) -> bool {
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
    pub fn leaf(&self, names: &[String], now: OffsetDateTime, life: Duration) -> Result<CertifiedKey, CaError> {
        let failed = |error: rcgen::Error| CaError::Sign(error.to_string());
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
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| CaError::Sign(error.to_owned()))?;
        key_pair::certified(vec![certificate.der().clone()], key).map_err(|error| CaError::Sign(error.to_string()))
    }
}

/// Whether a certificate is that of a CA that this program has made.
pub fn is_ours(certificate: &CertificateDer<'_>) -> bool {
    CertificateInfo::of(certificate).is_ok_and(|info| has_our_name(&info))
}

fn has_our_name(info: &CertificateInfo) -> bool {
    info.subject == format!("CN={CA_NAME}")
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
