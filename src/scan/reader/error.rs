//! Where a text is no JSON, and what is expected there.

/// What may be expected at an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
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

impl Expected {
    const ALL: [Expected; 11] = [
        Expected::Value,
        Expected::Object,
        Expected::List,
        Expected::Key,
        Expected::Colon,
        Expected::ObjectEnd,
        Expected::ListEnd,
        Expected::StringEnd,
        Expected::Escape,
        Expected::Digit,
        Expected::End,
    ];

    fn description(self) -> &'static str {
        match self {
            Expected::Value => "a value",
            Expected::Object => "an object",
            Expected::List => "a list",
            Expected::Key => "a key in quotes",
            Expected::Colon => "`:`",
            Expected::ObjectEnd => "`,` or `}`",
            Expected::ListEnd => "`,` or `]`",
            Expected::StringEnd => "the end of a string, or an escape",
            Expected::Escape => "an escape of JSON",
            Expected::Digit => "a digit",
            Expected::End => "the end",
        }
    }
}

/// The offset of an error and what is expected there, in one number, so that a result fits two registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadError(usize);

impl ReadError {
    pub(super) fn new(at: usize, expected: Expected) -> Self {
        ReadError(at * Expected::ALL.len() + expected as usize)
    }

    /// The message, with line and column in `text`.
    pub fn message(self, text: &str) -> String {
        let (at, expected) = (self.0 / Expected::ALL.len(), Expected::ALL[self.0 % Expected::ALL.len()]);
        let before = &text.as_bytes()[..at.min(text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
        let end = if at < text.len() { "" } else { " (the end)" };
        format!("line {line}, column {column}{end}: {} is expected", expected.description())
    }
}
