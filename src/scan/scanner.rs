//! The scanner: `scannedBy.scanner.{name,vendor,version}`, or the same members in `scannedBy` itself.

use super::json::{Container, Json, Member, Object};
use super::reader::{Key, ReadError, Reader};

/// The judged members of a scanner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScannerMember {
    Name,
    Vendor,
    Version,
}

impl ScannerMember {
    pub const ALL: [ScannerMember; 3] = [ScannerMember::Name, ScannerMember::Vendor, ScannerMember::Version];

    pub fn name(self) -> &'static str {
        match self {
            ScannerMember::Name => "name",
            ScannerMember::Vendor => "vendor",
            ScannerMember::Version => "version",
        }
    }

    fn parse(key: &str) -> Option<ScannerMember> {
        ScannerMember::ALL.into_iter().find(|member| member.name() == key)
    }
}

/// Where the members of a scanner are: in `scannedBy.scanner`, or in `scannedBy` itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScannerForm {
    Nested,
    Flat,
}

impl ScannerForm {
    pub const BOTH: [ScannerForm; 2] = [ScannerForm::Nested, ScannerForm::Flat];
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScannedBy<'a> {
    pub scanner: Container<'a, Scanner<'a>>,
    pub flat: Scanner<'a>,
}

impl<'a> Object<'a> for ScannedBy<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match key.as_ref() {
            "scanner" => self.scanner = value.read()?,
            _ => self.flat.member(key, value)?,
        }
        Ok(())
    }
}

impl<'a> ScannedBy<'a> {
    /// The scanner in this form, if it is an object.
    pub fn scanner(&self, form: ScannerForm) -> Option<&Scanner<'a>> {
        match form {
            ScannerForm::Nested => self.scanner.present(),
            ScannerForm::Flat => Some(&self.flat),
        }
    }

    /// Whether the member is present, in either form.
    pub fn has(&self, member: ScannerMember) -> bool {
        let is_present = |scanner: &Scanner<'_>| scanner.get(member).string() != Member::Absent;
        ScannerForm::BOTH.into_iter().filter_map(|form| self.scanner(form)).any(is_present)
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scanner<'a>([Json<'a>; 3]);

impl<'a> Object<'a> for Scanner<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match ScannerMember::parse(key.as_ref()) {
            Some(member) => self.0[member as usize] = value.read()?,
            None => value.skip()?,
        }
        Ok(())
    }
}

impl<'a> Scanner<'a> {
    pub fn get(&self, member: ScannerMember) -> &Json<'a> {
        &self.0[member as usize]
    }
}
