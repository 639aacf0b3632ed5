//! The picture `docs/lifecycle.svg`: the phases and the changes between them, from the table of phases.

use super::Page;
use super::svg::{node, picture};
use crate::rules::tables::phases::JUMPS;
use crate::scan::Phase;

type Point = (f64, f64);

/// The size of a phase.
const BOX: Point = (130.0, 44.0);
/// The distance between the two arrows of a pair of phases.
const PAIR_GAP: f64 = 18.0;
/// The length and the half width of an arrowhead.
const HEAD: Point = (10.0, 5.0);

pub fn page() -> Page {
    let mut contents = String::new();
    for (from, to) in changes() {
        contents += &edge(from, to);
    }
    contents += &start();
    for phase in Phase::ALL {
        contents += &node(phase, centre(phase), BOX);
    }
    let text = picture(740, 425, "The lifecycle of a scan", &description(), &contents);
    Page { path: "lifecycle.svg".to_owned(), text }
}

/// Returns all pairs of different phases.
fn changes() -> impl Iterator<Item = (Phase, Phase)> {
    Phase::ALL.into_iter().flat_map(|from| Phase::ALL.map(|to| (from, to))).filter(|(from, to)| from != to)
}

/// Returns the changes in words: `Pending becomes Scanning or Error.`
fn description() -> String {
    let sentences = Phase::ALL.map(|from| {
        let next: Vec<_> =
            changes().filter(|change| change.0 == from && !JUMPS.contains(change)).map(|(_, to)| to.name()).collect();
        format!("{} becomes {}.", from.name(), next.join(" or "))
    });
    format!("A scan begins as Pending. {}", sentences.join(" "))
}

fn centre(phase: Phase) -> Point {
    match phase {
        Phase::Pending => (105.0, 190.0),
        Phase::Scanning => (355.0, 190.0),
        Phase::Completed => (620.0, 70.0),
        Phase::Failed => (620.0, 190.0),
        Phase::Error => (355.0, 340.0),
    }
}

/// Returns the point that bends an arrow around other phases, if it has to.
fn bend(from: Phase, to: Phase) -> Option<Point> {
    match (from, to) {
        (Phase::Completed, Phase::Pending) => Some((290.0, -10.0)),
        (Phase::Pending, Phase::Completed) => Some((260.0, -60.0)),
        (Phase::Failed, Phase::Pending) => Some((260.0, 620.0)),
        (Phase::Pending, Phase::Failed) => Some((380.0, 40.0)),
        (Phase::Completed, Phase::Error) => Some((870.0, 330.0)),
        (Phase::Error, Phase::Completed) => Some((900.0, 370.0)),
        _ => None,
    }
}

/// Draws the arrow of a change. A change that skips a run is drawn too, but hidden until it is marked.
fn edge(from: Phase, to: Phase) -> String {
    let (a, b) = (centre(from), centre(to));
    let via = bend(from, to).unwrap_or_else(|| {
        let (dx, dy) = unit(a, b);
        ((a.0 + b.0) / 2.0 - dy * PAIR_GAP / 2.0, (a.1 + b.1) / 2.0 + dx * PAIR_GAP / 2.0)
    });
    let is_bent = bend(from, to).is_some();
    let shifted = |centre: Point| {
        if is_bent { centre } else { (centre.0 + via.0 - (a.0 + b.0) / 2.0, centre.1 + via.1 - (a.1 + b.1) / 2.0) }
    };
    let start = border(shifted(a), a, via, b, is_bent);
    let tip = border(shifted(b), b, via, a, is_bent);
    let (dx, dy) = unit(if is_bent { via } else { start }, tip);
    let base = (tip.0 - dx * HEAD.0, tip.1 - dy * HEAD.0);
    let (left, right) = ((base.0 - dy * HEAD.1, base.1 + dx * HEAD.1), (base.0 + dy * HEAD.1, base.1 - dx * HEAD.1));
    let curve = if is_bent { format!("Q{} {}", at(via), at(base)) } else { format!("L{}", at(base)) };
    let class = if JUMPS.contains(&(from, to)) { "edge jump" } else { "edge" };
    format!(
        "<g class=\"{class}\" data-from=\"{}\" data-to=\"{}\"><path d=\"M{} {curve}\"/><polygon points=\"{} {} {}\"/></g>\n",
        from.name(),
        to.name(),
        at(start),
        at(tip),
        at(left),
        at(right),
    )
}

/// Returns where the line from `inside` leaves the box around `centre`: to the bend, or along the straight arrow to `other`.
fn border(inside: Point, centre: Point, via: Point, other: Point, is_bent: bool) -> Point {
    let (dx, dy) = if is_bent { unit(centre, via) } else { unit(centre, other) };
    let reach = |offset: f64, half: f64, step: f64| {
        if step == 0.0 { f64::INFINITY } else { (half * step.signum() - offset) / step }
    };
    let distance = reach(inside.0 - centre.0, BOX.0 / 2.0, dx).min(reach(inside.1 - centre.1, BOX.1 / 2.0, dy)) + 2.0;
    (inside.0 + dx * distance, inside.1 + dy * distance)
}

/// Returns the direction from one point to another.
fn unit(from: Point, to: Point) -> Point {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy);
    (dx / length, dy / length)
}

fn at((x, y): Point) -> String {
    format!("{x:.1},{y:.1}")
}

/// Draws the beginning of every scan.
fn start() -> String {
    let (x, y) = centre(Phase::Pending);
    let tip = x - BOX.0 / 2.0 - 2.0;
    format!(
        "<circle class=\"start\" cx=\"10\" cy=\"{y}\" r=\"6\"/><g class=\"edge\"><path d=\"M16,{y} L{},{y}\"/>\
         <polygon points=\"{tip},{y} {base},{} {base},{}\"/></g>\n",
        tip - HEAD.0,
        y - HEAD.1,
        y + HEAD.1,
        base = tip - HEAD.0,
    )
}
