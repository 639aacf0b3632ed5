//! Draws the chart of `cargo bench -- writes`: the processor time that each way of admission adds to a write, by the rate.

use std::fmt::Write as _;

use crate::report::rate_name;
use crate::results::{WriteResults, WriteRow};

const WIDTH: f64 = 720.0;
/// Where the bars begin; the names are left of it.
const LEFT: f64 = 210.0;
/// The width that is left for the figure of the longest bar.
const RIGHT: f64 = 80.0;
const BAR: f64 = 16.0;
const ROW: f64 = 22.0;
const TITLE: f64 = 34.0;
const LEGEND: f64 = 34.0;

/// Both colours have a contrast of 3 with a white and with a dark background.
const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-weight:600}\
.api-server{fill:#2f81f7}.webhook{fill:#db6d28}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}}";

/// The processor time that admission adds to a write: that of the API server, which noise can make negative, and that of
/// the webhook.
fn added(row: &WriteRow) -> (f64, f64) {
    let webhook = row.webhook_micros.map_or(0.0, |spread| spread.median);
    (row.added_micros.median.max(0.0), webhook)
}

/// Returns the chart as SVG.
pub fn svg(results: &WriteResults) -> String {
    let all = results.rates.iter().flat_map(|rate| &rate.rows);
    let most = all.map(|row| added(row).0 + added(row).1).fold(1.0, f64::max);
    let scale = (WIDTH - LEFT - RIGHT) / most;
    let (mut body, mut y) = (String::new(), LEGEND);
    for rate in &results.rates {
        y += TITLE;
        let _ = writeln!(body, "<text class=\"title\" x=\"0\" y=\"{:.0}\">{}</text>", y - 12.0, rate_name(rate.rate));
        // The first row is no admission, which adds nothing.
        for row in rate.rows.iter().skip(1) {
            let (api_server, webhook) = added(row);
            let (middle, end) = (LEFT + api_server * scale, LEFT + (api_server + webhook) * scale);
            let text = y + BAR - 4.0;
            let _ = writeln!(
                body,
                "<text x=\"{:.0}\" y=\"{text:.0}\" text-anchor=\"end\">{}</text>\
                 <rect class=\"api-server\" x=\"{LEFT:.0}\" y=\"{y:.0}\" width=\"{:.1}\" height=\"{BAR:.0}\"/>\
                 <rect class=\"webhook\" x=\"{middle:.1}\" y=\"{y:.0}\" width=\"{:.1}\" height=\"{BAR:.0}\"/>\
                 <text x=\"{:.1}\" y=\"{text:.0}\">{:.1} ms</text>",
                LEFT - 8.0,
                row.setup,
                middle - LEFT,
                end - middle,
                end + 6.0,
                (api_server + webhook) / 1e3
            );
            y += ROW;
        }
    }
    let title = "Processor time that admission adds to a write of a status";
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {y:.0}\" width=\"{WIDTH:.0}\" role=\"img\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n\
         <text class=\"title\" x=\"0\" y=\"16\">{title}</text>\n\
         <rect class=\"api-server\" x=\"400\" y=\"5\" width=\"12\" height=\"12\"/><text x=\"418\" y=\"16\">API server</text>\n\
         <rect class=\"webhook\" x=\"510\" y=\"5\" width=\"12\" height=\"12\"/><text x=\"528\" y=\"16\">webhook</text>\n\
         {body}</svg>\n"
    )
}
