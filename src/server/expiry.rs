//! Warns before the serving certificate expires, and reports whether the server is ready.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use prometheus_client::metrics::gauge::Gauge;
use rustls::sign::CertifiedKey;
use time::{Duration, OffsetDateTime};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::ServedCertificate;
use super::limits::EXPIRY_POLL;
use crate::scan::time::format;
use crate::tls::CertificateInfo;

type Receiver = watch::Receiver<Option<Arc<CertifiedKey>>>;

/// How often a warning is repeated.
const REMINDER: Duration = Duration::DAY;

/// The state of a certificate, by its dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    NotYetValid,
    Valid,
    /// Less than a third of its life is left.
    RenewalDue,
    Expired,
}

impl Validity {
    pub fn of(info: &CertificateInfo, now: OffsetDateTime) -> Self {
        if now < info.not_before {
            Self::NotYetValid
        } else if now > info.not_after {
            Self::Expired
        } else if info.needs_renewal(now) {
            Self::RenewalDue
        } else {
            Self::Valid
        }
    }
}

/// When the last warning about a certificate was logged.
#[derive(Default)]
pub struct ExpiryWarning {
    last: Option<LoggedWarning>,
}

struct LoggedWarning {
    validity: Validity,
    at: OffsetDateTime,
}

impl ExpiryWarning {
    /// Returns the validity that has to be logged now, if any. Each validity is logged when it begins, and then once a
    /// day.
    pub fn next(&mut self, info: &CertificateInfo, now: OffsetDateTime) -> Option<Validity> {
        let validity = Validity::of(info, now);
        let is_logged = |last: &LoggedWarning| last.validity == validity && now - last.at < REMINDER;
        if validity == Validity::Valid || self.last.as_ref().is_some_and(is_logged) {
            return None;
        }
        self.last = Some(LoggedWarning { validity, at: now });
        Some(validity)
    }
}

/// Updates the gauge and logs warnings for as long as the server runs.
pub async fn watch(mut certificate: Receiver, not_after: &Gauge, clock: fn() -> OffsetDateTime) {
    loop {
        let info = info(certificate.borrow_and_update().as_deref());
        not_after.set(info.as_ref().map_or(0, |info| info.not_after.unix_timestamp()));
        if let Some(info) = &info {
            tracing::info!(not_after = format(info.not_after), "serving a certificate");
            if info.is_ca {
                tracing::warn!(
                    "the certificate has the CA flag; the API server accepts it, but other clients may reject it"
                );
            }
        }
        let mut warning = ExpiryWarning::default();
        loop {
            if let Some(info) = &info
                && let Some(validity) = warning.next(info, clock())
            {
                log(validity, info);
            }
            match timeout(EXPIRY_POLL, certificate.changed()).await {
                Ok(Ok(())) => break,
                // The task that renews the certificate has ended.
                Ok(Err(_)) => sleep(EXPIRY_POLL).await,
                Err(_) => {}
            }
        }
    }
}

fn log(validity: Validity, info: &CertificateInfo) {
    let [not_before, not_after] = [info.not_before, info.not_after].map(|time| format(time).unwrap_or_default());
    match validity {
        Validity::Valid => {}
        Validity::RenewalDue => {
            tracing::warn!(not_after, "the certificate expires soon; it should have been renewed by now");
        }
        Validity::NotYetValid => tracing::error!(not_before, "the certificate is not valid yet; clients reject it"),
        Validity::Expired => tracing::error!(not_after, "the certificate has expired; clients reject it"),
    }
}

/// Whether a replica is ready. It becomes ready when it has a certificate that clients accept, and then stays ready: if
/// its certificate is not renewed, those of the other replicas are not renewed either, and a webhook without ready
/// replicas fails as well.
pub struct Readiness {
    certificate: ServedCertificate,
    clock: fn() -> OffsetDateTime,
    has_been_ready: AtomicBool,
}

impl Readiness {
    pub fn new(certificate: ServedCertificate, clock: fn() -> OffsetDateTime) -> Self {
        Self { certificate, clock, has_been_ready: AtomicBool::new(false) }
    }

    /// Returns an error if the server is not ready: a line with the reason.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.has_been_ready.load(Ordering::Relaxed) {
            return Ok(());
        }
        match info(self.certificate.current.borrow().as_deref()) {
            None => return Err("there is no certificate yet\n"),
            Some(info) if !info.is_current((self.clock)()) => {
                return Err("the certificate has expired or is not valid yet\n");
            }
            Some(_) if !*self.certificate.is_trusted.borrow() => {
                return Err("the webhooks' caBundle does not verify the certificate yet\n");
            }
            Some(_) => self.has_been_ready.store(true, Ordering::Relaxed),
        }
        Ok(())
    }
}

/// Returns `None` if there is no certificate, or if it cannot be parsed.
fn info(certificate: Option<&CertifiedKey>) -> Option<CertificateInfo> {
    CertificateInfo::of(certificate?.cert.first()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn info() -> CertificateInfo {
        let not_after = BEGIN + 90 * Duration::DAY;
        let names = Vec::new();
        CertificateInfo {
            subject: String::new(),
            not_before: BEGIN,
            not_after,
            is_ca: false,
            may_sign: false,
            has_host: true,
            names,
            usages: Vec::new(),
            unknown_critical: None,
            public_key: Vec::new(),
        }
    }

    #[test]
    fn each_validity_is_logged_when_it_begins_and_then_once_a_day() {
        let mut warning = ExpiryWarning::default();
        let mut logged = Vec::new();
        for minute in -2 * 24 * 60..92 * 24 * 60 {
            let now = BEGIN + minute * Duration::MINUTE;
            logged.extend(warning.next(&info(), now).map(|validity| (validity, minute)));
        }
        let day = 24 * 60;
        let mut expected = vec![(Validity::NotYetValid, -2 * day), (Validity::NotYetValid, -day)];
        // The first minute in which less than a third of its life is left.
        expected.extend((60..90).map(|days| (Validity::RenewalDue, days * day + 1)));
        expected.extend((90..92).map(|days| (Validity::Expired, days * day + 1)));
        assert_eq!(logged, expected);
    }

    #[test]
    fn a_certificate_is_current_at_both_of_its_dates() {
        let info = info();
        let second = Duration::SECOND;
        let is_current = |at| info.is_current(at);
        assert!(is_current(info.not_before) && is_current(info.not_after));
        assert!(!is_current(info.not_before - second) && !is_current(info.not_after + second));
    }
}
