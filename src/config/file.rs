//! The types of the file; the schema comes from them and their comments.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema, schema_for};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde_saphyr::{Error, Location, Spanned};

use super::absent::without_nulls;
use super::{Config, ConfigError, Limits};
use crate::admission::{self, FaultPolicy, ReviewSettings};
use crate::engine::nearest::nearest;
use crate::engine::{Mode, Rule, RuleMode};
use crate::rules::RULES;
use crate::scan::url;

/// Link lengths that fit a warning beside its words.
const HELP_MAX_CHARS: usize = 200;

/// The configuration of scan-admission. Everything may be left out; an empty file is one. What is not known is an error.
#[derive(serde::Deserialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(title = "scan-admission")]
pub struct ConfigFile {
    /// The mode of each rule: `deny`, `warn`, `audit` or `off`. A rule that is not named is at `deny`, which is what its page
    /// in docs/rules describes.
    rules: RuleModes,
    /// Other modes for some requests. The last one that matches and names the rule counts, before `rules`.
    #[schemars(with = "Vec<OverrideEntry>")]
    overrides: Vec<Spanned<OverrideEntry>>,
    /// The users who may write a status, by their whole names, such as
    /// `system:serviceaccount:scan-link-system:scan-link-controller`. The rule status-writer denies all others; without a
    /// list it is not asked.
    #[schemars(with = "Vec<Writer>", length(min = 1))]
    status_writers: Option<Spanned<Vec<Writer>>>,
    /// What the validating webhook does with a review that it cannot judge: it is too large, its deadline has passed, too
    /// many are in flight, or a rule has failed.
    faults: FaultPolicy,
    limits: Limits,
    /// A link that is shown with each denial: where your users find help. At most 200 characters.
    #[schemars(with = "Option<Link>")]
    help: Option<Link>,
}

/// Modes for the requests that match all of the lists that are there. In an entry `*` stands for any characters.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OverrideEntry {
    /// Namespaces of the object.
    #[serde(default)]
    #[schemars(length(min = 1))]
    namespaces: Option<Vec<Pattern>>,
    /// Users who make the request.
    #[serde(default)]
    #[schemars(length(min = 1))]
    users: Option<Vec<Pattern>>,
    /// Groups, one of which the user who makes the request is in.
    #[serde(default)]
    #[schemars(length(min = 1))]
    groups: Option<Vec<Pattern>>,
    /// The modes of rules at these requests.
    rules: RuleModes,
}

impl ConfigFile {
    pub fn read(text: &str) -> Result<Self, ConfigError> {
        let text = without_nulls(text, &names(schema_for!(Self).as_value()));
        let options = serde_saphyr::options! { with_snippet: false };
        let file = serde_saphyr::from_str_with_options::<Option<Self>>(&text, options);
        file.map(Option::unwrap_or_default).map_err(|error| config_error(&error))
    }

    /// What the file says, if all of it goes together.
    pub fn config(self, digest: String) -> Result<Config, ConfigError> {
        // An empty list would let everybody write where it seems to let nobody.
        if let Some(empty) = self.status_writers.as_ref().filter(|writers| writers.value.is_empty()) {
            return Err(at(
                empty.referenced,
                "statusWriters is empty: a user at least would be right, or no statusWriters",
            ));
        }
        let status_writers = self.status_writers.into_iter().flat_map(|writers| writers.value);
        let status_writers: Vec<String> = status_writers.map(|writer| writer.0).collect();
        let lists = [&self.rules].into_iter().chain(self.overrides.iter().map(|over| &over.value.rules));
        let writer_rule = lists.flat_map(|rules| rules.0.get("status-writer")).find(|mode| mode.value != Mode::Off);
        if let Some(mode) = writer_rule.filter(|_| status_writers.is_empty()) {
            let message = "status-writer would deny nobody: a list of users in statusWriters would be right";
            return Err(at(mode.referenced, message));
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
            let message = "this override is for every request: namespaces, users or groups would be right, or its modes in \
                         the rules of the file";
            return Err(at(this.referenced, message));
        }
        // An empty list would match all where it seems to match nobody.
        if lists.into_iter().flatten().any(Vec::is_empty) {
            return Err(at(this.referenced, "a list of this override is empty: an entry at least would be right"));
        }
        if rules.0.is_empty() {
            return Err(at(this.referenced, "this override sets no rule: a mode at least would be right"));
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

/// Every name that the file knows, at any level.
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

/// Modes by the id of the rule.
#[derive(serde::Deserialize, Default)]
#[serde(transparent)]
struct RuleModes(BTreeMap<RuleId, Spanned<Mode>>);

impl RuleModes {
    fn modes(&self) -> Vec<RuleMode> {
        self.0.iter().map(|(id, mode)| RuleMode { rule: id.0, mode: mode.value }).collect()
    }
}

/// Each rule with what it says.
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
        let others = "one of those that `scan-admission rules` prints";
        known.map(|id| Self(id)).ok_or_else(|| D::Error::custom(unknown("rule", &text, &ids, others)))
    }
}

/// A name in which `*` stands for any characters.
#[derive(JsonSchema)]
#[schemars(inline)]
struct Pattern(#[schemars(length(min = 1))] String);

/// The whole name of a user.
#[derive(JsonSchema)]
#[schemars(inline)]
struct Writer(#[schemars(regex(pattern = r"^[^*]+$"))] String);

#[derive(JsonSchema)]
#[schemars(inline)]
struct Link(
    #[schemars(regex(pattern = r"^[Hh][Tt][Tt][Pp][Ss]?://[^ ]+$"), length(max = 200))]
    String,
);

/// Reads a text that `check` has nothing against.
fn checked<'de, D: Deserializer<'de>>(
    deserializer: D,
    check: impl FnOnce(&str) -> Option<&'static str>,
) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match check(&text) {
        None => Ok(text),
        Some(right) => Err(D::Error::custom(format_args!("is {text:?}: {right} would be right"))),
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        checked(deserializer, |text| text.is_empty().then_some("a name, or a pattern with *,")).map(Self)
    }
}

impl<'de> Deserialize<'de> for Writer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let is_wrong = |text: &str| text.is_empty() || text.contains('*');
        checked(deserializer, |text| is_wrong(text).then_some("the whole name of a user")).map(Self)
    }
}

impl<'de> Deserialize<'de> for Link {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let is_right = |text: &str| url::is_http(text) && text.chars().count() <= HELP_MAX_CHARS;
        checked(deserializer, |text| (!is_right(text)).then_some("an http or https URL of at most 200 characters"))
            .map(Self)
    }
}

/// `word` is none of `known`, of which the nearest would be right, or `others` where none is near.
fn unknown(what: &str, word: &str, known: &[&str], others: &str) -> String {
    // YAML of old reads a bare `off` as false, and whoever has it written so by a tool means that.
    let nearest = match word {
        "false" if known.contains(&"off") => Some("off"),
        _ => nearest(word, known),
    };
    match nearest {
        Some(nearest) => format!("{word:?} is no {what}: {nearest:?} would be right"),
        None => format!("{word:?} is no {what}: {others} would be right"),
    }
}

fn at(location: Location, message: impl Into<String>) -> ConfigError {
    ConfigError { line: location.line(), column: location.column(), message: message.into() }
}

/// Another message than the reader's where that would not say what is right.
fn config_error(error: &Error) -> ConfigError {
    let (line, column) = error.location().map_or((1, 1), |location| (location.line(), location.column()));
    let one_of = |known: &[&str]| format!("one of {}", known.join(", "));
    let message = match error {
        Error::SerdeUnknownField { field: word, expected, .. } => unknown("field", word, expected, &one_of(expected)),
        Error::SerdeUnknownVariant { variant: word, expected, .. } => {
            unknown("value", word, expected, &one_of(expected))
        }
        Error::SerdeMissingField { field, .. } => format!("{field:?} is missing here"),
        Error::Unexpected { expected: "mapping start", .. } => "names with values would be right here".to_owned(),
        Error::Unexpected { expected: "sequence start", .. } => "a list would be right here".to_owned(),
        Error::NullIntoString { .. } => "nothing is here: a text would be right".to_owned(),
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("{key:?} is there twice: once would be right"),
        Error::MultipleDocuments { .. } => "a second document begins here: one would be right".to_owned(),
        error => {
            // The position is shown separately.
            let message = error.to_string();
            let position = format!(" at line {line}, column {column}");
            let message = message.strip_suffix(&position).unwrap_or(&message);
            // What `*` begins is an alias to YAML, and a pattern to whoever wrote it.
            let is_alias = message.contains("anchor");
            if is_alias {
                format!("{message}: a pattern that begins with * has to be in quotes")
            } else {
                message.to_owned()
            }
        }
    };
    ConfigError { line, column, message }
}
