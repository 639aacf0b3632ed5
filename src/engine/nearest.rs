//! Finds the known word that an unknown word is likely a misspelling of.

/// Longest word that is compared, in characters. The longest known word has 36.
const WORD_MAX_CHARS: usize = 64;

/// Returns the nearest known word, ignoring case, if at most a third of its characters differ, or one of a short word.
pub fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let distances = known.iter().filter_map(|known| Some((edit_distance(word, known)?, *known)));
    let (distance, nearest) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= (nearest.chars().count() / 3).max(1)).then_some(nearest)
}

/// Returns how many characters have to be inserted, removed or replaced to make `word` the other word (Levenshtein), ignoring
/// case. `None` if `word` is too long.
fn edit_distance(word: &str, other: &str) -> Option<usize> {
    let length = lowercase(word).take(WORD_MAX_CHARS + 1).count();
    // The distances between each beginning of `word` and the characters of `other` that have been read.
    let mut row: [usize; WORD_MAX_CHARS + 1] = std::array::from_fn(|length| length);
    let row = row.get_mut(..=length)?;
    for (read, other) in lowercase(other).enumerate() {
        let mut diagonal = row[0];
        row[0] = read + 1;
        for (column, char) in lowercase(word).enumerate() {
            let replaced = diagonal + usize::from(char != other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row.last().copied()
}

fn lowercase(word: &str) -> impl Iterator<Item = char> {
    word.chars().flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_near_word_is_found_whatever_its_case() {
        let known = ["Pending", "Scanning", "Completed", "Failed", "Error"];
        for (word, expected) in [
            ("Complete", Some("Completed")),
            ("completed", Some("Completed")),
            ("Compelted", Some("Completed")),
            ("Fail", Some("Failed")),
            ("ERROR", Some("Error")),
            ("Done", None),
            ("Succeeded", None),
            ("", None),
            (&"Completed".repeat(8), None),
        ] {
            assert_eq!(nearest(word, &known), expected, "{word}");
        }
        assert_eq!(nearest("Completed", &[]), None);
    }
}
