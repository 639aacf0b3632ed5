//! A CA for tests, and the pairs of certificate and key that it signs.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SerialNumber};
use rustls::pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};

pub struct Ca {
    pub params: CertificateParams,
    pub key: KeyPair,
    pub pem: String,
    /// The certificates that follow a leaf in its file, up to the trusted one.
    pub chain: String,
}

/// A certificate and its key in PEM, and the certificate in DER.
#[derive(Clone)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
    pub der: CertificateDer<'static>,
}

pub fn authority(name: &str) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    (params, KeyPair::generate().unwrap())
}

impl Ca {
    pub fn new() -> Self {
        let (params, key) = authority("tests");
        let pem = params.self_signed(&key).unwrap().pem();
        Self { params, key, pem, chain: String::new() }
    }

    pub fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Pair {
        let signed = params.signed_by(key, &Issuer::from_params(&self.params, &self.key)).unwrap();
        Pair { certificate: signed.pem() + &self.chain, key: key.serialize_pem(), der: signed.der().clone() }
    }

    /// Returns a pair that can be served, with a new key.
    pub fn pair(&self, serial: u64) -> Pair {
        let mut params = leaf();
        params.serial_number = Some(SerialNumber::from(serial));
        self.sign(&params, &KeyPair::generate().unwrap())
    }
}

/// Returns the parameters of a certificate that can be served: for localhost, and currently valid.
pub fn leaf() -> CertificateParams {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_before = OffsetDateTime::now_utc() - Duration::HOUR;
    params.not_after = OffsetDateTime::now_utc() + 30 * Duration::DAY;
    params
}

impl Pair {
    /// Writes both files in place, the key first.
    pub fn write(&self, certificate: &Path, key: &Path) {
        fs::write(key, &self.key).unwrap();
        fs::write(certificate, &self.certificate).unwrap();
    }
}
