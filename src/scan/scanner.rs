//! Who scanned: `scannedBy.scanner.{name,vendor,version}`, or the same three flat in `scannedBy`.

use super::json::{Json, Member, Object};
use super::reader::{Fault, Key, Reader};

/// The judged members of a scanner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScannedBy<'a> {
    pub scanner: Member<Scanner<'a>>,
    pub flat: Scanner<'a>,
}

impl<'a> Object<'a> for ScannedBy<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), Fault> {
        match key.as_ref() {
            "scanner" => self.scanner = value.read()?,
            _ => self.flat.member(key, value)?,
        }
        Ok(())
    }
}

impl ScannedBy<'_> {
    /// Whether the member says something, in either form.
    pub fn has(&self, member: ScannerMember) -> bool {
        let says = |scanner: &Scanner<'_>| scanner.get(member).string() != Member::Absent;
        says(&self.flat) || self.scanner.is().is_some_and(says)
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scanner<'a>([Json<'a>; 3]);

impl<'a> Object<'a> for Scanner<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), Fault> {
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
