//! Lines and columns. Both count from 1, and columns count characters.

use std::cell::OnceCell;

use serde::Serialize;

/// A position in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Position {
    pub const START: Position = Position { line: 1, column: 1 };

    /// The position after `text`, which begins at this position.
    pub fn after(self, text: &[u8]) -> Position {
        text.iter().fold(self, |position, byte| match byte {
            b'\n' => Position { line: position.line + 1, column: 1 },
            // The second and later bytes of a character.
            0x80..=0xBF => position,
            _ => Position { column: position.column + 1, ..position },
        })
    }
}

/// A region of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    pub start: Position,
    /// The position after the last character.
    pub end: Position,
}

/// The distance between recorded positions: short enough to count from one, long enough to need little memory.
const STEP_BYTES: usize = 4 << 10;

/// Finds positions in a text that begins at `start`. The recorded positions are computed at the first call of
/// [`at`](Self::at).
pub struct Positions<'a> {
    text: &'a [u8],
    start: Position,
    steps: OnceCell<Vec<Position>>,
}

impl<'a> Positions<'a> {
    pub fn new(text: &'a [u8], start: Position) -> Self {
        Positions { text, start, steps: OnceCell::new() }
    }

    /// The position of the byte `offset`.
    pub fn at(&self, offset: usize) -> Position {
        let steps = self.steps.get_or_init(|| {
            let steps = self.text.chunks(STEP_BYTES).scan(self.start, |position, chunk| {
                let step = *position;
                *position = position.after(chunk);
                Some(step)
            });
            steps.collect()
        });
        let offset = offset.min(self.text.len());
        let step = (offset / STEP_BYTES).min(steps.len().saturating_sub(1));
        let from = steps.get(step).copied().unwrap_or(self.start);
        from.after(&self.text[step * STEP_BYTES..offset])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offset_has_its_position() {
        let text = "ab\né\u{1F600}c\n".repeat(STEP_BYTES / 3);
        let positions = Positions::new(text.as_bytes(), Position { line: 3, column: 5 });
        let (mut line, mut column) = (3, 5);
        for (offset, character) in text.char_indices() {
            assert_eq!(positions.at(offset), Position { line, column }, "{offset}");
            (line, column) = if character == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        assert_eq!(positions.at(usize::MAX), Position { line, column });
        assert_eq!(Positions::new(b"", Position::START).at(7), Position::START);
    }
}
