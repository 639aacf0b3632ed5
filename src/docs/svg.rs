//! The parts that the generated pictures share: the frame, the colours, and nodes and arrows.

use crate::scan::Phase;

/// The colours, light and dark. The playground has the same pictures in its page, where the classes `is-now` and `is-step` mark
/// the scan that it judges.
pub const STYLE: &str = "\
.picture{font:14px system-ui,-apple-system,\"Segoe UI\",sans-serif;--ink:#1f2328;--soft:#59636e;--line:#8c959f;--box:#f6f8fa;\
--good:#1a7f37;--warn:#7d4e00;--bad:#b3261e;--now:#0550ae}\
@media(prefers-color-scheme:dark){.picture{--ink:#e6edf3;--soft:#9da7b3;--line:#6e7681;--box:#161b22;\
--good:#57ab5a;--warn:#e0a63f;--bad:#ff8f85;--now:#79c0ff}}\
.picture text{fill:var(--ink)}.picture .soft{fill:var(--soft)}\
.node rect{fill:var(--box);stroke:var(--line);stroke-width:1.5}.node text{font-weight:600;text-anchor:middle}\
.edge path{fill:none;stroke:var(--line);stroke-width:1.5}.edge polygon,.start{fill:var(--line)}.jump{visibility:hidden}\
.mark rect{fill:var(--box);stroke:var(--line)}.mark.fits rect{stroke:var(--good)}.mark.warning rect{stroke:var(--warn);stroke-dasharray:4 2}\
.mark.error rect{fill:none;stroke:none}.picture .fits text{fill:var(--good)}.picture .warning text{fill:var(--warn)}\
.picture .error text{fill:var(--bad)}.mark text{font-size:12px}\
.node.is-now rect{stroke:var(--now);stroke-width:4}.picture .node.is-now text{fill:var(--now)}\
.edge.is-step{visibility:visible}.edge.is-step path{stroke:var(--now);stroke-width:4}.edge.is-step polygon{fill:var(--now)}\
.jump.is-step path{stroke-dasharray:8 5}.mark.is-now rect{stroke:var(--now);stroke-width:3}\
.row.is-now rect.row-box{stroke:var(--now);stroke-width:2}.row-box{fill:none;stroke:none}";

/// Returns a picture with a title and a description, which screen readers read.
pub fn picture(width: u32, height: u32, title: &str, description: &str, contents: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" class=\"picture\" role=\"img\" \
         aria-label=\"{title}\">\n<title>{title}</title>\n<desc>{description}</desc>\n<style>{STYLE}</style>\n{contents}</svg>\n"
    )
}

/// Returns a box with the name of a phase, around its centre.
pub fn node(phase: Phase, (x, y): (f64, f64), (width, height): (f64, f64)) -> String {
    let (left, top) = (x - width / 2.0, y - height / 2.0);
    format!(
        "<g class=\"node\" data-phase=\"{name}\"><rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>\
         <text x=\"{x}\" y=\"{}\">{name}</text></g>\n",
        y + 5.0,
        name = phase.name(),
    )
}
