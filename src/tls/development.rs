//! Certificates for a developer's own machine: a CA and a leaf in a folder, which are used until they are due.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use time::{Duration, OffsetDateTime};

use super::certificate::CertificateInfo;
use super::error::TlsFileError;
use super::files::{FileProblem, Poll};
use super::verify::verify;
use super::{files, key_pair, pem};

pub const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

const CA_LIFE: Duration = Duration::days(365);
/// A CA has to outlive the leaves it signs, so this is also how long before its end a CA signs no more.
const LEAF_LIFE: Duration = Duration::days(90);
/// For clocks that are behind this one, as those of containers and virtual machines are.
const BACKDATED: Duration = Duration::hours(1);

/// How a certificate is known as one of ours.
const CA_NAME: &str = "scan-admission development CA";
const LEAF_NAME: &str = "scan-admission development server";

#[derive(Debug, thiserror::Error)]
pub enum DevelopmentError {
    #[error("{}: {error}", .path.display())]
    File { path: PathBuf, error: io::Error },
    /// Somebody else's certificate: not ours to replace.
    #[error("{} is not a development certificate, so it is left alone", .0.display())]
    Foreign(PathBuf),
    #[error("a development certificate could not be made: {0}")]
    New(#[from] rcgen::Error),
    #[error("{}: the file {problem}", .path.display())]
    Unusable { path: PathBuf, problem: FileProblem<TlsFileError> },
}

impl DevelopmentError {
    fn file(path: &Path) -> impl Fn(io::Error) -> Self {
        move |error| Self::File { path: path.to_owned(), error }
    }
}

/// The certificate in `folder`, made or renewed if need be. Processes that start together take turns.
pub fn certificate(folder: &Path, now: OffsetDateTime) -> Result<CertifiedKey, DevelopmentError> {
    let failed = DevelopmentError::file(folder);
    fs::create_dir_all(folder).map_err(&failed)?;
    // A lock on the folder itself: no file to leave behind, and none to make where the folder cannot be written.
    let lock = File::open(folder).map_err(&failed)?;
    lock.lock().map_err(failed)?;

    let (ca, leaf) =
        (StoredCertificate::read(folder, "ca", CA_NAME)?, StoredCertificate::read(folder, "tls", LEAF_NAME)?);
    if let (Some((ca, ca_info)), Some(pair)) = (&ca.certificate, leaf.pair())
        && ca_info.is_current(now)
        && verifies(ca, &pair.cert[0], now)
        && !needs_renewal(&pair, now)
    {
        return Ok(pair);
    }
    let issuer = match ca.issuer(now)? {
        Some(issuer) => issuer,
        None => {
            let key = KeyPair::generate()?;
            let params = ca_params(now)?;
            ca.replace(&key.serialize_pem(), &params.self_signed(&key)?.pem(), now)?;
            Issuer::new(params, key)
        }
    };
    let key = KeyPair::generate()?;
    let made = leaf_params(now)?.signed_by(&key, &issuer)?;
    leaf.replace(&key.serialize_pem(), &made.pem(), now)?;
    key_pair::certified(vec![made.into()], key.into()).map_err(|error| DevelopmentError::Unusable {
        path: leaf.certificate_path,
        problem: FileProblem::Contents(error),
    })
}

/// Makes the next certificate when the one that is served is due: a server that runs for months has it, too.
pub fn poll(folder: PathBuf, mut served: CertifiedKey) -> Poll<CertifiedKey> {
    Box::new(move |now| {
        let made = needs_renewal(&served, now).then(|| certificate(&folder, now))?;
        Some(made.inspect(|made| served = made.clone()).map_err(Into::into))
    })
}

fn needs_renewal(pair: &CertifiedKey, now: OffsetDateTime) -> bool {
    pair.cert.first().and_then(|leaf| CertificateInfo::of(leaf).ok()).is_none_or(|info| info.needs_renewal(now))
}

/// A certificate and its key as they are in the folder.
struct StoredCertificate {
    certificate_path: PathBuf,
    key_path: PathBuf,
    /// Ours, if there is one that parses.
    certificate: Option<(CertificateDer<'static>, CertificateInfo)>,
}

impl StoredCertificate {
    fn read(folder: &Path, stem: &str, name: &str) -> Result<Self, DevelopmentError> {
        let path = folder.join(stem).with_extension("crt");
        let text = match files::read(&path) {
            Ok(text) => text,
            Err(FileProblem::Unreadable(error)) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(problem) => return Err(DevelopmentError::Unusable { path, problem }),
        };
        let first = pem::certificates(&text).ok().and_then(|chain| chain.into_iter().next());
        let certificate = first.and_then(|first| CertificateInfo::of(&first).ok().map(|info| (first, info)));
        if certificate.as_ref().is_some_and(|(_, info)| !info.subject.contains(name)) {
            return Err(DevelopmentError::Foreign(path));
        }
        Ok(Self { certificate_path: path, key_path: folder.join(stem).with_extension("key"), certificate })
    }

    /// The certificate with its key, when they belong together.
    fn pair(&self) -> Option<CertifiedKey> {
        let (certificate, _) = self.certificate.as_ref()?;
        key_pair::certified(vec![certificate.clone()], self.key()?).ok()
    }

    /// The key, if there is one that can be used.
    fn key(&self) -> Option<PrivateKeyDer<'static>> {
        pem::private_key(&files::read::<TlsFileError>(&self.key_path).ok()?).ok()
    }

    /// This CA, if it can sign a leaf that it outlives.
    fn issuer(&self, now: OffsetDateTime) -> Result<Option<Issuer<'static, KeyPair>>, DevelopmentError> {
        let signs = |info: &CertificateInfo| info.is_current(now) && info.is_current(now + LEAF_LIFE);
        if self.pair().is_none() || !self.certificate.as_ref().is_some_and(|(_, info)| signs(info)) {
            return Ok(None);
        }
        let Some(key) = self.key() else { return Ok(None) };
        Ok(Some(Issuer::new(ca_params(now)?, KeyPair::try_from(&key)?)))
    }

    /// Writes a new pair. What was there and is not known as ours is moved aside, never lost.
    fn replace(&self, key: &str, certificate: &str, now: OffsetDateTime) -> Result<(), DevelopmentError> {
        if self.pair().is_none() {
            set_aside(&self.key_path, now)?;
        }
        if self.certificate.is_none() {
            set_aside(&self.certificate_path, now)?;
        }
        write(&self.key_path, key, 0o600)?;
        write(&self.certificate_path, certificate, 0o644)?;
        tracing::info!(path = %self.certificate_path.display(), "made a development certificate");
        Ok(())
    }
}

fn set_aside(path: &Path, now: OffsetDateTime) -> Result<(), DevelopmentError> {
    let (stem, extension) = (path.file_stem().unwrap_or_default(), path.extension().unwrap_or_default());
    // The extension stays last: keys and certificates are ignored by it.
    let name = format!("{}.old-{}.{}", stem.display(), now.unix_timestamp(), extension.display());
    let aside = path.with_file_name(name);
    match fs::rename(path, &aside) {
        Ok(()) => {
            tracing::warn!(path = %path.display(), moved_to = %aside.display(), "not a development key or certificate that can be used: replaced")
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(DevelopmentError::file(path)(error)),
    }
    Ok(())
}

/// Whole or not at all, and never with a wider mode than at last.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), DevelopmentError> {
    let failed = DevelopmentError::file(path);
    let new = path.with_file_name(format!(".new-{}", path.file_name().unwrap_or_default().display()));
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        // Left by a process that was killed: the lock is ours, so it is nobody's.
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new).map_err(&failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(&failed)?;
    fs::rename(&new, path).map_err(failed)
}

fn ca_params(now: OffsetDateTime) -> Result<CertificateParams, DevelopmentError> {
    let mut params = params(&[], CA_NAME, now, CA_LIFE)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    // Whoever trusts this CA, and leaves its key lying about, trusts it for this machine only.
    let names = vec![
        GeneralSubtree::DnsName("localhost".to_owned()),
        GeneralSubtree::IpAddress(CidrSubnet::V4([127, 0, 0, 1], [255; 4])),
        GeneralSubtree::IpAddress(CidrSubnet::V6(std::net::Ipv6Addr::LOCALHOST.octets(), [255; 16])),
    ];
    params.name_constraints = Some(NameConstraints { permitted_subtrees: names, excluded_subtrees: Vec::new() });
    Ok(params)
}

fn leaf_params(now: OffsetDateTime) -> Result<CertificateParams, DevelopmentError> {
    let mut params = params(&NAMES, LEAF_NAME, now, LEAF_LIFE)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn params(
    names: &[&str],
    name: &str,
    now: OffsetDateTime,
    life: Duration,
) -> Result<CertificateParams, DevelopmentError> {
    let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = now - BACKDATED;
    params.not_after = now + life;
    Ok(params)
}

/// Whether a client that trusts the CA accepts the leaf for each of our names.
fn verifies(ca: &CertificateDer<'static>, leaf: &CertificateDer<'_>, at: OffsetDateTime) -> bool {
    let (cas, chain) = (std::slice::from_ref(ca), std::slice::from_ref(leaf));
    NAMES.iter().all(|name| verify(cas, chain, name, at).is_ok())
}
