//! Files that are reloaded when they change.
//!
//! Changes are detected by comparing the contents. The kubelet updates a mounted Secret or ConfigMap by renaming a
//! symlink above the files, so a watch on the files themselves would only report the first update.

use std::fmt::{Debug, Display};
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

/// The size of the largest file that is read. A Secret or ConfigMap has at most 1 MiB in total.
pub const FILE_MAX_BYTES: u64 = 1 << 20;

/// A file, and the flag that names it.
pub struct NamedFile {
    pub flag: &'static str,
    pub path: PathBuf,
}

/// Why a file cannot be used. Each message continues a sentence that begins with `the file `.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem<E> {
    #[error(
        "cannot be read: {0}; let the user that runs this program read it, in a Pod by means of securityContext.fsGroup"
    )]
    Forbidden(io::Error),
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("is a folder: name a file in it; the files of a mounted Secret or ConfigMap are named after its keys")]
    Folder,
    /// A pipe can be read only once, and a device may have no end.
    #[error("is a pipe or a device: name a regular file, which can be read again when it changes")]
    Special,
    #[error("has more than {FILE_MAX_BYTES} bytes, which is more than a Secret or ConfigMap can contain")]
    TooLarge,
    /// The file can be read, but its contents cannot be used.
    #[error("{0}")]
    Contents(E),
}

impl<E> From<io::Error> for FileProblem<E> {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::PermissionDenied { Self::Forbidden(error) } else { Self::Unreadable(error) }
    }
}

/// Why a file cannot be used, with the flag that names it.
#[derive(Debug, thiserror::Error)]
#[error("{flag} {}: the file {problem}", .path.display())]
pub struct FileError<E: Debug + Display> {
    pub flag: &'static str,
    pub path: PathBuf,
    pub problem: FileProblem<E>,
}

/// Why the contents of one of several files cannot be used.
#[derive(Debug)]
pub struct ContentsError<E> {
    /// The index of the file.
    pub file: usize,
    pub error: E,
}

/// A function that looks for a new value at the given time. It returns `None` if there is no new value, and an error if
/// the new value cannot be used.
pub type Poll<T> = Box<dyn FnMut(OffsetDateTime) -> Option<Result<T, PollError>> + Send>;

/// Why a new value cannot be used.
pub type PollError = Box<dyn std::error::Error + Send + Sync>;

/// A function that makes a value of the contents of all files.
pub type Load<T, E> = fn(&[Vec<u8>], OffsetDateTime) -> Result<T, ContentsError<E>>;

/// The number of consecutive polls that have to find the same contents before these are loaded. With one, files that
/// are still being written could be loaded: the first half of a chain is valid, and a new certificate with the old key
/// is not.
pub const SETTLED_POLLS: u32 = 2;

/// Files that belong together, and their contents that are in use.
pub struct WatchedFiles<T, E> {
    files: Vec<NamedFile>,
    load: Load<T, E>,
    current: Vec<Vec<u8>>,
    /// The result of the last poll, if it differs from `current`.
    last: Option<Observation>,
    /// Whether `last` cannot be used and was reported.
    is_rejected: bool,
}

#[derive(PartialEq)]
enum Observation {
    Contents(Vec<Vec<u8>>),
    /// Contains the message of the error.
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

    /// Reads the files. Returns the new value if the contents have changed, and are the same as at the last poll. If
    /// they cannot be used, returns an error once.
    ///
    /// Contents that cannot be used are loaded again at each poll, since a certificate may become valid later.
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

    /// Whether the contents that the last poll found cannot be used.
    pub fn is_rejected(&self) -> bool {
        self.is_rejected
    }

    /// Returns [`Self::poll`] as a function.
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

/// Reads a regular file.
pub fn read<E>(path: &Path) -> Result<Vec<u8>, FileProblem<E>> {
    // O_NONBLOCK, since otherwise opening a pipe waits for a writer.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    // Checks the open file, since the path may name another file by now.
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
