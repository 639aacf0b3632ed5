//! Finds the known word that an unknown word is likely a misspelling of.

/// Longest word that is compared, in bytes. The longest known word has 36.
const WORD_MAX_BYTES: usize = 64;

/// Returns the nearest known word, ignoring case, if at most a third of its characters differ.
pub fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    if word.len() > WORD_MAX_BYTES {
        return None;
    }
    let distance = |known: &str| edit_distance(&word.to_lowercase(), &known.to_lowercase());
    let (distance, nearest) =
        known.iter().map(|known| (distance(known), *known)).min_by_key(|(distance, _)| *distance)?;
    (distance <= nearest.chars().count().div_ceil(3)).then_some(nearest)
}

/// Returns how many characters have to be inserted, removed or replaced to make one word the other (Levenshtein).
fn edit_distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    // The distances between the characters of `from` that have been read and each beginning of `to`.
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (read, from) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = read + 1;
        for (column, to) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
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
            ("ERR", Some("Error")),
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
