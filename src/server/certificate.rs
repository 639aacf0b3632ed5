//! What a certificate says of itself.

use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_cert::Certificate;
use x509_cert::der::{Decode, Error};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, SubjectAltName};
use x509_cert::time::Time;

/// A certificate is due when less than one part in three of its life is left: cert-manager renews there, too, so that a
/// warning means that somebody is late.
const DUE_PARTS: i32 = 3;

pub struct Facts {
    pub subject: String,
    pub not_before: OffsetDateTime,
    pub not_after: OffsetDateTime,
    pub is_ca: bool,
    /// Whether it is for a host: a DNS name or an IP address in its subjectAltName.
    pub has_host: bool,
    /// Its common name, and the DNS names, addresses and URIs of its subjectAltName.
    pub names: Vec<String>,
}

impl Facts {
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, Error> {
        let certificate = Certificate::from_der(certificate)?;
        let certificate = certificate.tbs_certificate();
        let constraints = certificate.get_extension::<BasicConstraints>()?;
        let names = certificate.get_extension::<SubjectAltName>()?.map(|(_, names)| names.0).unwrap_or_default();
        let common_name = certificate.subject().common_name()?.map(String::from);
        Ok(Self {
            subject: certificate.subject().to_string(),
            not_before: date(certificate.validity().not_before),
            not_after: date(certificate.validity().not_after),
            is_ca: constraints.is_some_and(|(_, constraints)| constraints.ca),
            has_host: names.iter().any(|name| matches!(name, GeneralName::DnsName(_) | GeneralName::IpAddress(_))),
            names: common_name.into_iter().chain(names.iter().filter_map(text)).collect(),
        })
    }

    pub fn is_current(&self, at: OffsetDateTime) -> bool {
        (self.not_before..=self.not_after).contains(&at)
    }

    /// Whether it should have been renewed.
    pub fn is_due(&self, at: OffsetDateTime) -> bool {
        self.not_after - at < (self.not_after - self.not_before) / DUE_PARTS
    }
}

/// A name as people write it.
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

/// Its years are four digits, as are those of `OffsetDateTime`.
fn date(time: Time) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH.saturating_add(time.to_unix_duration().try_into().unwrap_or(time::Duration::MAX))
}
