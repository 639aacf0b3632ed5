//! The path of a file below the folder in which the program runs, which code review expects to be that of the repository.

use std::path::{Component, Path};

/// A path, in parts that are joined by `/`.
pub struct RelativePath {
    pub parts: Vec<String>,
    /// Whether the path is not below the folder, and is named by an absolute path.
    pub is_absolute: bool,
}

impl RelativePath {
    pub fn of(file: &str) -> Self {
        let path = Path::new(file);
        let below = std::env::current_dir().ok().and_then(|folder| path.strip_prefix(folder).ok());
        let parts = below.unwrap_or(path).components().filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            Component::ParentDir => Some("..".to_owned()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
        });
        Self { parts: parts.collect(), is_absolute: below.is_none() && path.is_absolute() }
    }
}
