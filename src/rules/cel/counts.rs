//! The twins of the rules about CVE counts.

use super::reading::{
    MEMBERS_MAX, condition_path, count_keys, has_wrong_type, is_count, is_current, is_phase, is_there, is_violation,
    not_an_integer,
};
use crate::engine::cel::{OTHER, VALUE, literals, message, text_message};
use crate::engine::{FieldError, Row, View};
use crate::rules::tables::conditions::VIOLATION_START;
use crate::rules::tables::counts::FAILED;
use crate::scan::ConditionStatus::True;
use crate::scan::field::cve_count_name;
use crate::scan::{ConditionStatus, ConditionType, Count, Json, Phase, Spelling};

/// A container of counts.
pub struct CountMap {
    pub name: &'static str,
    view: View,
    /// The container, or an empty object if it is no object.
    pub map: String,
}

impl CountMap {
    pub fn of(view: View, spelling: Spelling) -> Self {
        let name = cve_count_name(spelling);
        CountMap { name, view, map: view.variable(name) }
    }

    pub fn path(&self) -> String {
        format!("status.{}", self.name)
    }

    /// One of the variables that have a value for each container.
    pub fn variable(&self, name: &str) -> String {
        format!("{}.{}", self.view.variable(name), self.name)
    }

    /// Whether the container is there, whatever its type.
    pub fn is_there(&self) -> String {
        format!("'{}' in {}", self.name, self.view.variable("counted"))
    }

    /// Whether the container has nothing but integers in the spelling of the wire.
    pub fn is_plain(&self) -> String {
        format!("'{}' in {}", self.name, self.view.variable("plain"))
    }

    /// Whether another member is a number, which the total may include.
    pub fn has_other_number(&self) -> String {
        let (map, others) = (&self.map, self.variable("others"));
        format!(
            "(size({map}) > {MEMBERS_MAX} || {others}.exists(m, type({map}[m]) == int || type({map}[m]) == double))"
        )
    }

    pub fn has_severity(&self) -> String {
        let keys = literals(Count::SEVERITIES.into_iter().flat_map(keys));
        format!("{keys}.exists(m, m in {0} && {0}[m] != null)", self.map)
    }

    /// Whether there is no total, in neither spelling.
    pub fn has_no_total(&self) -> String {
        let [wire, documented] = keys(Count::Total).map(|key| is_there(&self.map, key));
        format!("!({wire}) && !({documented})")
    }

    /// Whether the container is the same in both objects. Null counts as absent.
    pub fn is_same_container(&self) -> String {
        let (name, old) = (self.name, View::Old.variable(self.name));
        let others = |view: View| format!("{}.{name}", view.variable("others"));
        format!(
            "(type(variables.status.{name}) == map && type(variables.oldStatus.{name}) == map ? {} && size({1}) == size({2}) \
             && {1}.all(m, m in {old} && {old}[m] == {map}[m]) : variables.status.{name} == variables.oldStatus.{name})",
            self.is_same(&count_keys()),
            others(View::New),
            others(View::Old),
            map = self.map,
        )
    }

    /// Whether the members of these names are the same in both objects.
    pub fn is_same(&self, keys: &str) -> String {
        let of = |map: &str| format!("(k in {map} ? {map}[k] : null)");
        format!("{keys}.all(k, {} == {})", of(&self.map), of(&View::Old.variable(self.name)))
    }
}

fn keys(count: Count) -> [&'static str; 2] {
    Spelling::BOTH.map(|spelling| count.name(spelling))
}

/// Both names of each count, as lists of two.
pub fn pairs(counts: &[Count]) -> String {
    let pairs: Vec<String> = counts.iter().map(|count| literals(keys(*count))).collect();
    format!("[{}]", pairs.join(", "))
}

/// The names of the containers that are there. A container of nulls is absent.
pub fn counted(view: View) -> String {
    let names = literals(Spelling::BOTH.map(cve_count_name));
    let status = view.variable("status");
    format!(
        "{names}.filter(k, k in {status} && {status}[k] != null && (type({status}[k]) != map \
         || size({status}[k]) > {MEMBERS_MAX} || {status}[k].exists(m, {status}[k][m] != null)))"
    )
}

/// The names of the containers that have nothing but integers in the spelling of the wire, as nearly all have.
pub fn plain(view: View) -> String {
    let names = literals(Spelling::BOTH.map(cve_count_name));
    let status = view.variable("status");
    let keys = literals(Count::ALL.map(|count| count.name(Spelling::Wire)));
    format!(
        "{names}.filter(k, !(k in {status}) || type({status}[k]) == map && size({status}[k]) <= {} \
         && {status}[k].all(m, m in {keys} && {}))",
        Count::ALL.len(),
        is_count(&format!("{status}[k][m]"))
    )
}

/// The six counts of a container: null if a count is absent, and the list of its values if it is invalid.
pub fn counts(view: View, container: Spelling) -> String {
    let container = CountMap::of(view, container);
    let (map, plain) = (&container.map, container.is_plain());
    let all = Count::ALL.map(|count| format!("has({map}.{0}) ? dyn({map}.{0}) : null", count.name(Spelling::Wire)));
    let all = all.join(", ");
    let values = format!("p.filter(k, k in {map} && {map}[k] != null).map(k, {map}[k])");
    format!(
        "{plain} ? [{all}] : {}.map(p, {values}).map(v, size(v) == 0 ? dyn(null) : v.all(c, {} && c == v[0]) ? v[0] : dyn(v))",
        pairs(&Count::ALL),
        is_count("c")
    )
}

/// The names of the members of a container that are none of the six counts.
pub fn others(view: View, container: Spelling) -> String {
    let container = CountMap::of(view, container);
    let map = &container.map;
    format!(
        "({} || size({map}) > {MEMBERS_MAX} ? {{}} : {map}).filter(m, !(m in {}) && {map}[m] != null)",
        container.is_plain(),
        count_keys()
    )
}

/// The sum of the severities of a container: -1 if one of them is invalid, -2 if the sum does not fit int64.
pub fn sum(view: View, container: Spelling) -> String {
    let container = CountMap::of(view, container);
    let (all, plain) = (container.variable("counts"), container.is_plain());
    let max = i64::MAX;
    format!(
        "!({plain}) && [0, 1, 2, 3, 4].exists(i, type({all}[i]) == list) ? -1 : \
         [{all}.map(c, c == null ? 0 : c)].map(v, v[0] <= {max} - v[1] && v[2] <= {max} - (v[0] + v[1]) \
         && v[3] <= {max} - (v[0] + v[1] + v[2]) && v[4] <= {max} - (v[0] + v[1] + v[2] + v[3]) \
         ? v[0] + v[1] + v[2] + v[3] + v[4] : -2)[0]"
    )
}

/// The total of a container: -1 if it is absent or invalid.
pub fn total_value(view: View, container: Spelling) -> String {
    let total = format!("{}[5]", CountMap::of(view, container).variable("counts"));
    format!("type({total}) == int ? {total} : -1")
}

/// The five severities and the total of a container, to compare those of two objects: an absent count is 0, and an absent
/// total is the sum.
pub fn comparable(view: View, container: Spelling) -> String {
    let container = CountMap::of(view, container);
    format!(
        "[{counts}.map(c, c == null ? 0 : c)].map(v, [v[0], v[1], v[2], v[3], v[4], \
         {total} >= 0 ? {total} : {} && {sum} != -1 ? {sum} : 0])[0]",
        container.has_no_total(),
        counts = container.variable("counts"),
        total = container.variable("total"),
        sum = container.variable("sum"),
    )
}

pub fn values(view: View) -> Vec<Row> {
    Spelling::BOTH.into_iter().flat_map(|container| values_of(view, container)).collect()
}

fn values_of(view: View, spelling: Spelling) -> Vec<Row> {
    let container = CountMap::of(view, spelling);
    let (name, map, path) = (container.name, &container.map, container.path());
    let status = view.variable("status");
    let known = Count::ALL.map(|count| count.name(spelling));
    let member = format!("'{path}.' + m");
    let too_much = format!("must be at most {}, the largest sum of the severities", i64::MAX);
    let doubles = format!("{}.filter(c, type(c) == int).map(c, double(c))", container.variable("counts"));
    let sum = format!("({doubles}.sum() - double({0} < 0 ? 0 : {0}))", container.variable("total"));
    let no_object = FieldError::type_invalid(&VALUE, "must be an object of counts");
    vec![
        Row::error(has_wrong_type(&status, name, "map"), &path, message(&no_object, &format!("{status}.{name}"), ""))
            .unchanged([format!("variables.status.{name} == variables.oldStatus.{name}")]),
        Row::error(
            format!("m in {map} && {map}[m] != null && !({})", is_count(&format!("{map}[m]"))),
            &path,
            not_an_integer(&format!("{map}[m]")),
        )
        .for_each("m", format!("({} ? [] : {})", container.is_plain(), count_keys()), member.clone())
        .unchanged([format!("{map}[m] == {}[m]", View::Old.variable(name))]),
        Row::error(
            format!("{} == -2", container.variable("sum")),
            &path,
            message(&FieldError::invalid(&VALUE, too_much), &sum, ""),
        )
        .unchanged([container.is_same(&literals(Count::SEVERITIES.into_iter().flat_map(keys)))]),
        Row::warning("true", &path, message(&FieldError::not_supported(&VALUE, &known), "m", "")).for_each(
            "m",
            container.variable("others"),
            member,
        ),
        Row::warning(
            format!("size({map}) > {MEMBERS_MAX}"),
            &path,
            text_message("Forbidden: must not have other members"),
        ),
    ]
}

pub fn total(view: View) -> Vec<Row> {
    Spelling::BOTH.into_iter().flat_map(|container| total_of(view, container)).collect()
}

fn total_of(view: View, spelling: Spelling) -> Vec<Row> {
    let container = CountMap::of(view, spelling);
    let (map, path, sum) = (&container.map, container.path(), container.variable("sum"));
    let required = FieldError::required(format_args!("must be {OTHER}, the sum of the severities"));
    let keys_of_total = literals(keys(Count::Total));
    let conflict = match view {
        // `spelling-conflict` reports two totals that differ.
        View::Old => String::new(),
        _ => format!(" && type({}[5]) != list", container.variable("counts")),
    };
    let when = format!("k in {map} && {} && {map}[k] != {sum}{conflict}", is_count(&format!("{map}[k]")));
    let invalid =
        |detail: String| message(&FieldError::invalid(&VALUE, detail), &format!("{map}[k]"), &format!("string({sum})"));
    let list = format!("({sum} < 0 || size({map}) == 0 ? [] : {keys_of_total})");
    let named = format!("'{path}.' + k");
    let reads = literals(Count::SEVERITIES.into_iter().flat_map(keys));
    let counted_too = format!("must be {OTHER}, the sum of the five severities, unless other members are counted too");
    vec![
        Row::warning(
            format!("size({map}) > 0 && {sum} >= 0 && {} && {}", container.has_no_total(), container.has_severity()),
            &format!("{path}.{}", Count::Total.name(spelling)),
            message(&required, "", &format!("string({sum})")),
        ),
        Row::error(
            format!("{when} && !{}", container.has_other_number()),
            "",
            invalid(format!("must be {OTHER}, the sum of the severities")),
        )
        .for_each("k", list.clone(), named.clone())
        .unchanged([format!("{map}[k] == {}[k]", View::Old.variable(container.name)), container.is_same(&reads)]),
        Row::warning(format!("{when} && {}", container.has_other_number()), "", invalid(counted_too))
            .for_each("k", list, named),
    ]
}

pub fn timing(view: View) -> Vec<Row> {
    let wire = CountMap::of(view, Spelling::Wire);
    let is_failed = is_phase(view, &[Phase::Failed]);
    let mut rows: Vec<Row> = Spelling::BOTH.into_iter().flat_map(|spelling| timing_of(view, spelling)).collect();
    rows.push(Row::warning(
        format!("{is_failed} && size({}) == 0", view.variable("counted")),
        &wire.path(),
        message(&FieldError::required(FAILED), "", ""),
    ));
    rows
}

fn timing_of(view: View, spelling: Spelling) -> [Row; 3] {
    let other = if spelling == Spelling::Wire { Spelling::Documented } else { Spelling::Wire };
    let new = CountMap::of(view, spelling);
    let old = [spelling, other].map(|spelling| CountMap::of(View::Old, spelling));
    let (path, there) = (new.path(), new.is_there());
    let first = |same: String, other: String, none: &str| {
        format!("({} ? {same} : {} ? {other} : {none})", old[0].is_there(), old[1].is_there())
    };
    let raw = |container: &CountMap| format!("{}.{}", container.view.variable("status"), container.name);
    let changed = format!(
        "(type({raw_new}) == map ? {} != {} : {raw_new} != {})",
        new.variable("comparable"),
        first(
            old[0].variable("comparable"),
            old[1].variable("comparable"),
            "[dyn(0), dyn(0), dyn(0), dyn(0), dyn(0), dyn(0)]"
        ),
        first(raw(&old[0]), raw(&old[1]), "null"),
        raw_new = raw(&new),
    );
    let (total, sum) = (new.variable("total"), new.variable("sum"));
    let phase = |phase| is_phase(view, &[phase]);
    let is_running = is_current(view, ConditionType::Scanning, &[True]);
    [
        Row::warning(
            format!("{} && {there}", phase(Phase::Pending)),
            &path,
            text_message("Forbidden: no counts while phase is \"Pending\""),
        ),
        Row::warning(
            format!("{is_running} && oldObject != null && {there} && {changed}"),
            &path,
            text_message("Forbidden: must not change while Scanning is \"True\""),
        ),
        Row::warning(
            format!(
                "{} && {there} && size({}) > 0 && ({total} == 0 || {total} < 0 && {sum} == 0)",
                phase(Phase::Failed),
                new.map
            ),
            &path,
            message(&FieldError::invalid(&Json::Integer(0), FAILED), "", ""),
        ),
    ]
}

/// The longest number that surely fits int64, in digits.
const INTEGER_MAX_DIGITS: usize = 18;

pub fn violation(view: View) -> Vec<Row> {
    let found = format!("{}.message", super::reading::known(view, ConditionType::PolicySucceeded));
    let digits = format!("{found}.substring({}).split(' ')[0]", VIOLATION_START.chars().count());
    let totals = Spelling::BOTH.map(|spelling| {
        let container = CountMap::of(view, spelling);
        let (total, sum) = (container.variable("total"), container.variable("sum"));
        let is_sum = format!("{} && {} && {sum} >= 0", container.has_no_total(), container.has_severity());
        format!("{total} >= 0 ? [{total}] : {is_sum} ? [{sum}]")
    });
    let is_more = format!(
        "(size({digits}) <= {INTEGER_MAX_DIGITS} ? int({digits}) > t : size({digits}) > {INTEGER_MAX_DIGITS} + 1 || double({digits}) > double(t))"
    );
    let detail = format!("must not name more CVEs than the total, which is {OTHER}");
    let is_verdict = is_current(view, ConditionType::PolicySucceeded, &ConditionStatus::ALL);
    vec![Row::warning(is_more, "", message(&FieldError::invalid(&VALUE, detail), &found, "string(t)")).for_each(
        "t",
        format!("(!({is_verdict} && {}) ? [] : {} : [])", is_violation(&found), totals.join(" : ")),
        condition_path(view, ConditionType::PolicySucceeded, ".message"),
    )]
}
