//! A CA of the tests, the pairs that it signs, and a folder that is mounted as a kubelet does it.

#![allow(dead_code, reason = "each test crate that includes this module uses a part of it")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SerialNumber};
use rustls::pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};

pub struct Ca {
    params: CertificateParams,
    key: KeyPair,
    pub pem: String,
    /// Behind its leaves, up to the one that is trusted.
    chain: String,
}

/// Two files of a pair, and the certificate in them.
#[derive(Clone)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
    pub der: CertificateDer<'static>,
}

fn authority(name: &str) -> (CertificateParams, KeyPair) {
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

    /// A CA that is signed by this one.
    pub fn middle(&self) -> Self {
        let (params, key) = authority("tests, in the middle");
        let pem = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key)).unwrap().pem();
        let chain = pem.clone() + &self.chain;
        Self { params, key, pem, chain }
    }

    pub fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Pair {
        let signed = params.signed_by(key, &Issuer::from_params(&self.params, &self.key)).unwrap();
        Pair { certificate: signed.pem() + &self.chain, key: key.serialize_pem(), der: signed.der().clone() }
    }

    /// To make one like it.
    pub fn params(&self) -> CertificateParams {
        self.params.clone()
    }

    /// A pair that can be served, of a key of its own.
    pub fn pair(&self, serial: u64) -> Pair {
        let mut params = leaf();
        params.serial_number = Some(SerialNumber::from(serial));
        self.sign(&params, &KeyPair::generate().unwrap())
    }
}

/// What can be served: for a host, and within its dates.
pub fn leaf() -> CertificateParams {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_before = OffsetDateTime::now_utc() - Duration::HOUR;
    params.not_after = OffsetDateTime::now_utc() + 30 * Duration::DAY;
    params
}

impl Pair {
    /// Writes both files in place.
    pub fn write(&self, certificate: &Path, key: &Path) {
        fs::write(key, &self.key).unwrap();
        fs::write(certificate, &self.certificate).unwrap();
    }
}

/// A mounted Secret: `tls.crt` is a link to `..data/tls.crt`, and `..data` one to a folder that holds this generation.
pub struct Mount {
    folder: PathBuf,
    generation: u32,
}

impl Mount {
    pub fn new(folder: PathBuf, pair: &Pair) -> Self {
        fs::create_dir(&folder).unwrap();
        let mut mount = Self { folder, generation: 0 };
        mount.swap(pair);
        for name in ["tls.crt", "tls.key"] {
            symlink(Path::new("..data").join(name), mount.folder.join(name)).unwrap();
        }
        mount
    }

    /// Step by step what the kubelet's AtomicWriter does.
    pub fn swap(&mut self, pair: &Pair) {
        let before = fs::read_link(self.folder.join("..data"));
        self.generation += 1;
        let name = format!("..{}", self.generation);
        let folder = self.folder.join(&name);
        fs::create_dir(&folder).unwrap();
        pair.write(&folder.join("tls.crt"), &folder.join("tls.key"));
        symlink(&name, self.folder.join("..data_tmp")).unwrap();
        fs::rename(self.folder.join("..data_tmp"), self.folder.join("..data")).unwrap();
        if let Ok(before) = before {
            fs::remove_dir_all(self.folder.join(before)).unwrap();
        }
    }
}

/// A key of tests/fixtures/keys.
pub fn key_file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keys").join(name)).unwrap()
}
