//! The expressions of a policy that are made of the rows of the rules: the findings, the errors of the old object, and a
//! validation for each rule.

use serde_json::{Value, json};

use super::Policy;
use super::modes::ModeExpressions;
use crate::engine::cel::{capitalised, literal, shown};
use crate::engine::{Action, Downgrade, Mode, Part, Row, Rule, Severity, View};
use crate::rules::cel::variables::PolicyVariable;

/// The rules that a policy judges.
pub struct Judgement<'p> {
    pub policy: Policy,
    pub rules: &'p [&'p Rule],
    pub modes: &'p ModeExpressions<'p>,
}

impl Judgement<'_> {
    /// The rows that may have findings, without the ratchet: a list of booleans.
    pub fn conditions(&self) -> Vec<String> {
        let mut all = Vec::new();
        for rule in self.rules {
            let is_audited = self.policy.has_warnings() && self.modes.is_one_of(rule, &[Mode::Audit]).is_some();
            for row in rule.cel.rows(View::New) {
                if is_audited || self.finding(rule, row.clone()).is_some() {
                    all.push(row.exists(&row.when));
                }
            }
        }
        all
    }

    /// The variables of all rules: what identifies the errors of the old object, and the messages of the findings.
    pub fn variables(&self) -> Vec<PolicyVariable> {
        let mut variables = Vec::new();
        for rule in self.rules {
            let name = variable_name(rule);
            let old = self.old_errors(rule);
            variables.push(PolicyVariable::new(View::Old.name(&name), joined("oldObject == null ? [] : ", old)));
            let rows = rule.cel.rows(View::New);
            let found = rows.into_iter().filter_map(|row| self.finding(rule, row)).collect();
            variables.push(PolicyVariable::new(name, messages(rule, found)));
        }
        variables
    }

    /// What identifies each error of a rule in the old object.
    fn old_errors(&self, rule: &Rule) -> Vec<String> {
        let mut lists = Vec::new();
        for row in rule.cel.rows(View::Old).iter().filter(|row| row.severity == Severity::Error) {
            lists.extend(row.identities.iter().map(|identity| row.elements(&row.when, &identified(row, identity))));
        }
        lists
    }

    fn finding(&self, rule: &Rule, row: Row) -> Option<String> {
        match row.severity {
            Severity::Error if self.policy.denies() => {
                let denies = self.modes.is_one_of(rule, &[Mode::Deny])?;
                let when = and(&[&denies, &row.when, &not_downgraded(rule, &row)]);
                Some(row.elements(&when, &message(&row, "''")))
            }
            Severity::Error if self.policy.has_downgraded() => self.downgraded(rule, &row),
            Severity::Warning if self.policy.has_warnings() => {
                let warns = self.modes.is_one_of(rule, &[Mode::Deny, Mode::Warn])?;
                let when = and(&[&warns, &row.when]);
                Some(row.elements(&when, &message(&row, "''")))
            }
            _ => None,
        }
    }

    /// The warning about an error that does not deny the write.
    fn downgraded(&self, rule: &Rule, row: &Row) -> Option<String> {
        let [denies, warns] = [&[Mode::Deny][..], &[Mode::Warn]].map(|modes| self.modes.is_one_of(rule, modes));
        let reason = |why: Downgrade| literal(&format!(" (not denied: {})", why.reason(Action::Warn)));
        let (when, reason) = if rule.part == Part::Writer {
            (warns?, reason(Downgrade::Mode))
        } else {
            let kept = is_pre_existing(rule, row);
            let downgraded = format!("(variables.deleting || {kept})");
            let when = match (&denies, &warns) {
                (None, None) => return None,
                (None, Some(warns)) => warns.clone(),
                (Some(denies), None) => and(&[denies, &downgraded]),
                (Some(denies), Some(warns)) => format!("({warns} || {denies} && {downgraded})"),
            };
            let deleting = reason(Downgrade::Deleting);
            let pre_existing = reason(Downgrade::PreExisting);
            let reason = if warns.is_some() {
                format!("(variables.deleting ? {deleting} : {kept} ? {pre_existing} : {})", reason(Downgrade::Mode))
            } else {
                format!("(variables.deleting ? {deleting} : {pre_existing})")
            };
            (when, reason)
        };
        let when = and(&[&row.when, &when]);
        Some(row.elements(&when, &message(row, &reason)))
    }

    /// The variables of the rules that may be set to audit, in a policy of warnings.
    pub fn audited(&self) -> Vec<PolicyVariable> {
        let mut variables = Vec::new();
        for rule in self.rules.iter().filter(|_| self.policy.has_warnings()) {
            let Some(audits) = self.modes.is_one_of(rule, &[Mode::Audit]) else { continue };
            let of_row = |row: Row| {
                let when = and(&[&audits, &row.when]);
                row.elements(&when, &message(&row, "''"))
            };
            let rows = rule.cel.rows(View::New).into_iter().map(of_row).collect();
            variables.push(PolicyVariable::new(format!("{}Audited", variable_name(rule)), messages(rule, rows)));
        }
        variables
    }

    /// The ids of the rules that have findings, separated by commas. `end` is the end of the names of their variables.
    pub fn rule_ids(&self, end: &str, variables: &[PolicyVariable]) -> String {
        let name = |rule: &Rule| format!("{}{end}", variable_name(rule));
        let is_variable =
            |rule: &&&Rule| variables.iter().any(|variable| variable.name == name(rule) && variable.expression != "[]");
        let of_rule = |rule: &&Rule| format!("(size(variables.{}) > 0 ? ['{}'] : [])", name(rule), rule.id);
        let lists: Vec<String> = self.rules.iter().filter(is_variable).map(of_rule).collect();
        if lists.is_empty() { "''".to_owned() } else { format!("({}).join(', ')", lists.join("\n+ ")) }
    }

    /// A validation for each rule that may have findings.
    pub fn validations(&self) -> Vec<Value> {
        let has_rows =
            |rule: &&&Rule| rule.cel.rows(View::New).into_iter().any(|row| self.finding(rule, row).is_some());
        let help = self.modes.help();
        let help = if self.policy.denies() && !help.is_empty() {
            format!(" + {}", literal(&format!("; help: {help}")))
        } else {
            String::new()
        };
        let validation = |rule: &&Rule| {
            let name = variable_name(rule);
            json!({
                "expression": format!("size(variables.{name}) == 0"),
                "message": format!("{} [{}]", rule.title.trim_end_matches('.'), rule.id),
                "messageExpression": format!("variables.{name}.join('; '){help}"),
                "reason": "Invalid",
            })
        };
        self.rules.iter().filter(has_rows).map(validation).collect()
    }
}

/// The name of the variable with the findings of a rule: its id in camel case.
pub fn variable_name(rule: &Rule) -> String {
    let mut words = rule.id.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| name + &capitalised(word))
}

/// The messages of a rule as the webhook shows them: `path: message [rule-id]`. Each element of `lists` has the path, the reason
/// why the write is not denied, and the message.
fn messages(rule: &Rule, lists: Vec<String>) -> String {
    if lists.is_empty() {
        return "[]".to_owned();
    }
    format!(
        "({}\n).map(f, f[0] + ': ' + f[2] + (size(f) == 3 ? '' : {} + f[4]) + f[1] + ' [{}]')",
        lists.join("\n+ "),
        shown("f[3]"),
        rule.id
    )
}

/// Joins lists, one on each line.
pub fn joined(start: &str, lists: Vec<String>) -> String {
    if lists.is_empty() { "[]".to_owned() } else { format!("{start}{}", lists.join("\n+ ")) }
}

fn and(parts: &[&str]) -> String {
    let is_open = |part: &str| part.contains(" || ") || part.contains(" ? ");
    let parts = parts.iter().filter(|part| **part != "true");
    let parts: Vec<_> =
        parts.map(|part| if is_open(part) { format!("({part})") } else { (*part).to_owned() }).collect();
    if parts.is_empty() { "true".to_owned() } else { parts.join(" && ") }
}

fn identified(row: &Row, identity: &str) -> String {
    format!("[dyn({}), dyn({identity})]", row.row)
}

/// Whether the old object has the same error, and what the rule reads for it is the same in both objects.
pub fn is_pre_existing(rule: &Rule, row: &Row) -> String {
    let old = View::Old.variable(&variable_name(rule));
    let same: Vec<String> =
        row.identities.iter().map(|identity| format!("{} in {old}", identified(row, identity))).collect();
    let unchanged = row.unchanged.iter().map(|same| format!("({same})"));
    let all: Vec<String> = [format!("({})", same.join(" || "))].into_iter().chain(unchanged).collect();
    format!("({})", all.join(" && "))
}

fn not_downgraded(rule: &Rule, row: &Row) -> String {
    if rule.part == Part::Writer {
        return "true".to_owned();
    }
    format!("!variables.deleting && !{}", is_pre_existing(rule, row))
}

/// The path, the reason why the write is not denied, and the message.
fn message(row: &Row, reason: &str) -> String {
    format!("[dyn({}), dyn({reason})] + {}", row.path, row.message)
}
