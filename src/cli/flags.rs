//! Flags that several commands share.

pub mod address;
#[cfg(feature = "cluster")]
pub mod cluster;
pub mod config;
pub mod duration;
pub mod output;
#[cfg(feature = "cluster")]
pub mod scan;

use time::OffsetDateTime;

use crate::scan::time::parse;

/// Parses the value of `--now`.
pub fn parse_time(text: &str) -> Result<OffsetDateTime, &'static str> {
    parse(text).ok_or("must be an RFC 3339 time, such as 2026-11-20T08:05:00Z")
}

/// The name of a Service, written `NAMESPACE/NAME`.
#[cfg(feature = "cluster")]
#[derive(Debug, Clone)]
pub struct ServiceName {
    pub namespace: String,
    pub name: String,
}

#[cfg(feature = "cluster")]
impl std::fmt::Display for ServiceName {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}/{}", self.namespace, self.name)
    }
}

/// Parses the value of `--service`.
#[cfg(feature = "cluster")]
pub fn parse_service(text: &str) -> Result<ServiceName, &'static str> {
    let is_label = |text: &str| !text.is_empty() && text.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'));
    let (namespace, name) = text
        .split_once('/')
        .filter(|(namespace, name)| is_label(namespace) && is_label(name))
        .ok_or("must be NAMESPACE/NAME, such as scan-admission/scan-admission")?;
    Ok(ServiceName { namespace: namespace.to_owned(), name: name.to_owned() })
}
