//! The types of the configuration file. The schema is generated from them and their doc comments.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema, schema_for};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde_saphyr::{Error, Location, Spanned};

use super::absent::without_nulls;
use super::{Config, ConfigError, Limits};
use crate::admission::{self, FaultPolicy, ReviewSettings};
use crate::engine::nearest::nearest;
use crate::engine::quoted_list;
use crate::engine::{Mode, Rule, RuleMode};
use crate::rules::RULES;
use crate::scan::url;

/// The longest link that fits a warning beside its text.
const HELP_MAX_CHARS: usize = 200;

/// The configuration of scan-admission. All fields are optional, and the file may be empty. Unknown fields are errors.
#[derive(serde::Deserialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(title = "scan-admission")]
pub struct ConfigFile {
    /// The modes of rules: `deny`, `warn`, `audit` or `off`. The default is `deny`, the mode that the pages in
    /// docs/rules describe.
    rules: RuleModes,
    /// Other modes for some requests, which take precedence over `rules`. If several overrides match a request, the
    /// last override that names the rule applies.
    #[schemars(with = "Vec<OverrideEntry>")]
    overrides: Vec<Spanned<OverrideEntry>>,
    /// The full names of the users who may write a status, such as
    /// `system:serviceaccount:scan-link-system:scan-link-controller`. The rule status-writer denies all other users.
    /// Without this list, the rule is off.
    #[schemars(with = "Vec<Writer>", length(min = 1))]
    status_writers: Option<Spanned<Vec<Writer>>>,
    /// The answer of the validating webhook to a review that it cannot judge, because the body is too large or is not
    /// an AdmissionReview, the deadline has passed, a limit is reached, or a rule has panicked.
    faults: FaultPolicy,
    limits: Limits,
    /// A link to a page that helps your users. It is shown with each denial by a rule. At most 200 characters.
    #[schemars(with = "Option<Link>")]
    help: Option<Link>,
}

/// Modes for the requests that match all lists of the override. In an entry, `*` matches any characters.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OverrideEntry {
    /// Namespaces of the object.
    #[serde(default)]
    #[schemars(length(min = 1))]
    namespaces: Option<Vec<Pattern>>,
    /// Users who make the request, by their names.
    #[serde(default)]
    #[schemars(length(min = 1))]
    users: Option<Vec<Pattern>>,
    /// Groups of the user who makes the request.
    #[serde(default)]
    #[schemars(length(min = 1))]
    groups: Option<Vec<Pattern>>,
    /// The modes of rules for these requests.
    rules: RuleModes,
}

impl ConfigFile {
    pub fn read(text: &str) -> Result<Self, ConfigError> {
        let text = without_nulls(text, &names(schema_for!(Self).as_value()));
        let options = serde_saphyr::options! { with_snippet: false };
        let file = serde_saphyr::from_str_with_options::<Option<Self>>(&text, options);
        file.map(Option::unwrap_or_default).map_err(|error| config_error(&error))
    }

    /// Returns an error at the first mode of a rule for which `obstacle` has a reason, unless the rule is off.
    pub fn check_modes(&self, obstacle: impl Fn(&str) -> Option<String>) -> Result<(), ConfigError> {
        let lists = [&self.rules].into_iter().chain(self.overrides.iter().map(|over| &over.value.rules));
        let set = lists.flat_map(|rules| &rules.0).filter(|(_, mode)| mode.value != Mode::Off);
        let mut problems = set.filter_map(|(rule, mode)| Some(error_at(mode.referenced, obstacle(rule.0)?)));
        problems.next().map_or(Ok(()), Err)
    }

    /// Checks the fields that depend on each other, and returns the configuration.
    pub fn config(self, digest: String) -> Result<Config, ConfigError> {
        // An empty list seems to allow no user, but would allow every user.
        if let Some(empty) = self.status_writers.as_ref().filter(|writers| writers.value.is_empty()) {
            let message = "statusWriters must not be empty; remove it to allow all users";
            return Err(error_at(empty.referenced, message));
        }
        let status_writers = self.status_writers.into_iter().flat_map(|writers| writers.value);
        let status_writers: Vec<String> = status_writers.map(|writer| writer.0).collect();
        let lists = [&self.rules].into_iter().chain(self.overrides.iter().map(|over| &over.value.rules));
        let writer_rule = lists.flat_map(|rules| rules.0.get("status-writer")).find(|mode| mode.value != Mode::Off);
        if let Some(mode) = writer_rule.filter(|_| status_writers.is_empty()) {
            let message = "the rule status-writer requires a list of users in statusWriters";
            return Err(error_at(mode.referenced, message));
        }
        let overrides = self.overrides.into_iter().map(OverrideEntry::read).collect::<Result<_, _>>()?;
        Ok(Config {
            settings: ReviewSettings {
                faults: self.faults,
                modes: self.rules.modes(),
                overrides,
                status_writers,
                help: self.help.map(|link| link.0).unwrap_or_default(),
                digest,
            },
            limits: self.limits,
        })
    }
}

impl OverrideEntry {
    fn read(this: Spanned<Self>) -> Result<admission::Override, ConfigError> {
        let Self { namespaces, users, groups, rules } = this.value;
        let lists = [&namespaces, &users, &groups];
        if lists.iter().all(|list| list.is_none()) {
            let message =
                "an override must have namespaces, users or groups; set modes for all requests in the top-level rules";
            return Err(error_at(this.referenced, message));
        }
        // An empty list seems to match no request, but would match every request.
        if lists.into_iter().flatten().any(Vec::is_empty) {
            return Err(error_at(
                this.referenced,
                "a list of an override must not be empty; remove it to match all requests",
            ));
        }
        if rules.0.is_empty() {
            return Err(error_at(this.referenced, "an override must set the mode of at least one rule"));
        }
        let texts = |list: Option<Vec<Pattern>>| list.into_iter().flatten().map(|pattern| pattern.0).collect();
        Ok(admission::Override {
            namespaces: texts(namespaces),
            users: texts(users),
            groups: texts(groups),
            modes: rules.modes(),
        })
    }
}

/// Returns the names of all fields of the file, at any level.
fn names(schema: &serde_json::Value) -> HashSet<String> {
    let (mut names, mut open) = (HashSet::new(), vec![schema]);
    while let Some(schema) = open.pop() {
        if let Some(properties) = schema["properties"].as_object() {
            names.extend(properties.keys().cloned());
        }
        match schema {
            serde_json::Value::Object(members) => open.extend(members.values()),
            serde_json::Value::Array(entries) => open.extend(entries),
            _ => {}
        }
    }
    names
}

/// The modes of rules by their ids.
#[derive(serde::Deserialize, Default)]
#[serde(transparent)]
struct RuleModes(BTreeMap<RuleId, Spanned<Mode>>);

impl RuleModes {
    fn modes(&self) -> Vec<RuleMode> {
        self.0.iter().map(|(id, mode)| RuleMode { rule: id.0, mode: mode.value }).collect()
    }
}

/// A property for each rule, described by the title of the rule.
impl JsonSchema for RuleModes {
    fn schema_name() -> Cow<'static, str> {
        "Rules".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mode = generator.subschema_for::<Mode>();
        let rule = |rule: &Rule| {
            let mut schema = mode.clone();
            schema.insert("description".to_owned(), rule.title.into());
            (rule.id.to_owned(), schema.to_value())
        };
        let properties: serde_json::Map<_, _> = RULES.iter().map(rule).collect();
        json_schema!({"type": "object", "properties": properties, "additionalProperties": false})
    }
}

/// The id of a known rule.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct RuleId(&'static str);

impl std::borrow::Borrow<str> for RuleId {
    fn borrow(&self) -> &str {
        self.0
    }
}

impl<'de> Deserialize<'de> for RuleId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let ids: Vec<&'static str> = RULES.iter().map(|rule| rule.id).collect();
        let known = ids.iter().find(|id| **id == text);
        known.map(|id| Self(id)).ok_or_else(|| {
            D::Error::custom(unknown("rule", &text, &ids, "`scan-admission rules` lists the known rules"))
        })
    }
}

/// A name in which `*` matches any characters.
#[derive(JsonSchema)]
#[schemars(inline)]
struct Pattern(#[schemars(length(min = 1))] String);

/// The full name of a user.
#[derive(JsonSchema)]
#[schemars(inline)]
struct Writer(#[schemars(regex(pattern = r"^[^*]+$"))] String);

/// An http or https URL.
#[derive(JsonSchema)]
#[schemars(inline)]
struct Link(
    #[schemars(regex(pattern = r"^[Hh][Tt][Tt][Pp][Ss]?://[^ ]+$"), length(max = 200))]
    String,
);

/// Reads a text that is valid by `is_valid`. `expected` describes valid texts.
fn checked<'de, D: Deserializer<'de>>(
    deserializer: D,
    is_valid: impl FnOnce(&str) -> bool,
    expected: &str,
) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if is_valid(&text) {
        Ok(text)
    } else {
        Err(D::Error::custom(format_args!("Invalid value: {text:?}: must be {expected}")))
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        checked(deserializer, |text| !text.is_empty(), "a name or a pattern with *").map(Self)
    }
}

impl<'de> Deserialize<'de> for Writer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let is_valid = |text: &str| !text.is_empty() && !text.contains('*');
        checked(deserializer, is_valid, "the full name of a user, without *").map(Self)
    }
}

impl<'de> Deserialize<'de> for Link {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let is_valid = |text: &str| url::is_http(text) && text.chars().count() <= HELP_MAX_CHARS;
        checked(deserializer, is_valid, "an http or https URL of at most 200 characters").map(Self)
    }
}

/// Returns the message for an unknown field or rule, with the nearest known name or, if none is near, `hint`.
fn unknown(what: &str, name: &str, known: &[&str], hint: &str) -> String {
    match nearest(name, known) {
        Some(nearest) => format!("unknown {what} {name:?}; did you mean {nearest:?}?"),
        None => format!("unknown {what} {name:?}; {hint}"),
    }
}

/// Returns the message for a value that is none of the supported values.
fn unsupported(value: &str, supported: &[&str]) -> String {
    // YAML 1.1 reads an unquoted `off` as false, and some tools write it so.
    let nearest = match value {
        "false" if supported.contains(&"off") => Some("off"),
        _ => nearest(value, supported),
    };
    let suggestion = nearest.map(|nearest| format!("; did you mean {nearest:?}?")).unwrap_or_default();
    format!("Unsupported value: {value:?}: supported values: {}{suggestion}", quoted_list(supported, ", "))
}

fn error_at(location: Location, message: impl Into<String>) -> ConfigError {
    ConfigError { line: location.line(), column: location.column(), message: message.into() }
}

/// Replaces messages of the parser that do not describe the expected value.
fn config_error(error: &Error) -> ConfigError {
    let (line, column) = error.location().map_or((1, 1), |location| (location.line(), location.column()));
    let message = match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            unknown("field", field, expected, &format!("known fields: {}", quoted_list(expected, ", ")))
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => unsupported(variant, expected),
        Error::SerdeMissingField { field, .. } => format!("missing field {field:?}"),
        Error::Unexpected { expected: "mapping start", .. } => "Invalid value: must be a mapping".to_owned(),
        Error::Unexpected { expected: "sequence start", .. } => "Invalid value: must be a list".to_owned(),
        Error::NullIntoString { .. } => "Required value: must be a string".to_owned(),
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("duplicate field {key:?}"),
        Error::MultipleDocuments { .. } => "a second document begins here: the file must have only one".to_owned(),
        error => {
            // The position is shown separately.
            let message = error.to_string();
            let position = format!(" at line {line}, column {column}");
            let message = message.strip_suffix(&position).unwrap_or(&message);
            // A pattern that begins with `*` is an alias in YAML.
            let is_alias = message.contains("anchor");
            if is_alias { format!("{message}: quote a pattern that begins with *") } else { message.to_owned() }
        }
    };
    ConfigError { line, column, message }
}
