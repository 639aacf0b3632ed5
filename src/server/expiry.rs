//! How long the certificate that is served still holds, whoever renews it: said before it ends, and in readiness.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use prometheus_client::metrics::gauge::Gauge;
use rustls::sign::CertifiedKey;
use time::{Duration, OffsetDateTime};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::Certificate;
use super::certificate::Facts;
use super::limits::EXPIRY_LOOK;
use crate::scan::time::format;

type Receiver = watch::Receiver<Option<Arc<CertifiedKey>>>;

/// How often what is still so is said again.
const REMINDER: Duration = Duration::DAY;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    NotYetValid,
    Fresh,
    /// Less than a third of its life is left.
    Due,
    Expired,
}

impl Stage {
    pub fn of(facts: &Facts, now: OffsetDateTime) -> Self {
        if now < facts.not_before {
            Self::NotYetValid
        } else if now > facts.not_after {
            Self::Expired
        } else if facts.is_due(now) {
            Self::Due
        } else {
            Self::Fresh
        }
    }
}

/// What was last said of a certificate.
#[derive(Default)]
pub struct Alarm {
    told: Option<(Stage, OffsetDateTime)>,
}

impl Alarm {
    /// What is to be said now, if anything: each stage when it begins, and then once a day.
    pub fn look(&mut self, facts: &Facts, now: OffsetDateTime) -> Option<Stage> {
        let stage = Stage::of(facts, now);
        let is_told = self.told.is_some_and(|(told, at)| told == stage && now - at < REMINDER);
        if is_told || stage == Stage::Fresh {
            return None;
        }
        self.told = Some((stage, now));
        Some(stage)
    }
}

/// Keeps the gauge, and warns, for as long as the server runs.
pub async fn watch(mut certificate: Receiver, not_after: &Gauge, clock: fn() -> OffsetDateTime) {
    loop {
        let facts = facts(certificate.borrow_and_update().as_deref());
        not_after.set(facts.as_ref().map_or(0, |facts| facts.not_after.unix_timestamp()));
        if let Some(facts) = &facts {
            tracing::info!(not_after = format(facts.not_after), "serving a certificate");
        }
        let mut alarm = Alarm::default();
        loop {
            if let Some(facts) = &facts
                && let Some(stage) = alarm.look(facts, clock())
            {
                tell(stage, facts);
            }
            match timeout(EXPIRY_LOOK, certificate.changed()).await {
                Ok(Ok(())) => break,
                // There is nobody any more who could renew it.
                Ok(Err(_)) => sleep(EXPIRY_LOOK).await,
                Err(_) => {}
            }
        }
    }
}

fn tell(stage: Stage, facts: &Facts) {
    let [not_before, not_after] = [facts.not_before, facts.not_after].map(|time| format(time).unwrap_or_default());
    match stage {
        Stage::Fresh => {}
        Stage::Due => tracing::warn!(not_after, "the certificate ends soon: it should have been renewed by now"),
        Stage::NotYetValid => tracing::error!(not_before, "the certificate is not valid yet: clients refuse it"),
        Stage::Expired => tracing::error!(not_after, "the certificate has expired: clients refuse it"),
    }
}

/// A replica is not ready before it can serve a certificate that clients accept. Once it could, it stays ready: where one
/// has not been renewed the others have not either, and a webhook without replicas would only fail with other words.
pub struct Readiness {
    certificate: Certificate,
    clock: fn() -> OffsetDateTime,
    has_been_ready: AtomicBool,
}

impl Readiness {
    pub fn new(certificate: Certificate, clock: fn() -> OffsetDateTime) -> Self {
        Self { certificate, clock, has_been_ready: AtomicBool::new(false) }
    }

    /// Or why not, a line.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.has_been_ready.load(Ordering::Relaxed) {
            return Ok(());
        }
        match facts(self.certificate.current.borrow().as_deref()) {
            None => return Err("there is no certificate yet\n"),
            Some(facts) if !facts.is_current((self.clock)()) => {
                return Err("the certificate is not within its dates\n");
            }
            Some(_) if !*self.certificate.is_trusted.borrow() => {
                return Err("the webhooks' caBundle does not verify the certificate yet\n");
            }
            Some(_) => self.has_been_ready.store(true, Ordering::Relaxed),
        }
        Ok(())
    }
}

/// None where the one who gave the certificate has not proven it.
fn facts(certificate: Option<&CertifiedKey>) -> Option<Facts> {
    Facts::of(certificate?.cert.first()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn facts() -> Facts {
        let not_after = BEGIN + 90 * Duration::DAY;
        let names = Vec::new();
        Facts { subject: String::new(), not_before: BEGIN, not_after, is_ca: false, has_host: true, names }
    }

    #[test]
    fn each_stage_is_told_when_it_begins_and_then_once_a_day() {
        let mut alarm = Alarm::default();
        let mut told = Vec::new();
        for minute in -2 * 24 * 60..92 * 24 * 60 {
            let now = BEGIN + minute * Duration::MINUTE;
            told.extend(alarm.look(&facts(), now).map(|stage| (stage, minute)));
        }
        let day = 24 * 60;
        let mut expected = vec![(Stage::NotYetValid, -2 * day), (Stage::NotYetValid, -day)];
        // The first minute with less than a third.
        expected.extend((60..90).map(|days| (Stage::Due, days * day + 1)));
        expected.extend((90..92).map(|days| (Stage::Expired, days * day + 1)));
        assert_eq!(told, expected);
    }

    #[test]
    fn both_ends_are_within() {
        let facts = facts();
        let second = Duration::SECOND;
        let is_current = |at| facts.is_current(at);
        assert!(is_current(facts.not_before) && is_current(facts.not_after));
        assert!(!is_current(facts.not_before - second) && !is_current(facts.not_after + second));
    }
}
