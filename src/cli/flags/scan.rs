//! The names of a scan: `KIND/NAME` or `KIND NAME`, and `--namespace`, as kubectl reads them.

use crate::scan::{GROUP, Kind};

/// The scan of a command.
#[derive(clap::Args)]
#[group(id = "names")]
pub struct ScanFlags {
    /// Kind and name of the scan, such as sourcescan/hound or imagescan/hound
    #[arg(value_name = "KIND/NAME")]
    scan: String,
    /// Name of the scan, if it is not in the first argument
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Namespace of the scan [default: that of the context of the kubeconfig]
    #[arg(short, long, env = "SCAN_ADMISSION_NAMESPACE", value_name = "NAMESPACE")]
    namespace: Option<String>,
}

/// The names of a scan.
pub struct ScanName {
    pub kind: Kind,
    pub name: String,
    pub namespace: Option<String>,
}

/// Why arguments do not name a scan.
#[derive(Debug, thiserror::Error)]
pub enum ScanNameError {
    #[error("unknown kind {0:?}: write sourcescan/NAME or imagescan/NAME")]
    Kind(String),
    #[error("missing the name of the scan: write {0}/NAME")]
    NoName(String),
    #[error("{1:?} is a second name: describe one scan at a time, as {0}")]
    TwoNames(String, String),
    #[error("invalid {0} {1:?}: must be lower-case letters, digits, '-' and '.'")]
    Invalid(&'static str, String),
}

impl ScanFlags {
    /// Returns the names.
    pub fn names(self) -> Result<ScanName, ScanNameError> {
        let (kind, name) = match (self.scan.split_once('/'), self.name) {
            (Some((kind, name)), None) => (kind, name.to_owned()),
            (None, Some(name)) => (self.scan.as_str(), name),
            (None, None) => (self.scan.as_str(), String::new()),
            (Some(_), Some(name)) => return Err(ScanNameError::TwoNames(self.scan, name)),
        };
        let known = kind_of(kind).ok_or_else(|| ScanNameError::Kind(kind.to_owned()))?;
        if name.is_empty() {
            return Err(ScanNameError::NoName(kind.to_owned()));
        }
        for (what, text) in [("name", &name)].into_iter().chain(self.namespace.as_ref().map(|text| ("namespace", text)))
        {
            // Both become parts of a path.
            let is_valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
            if !text.bytes().all(is_valid) || !text.starts_with(|first: char| first.is_ascii_alphanumeric()) {
                return Err(ScanNameError::Invalid(what, text.clone()));
            }
        }
        Ok(ScanName { kind: known, name, namespace: self.namespace })
    }
}

/// Returns the kind of a resource as kubectl accepts it: the plural, the singular or the short name in any case, perhaps with
/// the group, or the version and the group. kubectl also accepts the beginning of a group.
pub fn kind_of(resource: &str) -> Option<Kind> {
    let resource = resource.to_ascii_lowercase();
    let (name, rest) = resource.split_once('.').unwrap_or((&resource, ""));
    let is_version = |version: &str| {
        version.strip_prefix('v').is_some_and(|digits| digits.starts_with(|first: char| first.is_ascii_digit()))
    };
    let group = match rest.split_once('.') {
        Some((version, group)) if is_version(version) => group,
        _ => rest,
    };
    let has_name = |kind: &Kind| [kind.plural(), &kind.name().to_lowercase(), kind.short_name()].contains(&name);
    Kind::ALL.into_iter().find(has_name).filter(|_| GROUP.starts_with(group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_as_in_kubectl() {
        for (resource, expected) in [
            ("sourcescan", Some(Kind::SourceScan)),
            ("SourceScans", Some(Kind::SourceScan)),
            ("srcscan", Some(Kind::SourceScan)),
            ("imagescans.scanning.apps.tanzu.vmware.com", Some(Kind::ImageScan)),
            ("ImageScan.v1beta1.scanning.apps.tanzu.vmware.com", Some(Kind::ImageScan)),
            ("imgscan.scanning", Some(Kind::ImageScan)),
            ("imagescan.v1beta1.", Some(Kind::ImageScan)),
            ("imagescan.apps", None),
            ("pod", None),
            ("sourcescanss", None),
            ("", None),
        ] {
            assert_eq!(kind_of(resource), expected, "{resource}");
        }
    }
}
