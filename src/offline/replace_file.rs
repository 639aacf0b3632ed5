//! Replaces the contents of a file at once: a reader sees the old contents or the new ones, and so does a file system
//! after a crash.
//!
//! The new contents are written to a file without a name in the same folder, which vanishes if the program ends before
//! they are complete. This file then gets a name and is renamed to that of the old file. Where the file system has no
//! files without a name, a file with a name that begins with `.scan-admission-` is used. Access control lists and extended
//! attributes are those of a new file.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process;

use rustix::fs::{Gid, Uid, fchown};

/// The longest file that is fixed: 256 MiB, four documents of the largest size. The file, its text, the result and the text
/// of the result are in memory at once, so this takes 1 GiB, as reading one document of the largest size may.
pub const FILE_MAX_BYTES: u64 = 256 << 20;

/// The reason why a file is not replaced.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    #[error("Too long: may not be more than {} MiB to be fixed; split the file", FILE_MAX_BYTES >> 20)]
    TooLong,
    #[error("not fixed: it is not a regular file")]
    NotAFile,
    #[error("not fixed: the file is read-only; make it writable")]
    ReadOnly,
    #[error(
        "not fixed: the file has {0} hard links, and only this one would get the new contents; replace it by a copy"
    )]
    HardLinks(u64),
    #[error("not fixed: the file was changed in the meantime; try again")]
    Changed,
    #[error("not fixed: {0}")]
    Write(io::Error),
    #[error(transparent)]
    Read(#[from] io::Error),
}

/// A file that was read and may be replaced.
pub struct ReplaceableFile {
    /// The path without symbolic links, which stay.
    path: PathBuf,
    metadata: Metadata,
    pub contents: Vec<u8>,
}

impl ReplaceableFile {
    pub fn read(path: &Path) -> Result<Self, ReplaceError> {
        let file = File::open(path)?;
        let (path, metadata) = (fs::canonicalize(path)?, file.metadata()?);
        Ok(Self { path, metadata, contents: read_whole(file)? })
    }

    /// Replaces the contents. The mode stays, and the owner where the user may set it.
    pub fn replace(&self, contents: &[u8]) -> Result<(), ReplaceError> {
        let Self { path, metadata, .. } = self;
        if !metadata.is_file() {
            return Err(ReplaceError::NotAFile);
        }
        if metadata.nlink() > 1 {
            return Err(ReplaceError::HardLinks(metadata.nlink()));
        }
        // The superuser may write a read-only file too.
        if metadata.permissions().readonly() || is_read_only(path) {
            return Err(ReplaceError::ReadOnly);
        }
        let folder = path.parent().unwrap_or(Path::new("/"));
        let temporary = match self.write_unnamed(contents, folder).map_err(ReplaceError::Write)? {
            Some(temporary) => temporary,
            None => self.write_named(contents, folder).map_err(ReplaceError::Write)?,
        };
        // The file may have been written or replaced since it was read.
        let same = |now: &Metadata| {
            let of = |of: &Metadata| (of.dev(), of.ino(), of.len(), of.mtime(), of.mtime_nsec());
            of(now) == of(metadata)
        };
        if !fs::metadata(path).is_ok_and(|now| same(&now)) {
            return Err(ReplaceError::Changed);
        }
        temporary.rename(path).map_err(ReplaceError::Write)?;
        // Sync the folder, so that the new name survives a crash. Ignore errors: some file systems cannot sync folders.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
        Ok(())
    }

    /// Writes the contents to a file without a name, and then names it. Returns `None` if the file system has no files
    /// without a name.
    #[cfg(target_os = "linux")]
    fn write_unnamed(&self, contents: &[u8], folder: &Path) -> io::Result<Option<TemporaryFile>> {
        use std::os::fd::AsRawFd as _;

        use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};
        use rustix::io::Errno;

        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = match open(folder, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => File::from(file),
            // What file systems and kernels without such files answer.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        self.fill(&file, contents)?;
        let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
        for number in 0.. {
            let name = temporary_name(folder, number);
            match linkat(CWD, &unnamed, CWD, &name, AtFlags::SYMLINK_FOLLOW) {
                Ok(()) => return Ok(Some(TemporaryFile(name))),
                Err(Errno::EXIST) => {}
                // Without /proc, the file cannot be named.
                Err(Errno::NOENT) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    #[cfg(not(target_os = "linux"))]
    fn write_unnamed(&self, _: &[u8], _: &Path) -> io::Result<Option<TemporaryFile>> {
        Ok(None)
    }

    fn write_named(&self, contents: &[u8], folder: &Path) -> io::Result<TemporaryFile> {
        let mut number = 0;
        let (file, temporary) = loop {
            let name = temporary_name(folder, number);
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&name) {
                Ok(file) => break (file, TemporaryFile(name)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(error),
            }
        };
        self.fill(&file, contents)?;
        Ok(temporary)
    }

    /// Writes the contents, the owner and the mode to a new file, and all of it to the disk.
    fn fill(&self, mut file: &File, contents: &[u8]) -> io::Result<()> {
        file.write_all(contents)?;
        let (owner, group) = (Uid::from_raw(self.metadata.uid()), Gid::from_raw(self.metadata.gid()));
        // Only the superuser may give a file to another user; the group is often allowed.
        let _ = fchown(file, Some(owner), Some(group)).or_else(|_| fchown(file, None, Some(group)));
        file.set_permissions(self.metadata.permissions())?;
        file.sync_all()
    }
}

/// Reads an input that is to be fixed.
pub fn read_whole(reader: impl Read) -> Result<Vec<u8>, ReplaceError> {
    let mut contents = Vec::new();
    reader.take(FILE_MAX_BYTES + 1).read_to_end(&mut contents)?;
    if contents.len() as u64 > FILE_MAX_BYTES { Err(ReplaceError::TooLong) } else { Ok(contents) }
}

fn is_read_only(path: &Path) -> bool {
    let opened = OpenOptions::new().write(true).open(path);
    opened.is_err_and(|error| {
        [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem].contains(&error.kind())
    })
}

fn temporary_name(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!(".scan-admission-{}-{number}", process::id()))
}

/// A temporary file with a name. It is removed if it is not renamed.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn rename(self, to: &Path) -> io::Result<()> {
        fs::rename(&self.0, to)
    }
}

impl Drop for TemporaryFile {
    /// After the renaming, there is no such file.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the file system has files without a name, this is the only user of the one with a name.
    #[test]
    fn a_file_with_a_name_is_removed_unless_it_is_renamed() {
        let folder = std::env::temp_dir().join(format!("scan-admission-test-{}", process::id()));
        fs::create_dir(&folder).unwrap();
        let path = folder.join("a.yaml");
        fs::write(&path, "old").unwrap();
        let file = ReplaceableFile::read(&path).unwrap();
        let count = || fs::read_dir(&folder).unwrap().count();
        let [first, second] = ["first", "second"].map(|text| file.write_named(text.as_bytes(), &folder).unwrap());
        assert_eq!((count(), fs::read_to_string(&second.0).unwrap()), (3, "second".to_owned()));
        assert_eq!(fs::metadata(&second.0).unwrap().mode(), file.metadata.mode());
        drop(first);
        second.rename(&path).unwrap();
        assert_eq!((count(), fs::read_to_string(&path).unwrap()), (1, "second".to_owned()));
        // The file that was read is not the one that is there now.
        assert!(matches!(file.replace(b"third"), Err(ReplaceError::Changed)));
        assert_eq!((count(), fs::read_to_string(&path).unwrap()), (1, "second".to_owned()));
        fs::remove_dir_all(&folder).unwrap();
    }
}
