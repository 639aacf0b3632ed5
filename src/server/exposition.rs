//! The two formats of /metrics: OpenMetrics for scrapers that ask for it, and the text format of Prometheus for all
//! others.
//!
//! The library only writes OpenMetrics. The text format has the same samples, but different comments.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

/// A format, with its media type in Accept and in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exposition {
    media_type: &'static str,
    version: &'static str,
    pub content_type: &'static str,
    pub is_open_metrics: bool,
}

/// The default format.
const TEXT: Exposition = Exposition {
    media_type: "text/plain",
    version: "0.0.4",
    content_type: "text/plain; version=0.0.4; charset=utf-8",
    is_open_metrics: false,
};

/// The supported formats, the preferred one last. The text is the same in both versions of OpenMetrics.
const OFFERED: [Exposition; 3] = [
    TEXT,
    Exposition {
        media_type: "application/openmetrics-text",
        version: "0.0.1",
        content_type: "application/openmetrics-text; version=0.0.1; charset=utf-8",
        is_open_metrics: true,
    },
    Exposition {
        media_type: "application/openmetrics-text",
        version: "1.0.0",
        content_type: "application/openmetrics-text; version=1.0.0; charset=utf-8",
        is_open_metrics: true,
    },
];

impl Exposition {
    /// Returns the format with the highest quality in Accept; of equal qualities, the last in `OFFERED`. Accept has
    /// to name OpenMetrics, since a client that accepts `*/*` may only know the text format. A client that accepts none
    /// of the formats gets the text format, which is more useful than an error.
    pub fn negotiate(headers: &HeaderMap) -> Self {
        let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let ranges: Vec<MediaRange<'_>> =
            values.flat_map(|value| value.split(',')).filter_map(MediaRange::parse).collect();
        let (mut best, mut best_quality) = (TEXT, 0);
        for offered in OFFERED {
            // The quality is that of the most specific range that matches.
            let matching = ranges.iter().filter_map(|range| Some((range.specificity(&offered)?, range.quality)));
            let Some((specificity, quality)) = matching.max() else { continue };
            let is_asked_for = specificity >= Specificity::MediaType || !offered.is_open_metrics;
            if is_asked_for && quality > 0 && quality >= best_quality {
                (best, best_quality) = (offered, quality);
            }
        }
        best
    }
}

/// An element of an Accept header.
struct MediaRange<'h> {
    media_type: &'h str,
    version: Option<&'h str>,
    /// In thousandths.
    quality: u16,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Specificity {
    Anything,
    Type,
    MediaType,
    Version,
}

impl<'h> MediaRange<'h> {
    /// Parses a media range. Returns `None` if its quality is invalid. Parameters other than `version` and `q` are
    /// ignored.
    fn parse(text: &'h str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let mut range = Self { media_type: parts.next()?, version: None, quality: 1000 };
        for (name, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "version" => range.version = Some(value),
                "q" => {
                    let quality = value.parse::<f32>().ok().filter(|quality| (0.0..=1.0).contains(quality))?;
                    range.quality = (quality * 1000.0) as u16;
                }
                _ => {}
            }
        }
        Some(range)
    }

    /// Returns how specifically the range matches a format, or `None` if it does not match.
    fn specificity(&self, offered: &Exposition) -> Option<Specificity> {
        let (kind, _) = offered.media_type.split_once('/')?;
        match self.version {
            _ if self.media_type == "*/*" => Some(Specificity::Anything),
            _ if self.media_type.strip_suffix("/*").is_some_and(|prefix| prefix.eq_ignore_ascii_case(kind)) => {
                Some(Specificity::Type)
            }
            _ if !self.media_type.eq_ignore_ascii_case(offered.media_type) => None,
            None => Some(Specificity::MediaType),
            Some(version) => (version == offered.version).then_some(Specificity::Version),
        }
    }
}

/// Converts OpenMetrics to the text format of Prometheus.
pub fn to_text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = "";
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            // The name in the text format depends on the type, which is on the next line.
            help = rest.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            // The comments of OpenMetrics name the metric family, those of the text format the samples.
            let (suffix, kind) = match kind {
                "counter" => ("_total", kind),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                kind => ("", kind),
            };
            text += &format!("# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n");
        } else if !line.starts_with('#') {
            text += line;
            text.push('\n');
        }
    }
    text
}
