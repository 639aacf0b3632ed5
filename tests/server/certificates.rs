//! Makes chains of CAs, reads keys from files, and mounts a folder as a kubelet does.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rcgen::Issuer;

use crate::support::pki::{Ca, Pair, authority};

impl Ca {
    /// Returns an intermediate CA that this CA signs.
    pub fn intermediate(&self) -> Self {
        let (params, key) = authority("tests, intermediate");
        let pem = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key)).unwrap().pem();
        let chain = pem.clone() + &self.chain;
        Self { params, key, pem, chain }
    }
}

/// A mounted Secret: `tls.crt` is a link to `..data/tls.crt`, and `..data` is a link to the folder of the current
/// generation.
pub struct Mount {
    folder: PathBuf,
    generation: u32,
}

impl Mount {
    pub fn new(folder: PathBuf, pair: &Pair) -> Self {
        fs::create_dir(&folder).unwrap();
        let mut mount = Self { folder, generation: 0 };
        mount.swap(pair);
        for name in ["tls.crt", "tls.key"] {
            symlink(Path::new("..data").join(name), mount.folder.join(name)).unwrap();
        }
        mount
    }

    /// Replaces the contents with the same steps as the kubelet's AtomicWriter.
    pub fn swap(&mut self, pair: &Pair) {
        let before = fs::read_link(self.folder.join("..data"));
        self.generation += 1;
        let name = format!("..{}", self.generation);
        let folder = self.folder.join(&name);
        fs::create_dir(&folder).unwrap();
        pair.write(&folder.join("tls.crt"), &folder.join("tls.key"));
        symlink(&name, self.folder.join("..data_tmp")).unwrap();
        fs::rename(self.folder.join("..data_tmp"), self.folder.join("..data")).unwrap();
        if let Ok(before) = before {
            fs::remove_dir_all(self.folder.join(before)).unwrap();
        }
    }
}

/// Returns a key of tests/fixtures/keys.
pub fn key_file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keys").join(name)).unwrap()
}
