//! The user of a request, as AdmissionReviews and audit events have it.

use crate::scan::reader::ReadError;
use crate::scan::{Json, Key, Object, Reader};

/// The most groups of a user that overrides are matched with. Directories give a user hundreds of groups, rarely a few
/// thousand, but a body of 8 MiB has room for two million.
const GROUPS_MAX: usize = 10_000;

/// A user and the user's groups.
#[derive(Debug, Default)]
pub struct User<'a> {
    pub username: Json<'a>,
    pub group_list: Json<'a>,
}

impl<'a> Object<'a> for User<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match key.as_ref() {
            "username" => self.username = value.read()?,
            "groups" => self.group_list = value.read()?,
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl User<'_> {
    /// Returns the name; empty if there is none.
    pub fn name(&self) -> &str {
        self.username.string().value().unwrap_or_default()
    }

    /// Returns the first `GROUPS_MAX` groups.
    pub fn groups(&self) -> Vec<String> {
        let mut groups = Vec::new();
        if let Json::Other(list) = self.group_list {
            // This cannot fail, since the list was read before. A value that is not a list has no groups.
            let _ = Reader::new(list).list(|group| {
                if let (true, Json::String(group)) = (groups.len() < GROUPS_MAX, group.read()?) {
                    groups.push(group.into_owned());
                }
                Ok(())
            });
        }
        groups
    }
}
