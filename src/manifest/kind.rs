//! Identifies an object by its apiVersion and kind. A misspelled scan is an error: otherwise it would be silently skipped.

use crate::engine::nearest::nearest;
use crate::scan::{GROUP, Json, JsonType, Kind, Member};

/// The documented version. Scans of other versions of the group are judged as well.
const VERSION: &str = "v1beta1";

/// The longest word that is compared, twice the longest group: the time of a comparison grows with the square of the length.
const WORD_MAX_BYTES: usize = 506;

/// What an object is.
#[derive(Debug, PartialEq, Eq)]
pub enum Identity {
    Scan(Kind),
    /// A list, with the kind of its entries where its own kind tells it.
    List(Option<Kind>),
    Other,
}

/// Why an object is not one of Kubernetes, or likely has a misspelled apiVersion or kind.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error(
        "this is no object of Kubernetes: those have apiVersion and kind (--kind SourceScan or --kind ImageScan judges \
         a status alone)"
    )]
    Nothing,
    #[error("this object has no {missing}{}", .meant.as_deref().map(did_you_mean).unwrap_or_default())]
    Missing { missing: &'static str, meant: Option<String> },
    #[error("{name} is {found}: a string would be right")]
    WrongType { name: &'static str, found: JsonType },
    #[error("{name} is {found}, which is not judged{}", did_you_mean(.meant))]
    Near { name: &'static str, found: String, meant: String },
}

fn did_you_mean(meant: &str) -> String {
    format!("; did you mean {meant}?")
}

impl IdentityError {
    /// Whether the object may well not be meant as one of Kubernetes, such as the values of a chart.
    pub fn is_no_object(&self) -> bool {
        matches!(self, Self::Nothing | Self::Missing { meant: None, .. } | Self::WrongType { .. })
    }

    /// The name of the wrong member; empty where the whole object is wrong.
    pub fn member(&self) -> &'static str {
        match self {
            Self::Nothing | Self::Missing { .. } => "",
            Self::WrongType { name, .. } | Self::Near { name, .. } => name,
        }
    }
}

/// Identifies an object by its apiVersion and kind.
pub fn identify(api_version: &Json<'_>, kind: &Json<'_>) -> Result<Identity, IdentityError> {
    let ours = format!("{GROUP}/{VERSION}");
    let (version, name) = match (string("apiVersion", api_version)?, string("kind", kind)?) {
        (None, None) => return Err(IdentityError::Nothing),
        (None, Some(name)) => {
            let meant = nearest_kind(name).map(|_| ours);
            return Err(IdentityError::Missing { missing: "apiVersion", meant });
        }
        (Some(version), None) => {
            let is_ours = matches!(Group::of(version), Group::Ours | Group::Near);
            let meant = is_ours.then(|| "kind: SourceScan or kind: ImageScan".to_owned());
            return Err(IdentityError::Missing { missing: "kind", meant });
        }
        (Some(version), Some(name)) => (version, name),
    };
    if version == "v1" && ["list", "lists"].contains(&&*name.to_lowercase()) {
        let is_list = name == "List";
        return if is_list { Ok(Identity::List(None)) } else { Err(near("kind", kind, "List")) };
    }
    // Other groups may have kinds of these names.
    let Some((known, identity)) = nearest_kind(name).filter(|_| Group::of(version) != Group::Other) else {
        return Ok(Identity::Other);
    };
    match Group::of(version) {
        _ if known != name => Err(near("kind", kind, known)),
        Group::Ours => Ok(identity),
        _ => Err(near("apiVersion", api_version, &ours)),
    }
}

fn string<'j>(name: &'static str, json: &'j Json<'_>) -> Result<Option<&'j str>, IdentityError> {
    match json.string() {
        Member::Absent => Ok(None),
        Member::Present(text) => Ok(Some(text)),
        Member::WrongType(found) => Err(IdentityError::WrongType { name, found }),
    }
}

/// Most characters of a value that an error shows.
const FOUND_MAX_CHARS: usize = 64;

fn near(name: &'static str, found: &Json<'_>, meant: &str) -> IdentityError {
    IdentityError::Near { name, found: found.quoted(FOUND_MAX_CHARS), meant: meant.to_owned() }
}

fn nearest_kind(name: &str) -> Option<(&'static str, Identity)> {
    let known = [
        ("SourceScan", Identity::Scan(Kind::SourceScan)),
        ("ImageScan", Identity::Scan(Kind::ImageScan)),
        ("SourceScanList", Identity::List(Some(Kind::SourceScan))),
        ("ImageScanList", Identity::List(Some(Kind::ImageScan))),
    ];
    let name = Some(name).filter(|name| name.len() <= WORD_MAX_BYTES)?;
    let nearest = nearest(name, &known.each_ref().map(|(known, _)| *known))?;
    known.into_iter().find(|(known, _)| *known == nearest)
}

/// How the group of an apiVersion compares with the group of scans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Ours,
    /// Likely a misspelling of it.
    Near,
    /// No group, as in `v1`. A scan cannot have such an apiVersion.
    Core,
    Other,
}

impl Group {
    fn of(api_version: &str) -> Group {
        let group = api_version.split_once('/').map(|(group, _)| group);
        match group {
            Some(GROUP) => Group::Ours,
            _ if api_version.len() > WORD_MAX_BYTES => Group::Other,
            _ if nearest(group.unwrap_or(api_version), &[GROUP]).is_some() => Group::Near,
            Some(_) => Group::Other,
            None => Group::Core,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identified(api_version: &str, kind: &str) -> String {
        match identify(&Json::from_text(api_version), &Json::from_text(kind)) {
            Ok(identity) => format!("{identity:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn misspelled_scans_are_reported() {
        let ours = format!("{GROUP}/{VERSION}");
        for (api_version, kind, says) in [
            (&*ours, "SourceScan", "Scan(SourceScan)"),
            ("scanning.apps.tanzu.vmware.com/v1alpha1", "ImageScan", "Scan(ImageScan)"),
            (&ours, "ImageScanList", "List(Some(ImageScan))"),
            ("v1", "List", "List(None)"),
            // Other kinds of the group, kinds of other groups, and another product's group with a similar name.
            (&ours, "ScanPolicy", "Other"),
            (&ours, "ScanTemplate", "Other"),
            ("other.example.com/v1", "SourceScan", "Other"),
            ("other.example.com/v1", "SourceScans", "Other"),
            ("app-scanning.apps.tanzu.vmware.com/v1alpha1", "ImageVulnerabilityScan", "Other"),
            ("v1", "ConfigMap", "Other"),
            ("apps/v1", "Deployment", "Other"),
            (&ours, "Sourcescan", "did you mean SourceScan?"),
            (&ours, "SourceScans", "did you mean SourceScan?"),
            (&ours, "imagescans", "did you mean ImageScan?"),
            (&ours, "IamgeScan", "did you mean ImageScan?"),
            (&ours, "SourceScanlist", "did you mean SourceScanList?"),
            ("v1", "list", "did you mean List?"),
            ("v1", "SourceScan", "did you mean scanning.apps.tanzu.vmware.com/v1beta1?"),
            ("v1beta1", "ImageScan", "did you mean scanning.apps.tanzu.vmware.com/v1beta1?"),
            (GROUP, "ImageScan", "did you mean scanning.apps.tanzu.vmware.com/v1beta1?"),
            (
                "scanning.app.tanzu.vmware.com/v1beta1",
                "ImageScan",
                "did you mean scanning.apps.tanzu.vmware.com/v1beta1?",
            ),
            ("apps.tanzu.vmware.com/v1beta1", "ImageScan", "did you mean scanning.apps.tanzu.vmware.com/v1beta1?"),
            ("", "SourceScan", "no apiVersion; did you mean scanning.apps.tanzu.vmware.com/v1beta1?"),
            (&ours, "", "no kind; did you mean kind: SourceScan or kind: ImageScan?"),
            ("", "Pod", "this object has no apiVersion"),
            ("v1", "", "this object has no kind"),
            ("", "", "apiVersion and kind"),
        ] {
            let found = identified(api_version, kind);
            assert!(found.contains(says), "{api_version} {kind}: {found}");
        }
        assert_eq!(identified("v1", &"SourceScan".repeat(100_000)), "Other");
    }
}
