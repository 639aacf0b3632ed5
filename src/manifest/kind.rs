//! Identifies an object by its apiVersion and kind. A misspelled scan is an error, since it would otherwise be skipped
//! silently.

use crate::engine::VALUE_MAX_CHARS;
use crate::engine::nearest::nearest;
use crate::scan::{GROUP, Json, JsonType, Kind, Member};

/// The documented version. Scans of other versions of the group are judged as well.
const VERSION: &str = "v1beta1";

/// The longest word that is compared with known words: twice the longest API group. The time of a comparison grows with
/// the square of the length.
const WORD_MAX_BYTES: usize = 506;

/// The type of an object.
#[derive(Debug, PartialEq, Eq)]
pub enum Identity {
    Scan(Kind),
    /// A list, with the kind of its entries if the kind of the list determines it.
    List(Option<Kind>),
    Other,
}

/// The reason why an object is not a Kubernetes object, or probably has a misspelled apiVersion or kind.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error(
        "expected a Kubernetes object with apiVersion and kind; to check a status alone, use --kind SourceScan or \
         --kind ImageScan"
    )]
    Unidentified,
    #[error("missing field \"{name}\"{}", .suggestion.as_deref().map(did_you_mean).unwrap_or_default())]
    Missing { name: &'static str, suggestion: Option<String> },
    #[error("{name} must be a string, found {found}")]
    WrongType { name: &'static str, found: JsonType },
    #[error("unknown {name} {found}{}", did_you_mean(.suggestion))]
    Misspelled { name: &'static str, found: String, suggestion: String },
}

/// The end of a message with a suggestion, which has its own quotes.
fn did_you_mean(suggestion: &str) -> String {
    format!("; did you mean {suggestion}?")
}

impl IdentityError {
    /// Whether the object may be something other than a Kubernetes object, such as the values of a chart.
    pub fn may_be_unrelated(&self) -> bool {
        matches!(self, Self::Unidentified | Self::Missing { suggestion: None, .. } | Self::WrongType { .. })
    }

    /// The name of the wrong member; empty if the whole object is wrong.
    pub fn member(&self) -> &'static str {
        match self {
            Self::Unidentified | Self::Missing { .. } => "",
            Self::WrongType { name, .. } | Self::Misspelled { name, .. } => name,
        }
    }
}

/// Identifies an object by its apiVersion and kind.
pub fn identify(api_version: &Json<'_>, kind: &Json<'_>) -> Result<Identity, IdentityError> {
    let scans = format!("{GROUP}/{VERSION}");
    let (version, name) = match (string("apiVersion", api_version)?, string("kind", kind)?) {
        (None, None) => return Err(IdentityError::Unidentified),
        (None, Some(name)) => {
            let suggestion = nearest_kind(name).map(|_| format!("{scans:?}"));
            return Err(IdentityError::Missing { name: "apiVersion", suggestion });
        }
        (Some(version), None) => {
            let is_scan = matches!(Group::of(version), Group::Scans | Group::Misspelled);
            let suggestion = is_scan.then(|| "\"SourceScan\" or \"ImageScan\"".to_owned());
            return Err(IdentityError::Missing { name: "kind", suggestion });
        }
        (Some(version), Some(name)) => (version, name),
    };
    if version == "v1" && ["list", "lists"].contains(&&*name.to_lowercase()) {
        let is_list = name == "List";
        return if is_list { Ok(Identity::List(None)) } else { Err(misspelled("kind", kind, "List")) };
    }
    // Other groups may have kinds with these names.
    let Some((known, identity)) = nearest_kind(name).filter(|_| Group::of(version) != Group::Other) else {
        return Ok(Identity::Other);
    };
    match Group::of(version) {
        _ if known != name => Err(misspelled("kind", kind, known)),
        Group::Scans => Ok(identity),
        _ => Err(misspelled("apiVersion", api_version, &scans)),
    }
}

fn string<'j>(name: &'static str, json: &'j Json<'_>) -> Result<Option<&'j str>, IdentityError> {
    match json.string() {
        Member::Absent => Ok(None),
        Member::Present(text) => Ok(Some(text)),
        Member::WrongType(found) => Err(IdentityError::WrongType { name, found }),
    }
}

fn misspelled(name: &'static str, found: &Json<'_>, known: &str) -> IdentityError {
    IdentityError::Misspelled { name, found: found.quoted(VALUE_MAX_CHARS), suggestion: format!("{known:?}") }
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
    Scans,
    /// Probably a misspelling of the group of scans.
    Misspelled,
    /// No group, as in `v1`. A scan cannot have such an apiVersion.
    Core,
    Other,
}

impl Group {
    fn of(api_version: &str) -> Group {
        let group = api_version.split_once('/').map(|(group, _)| group);
        match group {
            Some(GROUP) => Group::Scans,
            _ if api_version.len() > WORD_MAX_BYTES => Group::Other,
            _ if nearest(group.unwrap_or(api_version), &[GROUP]).is_some() => Group::Misspelled,
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
        for (api_version, kind, expected) in [
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
            (&ours, "Sourcescan", r#"unknown kind "Sourcescan"; did you mean "SourceScan"?"#),
            (&ours, "SourceScans", r#"unknown kind "SourceScans"; did you mean "SourceScan"?"#),
            (&ours, "imagescans", r#"did you mean "ImageScan"?"#),
            (&ours, "IamgeScan", r#"did you mean "ImageScan"?"#),
            (&ours, "SourceScanlist", r#"did you mean "SourceScanList"?"#),
            ("v1", "list", r#"did you mean "List"?"#),
            ("v1", "SourceScan", r#"did you mean "scanning.apps.tanzu.vmware.com/v1beta1"?"#),
            ("v1beta1", "ImageScan", r#"did you mean "scanning.apps.tanzu.vmware.com/v1beta1"?"#),
            (GROUP, "ImageScan", r#"did you mean "scanning.apps.tanzu.vmware.com/v1beta1"?"#),
            (
                "scanning.app.tanzu.vmware.com/v1beta1",
                "ImageScan",
                r#"did you mean "scanning.apps.tanzu.vmware.com/v1beta1"?"#,
            ),
            ("apps.tanzu.vmware.com/v1beta1", "ImageScan", r#"did you mean "scanning.apps.tanzu.vmware.com/v1beta1"?"#),
            ("", "SourceScan", r#"missing field "apiVersion"; did you mean "scanning.apps.tanzu.vmware.com/v1beta1"?"#),
            (&ours, "", r#"missing field "kind"; did you mean "SourceScan" or "ImageScan"?"#),
            ("", "Pod", r#"missing field "apiVersion""#),
            ("v1", "", r#"missing field "kind""#),
            ("", "", "apiVersion and kind"),
        ] {
            let found = identified(api_version, kind);
            assert!(found.contains(expected), "{api_version} {kind}: {found}");
        }
        assert_eq!(identified("v1", &"SourceScan".repeat(100_000)), "Other");
    }
}
