//! Finds a field of an object by its path in findings, such as `status.conditions[Succeeded].reason`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Returns the part of the object `json` at which the field `path` begins: its key, or the entry of a list. If the
/// field is absent, returns the innermost part around it that is present.
///
/// A key may itself have dots and brackets, so the longest key that matches is used.
pub fn find<'a>(json: &'a str, path: &str) -> &'a str {
    walk(json, path).found
}

/// Returns the value of the field `path` of the object `json`, or `None` if it is absent.
pub fn value<'a>(json: &'a str, path: &str) -> Option<&'a str> {
    let end = walk(json, path);
    end.rest.is_empty().then_some(end.value)
}

/// Returns the value of the field `path` of the object `json` or, if it is absent, the innermost value around it.
pub fn innermost_value<'a>(json: &'a str, path: &str) -> &'a str {
    walk(json, path).value
}

/// Returns the path of the member whose key is at the start of `part`, which is a part of `json`.
pub fn to(json: &str, part: &str) -> String {
    let target = part.as_ptr().addr();
    let holds = |text: &str| (text.as_ptr().addr()..text.as_ptr().addr() + text.len()).contains(&target);
    let (mut path, mut value) = (String::new(), json);
    loop {
        let dot = if path.is_empty() { "" } else { "." };
        if let Ok(Members(members)) = serde_json::from_str(value) {
            let Some((key, inner)) = members.into_iter().find(|(key, inner)| holds(key.get()) || holds(inner.get()))
            else {
                return path;
            };
            path += &format!("{dot}{}", serde_json::from_str::<Cow<'_, str>>(key.get()).unwrap_or_default());
            value = inner.get();
            if holds(key.get()) {
                return path;
            }
        } else {
            let entries: Vec<&RawValue> = serde_json::from_str(value).unwrap_or_default();
            let Some((index, entry)) = entries.iter().enumerate().find(|(_, entry)| holds(entry.get())) else {
                return path;
            };
            let kind = serde_json::from_str(entry.get()).map(|TypedEntry { kind }| kind.into_owned());
            path += &format!("[{}]", kind.unwrap_or_else(|_| index.to_string()));
            value = entry.get();
        }
    }
}

fn walk<'a, 'p>(json: &'a str, path: &'p str) -> PathStep<'a, 'p> {
    let mut end = PathStep { found: json, value: json, rest: path };
    while !end.rest.is_empty() {
        let step = match end.value.as_bytes().first() {
            Some(b'{') => member(end.value, end.rest),
            Some(b'[') => entry(end.value, end.rest),
            _ => None,
        };
        let Some(step) = step else { break };
        end = PathStep { rest: step.rest.strip_prefix('.').unwrap_or(step.rest), ..step };
    }
    end
}

struct PathStep<'a, 'p> {
    found: &'a str,
    value: &'a str,
    rest: &'p str,
}

fn member<'a, 'p>(object: &'a str, path: &'p str) -> Option<PathStep<'a, 'p>> {
    let Members(members) = serde_json::from_str(object).ok()?;
    let matching = members.into_iter().rev().filter_map(|(key, value)| {
        let text: Cow<'_, str> = serde_json::from_str(key.get()).ok()?;
        let rest = path.strip_prefix(&*text).filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']))?;
        Some(PathStep { found: key.get(), value: value.get(), rest })
    });
    // Of repeated keys, the last one: its value is used.
    matching.min_by_key(|step| step.rest.len())
}

/// Finds an entry by its type (the first entry of that type), or else by its index.
fn entry<'a, 'p>(list: &'a str, path: &'p str) -> Option<PathStep<'a, 'p>> {
    let entries: Vec<&RawValue> = serde_json::from_str(list).ok()?;
    let path = path.strip_prefix('[')?;
    let by_type = entries.iter().find_map(|entry| {
        let entry = entry.get();
        let TypedEntry { kind } = serde_json::from_str(entry).ok()?;
        let rest = path.strip_prefix(&*kind)?.strip_prefix(']')?;
        Some(PathStep { found: entry, value: entry, rest })
    });
    by_type.or_else(|| {
        let (index, rest) = path.split_once(']')?;
        let entry = entries.get(index.parse::<usize>().ok()?)?.get();
        Some(PathStep { found: entry, value: entry, rest })
    })
}

#[derive(serde::Deserialize)]
struct TypedEntry<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

/// Returns the members of an object: the JSON text of each key and value. A value of another type has none.
pub fn members(json: &str) -> Vec<(&str, &str)> {
    let Members(members) = serde_json::from_str(json).unwrap_or(Members(Vec::new()));
    members.into_iter().map(|(key, value)| (key.get(), value.get())).collect()
}

/// Returns the JSON text of each entry of a list. A value of another type has none.
pub fn entries(json: &str) -> Vec<&str> {
    let entries: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
    entries.into_iter().map(RawValue::get).collect()
}

/// The members of an object: the JSON text of each key and value.
struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::{find, to, value};

    const OBJECT: &str = r#"{"a": {"b.c": {"d": 1}, "b": 2, "c": {"x": 3}, "\u0065": 4, "c": {"y": 5}},
        "l": [{"type": "T", "n": 6}, {"n": 7}, {"type": "T", "n": 8}, {"type": "x]y", "n": 9}, 10]}"#;

    #[test]
    fn paths_of_members_and_entries_are_built() {
        for (name, path) in [
            ("\"a\": {", "a"),
            ("\"d\": 1", "a.b.c.d"),
            ("\"y\": 5", "a.c.y"),
            ("\"n\": 6", "l[T].n"),
            ("\"n\": 7", "l[1].n"),
            ("10]", "l[4]"),
        ] {
            assert_eq!(to(OBJECT, &OBJECT[OBJECT.find(name).unwrap()..]), path);
        }
        for (path, found) in [("a.b.c.d", Some("1")), ("l[1]", Some(r#"{"n": 7}"#)), ("a.b.x", None), ("z", None)] {
            assert_eq!(value(OBJECT, path), found, "{path}");
        }
    }

    #[test]
    fn a_field_or_the_part_around_it_is_found() {
        for (path, found) in [
            ("a", "\"a\": {"),
            ("a.b", "\"b\": 2"),
            ("a.b.c", "\"b.c\""),
            ("a.b.c.d", "\"d\": 1"),
            ("a.b.x", "\"b\": 2"),
            ("a.c.y", "\"y\": 5"),
            ("a.c.x", "\"c\": {\"y\""),
            ("a.e", "\"\\u0065\""),
            ("a.bc", "\"a\": {"),
            ("z.q", "{\"a\""),
            ("", "{\"a\""),
            ("l[T].n", "\"n\": 6"),
            ("l[2].n", "\"n\": 8"),
            ("l[x]y].n", "\"n\": 9"),
            ("l[1].type", "{\"n\": 7}"),
            ("l[4].n", "10]"),
            ("l[5]", "\"l\": ["),
            ("l[U].n", "\"l\": ["),
        ] {
            let at = find(OBJECT, path).as_ptr().addr() - OBJECT.as_ptr().addr();
            assert!(OBJECT[at..].starts_with(found), "{path}: {}", &OBJECT[at..]);
        }
    }
}
