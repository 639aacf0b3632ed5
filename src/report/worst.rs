//! A list that keeps the most severe of its findings, for reports that may not be long.

use crate::engine::Action;

/// Keeps up to `max` items: those with the most severe actions and, among equals, the first ones.
pub struct WorstFirst<T> {
    max: usize,
    items: Vec<(Action, T)>,
    /// The number of items that were not kept.
    omitted: usize,
}

impl<T> WorstFirst<T> {
    pub fn new(max: usize) -> Self {
        Self { max, items: Vec::new(), omitted: 0 }
    }

    pub fn push(&mut self, action: Action, item: T) {
        self.items.push((action, item));
        // Sorting at twice the limit costs a constant number of comparisons for each item.
        if self.items.len() >= 2 * self.max {
            self.shorten();
        }
    }

    /// Returns the kept items, the most severe first, and the number of the others.
    pub fn finish(mut self) -> (Vec<T>, usize) {
        self.shorten();
        (self.items.into_iter().map(|(_, item)| item).collect(), self.omitted)
    }

    fn shorten(&mut self) {
        self.items.sort_by_key(|(action, _)| std::cmp::Reverse(*action));
        self.omitted += self.items.len().saturating_sub(self.max);
        self.items.truncate(self.max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_severe_and_first_items_are_kept() {
        let actions =
            [Action::Audit, Action::Warn, Action::Deny, Action::Warn, Action::Deny, Action::Audit, Action::Deny];
        for (max, expected) in [(1, &[2][..]), (2, &[2, 4]), (4, &[2, 4, 6, 1]), (7, &[2, 4, 6, 1, 3, 0, 5])] {
            let mut list = WorstFirst::new(max);
            for (index, action) in actions.into_iter().enumerate() {
                list.push(action, index);
            }
            assert_eq!(list.finish(), (expected.to_vec(), actions.len() - expected.len()));
        }
    }
}
