//! Where a text is no JSON, and what is due there.

/// What may be due at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
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

impl Due {
    const ALL: [Due; 11] = [
        Due::Value,
        Due::Object,
        Due::List,
        Due::Key,
        Due::Colon,
        Due::ObjectEnd,
        Due::ListEnd,
        Due::StringEnd,
        Due::Escape,
        Due::Digit,
        Due::End,
    ];

    fn words(self) -> &'static str {
        match self {
            Due::Value => "a value",
            Due::Object => "an object",
            Due::List => "a list",
            Due::Key => "a key in quotes",
            Due::Colon => "`:`",
            Due::ObjectEnd => "`,` or `}`",
            Due::ListEnd => "`,` or `]`",
            Due::StringEnd => "the end of a string, or an escape",
            Due::Escape => "an escape of JSON",
            Due::Digit => "a digit",
            Due::End => "the end",
        }
    }
}

/// Where a text is not what it should be, and what is due there: in one number, so that a result fits two registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault(usize);

impl Fault {
    pub(super) fn new(at: usize, due: Due) -> Self {
        Fault(at * Due::ALL.len() + due as usize)
    }

    /// In words, for whoever sees the text.
    pub fn words(self, text: &str) -> String {
        let (at, due) = (self.0 / Due::ALL.len(), Due::ALL[self.0 % Due::ALL.len()]);
        let before = &text.as_bytes()[..at.min(text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
        let end = if at < text.len() { "" } else { " (the end)" };
        format!("line {line}, column {column}{end}: {} is due", due.words())
    }
}
