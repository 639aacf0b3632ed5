//! Files that are read again when they change: new contents are loaded before they are used.
//!
//! Contents are compared. The kubelet swaps a mounted Secret or ConfigMap by renaming a symlink above the files, so that whoever waits
//! for a change of the files themselves hears of the first swap only, and then never again.

use std::fmt::{Debug, Display};
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

/// What of a file is read. A Secret or ConfigMap holds at most 1 MiB in all.
pub const FILE_MAX_BYTES: u64 = 1 << 20;

/// A file, and the flag that names it.
pub struct NamedFile {
    pub flag: &'static str,
    pub path: PathBuf,
}

/// Why a file cannot be used. Each message reads on from `the file `.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem<E> {
    #[error("cannot be read: {0}: let the user that runs this read it, in a Pod by securityContext.fsGroup")]
    Forbidden(io::Error),
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("is a folder: name the file in it, of a mounted Secret or ConfigMap that of its key")]
    Folder,
    /// It would be read once, or for ever.
    #[error("is a pipe or a device: name a plain file, which can be read again when it changes")]
    Special,
    #[error("has more than {FILE_MAX_BYTES} bytes: a Secret or ConfigMap holds no such file")]
    TooLarge,
    /// It can be read, but not be used.
    #[error("{0}")]
    Contents(E),
}

impl<E> From<io::Error> for FileProblem<E> {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::PermissionDenied { Self::Forbidden(error) } else { Self::Unreadable(error) }
    }
}

/// What is wrong with which file.
#[derive(Debug, thiserror::Error)]
#[error("{flag} {}: the file {problem}", .path.display())]
pub struct FileError<E: Debug + Display> {
    pub flag: &'static str,
    pub path: PathBuf,
    pub problem: FileProblem<E>,
}

/// What is wrong with the contents of one of several files.
#[derive(Debug)]
pub struct ContentsError<E> {
    /// Which file, from 0.
    pub file: usize,
    pub error: E,
}

/// Looks for something newer at a time: none, one that can be used, or what is wrong with the one that was found.
pub type Poll<T> = Box<dyn FnMut(OffsetDateTime) -> Option<Result<T, PollError>> + Send>;

/// Why something newer cannot be used.
pub type PollError = Box<dyn std::error::Error + Send + Sync>;

/// Makes a value of the contents of all files.
pub type Load<T, E> = fn(&[Vec<u8>], OffsetDateTime) -> Result<T, ContentsError<E>>;

/// How many polls in a row have to find the same contents before they are loaded: a file may still be being written. A chain
/// that is half written could be loaded, and files that are written one after the other could not.
pub const SETTLED_POLLS: u32 = 2;

/// Files that belong together, and the contents of them that are in use.
pub struct WatchedFiles<T, E> {
    files: Vec<NamedFile>,
    load: Load<T, E>,
    current: Vec<Vec<u8>>,
    /// What the last poll found, where that is something else.
    last: Option<Observation>,
    /// Whether `last` cannot be used, which is reported once.
    is_rejected: bool,
}

#[derive(PartialEq)]
enum Observation {
    Contents(Vec<Vec<u8>>),
    /// With the message of the error.
    Unreadable(String),
}

impl<T: Send + 'static, E: std::error::Error + Send + Sync + 'static> WatchedFiles<T, E> {
    /// Reads the files for the first time.
    pub fn open(files: Vec<NamedFile>, load: Load<T, E>, now: OffsetDateTime) -> Result<(Self, T), FileError<E>> {
        let mut watched = Self { files, load, current: Vec::new(), last: None, is_rejected: false };
        watched.current = watched.read()?;
        let value = watched.load(&watched.current, now)?;
        Ok((watched, value))
    }

    /// What is new, has settled, and can be used, or what is wrong with it, once.
    ///
    /// What cannot be used is loaded again at each poll, as it may only be too early for it.
    pub fn poll(&mut self, now: OffsetDateTime) -> Option<Result<T, FileError<E>>> {
        let read = self.read();
        let found = match &read {
            Ok(contents) if *contents == self.current => {
                self.last = None;
                self.is_rejected = false;
                return None;
            }
            Ok(contents) => Observation::Contents(contents.clone()),
            Err(error) => Observation::Unreadable(error.to_string()),
        };
        if self.last.as_ref() != Some(&found) {
            self.last = Some(found);
            self.is_rejected = false;
            return None;
        }
        let loaded = read.and_then(|contents| Ok((self.load(&contents, now)?, contents)));
        match loaded {
            Ok((value, contents)) => {
                self.current = contents;
                self.last = None;
                Some(Ok(value))
            }
            Err(error) => (!std::mem::replace(&mut self.is_rejected, true)).then_some(Err(error)),
        }
    }

    /// Whether the contents that are there now cannot be used.
    pub fn is_rejected(&self) -> bool {
        self.is_rejected
    }

    /// Polls the files again and again.
    pub fn into_poll(mut self) -> Poll<T> {
        Box::new(move |now| self.poll(now).map(|found| found.map_err(Into::into)))
    }

    fn load(&self, contents: &[Vec<u8>], now: OffsetDateTime) -> Result<T, FileError<E>> {
        (self.load)(contents, now)
            .map_err(|ContentsError { file, error }| self.error(file, FileProblem::Contents(error)))
    }

    fn read(&self) -> Result<Vec<Vec<u8>>, FileError<E>> {
        let read = |(file, named): (usize, &NamedFile)| read(&named.path).map_err(|problem| self.error(file, problem));
        self.files.iter().enumerate().map(read).collect()
    }

    fn error(&self, file: usize, problem: FileProblem<E>) -> FileError<E> {
        let NamedFile { flag, path } = &self.files[file];
        FileError { flag, path: path.clone(), problem }
    }
}

/// The contents of a plain file.
pub fn read<E>(path: &Path) -> Result<Vec<u8>, FileProblem<E>> {
    // O_NONBLOCK, since opening a pipe otherwise waits for a writer.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    // The type of the open file: the path may name another file by now.
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(FileProblem::Folder);
    } else if !kind.is_file() {
        return Err(FileProblem::Special);
    }
    let mut contents = Vec::new();
    file.take(FILE_MAX_BYTES + 1).read_to_end(&mut contents)?;
    if contents.len() as u64 > FILE_MAX_BYTES { Err(FileProblem::TooLarge) } else { Ok(contents) }
}
