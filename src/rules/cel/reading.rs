//! How expressions read a scan. Each function returns an expression that has a value on every object, whatever its types.

use crate::engine::cel::{VALUE, capitalised, literals, message, pattern};
use crate::engine::{FieldError, View};
use crate::rules::tables::conditions::{VIOLATION_START, VOCABULARIES};
use crate::rules::tables::values::{NEGATIVE, NOT_AN_INTEGER, OUT_OF_RANGE};
use crate::scan::conditions::{MESSAGE_MAX_CHARS, REASON_MAX_CHARS, TYPE_MAX_CHARS};
use crate::scan::field::Artifact;
use crate::scan::{ConditionMember, ConditionStatus, ConditionType, Count, Phase, Source, Spelling};

/// The longest list of conditions that policies read. A scan has four. Cost and time grow with the square of the length: 16
/// entries take the API server up to 0.6 s, 63 take 8 s and exceed the cost limit of an expression, which is 1,000,000.
pub const CONDITIONS_MAX: usize = 16;

/// The largest cveCount and the longest list of managed fields that policies read.
pub const MEMBERS_MAX: usize = 64;

/// The longest text that is matched with a long pattern, in characters: the cost of a match is the product of both
/// lengths. URLs and images have about 130 characters. A time has 35 or fewer, but RFC 3339 allows any number of digits after the
/// second. Longer texts are taken for valid, and a longer time tells nothing.
pub const MATCHED_MAX_CHARS: usize = 1024;

/// A time as `scan::time` reads it: RFC 3339 with upper-case letters, a day that exists, and no second 60.
const TIME: &str = "^([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))\
    |([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)\
    T([01][0-9]|2[0-3])(:[0-5][0-9]){2}([.][0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$";

/// Nearly every time: one that the API server's regular expressions match in a single pass.
const USUAL_TIME: &str = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$";

/// A type of `metav1.Condition`, as `scan::conditions` reads it.
const TYPE: &str =
    "^([a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$";

/// A reason of `metav1.Condition`.
const REASON: &str = "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$";

/// Whether a member of a map is there and not null.
pub fn is_there(map: &str, key: &str) -> String {
    format!("has({map}.{key}) && {map}.{key} != null")
}

/// Whether a member is there and has another type.
pub fn has_wrong_type(map: &str, key: &str, right: &str) -> String {
    format!("{} && type({map}.{key}) != {right}", is_there(map, key))
}

/// A member of a map; the empty string if it is absent or null.
pub fn text(map: &str, key: &str) -> String {
    format!("({} ? {map}.{key} : '')", is_there(map, key))
}

/// Whether a member of a map is the same in both objects. Null counts as absent.
pub fn is_same(map: &str, old: &str, key: &str) -> String {
    format!("{} == {}", text(map, key), text(old, key))
}

/// Whether a value is a text that is too long to be matched.
pub fn is_too_long(value: &str) -> String {
    format!("type({value}) == string && size({value}) > {MATCHED_MAX_CHARS}")
}

/// Whether a value is a time that is not too long.
pub fn is_time(value: &str) -> String {
    format!(
        "type({value}) == string && size({value}) <= {MATCHED_MAX_CHARS} && ({value}.matches({}) || {value}.matches({}))",
        pattern(USUAL_TIME),
        pattern(TIME)
    )
}

/// A time as a timestamp. CEL knows the years 1 to 9999 in UTC, so the first and the last are cut off.
pub fn timestamp(value: &str) -> String {
    format!(
        "({value} < '0002' ? timestamp('0001-01-01T00:00:00Z') : \
         {value} > '9999-12-31' ? timestamp('9999-12-31T00:00:00Z') : timestamp({value}))"
    )
}

/// The time of a condition that is well-formed.
pub fn transition(condition: &str) -> String {
    timestamp(&format!("{condition}.lastTransitionTime"))
}

/// Whether a value is an integer that is not negative.
pub fn is_count(value: &str) -> String {
    format!("type({value}) == int && {value} >= 0")
}

/// The names of the four types.
pub fn types() -> String {
    literals(ConditionType::ALL.map(ConditionType::name))
}

/// The types whose reasons are known, so that they must have one.
fn types_with_reason() -> String {
    literals(
        ConditionType::ALL.into_iter().filter(|known| *known != ConditionType::SendingResults).map(ConditionType::name),
    )
}

/// Whether a member of an entry, which is an object, is malformed.
pub fn is_malformed(entry: &str, member: ConditionMember) -> String {
    let value = format!("{entry}.{}", member.name());
    let text = text(entry, member.name());
    match member {
        ConditionMember::Type => format!("!({})", has_valid_type(entry)),
        ConditionMember::Status => {
            format!("!({text} in {})", literals(ConditionStatus::ALL.map(ConditionStatus::name)))
        }
        ConditionMember::Reason => format!(
            "({text} == '' ? has({entry}.type) && {entry}.type in {} : !({value} in {} \
             || type({value}) == string && size({value}) <= {REASON_MAX_CHARS} && {value}.matches({})))",
            types_with_reason(),
            known_reasons(),
            pattern(REASON)
        ),
        ConditionMember::Message | ConditionMember::Error => {
            format!(
                "({} && !(type({value}) == string && size({value}) <= {MESSAGE_MAX_CHARS}))",
                is_there(entry, member.name())
            )
        }
        ConditionMember::LastTransitionTime => {
            format!("!(has({value}) && ({} || {}))", is_time(&value), is_too_long(&value))
        }
        ConditionMember::ObservedGeneration => {
            format!("({} && !({}))", is_there(entry, member.name()), is_count(&value))
        }
    }
}

/// The reasons of the vocabularies, which need not be matched.
fn known_reasons() -> String {
    let mut reasons: Vec<_> =
        VOCABULARIES.iter().flat_map(|all| all.rows.iter().filter_map(|row| row.reason)).collect();
    reasons.sort_unstable();
    reasons.dedup();
    literals(reasons)
}

/// Whether an entry, which is an object, has a valid type.
pub fn has_valid_type(entry: &str) -> String {
    format!(
        "has({entry}.type) && ({entry}.type in {} || type({entry}.type) == string && size({entry}.type) <= {TYPE_MAX_CHARS} \
         && {entry}.type.matches({}))",
        types(),
        pattern(TYPE)
    )
}

/// The entries of a list that have a type.
pub fn of_type(entries: &str, name: &str) -> String {
    format!("{entries}.filter(d, type(d) == map && has(d.type) && d.type == {name})")
}

/// Whether an entry is named by its type, since it is the only one of a valid type.
pub fn is_named(entry: &str, entries: &str) -> String {
    format!(
        "type({entry}) == map && {} && size({}) == 1",
        has_valid_type(entry),
        of_type(entries, &format!("{entry}.type"))
    )
}

/// Whether an entry lacks a reason that it should have but need not have.
pub fn lacks_reason(entry: &str) -> String {
    let reason = text(entry, ConditionMember::Reason.name());
    format!("{reason} == '' && !(has({entry}.type) && {entry}.type in {})", types_with_reason())
}

/// Whether an entry is well-formed and its time is not too long. One with a longer time is treated like a malformed one,
/// but without a finding.
pub fn is_well_formed(entry: &str) -> String {
    let members = ConditionMember::ALL.map(|member| match member {
        ConditionMember::LastTransitionTime => {
            let time = format!("{entry}.{}", member.name());
            format!("has({time}) && {}", is_time(&time))
        }
        _ => negated(&is_malformed(entry, member)),
    });
    format!("type({entry}) == map && {}", members.join(" && "))
}

fn negated(expression: &str) -> String {
    match expression.strip_prefix('!') {
        Some(inner) => inner.to_owned(),
        None => format!("!{expression}"),
    }
}

/// The condition of a type: the first well-formed entry as a map of `status`, `reason`, `message`, `error`, which are empty if
/// they are absent, and `entry`. If there is none, the status is empty.
pub fn known(view: View, known: ConditionType) -> String {
    format!("{}.{}", view.variable("known"), known.name())
}

/// The status of a condition, current or stale; empty if it is absent or malformed.
pub fn status(view: View, known: ConditionType) -> String {
    format!("{}.status", self::known(view, known))
}

/// Whether a condition is current and has one of these statuses.
pub fn is_current(view: View, known: ConditionType, statuses: &[ConditionStatus]) -> String {
    let statuses: Vec<_> = statuses.iter().map(|status| status.name()).collect();
    let has = match statuses.as_slice() {
        [one] => format!("{} == '{one}'", status(view, known)),
        all => format!("{} in {}", status(view, known), literals(all)),
    };
    format!("{has} && !('{}' in {})", known.name(), view.variable("stale"))
}

/// Whether there is no condition of a type. A malformed one is neither there nor absent; but in the old object it counts
/// as absent.
pub fn is_absent(view: View, known: ConditionType) -> String {
    let is_none = format!("{} == ''", status(view, known));
    match view {
        View::Old => is_none,
        _ => format!("{is_none} && '{}' in {}", known.name(), view.variable("absent")),
    }
}

/// Whether a condition is malformed, so that rules say nothing of it. In the old object it counts as absent.
pub fn is_neither(view: View, known: ConditionType) -> String {
    match view {
        View::Old => "false".to_owned(),
        _ => format!("{} == '' && !('{}' in {})", status(view, known), known.name(), view.variable("absent")),
    }
}

/// Whether the condition of a type is the same entry in both objects, so that a finding about it is the same finding.
pub fn is_same_entry(known: ConditionType) -> String {
    format!("!('{}' in variables.elsewhere)", known.name())
}

/// Whether a member of a condition is the same in both objects.
pub fn is_same_member(known: ConditionType, member: ConditionMember) -> String {
    format!("'{}' in variables.{}", known.name(), same_name(member))
}

/// The name of the variable with the types of the conditions in which a member is the same.
pub fn same_name(member: ConditionMember) -> String {
    format!("same{}", capitalised(member.name()))
}

/// Whether a member of the status is the same in both objects.
pub fn is_same_in_status(key: &str) -> String {
    is_same(&View::New.variable("status"), &View::Old.variable("status"), key)
}

/// What the scan policy, the observed generation and the generation decide is the same in both objects.
pub fn is_same_policy() -> String {
    "variables.scanPolicy == variables.oldScanPolicy".to_owned()
}

/// Whether what decides if a status is caught up is the same in both objects.
pub fn is_same_generations() -> [String; 2] {
    [is_same_in_status("observedGeneration"), "variables.generation == variables.oldGeneration".to_owned()]
}

/// Whether the phase is one of these.
pub fn is_phase(view: View, phases: &[Phase]) -> String {
    let phase = view.variable("phase");
    match phases {
        [one] => format!("{phase} == '{}'", one.name()),
        all => format!("{phase} in {}", literals(all.iter().map(|phase| phase.name()))),
    }
}

/// The names of all counts, in both spellings.
pub fn count_keys() -> String {
    literals(Count::ALL.into_iter().flat_map(|count| Spelling::BOTH.map(|key| count.name(key))))
}

/// Whether a text is `Policy violated because of X CVEs`, X ≥ 1.
pub fn is_violation(message: &str) -> String {
    format!("{message}.matches({})", pattern(&format!("^{VIOLATION_START}([1-9][0-9]* CVEs|1 CVE)$")))
}

/// The message of a value that is not an integer from 0 to the largest int64.
pub fn not_an_integer(value: &str) -> String {
    let detail = |detail| message(&FieldError::invalid(&VALUE, detail), value, "");
    format!(
        "(type({value}) == int && {value} > -9223372036854775807 - 1 ? {} \
         : type({value}) in [dyn(int), dyn(double)] && ({value} >= 9223372036854775808.0 || {value} <= -9223372036854775808.0) \
         ? {} : {})",
        detail(NEGATIVE),
        detail(OUT_OF_RANGE),
        detail(NOT_AN_INTEGER)
    )
}

/// The names of the sources.
pub fn sources() -> String {
    literals(Source::ALL.map(Source::name))
}

/// The paths of the members of all sources, as lists of two names.
pub fn members() -> String {
    let of_source =
        |source: Source| source.members().iter().map(move |member| literals([source.name(), member.name()]));
    let all: Vec<String> = Source::ALL.into_iter().flat_map(of_source).collect();
    format!("[{}]", all.join(", "))
}

/// The name of the variable with the sources of an artifact.
pub fn sources_name(artifact: Artifact) -> &'static str {
    match artifact {
        Artifact::Scanned => "scanned",
        Artifact::Compliant => "compliant",
    }
}

/// The indices of all entries that are read.
pub fn indices() -> String {
    let all: Vec<String> = (0..CONDITIONS_MAX).map(|index| index.to_string()).collect();
    format!("[{}]", all.join(", "))
}

/// The path of a member of a condition as an expression, since it is named by its index if its type is repeated.
pub fn condition_path(view: View, known: ConditionType, member: &str) -> String {
    format!("'status.conditions[' + {}.{} + ']{member}'", view.variable("names"), known.name())
}
