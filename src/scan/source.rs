//! The source of code or of an image. It has the same shape in `spec`, `artifact` and `compliantArtifact`.

use super::image::ImageReference;
use super::json::{Container, Json, Member, Object};
use super::reader::{Key, ReadError, Reader};
use super::url;

/// The three kinds of source. Each is an object of strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// How two values of a member of a source differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    None,
    /// They name different contents: another URL, another image repository or another digest.
    Source,
    /// They name another state of the same source, such as a tag or a revision, or other credentials.
    Other,
}

impl SourceMember {
    /// Returns how two values of this member differ. A tag never differs from a digest, and a text that is not an image
    /// reference never differs from another text.
    pub fn difference(self, one: &str, other: &str) -> Difference {
        let (is_same_source, is_same) = match self {
            SourceMember::Url => (url::is_same(one, other), true),
            SourceMember::Image => match (ImageReference::parse(one), ImageReference::parse(other)) {
                (Some(one), Some(other)) => {
                    (one.is_same_repository(&other) && !one.has_other_digest(&other), one.is_same_version(&other))
                }
                _ => (true, true),
            },
            SourceMember::Revision | SourceMember::ImagePullSecret => (true, one == other),
        };
        match (is_same_source, is_same) {
            (false, _) => Difference::Source,
            (true, false) => Difference::Other,
            (true, true) => Difference::None,
        }
    }
}

/// The sources of a spec or an artifact.
#[derive(Debug, Clone, Default)]
pub struct Sources<'a>([Container<'a, Strings<'a>>; 3]);

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
    pub fn get(&self, source: Source) -> &Container<'a, Strings<'a>> {
        &self.0[source as usize]
    }

    /// Whether no judged member has a value. Go writes a struct without values as objects of empty strings.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|source| match source {
            Member::Absent => true,
            Member::WrongType(_) => false,
            Member::Present(strings) => strings.is_empty(),
        })
    }

    /// Whether a source is not an object of strings.
    pub fn has_wrong_type(&self) -> bool {
        Source::ALL.into_iter().any(|source| self.is_wrong_type(source))
    }

    /// Whether this source is not an object of strings.
    pub fn is_wrong_type(&self, source: Source) -> bool {
        match self.get(source) {
            Member::Absent => false,
            Member::WrongType(_) => true,
            Member::Present(strings) => {
                let is_wrong = |member: &SourceMember| matches!(strings.get(*member).string(), Member::WrongType(_));
                source.members().iter().any(is_wrong)
            }
        }
    }

    /// A member of a source, if the source is present.
    pub fn value(&self, source: Source, member: SourceMember) -> Option<&Json<'a>> {
        self.get(source).present().map(|strings| strings.get(member))
    }

    /// The text of a member, if it is present.
    pub fn text(&self, source: Source, member: SourceMember) -> Option<&str> {
        self.value(source, member)?.string().value()
    }
}

/// Sources are equal if their judged members are. A source without a value counts as absent.
impl PartialEq for Sources<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(one, other)| match (one, other) {
            (Member::Absent, Member::Present(strings)) | (Member::Present(strings), Member::Absent) => {
                strings.is_empty()
            }
            (one, other) => one == other,
        })
    }
}

/// The judged members of one source.
#[derive(Debug, Clone, Default)]
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

impl PartialEq for Strings<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(one, other)| one.is_same_text(other))
    }
}

impl<'a> Strings<'a> {
    pub fn get(&self, member: SourceMember) -> &Json<'a> {
        &self.0[member as usize]
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|json| json.string() == Member::Absent)
    }
}
