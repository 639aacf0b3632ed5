//! The path of a file below the folder in which the program runs, which code review expects to be that of the repository.

use std::path::{Component, Path, PathBuf};

use super::finding::STDIN;

/// A path, in parts that are joined by `/`.
pub struct RelativePath {
    /// At least one.
    pub parts: Vec<String>,
    /// Whether the file is not below the folder, and is named by an absolute path.
    pub is_absolute: bool,
}

impl RelativePath {
    /// Returns the path of a file by the name that a user gave. Standard input is `stdin`.
    pub fn of(file: &str) -> Self {
        if [STDIN, "", "."].contains(&file) {
            return Self { parts: vec!["stdin".to_owned()], is_absolute: false };
        }
        let path = Path::new(file);
        // `git apply` does not follow links, and takes no path with `..`. A name of standard input need not exist.
        let real = below_folder(path.canonicalize().unwrap_or_else(|_| path.to_owned()));
        let path = real.as_deref().unwrap_or(path);
        let parts = path.components().filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            Component::ParentDir => Some("..".to_owned()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
        });
        Self { parts: parts.collect(), is_absolute: path.is_absolute() }
    }

    pub fn joined(&self) -> String {
        format!("{}{}", if self.is_absolute { "/" } else { "" }, self.parts.join("/"))
    }
}

/// The relative paths of files. Successive findings are mostly in one file, whose path is found once.
#[derive(Default)]
pub struct RelativePaths {
    last: Option<(String, RelativePath)>,
}

impl RelativePaths {
    pub fn of(&mut self, file: &str) -> &RelativePath {
        let last = self.last.take().filter(|(name, _)| name == file);
        &self.last.insert(last.unwrap_or_else(|| (file.to_owned(), RelativePath::of(file)))).1
    }
}

fn below_folder(path: PathBuf) -> Option<PathBuf> {
    let folder = std::env::current_dir().ok()?.canonicalize().ok()?;
    path.strip_prefix(folder).ok().map(Path::to_owned)
}
