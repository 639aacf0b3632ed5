//! Where code or an image comes from: the same shape in `spec`, `artifact` and `compliantArtifact`.

use super::json::{Json, Member, Object};
use super::reader::{Key, ReadError, Reader};

/// The three kinds of source; each is an object of strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Blob,
    Git,
    Registry,
}

impl Source {
    pub const ALL: [Source; 3] = [Source::Blob, Source::Git, Source::Registry];

    pub fn name(self) -> &'static str {
        match self {
            Source::Blob => "blob",
            Source::Git => "git",
            Source::Registry => "registry",
        }
    }

    /// The judged members of this source.
    pub fn members(self) -> &'static [SourceMember] {
        match self {
            Source::Blob | Source::Git => &[SourceMember::Url, SourceMember::Revision],
            Source::Registry => &[SourceMember::Image, SourceMember::ImagePullSecret],
        }
    }
}

/// The judged members of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceMember {
    Url,
    Revision,
    Image,
    ImagePullSecret,
}

impl SourceMember {
    pub fn name(self) -> &'static str {
        match self {
            SourceMember::Url => "url",
            SourceMember::Revision => "revision",
            SourceMember::Image => "image",
            SourceMember::ImagePullSecret => "imagePullSecret",
        }
    }
}

/// The sources of a spec or an artifact.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sources<'a>([Member<Strings<'a>>; 3]);

impl<'a> Object<'a> for Sources<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match Source::ALL.into_iter().find(|source| source.name() == key.as_ref()) {
            Some(source) => self.0[source as usize] = value.read()?,
            None => value.skip()?,
        }
        Ok(())
    }
}

impl<'a> Sources<'a> {
    pub fn get(&self, source: Source) -> &Member<Strings<'a>> {
        &self.0[source as usize]
    }

    /// Whether nothing judged is there: a Go struct without values is written as empty strings in empty objects.
    pub fn is_empty(&self) -> bool {
        let is_absent = |json: &Json<'_>| json.string() == Member::Absent;
        self.0.iter().all(|source| match source {
            Member::Absent => true,
            Member::WrongType(_) => false,
            Member::Present(strings) => strings.0.iter().all(is_absent),
        })
    }

    /// A member of a source, where the source is there.
    pub fn value(&self, source: Source, member: SourceMember) -> Option<&Json<'a>> {
        self.get(source).present().map(|strings| strings.get(member))
    }
}

/// The judged members of one source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Strings<'a>([Json<'a>; 4]);

impl<'a> Object<'a> for Strings<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        let member = match key.as_ref() {
            "url" => SourceMember::Url,
            "revision" => SourceMember::Revision,
            "image" => SourceMember::Image,
            "imagePullSecret" => SourceMember::ImagePullSecret,
            _ => return value.skip(),
        };
        self.0[member as usize] = value.read()?;
        Ok(())
    }
}

impl<'a> Strings<'a> {
    pub fn get(&self, member: SourceMember) -> &Json<'a> {
        &self.0[member as usize]
    }
}
