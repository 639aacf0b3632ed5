//! The two formats of /metrics: OpenMetrics for scrapers that ask for it, and the text format of Prometheus for all others.
//!
//! The library writes OpenMetrics only. The text format has the same samples; what differs are the comments.

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

/// The formats that are offered, the best last. The two versions of OpenMetrics have the same text here.
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
    /// The format of the highest quality in Accept; of equal ones the last in the list above. OpenMetrics has to be named, since a
    /// client that accepts `*/*` may know the text format only. A client that accepts no format that is offered gets the text
    /// format, which is more useful than an error.
    pub fn accepted(headers: &HeaderMap) -> Self {
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
    /// None where it cannot be parsed. Other parameters than the version do not matter here.
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

    /// How specifically it matches a format; none where it does not match.
    fn specificity(&self, offered: &Exposition) -> Option<Specificity> {
        let (kind, _) = offered.media_type.split_once('/')?;
        match self.version {
            _ if self.media_type == "*/*" => Some(Specificity::Anything),
            _ if self.media_type.strip_suffix("/*").is_some_and(|it| it.eq_ignore_ascii_case(kind)) => {
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
            // The name depends on the type, which is in the next line.
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
