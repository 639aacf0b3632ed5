//! The manifest by which krew, the plugin manager of kubectl, installs a release.

use std::fmt::Write as _;

use super::NAME;

/// The architectures of a release, by the names of Kubernetes and of Rust. All are Linux.
pub const ARCHITECTURES: [(&str, &str); 2] = [("amd64", "x86_64"), ("arm64", "aarch64")];

/// The archives of a release do not fit.
#[derive(Debug, thiserror::Error)]
pub enum KrewError {
    #[error("there is no checksum of {0}: list the archives of this release as sha256sum does")]
    Missing(String),
    #[error("the checksum of {0} is not a SHA-256 in hexadecimal digits")]
    Invalid(String),
}

/// Returns the name of an archive of this release, which contains the program and its licence.
pub fn archive(architecture: &str) -> String {
    format!("{NAME}-{}-linux-{architecture}.tar.gz", env!("CARGO_PKG_VERSION"))
}

/// Returns the manifest. `checksums` is the output of `sha256sum` for the archives, and `url` the folder that they are
/// downloaded from.
pub fn manifest(checksums: &str, url: &str) -> Result<String, KrewError> {
    let url = url.trim_end_matches('/');
    let mut text = include_str!("krew.yaml").replace("{{name}}", NAME).replace("{{url}}", url);
    text = text.replace("{{version}}", env!("CARGO_PKG_VERSION"));
    for (arch, architecture) in ARCHITECTURES {
        let archive = archive(architecture);
        // sha256sum writes a `*` before the name of a file that it has read as binary.
        let lines = checksums.lines().filter_map(|line| line.split_once(char::is_whitespace));
        let mut sums = lines.filter(|(_, name)| name.trim_start_matches([' ', '*', '.', '/']) == archive);
        let (sum, _) = sums.next().ok_or_else(|| KrewError::Missing(archive.clone()))?;
        if sum.len() != 64 || !sum.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(KrewError::Invalid(archive));
        }
        let selector = format!("{{matchLabels: {{os: linux, arch: {arch}}}}}");
        let files = format!("[{{from: {NAME}, to: .}}, {{from: LICENSE, to: .}}]");
        let _ = write!(
            text,
            "  - selector: {selector}\n    uri: {url}/{archive}\n    sha256: {}\n    bin: {NAME}\n    files: {files}\n",
            sum.to_lowercase()
        );
    }
    Ok(text)
}
