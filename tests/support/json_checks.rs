//! Checks of the JSON reader against `serde_json`.

use scan_admission::scan::reader::{Read, ReadError, Reader, read};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

/// Skips a value.
pub struct Skipped;

impl<'a> Read<'a> for Skipped {
    fn read(reader: &mut Reader<'a>) -> Result<Self, ReadError> {
        reader.skip().map(|()| Skipped)
    }
}

/// A value that is read member by member and entry by entry.
pub struct Rebuilt(pub Value);

impl<'a> Read<'a> for Rebuilt {
    fn read(reader: &mut Reader<'a>) -> Result<Self, ReadError> {
        let mut value = match reader.peek() {
            b'{' => json!({}),
            b'[' => json!([]),
            _ => return Ok(Rebuilt(serde_json::from_str(reader.raw()?).expect("raw returns JSON"))),
        };
        match &mut value {
            Value::Object(object) => reader.object(|key, member| {
                object.insert(key.as_ref().to_owned(), member.read::<Rebuilt>()?.0);
                Ok(())
            })?,
            Value::Array(list) => reader.list(|entry| {
                list.push(entry.read::<Rebuilt>()?.0);
                Ok(())
            })?,
            _ => {}
        }
        Ok(Rebuilt(value))
    }
}

/// Checks that the reader and `serde_json` agree on a text, and returns whether it is JSON.
pub fn agree(text: &str) -> bool {
    let theirs = serde_json::from_str::<IgnoredAny>(text).is_ok();
    let ours = read::<Skipped>(text);
    let message = ours.as_ref().err().map(|error| error.message(text));
    assert_eq!(ours.is_ok(), theirs, "{text:?} {message:?}");
    // The raw text of the value has no surrounding white space.
    if theirs {
        let mut reader = Reader::new(text);
        assert_eq!(reader.raw().ok(), Some(text.trim_matches([' ', '\n', '\t', '\r'])), "{text:?}");
    }
    theirs
}

/// Skips each value of a list on the fast path for values that may repeat the first.
struct Repeated;

impl<'a> Read<'a> for Repeated {
    fn read(reader: &mut Reader<'a>) -> Result<Self, ReadError> {
        reader.list(Reader::skip_repeated).map(|()| Repeated)
    }
}

/// Checks that the fast path gives the same result or the same error message, and returns whether the list is JSON.
pub fn agree_as_repeated(text: &str) -> bool {
    let message = |error: ReadError| error.message(text);
    let repeated = read::<Repeated>(text).map(|_| ()).map_err(message);
    assert_eq!(repeated, read::<Skipped>(text).map(|_| ()).map_err(message), "{text}");
    repeated.is_ok()
}
