//! Parses the durations of flags.

use std::time::Duration;

use crate::config::value::parse_duration;
use crate::server::limits::POLL_RANGE;

/// Why a text is not a duration of a flag. Each message has the range and an example.
#[derive(Debug, thiserror::Error)]
pub enum DurationError {
    #[error("must be a duration from {:?} to {:?}, such as 1s", POLL_RANGE.start(), POLL_RANGE.end())]
    Poll,
    #[error("must be a duration from 0s to 10m, such as 5s")]
    Delay,
    #[cfg(feature = "cluster")]
    #[error("must be a duration from 1s to 87672h, such as 2160h")]
    Life,
    #[cfg(feature = "cluster")]
    #[error("must be a duration from 1s to 8784h, such as 30m")]
    Stuck,
}

/// Parses the interval of polling files.
pub fn parse_poll(text: &str) -> Result<Duration, DurationError> {
    parse_duration(text).filter(|poll| POLL_RANGE.contains(poll)).ok_or(DurationError::Poll)
}

/// Parses the delay before stopping.
pub fn parse_delay(text: &str) -> Result<Duration, DurationError> {
    // A longer delay is useless: a node kills a pod after its terminationGracePeriodSeconds, 30 by default.
    let range = Duration::ZERO..=Duration::from_secs(600);
    parse_duration(text).filter(|delay| range.contains(delay)).ok_or(DurationError::Delay)
}

/// Parses the lifetime of a CA or a certificate.
#[cfg(feature = "cluster")]
pub fn parse_life(text: &str) -> Result<time::Duration, DurationError> {
    let life = parse_duration(text).and_then(|life| time::Duration::try_from(life).ok());
    // At least a second, since certificates have times in whole seconds.
    let range = time::Duration::SECOND..=crate::tls::ca::LIFE_MAX;
    life.filter(|life| range.contains(life)).ok_or(DurationError::Life)
}

/// Parses the duration after which a waiting scan is stuck.
#[cfg(feature = "cluster")]
pub fn parse_stuck(text: &str) -> Result<Duration, DurationError> {
    // Up to a year: no scan waits for longer.
    let range = Duration::from_secs(1)..=Duration::from_secs(366 * 24 * 60 * 60);
    parse_duration(text).filter(|after| range.contains(after)).ok_or(DurationError::Stuck)
}
