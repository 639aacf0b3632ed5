//! Certificates for a developer's machine: a CA and a leaf in a folder, which are renewed when they are due.

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
/// The life of a leaf. A CA has to outlive the leaves that it signs, so it stops signing this long before it expires.
const LEAF_LIFE: Duration = Duration::days(90);
/// How far certificates are backdated, for clocks that are behind this one, such as those of containers and virtual
/// machines.
const BACKDATED: Duration = Duration::hours(1);

/// The names by which this program recognizes the certificates that it has created.
const CA_NAME: &str = "scan-admission development CA";
const LEAF_NAME: &str = "scan-admission development server";

#[derive(Debug, thiserror::Error)]
pub enum DevelopmentError {
    #[error("{}: {error}", .path.display())]
    File { path: PathBuf, error: io::Error },
    /// The certificate was not created by this program, so it is not replaced.
    #[error("{} is not a development certificate, so it is not replaced", .0.display())]
    Foreign(PathBuf),
    #[error("cannot create a development certificate: {0}")]
    New(#[from] rcgen::Error),
    #[error("{}: the file {problem}", .path.display())]
    Unusable { path: PathBuf, problem: FileProblem<TlsFileError> },
}

impl DevelopmentError {
    fn file(path: &Path) -> impl Fn(io::Error) -> Self {
        move |error| Self::File { path: path.to_owned(), error }
    }
}

/// Returns the certificate in `folder`. Creates it if there is none, and renews it if it is due. A lock serializes
/// processes that start at the same time.
pub fn certificate(folder: &Path, now: OffsetDateTime) -> Result<CertifiedKey, DevelopmentError> {
    let failed = DevelopmentError::file(folder);
    fs::create_dir_all(folder).map_err(&failed)?;
    // Locks the folder itself: this leaves no lock file behind, and works in a folder that is not writable.
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

/// Returns a poll that renews the certificate when the one in use is due, for servers that run for months.
pub fn poll(folder: PathBuf, mut served: CertifiedKey) -> Poll<CertifiedKey> {
    Box::new(move |now| {
        let made = needs_renewal(&served, now).then(|| certificate(&folder, now))?;
        Some(made.inspect(|made| served = made.clone()).map_err(Into::into))
    })
}

fn needs_renewal(pair: &CertifiedKey, now: OffsetDateTime) -> bool {
    pair.cert.first().and_then(|leaf| CertificateInfo::of(leaf).ok()).is_none_or(|info| info.needs_renewal(now))
}

/// A certificate and its key in the folder.
struct StoredCertificate {
    certificate_path: PathBuf,
    key_path: PathBuf,
    /// The certificate of this program, or `None` if there is none or it cannot be parsed.
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

    /// Returns the certificate with its key, if they belong together.
    fn pair(&self) -> Option<CertifiedKey> {
        let (certificate, _) = self.certificate.as_ref()?;
        key_pair::certified(vec![certificate.clone()], self.key()?).ok()
    }

    /// Returns the key, if it exists and can be parsed.
    fn key(&self) -> Option<PrivateKeyDer<'static>> {
        pem::private_key(&files::read::<TlsFileError>(&self.key_path).ok()?).ok()
    }

    /// Returns this CA as an issuer, if it will outlive a leaf that it signs now.
    fn issuer(&self, now: OffsetDateTime) -> Result<Option<Issuer<'static, KeyPair>>, DevelopmentError> {
        let signs = |info: &CertificateInfo| info.is_current(now) && info.is_current(now + LEAF_LIFE);
        if self.pair().is_none() || !self.certificate.as_ref().is_some_and(|(_, info)| signs(info)) {
            return Ok(None);
        }
        let Some(key) = self.key() else { return Ok(None) };
        Ok(Some(Issuer::new(ca_params(now)?, KeyPair::try_from(&key)?)))
    }

    /// Writes a new pair. Existing files that this program may not have created are renamed, not overwritten.
    fn replace(&self, key: &str, certificate: &str, now: OffsetDateTime) -> Result<(), DevelopmentError> {
        if self.pair().is_none() {
            rename_old(&self.key_path, now)?;
        }
        if self.certificate.is_none() {
            rename_old(&self.certificate_path, now)?;
        }
        write(&self.key_path, key, 0o600)?;
        write(&self.certificate_path, certificate, 0o644)?;
        tracing::info!(path = %self.certificate_path.display(), "created a development certificate");
        Ok(())
    }
}

fn rename_old(path: &Path, now: OffsetDateTime) -> Result<(), DevelopmentError> {
    let (stem, extension) = (path.file_stem().unwrap_or_default(), path.extension().unwrap_or_default());
    // The extension stays last, since .gitignore lists keys and certificates by their extensions.
    let name = format!("{}.old-{}.{}", stem.display(), now.unix_timestamp(), extension.display());
    let renamed = path.with_file_name(name);
    match fs::rename(path, &renamed) {
        Ok(()) => {
            let (path, renamed) = (path.display(), renamed.display());
            tracing::warn!(%path, renamed_to = %renamed, "not a usable development key or certificate; file renamed");
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(DevelopmentError::file(path)(error)),
    }
    Ok(())
}

/// Replaces a file atomically. The new file has the given mode from the start, so a key is never readable by others.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), DevelopmentError> {
    let failed = DevelopmentError::file(path);
    let new = path.with_file_name(format!(".new-{}", path.file_name().unwrap_or_default().display()));
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        // An existing file was left by a process that was killed. This process has the lock, so no other one uses the
        // file.
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
    // Limits the damage of a leaked key: clients that trust this CA trust it for the local machine only.
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

/// Whether a client that trusts the CA accepts the leaf for each of [`NAMES`].
fn verifies(ca: &CertificateDer<'static>, leaf: &CertificateDer<'_>, at: OffsetDateTime) -> bool {
    let (cas, chain) = (std::slice::from_ref(ca), std::slice::from_ref(leaf));
    NAMES.iter().all(|name| verify(cas, chain, name, at).is_ok())
}
