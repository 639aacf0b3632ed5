//! A certificate authority and the certificates that it signs. All keys are ECDSA on P-256, which every API server
//! supports.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use time::{Duration, OffsetDateTime};

use super::certificate::CertificateInfo;
use super::error::TlsFileError;
use super::{key_pair, pem};

/// The common name of every CA, so that the parameters of an issuer are the same for all of them. The CAs differ in
/// their key identifiers.
const CA_NAME: &str = "scan-admission CA";
/// How far certificates are backdated, for clocks that are behind this one.
const BACKDATED: Duration = Duration::minutes(5);
/// The longest life of a CA or a certificate: ten years, which is longer than anybody should trust one.
pub const LIFE_MAX: Duration = Duration::days(3653);

/// Why a CA cannot be used or created.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("the entry {0}")]
    Certificate(TlsFileError),
    #[error("the key cannot be parsed: {0}")]
    Key(String),
    #[error("the key does not belong to the certificate")]
    OtherKey,
    #[error("the certificate is not that of a CA")]
    NoCa,
    #[error("the certificate was not created by scan-admission")]
    Foreign,
    #[error("cannot create a CA: {0}")]
    New(rcgen::Error),
    #[error("cannot sign a certificate: {0}")]
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

    /// Parses a CA from PEM. The certificate and the key have to belong together.
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

    /// Whether two thirds of the CA's life have passed. The remaining third is long enough to introduce the next CA.
    pub fn needs_renewal(&self, now: OffsetDateTime) -> bool {
        self.made_at + (self.not_after - self.made_at) * 2 / 3 <= now
    }

    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// Returns the dates of a certificate that is signed now. It expires with the CA at the latest, and is backdated by
    /// at most a tenth of its life, so that it is not due for renewal when it is new.
    pub fn leaf_dates(&self, now: OffsetDateTime, life: Duration) -> (OffsetDateTime, OffsetDateTime) {
        (now - BACKDATED.min(life / 10), self.not_after.min(whole_second(now + life)))
    }

    /// Signs a certificate for a server with these names. Returns it with its key.
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

/// Whether a certificate is that of a CA that this program has created.
pub fn is_ours(certificate: &CertificateDer<'_>) -> bool {
    CertificateInfo::of(certificate).is_ok_and(|info| has_our_name(&info))
}

fn has_our_name(info: &CertificateInfo) -> bool {
    info.subject == format!("CN={CA_NAME}")
}

/// Rounds a time up to a whole second, as in certificates. With rounding up, no life is shorter than requested.
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
