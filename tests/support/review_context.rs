//! The time and the settings with which tests answer a review.

use std::sync::LazyLock;

use scan_admission::admission::{Context, EventReasons, ReviewSettings, Webhook};
use scan_admission::rules::RULES;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The current time of the tests, later than all times in the fixtures.
pub const NOW: &str = "2026-11-24T12:00:00Z";

pub fn now() -> OffsetDateTime {
    OffsetDateTime::parse(NOW, &Rfc3339).unwrap()
}

/// The settings without a configuration file.
static SETTINGS: LazyLock<ReviewSettings> = LazyLock::new(ReviewSettings::default);

pub fn context(webhook: Webhook) -> Context<'static> {
    Context { webhook, now: now(), rules: RULES, settings: &SETTINGS, events: EventReasons::default() }
}
