//! Fast path for a list that is repeated in `object` and `oldObject`: most entries of `managedFields` are the same in
//! both, and comparing them is ten times faster than parsing them again.

use super::{ReadError, Reader};

/// The number of offsets that are recorded for a list. After an entry that differs, entries are parsed up to the next
/// recorded one.
const MARKS: usize = 32;

/// The offsets of the entries of a list that was skipped; for a long list, of every second, fourth, … entry.
#[derive(Default)]
pub struct RepeatedList {
    marks: [usize; MARKS],
    len: usize,
    stride_log2: u32,
    count: usize,
    /// The offset at which the last entry ends.
    end: usize,
    /// Whether an entry is not an object. Such a list is not compared, since equal digits may be the start of a longer
    /// number.
    has_other_type: bool,
}

impl RepeatedList {
    /// Records an entry. If no room is left, every second recorded offset is dropped first.
    fn record(&mut self, begin: usize, end: usize) {
        if self.count == self.len << self.stride_log2 {
            if self.len == MARKS {
                for mark in 0..MARKS / 2 {
                    self.marks[mark] = self.marks[2 * mark];
                }
                self.len /= 2;
                self.stride_log2 += 1;
            }
            self.marks[self.len] = begin;
            self.len += 1;
        }
        self.count += 1;
        self.end = end;
    }

    /// The offset of an entry, if it is recorded.
    fn begin(&self, index: usize) -> Option<usize> {
        let mark = index >> self.stride_log2;
        (mark < self.len && index == mark << self.stride_log2).then(|| self.marks[mark])
    }

    /// Returns the last recorded offset at or before `at`, preceded by the number of entries before it.
    fn last(&self, at: usize) -> (usize, usize) {
        if at >= self.end {
            return (self.count, self.end);
        }
        let mark = self.marks[..self.len].partition_point(|begin| *begin <= at).saturating_sub(1);
        (mark << self.stride_log2, self.marks[mark])
    }
}

impl Reader<'_> {
    /// Skips the next value. The entries of a list are compared with those of the first list that this method skipped.
    pub fn skip_repeated(&mut self) -> Result<(), ReadError> {
        if self.peek() != b'[' {
            return self.skip();
        }
        match self.repeated.take() {
            Some(list) if list.has_other_type => {
                self.repeated = Some(list);
                self.skip()?;
            }
            None => {
                let mut list = RepeatedList::default();
                self.list(|entry| {
                    entry.peek();
                    let begin = entry.at;
                    list.has_other_type |= entry.peek() != b'{';
                    entry.skip()?;
                    list.record(begin, entry.at);
                    Ok(())
                })?;
                self.repeated = Some(list);
            }
            Some(list) => {
                let mut index = 0;
                self.list(|entry| {
                    entry.peek();
                    if let Some(from) = list.begin(index) {
                        let bytes = entry.text.as_bytes();
                        let (skipped, to) =
                            list.last(from + common_prefix_bytes(&bytes[from..list.end], &bytes[entry.at..]));
                        // Both ranges begin and end with whole entries, so the same bytes are valid JSON here too.
                        entry.at += to - from;
                        index = skipped;
                        if skipped == list.count {
                            return Ok(());
                        }
                    }
                    index += 1;
                    entry.skip()
                })?;
                self.repeated = Some(list);
            }
        }
        Ok(())
    }
}

/// The length of the common prefix.
fn common_prefix_bytes(one: &[u8], other: &[u8]) -> usize {
    const AT_ONCE: usize = 128;
    let pairs = one.chunks_exact(AT_ONCE).zip(other.chunks_exact(AT_ONCE));
    let whole = AT_ONCE * pairs.take_while(|(one, other)| one == other).count();
    whole + one[whole..].iter().zip(&other[whole..]).take_while(|(one, other)| one == other).count()
}
