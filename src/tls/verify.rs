//! Verifies a server's certificate against a list of CAs, as the API server does.

use std::time::Duration;

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime};
use time::OffsetDateTime;
use webpki::{EndEntityCert, Error};
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};

use super::certificate::CertificateInfo;
use super::usage::Usage;

/// The most intermediate certificates of a server that are considered. One is usual, two are rare.
const CHAIN_MAX: usize = 8;

/// Whether a certificate is that of a CA, and may sign other certificates now.
pub fn is_valid_ca(certificate: &CertificateDer<'_>, now: OffsetDateTime) -> bool {
    CertificateInfo::of(certificate).is_ok_and(|info| info.is_valid_ca(now))
}

/// Whether a CA may sign certificates of servers now. Go checks the extendedKeyUsage of each CA of a chain; webpki does
/// not check that of the root.
fn is_valid_issuer(certificate: &CertificateDer<'_>, now: OffsetDateTime) -> bool {
    CertificateInfo::of(certificate).is_ok_and(|info| info.is_valid_ca(now) && info.is_for_servers())
}

/// Verifies that `chain`, which begins with the server's own certificate, is valid for `host`. CAs that are not valid
/// now are ignored.
///
/// webpki rejects a server certificate that has the CA flag, is self-signed, or has a critical policy extension. Go,
/// and so the API server, accepts such a certificate if one of `cas` has signed it, or if it is one of `cas` itself.
pub fn verify(
    cas: &[CertificateDer<'static>],
    chain: &[CertificateDer<'_>],
    host: &str,
    now: OffsetDateTime,
) -> Result<(), VerifyError> {
    let (leaf, intermediates) =
        chain.split_first().ok_or_else(|| VerifyError::Other("the server presents no certificate".to_owned()))?;
    let other = |error: &dyn std::fmt::Display| VerifyError::Other(error.to_string());
    let info = CertificateInfo::of(leaf).map_err(|error| other(&error))?;
    let parsed = match EndEntityCert::try_from(leaf) {
        Ok(parsed) => Some(parsed),
        Err(Error::UnsupportedCriticalExtension) if info.unknown_critical.is_none() => None,
        Err(error) => return Err(verify_error(error)),
    };
    let is_listed = cas.contains(leaf);
    if !is_listed && !cas.iter().any(|ca| is_valid_ca(ca, now)) {
        return Err(VerifyError::NoCa);
    }
    match &parsed {
        Some(parsed) if !is_listed && !info.is_ca => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(cas.iter().filter(|ca| is_valid_issuer(ca, now)).cloned());
            let algorithms = ring::default_provider().signature_verification_algorithms.all;
            let at = UnixTime::since_unix_epoch(Duration::from_secs(now.unix_timestamp().try_into().unwrap_or(0)));
            let verified =
                parsed.verify_for_usage(algorithms, &roots.roots, intermediates, at, Usage::SERVER, None, None);
            verified.map_err(|error| match verify_error(error) {
                VerifyError::UnknownIssuer => unknown_issuer(cas, now),
                other => other,
            })?;
        }
        _ if !info.is_current(now) => return Err(VerifyError::Expired),
        _ if !info.is_for_servers() => return Err(VerifyError::Usage),
        _ if !is_listed && !is_signed_by(leaf, cas, intermediates, now) => return Err(unknown_issuer(cas, now)),
        _ => {}
    }
    match parsed {
        Some(parsed) => {
            let host = ServerName::try_from(host).map_err(|error| other(&error))?;
            parsed.verify_is_valid_for_subject_name(&host).map_err(verify_error)
        }
        None if info.names.iter().any(|name| name.eq_ignore_ascii_case(host)) => Ok(()),
        None => Err(VerifyError::Name),
    }
}

/// Returns the error for a certificate that no valid issuer of `cas` has signed. If a CA of `cas` may not sign for
/// servers, it may be the issuer.
fn unknown_issuer(cas: &[CertificateDer<'_>], now: OffsetDateTime) -> VerifyError {
    let is_not_for_servers = |ca: &CertificateDer<'_>| is_valid_ca(ca, now) && !is_valid_issuer(ca, now);
    if cas.iter().any(is_not_for_servers) { VerifyError::Usage } else { VerifyError::UnknownIssuer }
}

fn verify_error(error: Error) -> VerifyError {
    match error {
        Error::CertExpired { .. } | Error::CertNotValidYet { .. } => VerifyError::Expired,
        Error::UnknownIssuer => VerifyError::UnknownIssuer,
        Error::CertNotValidForName(_) => VerifyError::Name,
        Error::RequiredEkuNotFoundContext(_) => VerifyError::Usage,
        error => VerifyError::Other(error.to_string()),
    }
}

/// Whether one of the CAs has signed a certificate, directly or through intermediates.
fn is_signed_by(
    certificate: &CertificateDer<'_>,
    cas: &[CertificateDer<'static>],
    intermediates: &[CertificateDer<'_>],
    now: OffsetDateTime,
) -> bool {
    let mut rest: Vec<_> = intermediates.iter().filter(|ca| is_valid_issuer(ca, now)).take(CHAIN_MAX).collect();
    // The certificate and the intermediates above it. Each is visited once.
    let mut signed = vec![certificate];
    let mut index = 0;
    while let Some(&current) = signed.get(index) {
        if cas.iter().any(|ca| is_valid_issuer(ca, now) && has_signed(ca, current)) {
            return true;
        }
        let (signers, others) = rest.into_iter().partition(|ca| has_signed(ca, current));
        signed.extend::<Vec<_>>(signers);
        rest = others;
        index += 1;
    }
    false
}

/// Whether `certificate` names `ca` as its issuer, and was signed with its key.
fn has_signed(ca: &CertificateDer<'_>, certificate: &CertificateDer<'_>) -> bool {
    let (Ok(issuer), Ok(signed), Ok(key)) =
        (Certificate::from_der(ca), Certificate::from_der(certificate), EndEntityCert::try_from(ca))
    else {
        return false;
    };
    let (Ok(contents), Some(signature)) = (signed.tbs_certificate().to_der(), signed.signature().as_bytes()) else {
        return false;
    };
    let algorithms = ring::default_provider().signature_verification_algorithms.all;
    let verifies = |algorithm: &&dyn SignatureVerificationAlgorithm| {
        key.verify_signature(*algorithm, &contents, signature).is_ok()
    };
    issuer.tbs_certificate().subject() == signed.tbs_certificate().issuer() && algorithms.iter().any(verifies)
}

/// Why the API server does not accept a server's certificate. The messages are written here, since those of rustls
/// change between releases.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    #[error("the caBundle contains no CA that is valid now")]
    NoCa,
    #[error("the serving certificate has expired or is not valid yet")]
    Expired,
    #[error("the serving certificate, or a CA above it, is not for servers: its extendedKeyUsage has no serverAuth")]
    Usage,
    #[error("the caBundle does not contain the CA of the serving certificate")]
    UnknownIssuer,
    #[error("the serving certificate is not for this host, but for that of --service")]
    Name,
    #[error("{0}")]
    Other(String),
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose as Purpose, IsCa, Issuer,
        KeyPair, KeyUsagePurpose,
    };
    use time::Duration;

    use super::*;

    struct Ca {
        params: CertificateParams,
        key: KeyPair,
        der: CertificateDer<'static>,
    }

    fn ca(name: &str, by: Option<&Ca>, usages: &[Purpose]) -> Ca {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.extended_key_usages = usages.to_vec();
        let key = KeyPair::generate().expect("a key");
        let der = sign(&params, &key, by);
        Ca { params, key, der }
    }

    fn sign(params: &CertificateParams, key: &KeyPair, by: Option<&Ca>) -> CertificateDer<'static> {
        let signed = match by {
            Some(ca) => params.signed_by(key, &Issuer::from_params(&ca.params, &ca.key)),
            None => params.self_signed(key),
        };
        signed.expect("a certificate").der().clone()
    }

    fn leaf(by: Option<&Ca>, change: &dyn Fn(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(["host".to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, "leaf");
        change(&mut params);
        sign(&params, &KeyPair::generate().expect("a key"), by)
    }

    /// The name of a case, the change of its certificate, the CAs that the server presents with it, the trusted CA, and
    /// the result.
    type Case<'c> = (&'c str, &'c dyn Fn(&mut CertificateParams), &'c [&'c Ca], &'c Ca, Result<(), VerifyError>);

    #[test]
    fn a_server_is_accepted_as_by_go() {
        let now = OffsetDateTime::now_utc();
        let root = ca("root", None, &[]);
        let namesake = ca("root", None, &[]);
        let middle = ca("middle", Some(&root), &[]);
        let clients = ca("middle", Some(&root), &[Purpose::ClientAuth]);
        let servers = ca("middle", Some(&root), &[Purpose::ServerAuth]);
        let clients_root = ca("root", None, &[Purpose::ClientAuth]);
        let plain = |_: &mut CertificateParams| {};
        let flag = |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let signs_not = |params: &mut CertificateParams| {
            flag(params);
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        };
        let expired = |params: &mut CertificateParams| params.not_after = now - Duration::DAY;
        let for_clients = |params: &mut CertificateParams| params.extended_key_usages = vec![Purpose::ClientAuth];
        let for_anything = |params: &mut CertificateParams| params.extended_key_usages = vec![Purpose::Any];
        let both = |params: &mut CertificateParams| {
            flag(params);
            for_clients(params);
        };
        let policies = |params: &mut CertificateParams| {
            let mut policies = CustomExtension::from_oid_content(&[2, 5, 29, 32], vec![0x30, 5, 0x30, 3, 6, 1, 0x2a]);
            policies.set_criticality(true);
            params.custom_extensions.push(policies);
        };
        let cases: [Case<'_>; 17] = [
            ("policies that are critical", &policies, &[&middle], &root, Ok(())),
            ("policies that are critical, by a namesake", &policies, &[], &namesake, Err(VerifyError::UnknownIssuer)),
            ("signed", &plain, &[], &root, Ok(())),
            ("by one in the middle", &plain, &[&middle], &root, Ok(())),
            ("by one for servers", &plain, &[&servers], &root, Ok(())),
            ("by one for clients", &plain, &[&clients], &root, Err(VerifyError::Usage)),
            ("by a root for clients", &plain, &[], &clients_root, Err(VerifyError::Usage)),
            ("for clients", &for_clients, &[], &root, Err(VerifyError::Usage)),
            ("for anything", &for_anything, &[], &root, Ok(())),
            ("expired", &expired, &[], &root, Err(VerifyError::Expired)),
            ("the CA flag", &flag, &[], &root, Ok(())),
            ("the CA flag, by one in the middle", &flag, &[&middle], &root, Ok(())),
            ("the CA flag alone", &signs_not, &[&middle], &root, Ok(())),
            ("the CA flag, by one for clients", &flag, &[&clients], &root, Err(VerifyError::UnknownIssuer)),
            ("the CA flag, for clients", &both, &[], &root, Err(VerifyError::Usage)),
            ("the CA flag, by a namesake", &flag, &[], &namesake, Err(VerifyError::UnknownIssuer)),
            ("the CA flag, by the middle alone", &flag, &[&middle], &namesake, Err(VerifyError::UnknownIssuer)),
        ];
        for (what, change, chain, trusted, expected) in cases {
            let by = chain.first().copied().unwrap_or(if trusted.der == clients_root.der { trusted } else { &root });
            let leaf = leaf(Some(by), change);
            let served: Vec<_> = [&leaf].into_iter().chain(chain.iter().map(|ca| &ca.der)).cloned().collect();
            let cas = [trusted.der.clone()];
            assert_eq!(verify(&cas, &served, "host", now), expected, "{what}");
            if expected.is_ok() {
                assert_eq!(verify(&cas, &served, "other", now), Err(VerifyError::Name), "{what}");
                assert_eq!(verify(&cas[..0], &served, "host", now), Err(VerifyError::NoCa), "{what}");
            }
            // A certificate that is itself one of the CAs needs no issuer.
            let listed = [leaf];
            let by_itself = if what.contains("for clients") && !what.contains("by ") || what == "expired" {
                expected
            } else {
                Ok(())
            };
            assert_eq!(verify(&listed, &listed, "host", now), by_itself, "{what}");
        }
        for change in [&plain as &dyn Fn(&mut CertificateParams), &flag] {
            let own = [leaf(None, change)];
            assert_eq!(verify(&own, &own, "host", now), Ok(()));
            assert_eq!(verify(std::slice::from_ref(&root.der), &own, "host", now), Err(VerifyError::UnknownIssuer));
        }
    }
}
