//! Finds a field of an object by the path that findings name it by: `status.conditions[Succeeded].reason`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The text of the field `path` of the object `json`, from its name on; of an entry of a list, the entry. Where the
/// field is not there, the nearest thing around it that is.
///
/// A name may have dots and brackets itself, so it is matched as a whole: the longest that fits is the one.
pub fn find<'a>(json: &'a str, path: &str) -> &'a str {
    let (mut found, mut value, mut path) = (json, json, path);
    while !path.is_empty() {
        let step = match value.as_bytes().first() {
            Some(b'{') => member(value, path),
            Some(b'[') => entry(value, path),
            _ => None,
        };
        let Some(step) = step else { break };
        found = step.found;
        value = step.value;
        path = step.rest.strip_prefix('.').unwrap_or(step.rest);
    }
    found
}

struct PathStep<'a, 'p> {
    found: &'a str,
    value: &'a str,
    rest: &'p str,
}

fn member<'a, 'p>(object: &'a str, path: &'p str) -> Option<PathStep<'a, 'p>> {
    let Members(members) = serde_json::from_str(object).ok()?;
    let fitting = members.into_iter().rev().filter_map(|(name, value)| {
        let text: Cow<'_, str> = serde_json::from_str(name.get()).ok()?;
        let rest = path.strip_prefix(&*text).filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']))?;
        Some(PathStep { found: name.get(), value: value.get(), rest })
    });
    // Of two that are equally long the last: it is the one that counts.
    fitting.min_by_key(|step| step.rest.len())
}

/// An entry by its type, the first of those that have it, or else by its index.
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

/// The members of an object as they are written, names too.
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
    use super::find;

    const OBJECT: &str = r#"{"a": {"b.c": {"d": 1}, "b": 2, "c": {"x": 3}, "\u0065": 4, "c": {"y": 5}},
        "l": [{"type": "T", "n": 6}, {"n": 7}, {"type": "T", "n": 8}, {"type": "x]y", "n": 9}, 10]}"#;

    #[test]
    fn a_field_is_found_or_else_what_is_around_it() {
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
