//! The first bytes of events and of lists of events, by which they are found in a log.

use memchr::memmem;

use crate::scan::Json;
use crate::scan::reader::{ReadError, Reader};

/// The first bytes of an event as an API server writes it.
pub const EVENT_LINE: &[u8] = br#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","#;

/// The first bytes of a list as an API server writes it.
const LIST_START: &[u8] = br#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","#;

/// The first bytes of both.
const START: &[u8] = b"{\"kind\":\"Event";

/// A list must have its `items` within this number of bytes. Before them are its apiVersion, kind and metadata.
pub const LIST_HEAD_BYTES: usize = 1 << 10;

/// Finds events and lists as an API server begins them.
pub struct Starts(memmem::Finder<'static>);

impl Default for Starts {
    fn default() -> Self {
        Self(memmem::Finder::new(START))
    }
}

impl Starts {
    /// Returns the offset at which an API server has begun an event or a list within a record, which is then cut there.
    /// `searched` bytes of the record were searched before. In a string, the quotes would be escaped.
    pub fn next(&self, record: &[u8], searched: usize) -> Option<usize> {
        let from = searched.saturating_sub(LIST_START.len()).max(1).min(record.len());
        let is_start = |at: &usize| record[*at..].starts_with(EVENT_LINE) || record[*at..].starts_with(LIST_START);
        self.0.find_iter(&record[from..]).map(|at| from + at).find(is_start)
    }
}

/// Returns the offset of the first item, if a list of events begins here. A list that does not say what it is may be one of
/// events.
pub fn list_head(bytes: &[u8]) -> Option<usize> {
    let window = &bytes[..bytes.len().min(LIST_HEAD_BYTES)];
    memmem::find(window, br#""items""#)?;
    let text = match std::str::from_utf8(window) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&window[..error.valid_up_to()]).unwrap_or_default(),
    };
    let (mut items, mut api_version, mut kind) = (None, Json::Null, Json::Null);
    let mut reader = Reader::new(text);
    // The text may end anywhere, so an error is expected.
    let _: Result<(), ReadError> = reader.object(|key, value| {
        match key.as_ref() {
            _ if items.is_some() => value.skip()?,
            "apiVersion" => api_version = value.read()?,
            "kind" => kind = value.read()?,
            "items" if value.peek() == b'[' => {
                items = Some(value.offset() + 1);
                value.skip()?;
            }
            _ => value.skip()?,
        }
        Ok(())
    });
    let is = |json: &Json<'_>, text: &str| json.is_absent() || json.is_text(text);
    items.filter(|_| is(&api_version, "audit.k8s.io/v1") && is(&kind, "EventList"))
}
