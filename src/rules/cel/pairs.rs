//! Which condition of the old object is which of the new one, as the ratchet pairs them.
//!
//! The variables are evaluated only for an error, and only if an entry is malformed or repeats a type. All others are paired by
//! their types.

use super::reading::{indices, is_named, of_type, text, types};
use crate::engine::FILLED;
use crate::engine::cel::literals;
use crate::scan::ConditionMember;

/// The judged contents of an entry. What is null or an empty text counts as absent.
fn contents(entry: &str) -> String {
    let members = literals(ConditionMember::ALL.map(ConditionMember::name));
    format!(
        "(type({entry}) == map ? {members}.map(m, m in {entry} && {entry}[m] != null ? {entry}[m] \
         : m == '{}' ? dyn(null) : dyn('')) : [{entry}])",
        ConditionMember::ObservedGeneration.name()
    )
}

/// The index of the first well-formed entry of a type in the old object, else of its first entry, else -1.
fn old_index(name: &str) -> String {
    let old = "variables.oldConditions[o]";
    let has_type = format!("type({old}) == map && has({old}.type) && {old}.type == {name}");
    format!(
        "(variables.oldPlaces.filter(o, {has_type} && {old} in variables.oldWellFormed) \
         + variables.oldPlaces.filter(o, {has_type}) + [-1])[0]"
    )
}

/// The old entries of `s` for which the contents of one entry are those of the other with some members filled in, in the order
/// in which the ratchet tries the sets of such members. Texts can be long, so they are compared once, before that order.
fn alike(one: &str, other: &str) -> String {
    let members = |set: usize| {
        let members = FILLED.iter().enumerate().filter(|(bit, _)| set >> bit & 1 == 1);
        format!("[{}]", members.map(|(_, member)| (*member as usize).to_string()).collect::<Vec<_>>().join(", "))
    };
    let all = (1 << FILLED.len()) - 1;
    let (filled, sets) = (members(all), (1..=all).map(members).collect::<Vec<_>>().join(", "));
    format!(
        "[s.filter(j, [0, 1, 2, 3, 4, 5, 6].all(x, {one}[x] == {other}[x] || x in {filled} && {other}[x] == ''))]\
         .map(t, [{sets}].map(f, t.filter(j, {filled}.all(x, (x in f) == ({one}[x] != '' && {other}[x] == '')))).flatten())[0]"
    )
}

/// Returns the variable `pairs`, the index of the same entry in the old object for each entry of the new one, or -1; and those
/// before it. Each step pairs what the one before has left.
pub fn of_entries() -> [(&'static str, String); 10] {
    let places = |entries: &str| format!("{}.filter(i, i < size({entries}))", indices());
    let keys = |entries: &str| format!("{entries}.map(c, {})", contents("c"));
    let (entry, conditions, old) = ("variables.conditions[i]", "variables.conditions", "variables.oldConditions");
    let is_named = is_named(entry, conditions);
    let old_index = old_index(&format!("{entry}.type"));
    let of_old_type = of_type(old, &format!("{entry}.type"));
    let (key, old_key) = ("variables.keys[i]", "variables.oldKeys[j]");
    // The entries with the same choice take what they can choose from in turn.
    let in_turn = |before: &str, choices: &str| {
        format!(
            "variables.places.map(i, {before}[i] >= 0 ? {before}[i] : \
             [size(variables.places.filter(k, k < i && {before}[k] < 0 && {choices}[k] == {choices}[i]))]\
             .map(r, r < size({choices}[i]) ? {choices}[i][r] : -1)[0])"
        )
    };
    [
        ("places", places(conditions)),
        ("oldPlaces", places(old)),
        ("keys", keys(conditions)),
        ("oldKeys", keys(old)),
        ("pairsOfTypes", format!("variables.places.map(i, {is_named} && size({of_old_type}) == 1 ? {old_index} : -1)")),
        ("equal", format!("variables.places.map(i, variables.oldPlaces.filter(j, {old_key} == {key}))")),
        ("pairsOfEqual", in_turn("variables.pairsOfTypes", "variables.equal")),
        (
            "alike",
            format!(
                "variables.places.map(i, variables.pairsOfEqual[i] >= 0 ? [] : \
                 [variables.oldPlaces.filter(j, !(j in variables.pairsOfEqual) && size({key}) == 7 && size({old_key}) == 7)]\
                 .map(s, {} + {})[0])",
                alike(key, old_key),
                alike(old_key, key)
            ),
        ),
        ("pairsOfAlike", in_turn("variables.pairsOfEqual", "variables.alike")),
        (
            "pairs",
            format!(
                "variables.places.map(i, variables.pairsOfAlike[i] >= 0 ? variables.pairsOfAlike[i] : {is_named} ? {old_index} : -1)"
            ),
        ),
    ]
}

/// The types that several entries of the new or of the old object have, so that their entries are not paired by type.
pub fn repeated() -> String {
    let [new, old] = ["variables.conditions", "variables.oldConditions"].map(|entries| of_type(entries, "t"));
    format!("{}.filter(t, size({new}) > 1 || size({old}) > 1)", types())
}

/// The index in the old object of the condition of the type `t`, which is repeated.
fn pair() -> &'static str {
    "variables.pairs[variables.conditions.map(c, c == variables.known[t].entry).indexOf(true)]"
}

/// Whether a member of the condition of the type `t`, which is repeated, is the same in both objects. An entry that is not named
/// by its type has been paired by its contents.
pub fn is_same_in_pair(member: ConditionMember) -> String {
    let name = member.name();
    format!(
        "[{}].all(p, p >= 0 && (size({}) > 1 || [{}].all(d, {} == variables.known[t].{name})))",
        pair(),
        of_type("variables.conditions", "t"),
        "variables.oldConditions[p]",
        text("d", name)
    )
}

/// The repeated types whose conditions in both objects are different entries.
pub fn elsewhere() -> String {
    format!(
        "variables.repeated.filter(t, variables.known[t].status == '' || variables.oldKnown[t].status == '' \
         || {} != variables.oldConditions.map(c, c == variables.oldKnown[t].entry).indexOf(true))",
        pair()
    )
}
