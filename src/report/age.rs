//! Ages of times, as kubectl prints them.

use time::{Duration, OffsetDateTime};

/// Returns the time with its age: `2026-11-20T08:00:00Z (3h5m ago)`. A text that is no time is returned as it is.
pub fn with_age(text: &str, now: OffsetDateTime) -> String {
    match crate::scan::time::parse(text) {
        Some(time) if time > now => format!("{text} (in {})", short(time - now)),
        Some(time) => format!("{text} ({} ago)", short(now - time)),
        None => text.to_owned(),
    }
}

/// Returns a duration in at most two units, the second only while the first is small: `45s`, `5m30s`, `90m`, `3h5m`, `40h`,
/// `3d4h`, `90d`. It is `HumanDuration` of apimachinery up to a year, and days beyond.
pub fn short(age: Duration) -> String {
    let (seconds, minutes, hours, days) =
        (age.whole_seconds().max(0), age.whole_minutes(), age.whole_hours(), age.whole_days());
    let two = |first: i64, unit: &str, rest: i64, small: &str| match rest {
        0 => format!("{first}{unit}"),
        rest => format!("{first}{unit}{rest}{small}"),
    };
    if seconds < 120 {
        format!("{seconds}s")
    } else if minutes < 10 {
        two(minutes, "m", seconds % 60, "s")
    } else if minutes < 180 {
        format!("{minutes}m")
    } else if hours < 8 {
        two(hours, "h", minutes % 60, "m")
    } else if hours < 48 {
        format!("{hours}h")
    } else if days < 8 {
        two(days, "d", hours % 24, "h")
    } else {
        format!("{days}d")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected texts are those of `kubectl get`.
    #[test]
    fn ages_are_those_of_kubectl() {
        for (seconds, expected) in [
            (-5, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (330, "5m30s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_100, "3h5m"),
            (28_800, "8h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (187_200, "2d4h"),
            (691_200, "8d"),
            (7_776_000, "90d"),
        ] {
            assert_eq!(short(Duration::seconds(seconds)), expected, "{seconds}");
        }
    }
}
