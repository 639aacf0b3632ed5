//! Files, folders and standard input, as every command that reads takes them.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::{Path, PathBuf};

/// One thing to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    Stdin,
    File(PathBuf),
}

impl Input {
    /// The name that messages give it.
    pub fn name(&self) -> String {
        match self {
            Input::Stdin => "standard input".to_owned(),
            Input::File(path) => path.display().to_string(),
        }
    }

    pub fn open(&self) -> io::Result<Box<dyn Read>> {
        match self {
            Input::Stdin => Ok(Box::new(io::stdin().lock())),
            Input::File(path) => Ok(Box::new(File::open(path).map_err(|error| with_name(&self.name(), &error))?)),
        }
    }
}

/// What the arguments name: files as they are, `-` or nothing for standard input, folders for the files below them
/// with one of the `extensions`, in the order of their names.
pub fn inputs(paths: &[PathBuf], extensions: &[&str]) -> io::Result<Vec<Input>> {
    if paths.is_empty() {
        if io::stdin().is_terminal() {
            eprintln!("reading standard input; end it with Ctrl-D, or name files or folders");
        }
        return Ok(vec![Input::Stdin]);
    }
    let mut inputs = Vec::new();
    for path in paths {
        if path == Path::new("-") {
            inputs.push(Input::Stdin);
        } else if path.is_dir() {
            let before = inputs.len();
            for entry in walkdir::WalkDir::new(path).sort_by_file_name() {
                let entry = entry.map_err(io::Error::from)?;
                let has_extension = entry
                    .path()
                    .extension()
                    .is_some_and(|found| extensions.iter().any(|&extension| found == extension));
                if entry.path().is_file() && has_extension {
                    inputs.push(Input::File(entry.into_path()));
                }
            }
            if inputs.len() == before {
                let expected = extensions.join(" or .");
                return Err(io::Error::other(format!("{}: no .{expected} file in this folder", path.display())));
            }
        } else {
            inputs.push(Input::File(path.clone()));
        }
    }
    Ok(inputs)
}

/// An error that names its file.
pub fn with_name(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{name}: {error}"))
}
