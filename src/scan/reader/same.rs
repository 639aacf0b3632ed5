//! Compares two texts as JSON.

use std::hash::{BuildHasher, Hasher, RandomState};

use super::{ReadError, Reader};

/// The depth to which values are compared as JSON, which is the limit of `serde_json`. Deeper values are compared as
/// text. Objects of the API server are about ten levels deep.
const DEPTH_MAX: u32 = 128;

/// The longest texts that are compared as JSON. Longer ones are compared as text, which suffices for most, since the
/// API server sorts keys. A status has about 2 KB. Comparing texts of this length takes a few milliseconds.
const COMPARED_MAX_BYTES: usize = 64 << 10;

/// Whether two texts are the same JSON. Members may be in any order, and strings may have any escapes; numbers must
/// have the same text. All values of a repeated key are compared. A text that is not JSON is the same only as itself.
pub fn is_same_json(one: &str, other: &str) -> bool {
    if one == other || one.len().max(other.len()) > COMPARED_MAX_BYTES {
        return one == other;
    }
    // Values are compared by their digests, so that no members have to be kept in memory. The key of the digests is
    // random, so that a client cannot construct a collision.
    let digests = Digests([RandomState::new(), RandomState::new()]);
    let digest = |text| digests.value(&mut Reader::new(text), 0);
    matches!((digest(one), digest(other)), (Ok(one), Ok(other)) if one == other)
}

struct Digests([RandomState; 2]);

impl Digests {
    fn value(&self, reader: &mut Reader<'_>, depth: u32) -> Result<u128, ReadError> {
        match reader.peek() {
            b'{' if depth < DEPTH_MAX => {
                let mut sum = 0u128;
                reader.object(|key, value| {
                    let key = self.digest(b'k', &[key.as_ref().as_bytes()]);
                    let value = self.value(value, depth + 1)?;
                    sum = sum.wrapping_add(self.digest(b'm', &[&key.to_le_bytes(), &value.to_le_bytes()]));
                    Ok(())
                })?;
                Ok(self.digest(b'{', &[&sum.to_le_bytes()]))
            }
            b'[' if depth < DEPTH_MAX => {
                let mut all = 0u128;
                reader.list(|entry| {
                    let entry = self.value(entry, depth + 1)?;
                    all = self.digest(b'e', &[&all.to_le_bytes(), &entry.to_le_bytes()]);
                    Ok(())
                })?;
                Ok(self.digest(b'[', &[&all.to_le_bytes()]))
            }
            b'"' => Ok(self.digest(b'"', &[reader.string()?.as_bytes()])),
            _ => Ok(self.digest(b'=', &[reader.raw()?.as_bytes()])),
        }
    }

    fn digest(&self, tag: u8, parts: &[&[u8]]) -> u128 {
        let [high, low] = self.0.each_ref().map(|state| {
            let mut hasher = state.build_hasher();
            hasher.write_u8(tag);
            parts.iter().for_each(|part| hasher.write(part));
            hasher.finish()
        });
        u128::from(high) << 64 | u128::from(low)
    }
}

#[cfg(test)]
mod tests {
    use super::is_same_json;

    #[test]
    fn the_same_json_is_recognised() {
        let deep = |inner: &str| format!("{}{inner}{}", "[".repeat(10_000), "]".repeat(10_000));
        for (one, other, is_same) in [
            ("1", "1", true),
            ("1", "1.0", false),
            ("null", "{}", false),
            ("{}", "[]", false),
            (r#""a""#, r#""\u0061""#, true),
            (r#""1""#, "1", false),
            (r#"{"a":1,"b":[2,{"c":null}]}"#, r#" { "b": [2, {"c": null}], "\u0061": 1 } "#, true),
            (r#"{"a":1,"b":2}"#, r#"{"a":2,"b":1}"#, false),
            (r#"{"a":{"b":1}}"#, r#"{"a":{},"b":1}"#, false),
            (r#"{"a":1}"#, r#"{"a":1,"b":null}"#, false),
            ("[1,2]", "[2,1]", false),
            ("[[1],2]", "[1,[2]]", false),
            ("[]", "[[]]", false),
            (&deep("1"), &deep("1"), true),
            (&deep("1"), &deep("2"), false),
            ("{", "{", true),
            ("{", "{ ", false),
        ] {
            assert_eq!(is_same_json(one, other), is_same, "{:.40} {:.40}", one, other);
        }
    }
}
