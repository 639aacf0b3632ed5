//! The error of the JSON reader: the offset at which a text is not JSON, and what the reader expected there.

/// The part of JSON that is expected at an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedJson {
    Value,
    Object,
    List,
    Key,
    Colon,
    ObjectEnd,
    ListEnd,
    StringEnd,
    Escape,
    Digit,
    End,
}

impl ExpectedJson {
    const ALL: [ExpectedJson; 11] = [
        ExpectedJson::Value,
        ExpectedJson::Object,
        ExpectedJson::List,
        ExpectedJson::Key,
        ExpectedJson::Colon,
        ExpectedJson::ObjectEnd,
        ExpectedJson::ListEnd,
        ExpectedJson::StringEnd,
        ExpectedJson::Escape,
        ExpectedJson::Digit,
        ExpectedJson::End,
    ];

    fn description(self) -> &'static str {
        match self {
            ExpectedJson::Value => "a value",
            ExpectedJson::Object => "an object",
            ExpectedJson::List => "a list",
            ExpectedJson::Key => "a key in quotes",
            ExpectedJson::Colon => "`:`",
            ExpectedJson::ObjectEnd => "`,` or `}`",
            ExpectedJson::ListEnd => "`,` or `]`",
            ExpectedJson::StringEnd => "the end of the string or an escape",
            ExpectedJson::Escape => "a valid escape",
            ExpectedJson::Digit => "a digit",
            ExpectedJson::End => "the end of the text",
        }
    }
}

/// The offset of an error and the expected part, in one number, so that a result fits two registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadError(usize);

impl ReadError {
    pub(super) fn new(at: usize, expected: ExpectedJson) -> Self {
        ReadError(at * ExpectedJson::ALL.len() + expected as usize)
    }

    /// The message, with the line and column in `text`.
    pub fn message(self, text: &str) -> String {
        let (at, expected) = (self.0 / ExpectedJson::ALL.len(), ExpectedJson::ALL[self.0 % ExpectedJson::ALL.len()]);
        let before = &text.as_bytes()[..at.min(text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
        let found = if at < text.len() { "" } else { ", found the end of the text" };
        format!("line {line}, column {column}: expected {}{found}", expected.description())
    }
}
