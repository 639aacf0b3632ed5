//! Lines and columns, both from 1; a column is a character.

use std::cell::OnceCell;

use serde::Serialize;

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    pub const START: Place = Place { line: 1, column: 1 };

    /// The place behind `text`, which begins here.
    pub fn after(self, text: &[u8]) -> Place {
        text.iter().fold(self, |place, byte| match byte {
            b'\n' => Place { line: place.line + 1, column: 1 },
            // The second and later bytes of a character.
            0x80..=0xBF => place,
            _ => Place { column: place.column + 1, ..place },
        })
    }
}

/// How far apart the remembered places are: little to count from one, and little to remember.
const STEP_BYTES: usize = 4 << 10;

/// Finds places in a text that begins at `start`. What it remembers is made when the first is asked for.
pub struct Places<'a> {
    text: &'a [u8],
    start: Place,
    steps: OnceCell<Vec<Place>>,
}

impl<'a> Places<'a> {
    pub fn new(text: &'a [u8], start: Place) -> Self {
        Places { text, start, steps: OnceCell::new() }
    }

    /// The place of the byte `offset`.
    pub fn at(&self, offset: usize) -> Place {
        let steps = self.steps.get_or_init(|| {
            let steps = self.text.chunks(STEP_BYTES).scan(self.start, |place, chunk| {
                let step = *place;
                *place = place.after(chunk);
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
    fn a_place_is_found_wherever_it_is() {
        let text = "ab\né\u{1F600}c\n".repeat(STEP_BYTES / 3);
        let places = Places::new(text.as_bytes(), Place { line: 3, column: 5 });
        let (mut line, mut column) = (3, 5);
        for (offset, character) in text.char_indices() {
            assert_eq!(places.at(offset), Place { line, column }, "{offset}");
            (line, column) = if character == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        assert_eq!(places.at(usize::MAX), Place { line, column });
        assert_eq!(Places::new(b"", Place::START).at(7), Place::START);
    }
}
