//! Twins: rules as expressions in CEL, from which admission policies are made that need no server.
//!
//! A twin is a list of [`Row`]s. Each row is one way to violate the rule: a condition, and the finding if it holds. The
//! same rows are evaluated on the new object and, for the ratchet, on the old one, so an expression names the object and
//! the variables of a policy only through a [`View`].

use std::fmt::Display;

use super::field_error::{FieldError, VALUE_MAX_CHARS};
use super::finding::Severity;
use crate::scan::Json;

/// Whether a rule has a twin in CEL.
#[derive(Clone, Copy)]
pub enum Cel {
    /// A twin with the same findings on every object.
    Exact(fn(View) -> Vec<Row>),
    /// A twin whose findings differ on a few inputs, which the text describes. Where they differ, the twin does not deny.
    Near(fn(View) -> Vec<Row>, &'static str),
    /// No twin is possible, and why.
    Never(&'static str),
}

impl Cel {
    /// Returns the rows of the twin; none if there is no twin.
    pub fn rows(self, view: View) -> Vec<Row> {
        match self {
            Cel::Exact(rows) | Cel::Near(rows, _) => rows(view),
            Cel::Never(_) => Vec::new(),
        }
    }
}

/// The object that expressions are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    New,
    /// The old object, judged by itself for the ratchet, as [`Change::is_old_object`](super::Change) describes.
    Old,
    /// The new object after the mutations of its conditions.
    Filled,
    /// The new object after all mutations.
    Mutated,
}

impl View {
    /// Returns the object.
    pub fn object(self) -> &'static str {
        match self {
            View::New | View::Filled | View::Mutated => "object",
            View::Old => "oldObject",
        }
    }

    /// Returns a variable of the policy: `variables.status` or `variables.oldStatus`.
    pub fn variable(self, name: &str) -> String {
        format!("variables.{}", self.name(name))
    }

    /// Returns the name of a variable of the policy: `status` or `oldStatus`.
    pub fn name(self, name: &str) -> String {
        let prefix = match self {
            View::New => return name.to_owned(),
            View::Old => "old",
            View::Filled => "filled",
            View::Mutated => "mutated",
        };
        format!("{prefix}{}", capitalised(name))
    }
}

/// One way to violate a rule. All texts but the severity are expressions in CEL.
#[derive(Debug, Clone)]
pub struct Row {
    pub severity: Severity,
    /// A list and the name of its elements in the other expressions, if each element may have a finding.
    pub each: Option<(&'static str, String)>,
    /// Whether the object violates the rule: a boolean.
    pub when: String,
    /// The path of the field: a string.
    pub path: String,
    /// The message: a list, as [`message`] returns it.
    pub message: String,
    /// Values that identify the finding in both objects. The error of a new object is pre-existing only if the old object
    /// has an error with one of the same identities. By default the path.
    pub identities: Vec<String>,
    /// The row of the rule's table, as in [`Finding`](super::Finding).
    pub row: usize,
    /// Whether the fields that the rule reads are the same in both objects: booleans, all of which have to hold. They are
    /// evaluated only if the old object has the same error.
    pub unchanged: Vec<String>,
}

impl Row {
    pub fn error(when: impl Into<String>, path: &str, message: impl Into<String>) -> Self {
        let (when, message, path) = (when.into(), message.into(), literal(path));
        let identities = vec![path.clone()];
        Row { severity: Severity::Error, each: None, when, path, message, identities, row: 0, unchanged: Vec::new() }
    }

    pub fn warning(when: impl Into<String>, path: &str, message: impl Into<String>) -> Self {
        Row { severity: Severity::Warning, ..Row::error(when, path, message) }
    }

    /// Makes this a row for each element of a list, which the expressions call `name`. `path` is an expression.
    pub fn for_each(self, name: &'static str, list: impl Into<String>, path: impl Into<String>) -> Self {
        let path = path.into();
        Row { each: Some((name, list.into())), identities: vec![path.clone()], path, ..self }
    }

    /// Returns whether the row has a finding, where `when` takes the place of its condition: a boolean.
    pub fn exists(&self, when: &str) -> String {
        match &self.each {
            None => format!("({when})"),
            Some((_, list)) if when == "true" => format!("size({list}) > 0"),
            Some((name, list)) => format!("{list}.exists({name}, {when})"),
        }
    }

    /// Returns a list with an element for each finding of the row, where `when` takes the place of its condition.
    pub fn elements(&self, when: &str, element: &str) -> String {
        match &self.each {
            None => format!("({when} ? [{element}] : [])"),
            Some((name, list)) if when == "true" => format!("{list}.map({name}, {element})"),
            Some((name, list)) => format!("{list}.filter({name}, {when}).map({name}, {element})"),
        }
    }

    /// Replaces the path, which is an expression, and keeps what identifies the finding.
    pub fn at(self, path: String) -> Self {
        Row { path, ..self }
    }

    pub fn identities(self, identities: Vec<String>) -> Self {
        Row { identities, ..self }
    }

    pub fn row(self, row: usize) -> Self {
        Row { row, ..self }
    }

    /// Adds conditions under which what the row reads is the same in both objects.
    pub fn unchanged(mut self, conditions: impl IntoIterator<Item = String>) -> Self {
        self.unchanged.extend(conditions);
        self
    }
}

/// A variable of a policy: an expression that the API server evaluates when it is first used.
#[derive(Clone)]
pub struct PolicyVariable {
    pub name: String,
    pub expression: String,
}

impl PolicyVariable {
    pub fn new(name: impl Into<String>, expression: impl Into<String>) -> Self {
        PolicyVariable { name: name.into(), expression: expression.into() }
    }
}

/// Returns a name with a capital first letter.
pub fn capitalised(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// Returns a string literal.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n"))
}

/// Returns a list of string literals.
pub fn literals<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let all: Vec<String> = texts.into_iter().map(|text| literal(text.as_ref())).collect();
    format!("[{}]", all.join(", "))
}

/// A pattern for `matches`, as a raw string literal.
pub fn pattern(regex: &str) -> String {
    format!("r'{regex}'")
}

/// Stands for a value of the object in the message of a [`FieldError`]: a character that no message has.
pub const FOUND: char = '\u{E000}';

/// [`FOUND`] in place of a value. It is not JSON.
pub const VALUE: Json<'static> = Json::Other("\u{E000}");

/// Stands for another value in a message.
pub const OTHER: char = '\u{E001}';

/// Returns the message of an error as an expression: a list of the whole text, or of the text before the value, the value
/// and the text after it. [`VALUE`] stands for the expression `value`, and [`OTHER`] for `other`, which is a string.
pub fn message(error: &FieldError, value: &str, other: &str) -> String {
    let text = |text: &str| {
        let parts: Vec<String> = text.split(OTHER).map(literal).collect();
        parts.join(&format!(" + {other} + ")).replace("'' + ", "").replace(" + ''", "")
    };
    match error.message.split_once(FOUND) {
        Some((before, after)) => format!("[dyn({}), dyn({value}), dyn({})]", text(before), text(after)),
        None => format!("[dyn({})]", text(&error.message)),
    }
}

/// Returns a message without values.
pub fn text_message(text: &str) -> String {
    format!("[dyn({})]", literal(text))
}

/// Returns a value as messages show it. Lists and objects are shortened, since CEL cannot print them.
pub fn shown(value: impl Display) -> String {
    format!(
        "[dyn({value})].map(v, type(v) == string ? (size(v) <= {VALUE_MAX_CHARS} ? strings.quote(v) : \
         strings.quote(v.substring(0, {})) + '…') : type(v) == list ? '[…]' : type(v) == map ? '{{…}}' : string(v))[0]",
        VALUE_MAX_CHARS - 2
    )
}
