//! A reader for tests that returns a few bytes at a time.

use std::io::{self, Read};

/// Reads at most the given number of bytes at a time, so that boundaries fall everywhere.
pub struct SlowReader<'a>(pub &'a [u8], pub usize);

impl Read for SlowReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.1.min(self.0.len()).min(into.len());
        into[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}
