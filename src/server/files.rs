//! Files that are read again and again: what is new in them is proven before anybody sees it.
//!
//! Contents are compared. The kubelet swaps a mounted Secret or ConfigMap by renaming a symlink above the files, so that whoever waits
//! for a change of the files themselves hears of the first swap only, and then never again.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

/// What of a file is read. A Secret or ConfigMap holds at most 1 MiB in all.
pub const FILE_MAX_BYTES: u64 = 1 << 20;

/// A file, and the flag that names it.
pub struct NamedFile {
    pub flag: &'static str,
    pub path: PathBuf,
}

/// Why a file cannot be used. Each reads on from `the file `.
#[derive(Debug)]
pub enum Fault<F> {
    Unreadable(io::Error),
    Folder,
    /// A pipe or a device, which would be read once, or for ever.
    Special,
    TooBig,
    /// It can be read, but not be used.
    Contents(F),
}

/// What to do about it.
const RIGHT: &str = "let the user that runs this read it, in a Pod by securityContext.fsGroup";

impl<F: fmt::Display> fmt::Display for Fault<F> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                write!(out, "cannot be read: {error}: {RIGHT}")
            }
            Self::Unreadable(error) => write!(out, "cannot be read: {error}"),
            Self::Folder => {
                out.write_str("is a folder: name the file in it, of a mounted Secret or ConfigMap that of its key")
            }
            Self::Special => {
                out.write_str("is a pipe or a device: name a plain file, which can be read again when it changes")
            }
            Self::TooBig => {
                write!(out, "has more than {FILE_MAX_BYTES} bytes: a Secret or ConfigMap holds no such file")
            }
            Self::Contents(fault) => fault.fmt(out),
        }
    }
}

/// What is wrong with which file.
#[derive(Debug)]
pub struct Error<F> {
    pub flag: &'static str,
    pub path: PathBuf,
    pub fault: Fault<F>,
}

impl<F: fmt::Display> fmt::Display for Error<F> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}: the file {}", self.flag, self.path.display(), self.fault)
    }
}

impl<F: fmt::Debug + fmt::Display> std::error::Error for Error<F> {}

/// Makes a value of the contents of all files, or says what is wrong with which.
pub type Proof<T, F> = fn(&[Vec<u8>], OffsetDateTime) -> Result<T, (usize, F)>;

/// How many looks in a row have to find the same before it is judged: what is being written is not yet what was meant. A
/// chain that is half written would pass each proof, and files that are written one after the other fail theirs.
pub const SETTLED_LOOKS: u32 = 2;

/// Files that belong together, and the contents of them that were last proven.
pub struct Watched<T, F> {
    files: Vec<NamedFile>,
    prove: Proof<T, F>,
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

impl<T, F: fmt::Display> Watched<T, F> {
    /// Reads the files for the first time.
    pub fn open(files: Vec<NamedFile>, prove: Proof<T, F>, now: OffsetDateTime) -> Result<(Self, T), Error<F>> {
        let mut watched = Self { files, prove, proven: Vec::new(), last: None, is_told: false };
        watched.proven = watched.read()?;
        let value = watched.judge(&watched.proven, now)?;
        Ok((watched, value))
    }

    /// What is new, has settled, and can be used, or what is wrong with it, once.
    ///
    /// What cannot be used is judged again at each look, as it may only be too early for it.
    pub fn look(&mut self, now: OffsetDateTime) -> Option<Result<T, Error<F>>> {
        let read = self.read();
        let seen = match &read {
            Ok(contents) if *contents == self.proven => {
                self.last = None;
                self.is_told = false;
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

    /// Whether what is there now was found to be of no use.
    pub fn is_refused(&self) -> bool {
        self.is_told
    }

    fn judge(&self, contents: &[Vec<u8>], now: OffsetDateTime) -> Result<T, Error<F>> {
        (self.prove)(contents, now).map_err(|(index, fault)| error(&self.files[index], Fault::Contents(fault)))
    }

    fn read(&self) -> Result<Vec<Vec<u8>>, Error<F>> {
        self.files.iter().map(|file| read(&file.path).map_err(|fault| error(file, fault))).collect()
    }
}

fn error<F>(file: &NamedFile, fault: Fault<F>) -> Error<F> {
    Error { flag: file.flag, path: file.path.clone(), fault }
}

/// The contents of a plain file.
fn read<F>(path: &Path) -> Result<Vec<u8>, Fault<F>> {
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
