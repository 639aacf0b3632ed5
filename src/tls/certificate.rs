//! The contents of a certificate, as far as this program needs them.

use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_cert::Certificate;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode, Encode as _, Error};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName};
use x509_cert::time::Time;

/// A certificate is due for renewal when less than a third of its life is left. cert-manager renews certificates at
/// that time, so a warning means that the renewal is late.
const DUE_PARTS: i32 = 3;

/// The critical extensions that Go, and so the API server, supports.
const KNOWN_CRITICAL: [&str; 10] = [
    "2.5.29.15", // keyUsage
    "2.5.29.17", // subjectAltName
    "2.5.29.19", // basicConstraints
    "2.5.29.30", // nameConstraints
    "2.5.29.31", // cRLDistributionPoints
    "2.5.29.32", // certificatePolicies
    "2.5.29.33", // policyMappings
    "2.5.29.36", // policyConstraints
    "2.5.29.37", // extendedKeyUsage
    "2.5.29.54", // inhibitAnyPolicy
];

const SERVER_AUTH: &str = "serverAuth";
const ANY_USAGE: &str = "anyExtendedKeyUsage";
/// The object identifiers of usages, and their names.
const USAGES: [(&str, &str); 7] = [
    ("2.5.29.37.0", ANY_USAGE),
    ("1.3.6.1.5.5.7.3.1", SERVER_AUTH),
    ("1.3.6.1.5.5.7.3.2", "clientAuth"),
    ("1.3.6.1.5.5.7.3.3", "codeSigning"),
    ("1.3.6.1.5.5.7.3.4", "emailProtection"),
    ("1.3.6.1.5.5.7.3.8", "timeStamping"),
    ("1.3.6.1.5.5.7.3.9", "OCSPSigning"),
];

pub struct CertificateInfo {
    pub subject: String,
    pub not_before: OffsetDateTime,
    pub not_after: OffsetDateTime,
    /// Whether it has the CA flag. The API server accepts such a certificate from a server, but other clients may not.
    pub is_ca: bool,
    /// Whether it may sign other certificates. Go, and so the API server, requires the CA flag and, if there is a key
    /// usage, that it allows to sign certificates.
    pub may_sign: bool,
    /// Whether its subjectAltName contains a DNS name or an IP address.
    pub has_host: bool,
    /// Its common name, and the DNS names, email addresses, URIs and IP addresses of its subjectAltName that can be
    /// parsed.
    pub names: Vec<String>,
    /// Its extendedKeyUsage, by name or object identifier; empty if it may be used for anything.
    pub usages: Vec<String>,
    /// The object identifier of a critical extension that clients do not support, so that they reject the certificate.
    pub unknown_critical: Option<String>,
    /// Its SubjectPublicKeyInfo, in DER.
    pub public_key: Vec<u8>,
}

impl CertificateInfo {
    /// Parses a certificate. Names that cannot be parsed are ignored, since an older CA may have an IA5String in its
    /// name. A certificate whose key usage cannot be parsed may not sign.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, Error> {
        let certificate = Certificate::from_der(certificate)?;
        let certificate = certificate.tbs_certificate();
        let is_ca = certificate.get_extension::<BasicConstraints>()?.is_some_and(|(_, constraints)| constraints.ca);
        let usage = certificate.get_extension::<KeyUsage>();
        let may_sign = is_ca && usage.is_ok_and(|usage| usage.is_none_or(|(_, usage)| usage.key_cert_sign()));
        let names = certificate.get_extension::<SubjectAltName>().ok().flatten();
        let names = names.map(|(_, names)| names.0).unwrap_or_default();
        let common_name = certificate.subject().common_name().ok().flatten().map(String::from);
        let usages = certificate.get_extension::<ExtendedKeyUsage>()?.map(|(_, usages)| usages.0).unwrap_or_default();
        let critical = certificate.extensions().into_iter().flatten().filter(|extension| extension.critical);
        let mut unknown_critical = critical.map(|extension| extension.extn_id.to_string());
        Ok(Self {
            subject: certificate.subject().to_string(),
            not_before: date(certificate.validity().not_before),
            not_after: date(certificate.validity().not_after),
            is_ca,
            may_sign,
            has_host: names.iter().any(|name| matches!(name, GeneralName::DnsName(_) | GeneralName::IpAddress(_))),
            names: common_name.into_iter().chain(names.iter().filter_map(text)).collect(),
            usages: usages.iter().map(usage_name).collect(),
            unknown_critical: unknown_critical.find(|id| !KNOWN_CRITICAL.contains(&id.as_str())),
            public_key: certificate.subject_public_key_info().to_der()?,
        })
    }

    /// Whether its extendedKeyUsage allows a server to use it.
    pub fn is_for_servers(&self) -> bool {
        self.usages.is_empty() || self.usages.iter().any(|usage| [SERVER_AUTH, ANY_USAGE].contains(&usage.as_str()))
    }

    /// Whether it may sign other certificates at this time.
    pub fn is_valid_ca(&self, at: OffsetDateTime) -> bool {
        self.may_sign && self.is_current(at)
    }

    pub fn is_current(&self, at: OffsetDateTime) -> bool {
        (self.not_before..=self.not_after).contains(&at)
    }

    /// Whether it should have been renewed.
    pub fn needs_renewal(&self, at: OffsetDateTime) -> bool {
        self.not_after - at < (self.not_after - self.not_before) / DUE_PARTS
    }
}

fn usage_name(id: &ObjectIdentifier) -> String {
    let id = id.to_string();
    USAGES.iter().find(|(number, _)| *number == id).map_or(id.clone(), |(_, name)| (*name).to_owned())
}

/// Returns a name in its usual form, or `None` if it has none.
fn text(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) | GeneralName::Rfc822Name(name) | GeneralName::UniformResourceIdentifier(name) => {
            Some(name.to_string())
        }
        GeneralName::IpAddress(octets) => {
            let octets = octets.as_bytes();
            let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok().map(|ip| ip.to_string())
        }
        _ => None,
    }
}

/// Converts a date. Both types have years of up to four digits, so no date saturates.
fn date(time: Time) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH.saturating_add(time.to_unix_duration().try_into().unwrap_or(time::Duration::MAX))
}
