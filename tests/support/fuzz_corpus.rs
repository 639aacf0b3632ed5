//! The committed inputs of the fuzz targets.

use std::fs;
use std::path::{Path, PathBuf};

/// Calls `check` with each input of a target. Returns their number.
pub fn replay(target: &str, mut check: impl FnMut(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let inputs = files(&folder);
    for path in &inputs {
        eprintln!("{}", path.display());
        check(&fs::read(path).unwrap());
    }
    inputs.len()
}

/// Returns the files of a folder, sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}
