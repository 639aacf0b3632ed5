//! The clock and the settings by which tests judge a review.

use std::sync::LazyLock;

use scan_admission::admission::{Context, ReviewSettings, Webhook};
use scan_admission::rules::RULES;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The clock of the tests; the fixtures are from before it.
pub const NOW: &str = "2026-11-24T12:00:00Z";

pub fn now() -> OffsetDateTime {
    OffsetDateTime::parse(NOW, &Rfc3339).unwrap()
}

/// As without a configuration.
static SETTINGS: LazyLock<ReviewSettings> = LazyLock::new(ReviewSettings::default);

pub fn context(webhook: Webhook) -> Context<'static> {
    Context { webhook, now: now(), rules: RULES, settings: &SETTINGS }
}
