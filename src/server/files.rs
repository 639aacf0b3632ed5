//! Files that are read again and again: what is new in them is proven before anybody sees it.
//!
//! Contents are compared. The kubelet swaps a mounted Secret by renaming a symlink above the files, so that whoever waits
//! for a change of the files themselves hears of the first swap only, and then never again.

use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::pair::Fault;

/// What of a file is read. A Secret holds at most 1 MiB in all.
pub const FILE_MAX_BYTES: u64 = 1 << 20;

/// A file, and the flag that names it.
pub struct NamedFile {
    pub flag: &'static str,
    pub path: PathBuf,
}

/// What is wrong with which file.
#[derive(Debug)]
pub struct Error {
    pub flag: &'static str,
    pub path: PathBuf,
    pub fault: Fault,
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}: the file {}", self.flag, self.path.display(), self.fault)
    }
}

impl std::error::Error for Error {}

/// Makes a value of the contents of all files, or says what is wrong with which.
pub type Proof<T> = fn(&[Vec<u8>], OffsetDateTime) -> Result<T, (usize, Fault)>;

/// How many looks in a row have to find the same before it is judged: what is being written is not yet what was meant. A
/// chain that is half written would pass each proof, and files that are written one after the other fail theirs.
pub const SETTLED_LOOKS: u32 = 2;

/// Files that belong together, and the contents of them that were last proven.
pub struct Watched<T> {
    files: Vec<NamedFile>,
    prove: Proof<T>,
    proven: Vec<Vec<u8>>,
    /// What the last look found, where that is something else.
    last: Option<Seen>,
    is_told: bool,
}

#[derive(PartialEq)]
enum Seen {
    Contents(Vec<Vec<u8>>),
    /// In words.
    Unreadable(String),
}

impl<T> Watched<T> {
    /// Reads the files for the first time.
    pub fn open(files: Vec<NamedFile>, prove: Proof<T>, now: OffsetDateTime) -> Result<(Self, T), Error> {
        let mut watched = Self { files, prove, proven: Vec::new(), last: None, is_told: false };
        watched.proven = watched.read()?;
        let value = watched.judge(&watched.proven, now)?;
        Ok((watched, value))
    }

    /// What is new, has settled, and can be used, or what is wrong with it, once.
    ///
    /// What cannot be used is judged again at each look, as it may only be too early for it.
    pub fn look(&mut self, now: OffsetDateTime) -> Option<Result<T, Error>> {
        let read = self.read();
        let seen = match &read {
            Ok(contents) if *contents == self.proven => {
                self.last = None;
                return None;
            }
            Ok(contents) => Seen::Contents(contents.clone()),
            Err(error) => Seen::Unreadable(error.to_string()),
        };
        if self.last.as_ref() != Some(&seen) {
            self.last = Some(seen);
            self.is_told = false;
            return None;
        }
        let judged = read.and_then(|contents| Ok((self.judge(&contents, now)?, contents)));
        match judged {
            Ok((value, contents)) => {
                self.proven = contents;
                self.last = None;
                Some(Ok(value))
            }
            Err(error) => (!std::mem::replace(&mut self.is_told, true)).then_some(Err(error)),
        }
    }

    fn judge(&self, contents: &[Vec<u8>], now: OffsetDateTime) -> Result<T, Error> {
        (self.prove)(contents, now).map_err(|(index, fault)| error(&self.files[index], fault))
    }

    fn read(&self) -> Result<Vec<Vec<u8>>, Error> {
        self.files.iter().map(|file| read(&file.path).map_err(|fault| error(file, fault))).collect()
    }
}

fn error(file: &NamedFile, fault: Fault) -> Error {
    Error { flag: file.flag, path: file.path.clone(), fault }
}

/// The contents of a plain file.
fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    // Asked before it is opened: opening a pipe would wait for its writer.
    let kind = fs::metadata(path).map_err(Fault::Unreadable)?.file_type();
    if kind.is_dir() {
        return Err(Fault::Folder);
    } else if !kind.is_file() {
        return Err(Fault::Special);
    }
    let mut contents = Vec::new();
    let file = File::open(path).map_err(Fault::Unreadable)?;
    file.take(FILE_MAX_BYTES + 1).read_to_end(&mut contents).map_err(Fault::Unreadable)?;
    if contents.len() as u64 > FILE_MAX_BYTES { Err(Fault::TooBig) } else { Ok(contents) }
}
