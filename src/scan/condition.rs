//! The condition types of a scan, and the entries of the conditions list.

use std::ops::{Index, IndexMut};

use super::json::{Json, Object};
use super::reader::{Key, ReadError, Reader};
use super::time;
use ::time::OffsetDateTime;

/// The four condition types of a scan. Entries of other types may be present; each of those is judged by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConditionType {
    Scanning,
    Succeeded,
    SendingResults,
    PolicySucceeded,
}

impl ConditionType {
    pub const ALL: [ConditionType; 4] = [
        ConditionType::Scanning,
        ConditionType::Succeeded,
        ConditionType::SendingResults,
        ConditionType::PolicySucceeded,
    ];

    pub fn name(self) -> &'static str {
        match self {
            ConditionType::Scanning => "Scanning",
            ConditionType::Succeeded => "Succeeded",
            ConditionType::SendingResults => "SendingResults",
            ConditionType::PolicySucceeded => "PolicySucceeded",
        }
    }

    pub fn parse(name: &str) -> Option<ConditionType> {
        ConditionType::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// The three statuses a condition may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}

impl ConditionStatus {
    pub const ALL: [ConditionStatus; 3] = [ConditionStatus::True, ConditionStatus::False, ConditionStatus::Unknown];

    pub fn name(self) -> &'static str {
        match self {
            ConditionStatus::True => "True",
            ConditionStatus::False => "False",
            ConditionStatus::Unknown => "Unknown",
        }
    }

    pub fn parse(name: &str) -> Option<ConditionStatus> {
        ConditionStatus::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// The members of a condition, in the order of the vendor's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConditionMember {
    Type,
    Status,
    Reason,
    Message,
    Error,
    LastTransitionTime,
    ObservedGeneration,
}

impl ConditionMember {
    pub const ALL: [ConditionMember; 7] = [
        ConditionMember::Type,
        ConditionMember::Status,
        ConditionMember::Reason,
        ConditionMember::Message,
        ConditionMember::Error,
        ConditionMember::LastTransitionTime,
        ConditionMember::ObservedGeneration,
    ];

    pub fn name(self) -> &'static str {
        match self {
            ConditionMember::Type => "type",
            ConditionMember::Status => "status",
            ConditionMember::Reason => "reason",
            ConditionMember::Message => "message",
            ConditionMember::Error => "error",
            ConditionMember::LastTransitionTime => "lastTransitionTime",
            ConditionMember::ObservedGeneration => "observedGeneration",
        }
    }
}

/// An entry of `status.conditions`, indexed by member: `entry[ConditionMember::Reason]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Condition<'a>([Json<'a>; 7]);

impl<'a> Index<ConditionMember> for Condition<'a> {
    type Output = Json<'a>;
    fn index(&self, member: ConditionMember) -> &Json<'a> {
        &self.0[member as usize]
    }
}

impl<'a> IndexMut<ConditionMember> for Condition<'a> {
    fn index_mut(&mut self, member: ConditionMember) -> &mut Json<'a> {
        &mut self.0[member as usize]
    }
}

impl<'a> Object<'a> for Condition<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match ConditionMember::ALL.into_iter().find(|member| member.name() == key.as_ref()) {
            Some(member) => self[member] = value.read()?,
            None => value.skip()?,
        }
        Ok(())
    }
}

impl Condition<'_> {
    /// The type, or `None` if it is absent or not a string.
    pub fn type_name(&self) -> Option<&str> {
        self[ConditionMember::Type].string().value()
    }

    /// The type, if it is one of the four.
    pub fn known_type(&self) -> Option<ConditionType> {
        ConditionType::parse(self.type_name()?)
    }

    /// The status, if it is one of the three.
    pub fn status(&self) -> Option<ConditionStatus> {
        ConditionStatus::parse(self[ConditionMember::Status].string().value()?)
    }

    /// The time of `lastTransitionTime`, if it is valid.
    pub fn last_transition_time(&self) -> Option<OffsetDateTime> {
        time::parse(self[ConditionMember::LastTransitionTime].string().value()?)
    }
}
