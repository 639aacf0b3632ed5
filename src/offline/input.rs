//! The files, folders and standard input that a command reads.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::{Path, PathBuf};

use crate::scan::json::printable;

/// One thing to read.
#[derive(Debug)]
pub enum Input {
    Stdin,
    /// A file that is named.
    File(PathBuf),
    /// A file that was found in a folder.
    Found(PathBuf),
    /// A folder or a file in it that cannot be read, with the error that names it.
    Unreadable(PathBuf, io::Error),
}

impl Input {
    /// The name that messages give it.
    pub fn name(&self) -> String {
        match self {
            Input::Stdin => "standard input".to_owned(),
            Input::File(path) | Input::Found(path) | Input::Unreadable(path, _) => path.display().to_string(),
        }
    }

    /// Whether it was found in a folder. Such a file need not hold anything for the command.
    pub fn is_found(&self) -> bool {
        matches!(self, Input::Found(_))
    }

    pub fn open(&self) -> io::Result<Box<dyn Read>> {
        match self {
            Input::Stdin => Ok(Box::new(io::stdin().lock())),
            Input::File(path) | Input::Found(path) => {
                Ok(Box::new(File::open(path).map_err(|error| with_name(&self.name(), &error))?))
            }
            Input::Unreadable(_, error) => Err(io::Error::new(error.kind(), error.to_string())),
        }
    }
}

/// The inputs that the arguments name. A file is read as it is; `-`, or no argument, is standard input; a folder means the files
/// below it with one of the `extensions`, in the order of their names.
pub fn inputs(paths: &[PathBuf], extensions: &[&str]) -> Vec<Input> {
    if paths.is_empty() {
        if io::stdin().is_terminal() {
            eprintln!("reading standard input; end it with Ctrl-D, or name files or folders");
        }
        return vec![Input::Stdin];
    }
    let mut inputs = Vec::new();
    for path in paths {
        if path == Path::new("-") {
            inputs.push(Input::Stdin);
        } else if path.is_dir() {
            let before = inputs.len();
            inputs.extend(walkdir::WalkDir::new(path).sort_by_file_name().into_iter().filter_map(
                |entry| match entry {
                    Ok(entry) => has_extension(entry.path(), extensions).then(|| found(entry.into_path()))?,
                    Err(error) => {
                        let path = error.path().unwrap_or(path).to_owned();
                        Some(Input::Unreadable(path, error.into()))
                    }
                },
            ));
            if inputs.len() == before {
                let expected = extensions.join(" or .");
                let error = io::Error::other(format!("{}: no .{expected} file in this folder", path.display()));
                inputs.push(Input::Unreadable(path.clone(), error));
            }
        } else {
            inputs.push(Input::File(path.clone()));
        }
    }
    inputs
}

/// A file of a folder. A broken link counts, since opening it reports the error; a pipe does not, since opening it would wait for a
/// writer.
fn found(path: PathBuf) -> Option<Input> {
    let is_file = path.metadata().map_or(true, |metadata| metadata.is_file());
    is_file.then_some(Input::Found(path))
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().is_some_and(|found| extensions.iter().any(|extension| found.eq_ignore_ascii_case(extension)))
}

/// An error that names its file, on one line.
pub fn with_name(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", printable(name, usize::MAX)))
}
