//! The files, folders and standard input that a command reads.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::{Path, PathBuf};

use crate::report::finding::STDIN;
use crate::scan::json::printable;

/// An input of a command.
#[derive(Debug)]
pub enum Input {
    /// Standard input, with its name in messages.
    Stdin(String),
    /// A file that an argument names.
    File(PathBuf),
    /// A file in a folder that an argument names.
    Found(PathBuf),
    /// A folder, or an entry of a folder, that cannot be read. The error includes the path.
    Unreadable(PathBuf, io::Error),
}

impl Input {
    /// The name of the input in messages.
    pub fn name(&self) -> String {
        match self {
            Input::Stdin(name) => name.clone(),
            Input::File(path) | Input::Found(path) | Input::Unreadable(path, _) => path.display().to_string(),
        }
    }

    pub fn is_stdin(&self) -> bool {
        matches!(self, Input::Stdin(_))
    }

    /// Whether the file was found in a folder. Such a file may hold nothing for the command.
    pub fn is_found(&self) -> bool {
        matches!(self, Input::Found(_))
    }

    /// Returns what identifies an input by any of its names; `None` for a pipe or a device, which can be read again.
    fn identity(&self) -> Option<PathBuf> {
        match self {
            Input::Stdin(_) => Some(PathBuf::new()),
            Input::File(path) | Input::Found(path) if path.is_file() => path.canonicalize().ok(),
            Input::File(_) | Input::Found(_) | Input::Unreadable(..) => None,
        }
    }

    pub fn open(&self) -> io::Result<Box<dyn Read>> {
        match self {
            Input::Stdin(_) => Ok(Box::new(io::stdin().lock())),
            Input::File(path) | Input::Found(path) => {
                Ok(Box::new(File::open(path).map_err(|error| with_name(&self.name(), &error))?))
            }
            Input::Unreadable(_, error) => Err(io::Error::new(error.kind(), error.to_string())),
        }
    }
}

/// Returns the inputs that the arguments name. `-` is standard input, which is also the default. A folder stands for
/// all files below it that have one of the `extensions`, in the order of their names. A file that is named may have
/// any extension. An input that the arguments name twice is read once. `stdin_name` is the name of standard input in messages.
pub fn inputs(paths: &[PathBuf], extensions: &[&str], stdin_name: Option<&str>) -> Vec<Input> {
    inputs_named(paths, extensions, stdin_name, |path| has_extension(path, extensions))
}

/// Returns the inputs as [`inputs`] does, but `is_read` says for each file in a folder whether it is an input.
pub fn inputs_named(
    paths: &[PathBuf],
    extensions: &[&str],
    stdin_name: Option<&str>,
    mut is_read: impl FnMut(&Path) -> bool,
) -> Vec<Input> {
    let stdin = || Input::Stdin(stdin_name.unwrap_or(STDIN).to_owned());
    if paths.is_empty() {
        if io::stdin().is_terminal() {
            eprintln!("reading standard input; press Ctrl-D to end it, or name files or folders as arguments");
        }
        return vec![stdin()];
    }
    let mut inputs = Vec::new();
    for path in paths {
        if path == Path::new("-") {
            inputs.push(stdin());
        } else if path.is_dir() {
            let before = inputs.len();
            inputs.extend(walkdir::WalkDir::new(path).sort_by_file_name().into_iter().filter_map(
                |entry| match entry {
                    Ok(entry) => {
                        let is_input = is_file(entry.path()) && is_read(entry.path());
                        is_input.then(|| Input::Found(entry.into_path()))
                    }
                    Err(error) => {
                        let path = error.path().unwrap_or(path).to_owned();
                        Some(Input::Unreadable(path, error.into()))
                    }
                },
            ));
            if inputs.len() == before {
                let expected = extensions.join(" or .");
                let error = io::Error::other(format!("{}: the folder has no .{expected} file", path.display()));
                inputs.push(Input::Unreadable(path.clone(), error));
            }
        } else {
            inputs.push(Input::File(path.clone()));
        }
    }
    let mut known = HashSet::new();
    inputs.retain(|input| input.identity().is_none_or(|identity| known.insert(identity)));
    inputs
}

/// Returns whether an entry of a folder is a file. A broken link is one, so that opening it reports the error. A pipe is
/// not, since opening it would wait for a writer.
fn is_file(path: &Path) -> bool {
    path.metadata().map_or(true, |metadata| metadata.is_file())
}

pub fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().is_some_and(|found| extensions.iter().any(|extension| found.eq_ignore_ascii_case(extension)))
}

/// Returns the error with the name of its file, on one line.
pub fn with_name(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", printable(name, usize::MAX)))
}
