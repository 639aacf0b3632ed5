//! The match condition that says whether any rule may have a finding.
//!
//! The API server evaluates the variables of a policy up to three times for a request: for the validations, for their messages
//! and for the audit annotations, and each variable has a fixed cost. Nearly all writes have no finding. So a match condition,
//! which is evaluated once and is a single expression, first decides whether the policy applies. It is made of the same rows
//! as the rules, without the ratchet and the messages.

use super::findings::Judgement;
use crate::engine::View;
use crate::rules::cel::variables::{PolicyVariable, of_both, of_object};

/// The variables that few rows need, most of them only after another condition holds. They take the place of their names, so
/// that they are evaluated only then. All others are evaluated first.
const LAZY: &[&str] = &["absent", "generation", "deleting"];

/// Returns the match condition. Variables of a policy do not exist in it, so it needs all that the rows use, also that of
/// the settings.
///
/// Variables are bound by macros: `[{'phase': …}].exists(a, …)` binds `a.phase`. All variables that need the same number of
/// others before them are bound together, since each level slows down all expressions within.
pub fn condition(judgement: &Judgement<'_>, of_settings: Option<PolicyVariable>) -> String {
    let conditions = judgement.conditions();
    // No rule can have a finding, for instance if the modes of all rules are warn and the policy denies.
    if conditions.is_empty() {
        return "false".to_owned();
    }
    let mut body = conditions.join("\n|| ");
    let of_objects = [View::New, View::Old].into_iter().flat_map(of_object).chain(of_both("object"));
    let all: Vec<PolicyVariable> = of_objects.chain(of_settings).collect();
    let mut bound: Vec<PolicyVariable> = Vec::new();
    for PolicyVariable { name, expression } in all.into_iter().rev() {
        if is_lazy(&name) {
            body = replaced(&body, &name, &format!("({expression})"));
            bound
                .iter_mut()
                .for_each(|later| later.expression = replaced(&later.expression, &name, &format!("({expression})")));
        } else if is_used(&body, &name) || bound.iter().any(|later| is_used(&later.expression, &name)) {
            bound.push(PolicyVariable { name, expression });
        }
    }
    bound.reverse();
    let mut levels: Vec<usize> = Vec::new();
    for (index, variable) in bound.iter().enumerate() {
        let before =
            bound[..index].iter().zip(&levels).filter(|(before, _)| is_used(&variable.expression, &before.name));
        let level = before.map(|(_, level)| level + 1).max().unwrap_or_default();
        levels.push(level);
    }
    let rename = |text: &str| {
        bound.iter().zip(&levels).fold(text.to_owned(), |text, (variable, level)| {
            replaced(&text, &variable.name, &format!("{}.{}", level_name(*level), variable.name))
        })
    };
    body = rename(&body);
    for level in (0..=levels.iter().copied().max().unwrap_or_default()).rev() {
        let of_level = bound.iter().zip(&levels).filter(|(_, own)| **own == level);
        let entries: Vec<String> = of_level
            .map(|(variable, _)| format!("'{}': dyn({})", variable.name, rename(&variable.expression)))
            .collect();
        body = format!("[{{{}}}].exists({},\n{body})", entries.join(",\n"), level_name(level));
    }
    body
}

/// The name of the map of the variables of a level: `a1`, `a2` and so on, which no macro uses.
fn level_name(level: usize) -> String {
    format!("a{}", level + 1)
}

fn is_lazy(name: &str) -> bool {
    LAZY.iter().any(|lazy| [View::New, View::Old].iter().any(|view| view.name(lazy) == name))
}

/// Returns whether a text uses a variable.
pub fn is_used(text: &str, name: &str) -> bool {
    !uses(text, name).is_empty()
}

/// Returns where a text uses a variable.
fn uses(text: &str, name: &str) -> Vec<usize> {
    let full = format!("variables.{name}");
    let is_whole = |at: &usize| !text[at + full.len()..].starts_with(|c: char| c.is_alphanumeric());
    text.match_indices(&full).map(|(at, _)| at).filter(is_whole).collect()
}

fn replaced(text: &str, name: &str, by: &str) -> String {
    let (mut result, mut rest) = (String::new(), 0);
    for at in uses(text, name) {
        result += &text[rest..at];
        result += by;
        rest = at + "variables.".len() + name.len();
    }
    result + &text[rest..]
}
