//! The twin of `spelling-conflict`.

use super::counts::{CountMap, pairs};
use super::reading::{is_same_in_status, text};
use crate::engine::cel::{OTHER, VALUE, message, shown};
use crate::engine::{FieldError, Row, View};
use crate::scan::count::OTHERS_MAX;
use crate::scan::field::metadata_url_name;
use crate::scan::{Count, Spelling};

pub fn conflict(view: View) -> Vec<Row> {
    let [wire, documented] = Spelling::BOTH.map(|spelling| CountMap::of(view, spelling));
    let [wire_path, documented_path] = [&wire, &documented].map(CountMap::path);
    let status = view.variable("status");
    let mut rows = compare(
        &format!("size({}) > 1", view.variable("counted")),
        &is_same_container(&status, &wire, &documented),
        [&format!("'{wire_path}'"), &format!("'{documented_path}'")],
        None,
        vec![wire.is_same_container(), documented.is_same_container()],
    )
    .to_vec();
    for container in [&wire, &documented] {
        let map = &container.map;
        let values = [format!("{map}[p[0]]"), format!("{map}[p[1]]")];
        let list = format!("({} || size({map}) < 2 ? [] : {})", container.is_plain(), pairs(&Count::ALL));
        let path = container.path();
        let paths = [format!("'{path}.' + p[0]"), format!("'{path}.' + p[1]")];
        let both = format!("p[0] in {map} && p[1] in {map} && {} != null && {} != null", values[0], values[1]);
        let equal = format!("type({0}) == type({1}) && {0} == {1}", values[0], values[1]);
        let of_pair = compare(&both, &equal, [&paths[0], &paths[1]], Some(values), vec![container.is_same("p")]);
        rows.extend(of_pair.into_iter().map(|row| row.for_each("p", list.clone(), paths[1].clone())));
    }
    let names = Spelling::BOTH.map(metadata_url_name);
    let texts = names.map(|key| text(&status, key));
    let values = names.map(|key| format!("{status}.{key}"));
    let paths = names.map(|key| format!("'status.{key}'"));
    rows.extend(compare(
        &format!("{} != '' && {} != ''", texts[0], texts[1]),
        &format!("{} == {}", values[0], values[1]),
        [&paths[0], &paths[1]],
        Some(values),
        names.map(is_same_in_status).to_vec(),
    ));
    rows
}

/// Whether two containers have the same values, whatever the spelling of their keys. Of many other members, only the number
/// is compared.
fn is_same_container(status: &str, wire: &CountMap, documented: &CountMap) -> String {
    let has = |one: &CountMap, other: &CountMap| {
        format!(
            "{}.all(m, {}.exists(n, n.lowerAscii() == m.lowerAscii() && {}[n] == {}[m]))",
            one.variable("others"),
            other.variable("others"),
            other.map,
            one.map
        )
    };
    format!(
        "(type({status}.{w}) == map && type({status}.{d}) == map ? {} == {} && size({others}) == size({}) \
         && (size({others}) > {OTHERS_MAX} || {} && {}) : {status}.{w} == {status}.{d})",
        wire.variable("counts"),
        documented.variable("counts"),
        documented.variable("others"),
        has(wire, documented),
        has(documented, wire),
        w = wire.name,
        d = documented.name,
        others = wire.variable("others"),
    )
}

/// The rows that compare two spellings of a value. The paths are expressions.
fn compare(
    both: &str,
    is_equal: &str,
    [wire, documented]: [&str; 2],
    values: Option<[String; 2]>,
    unchanged: Vec<String>,
) -> [Row; 2] {
    let repeats = FieldError::forbidden(format_args!("must not repeat {OTHER} in another spelling; keep {OTHER}"));
    let differs = match &values {
        Some([wire_value, value]) => {
            let detail = format!("must not differ from {OTHER}; keep one of the two");
            let other = format!("{wire} + ', which is ' + {}", shown(wire_value));
            message(&FieldError::invalid(&VALUE, detail), value, &other)
        }
        None => {
            let detail = format!("must not differ from {OTHER}; keep one of the two, preferably {OTHER}");
            message(&FieldError::forbidden(detail), "", wire)
        }
    };
    let path = documented.trim_matches('\'');
    [
        Row::error(format!("{both} && !({is_equal})"), path, differs).unchanged(unchanged),
        Row::warning(format!("{both} && {is_equal}"), path, message(&repeats, "", wire)),
    ]
}
