//! §3: `status-shape`, `compliant-artifact` and `artifact-source`.

use serde_json::{Value, json};

use super::read::{Read, text};
use super::{Judge, Place, as_read};

/// The judged members of an artifact.
const MEMBERS: [(&str, &str); 6] = [
    ("blob", "url"),
    ("blob", "revision"),
    ("git", "url"),
    ("git", "revision"),
    ("registry", "image"),
    ("registry", "imagePullSecret"),
];

/// Returns the member of an artifact as it is read: null if it is absent.
fn member(artifact: &Value, (part, name): (&str, &str)) -> Value {
    as_read(&artifact[part][name])
}

/// "An object without any member that a rule names counts as empty", and empty objects as absent.
fn is_there(artifact: &Value) -> bool {
    if artifact.is_null() { false } else { shape_errors(artifact) || values(artifact).iter().any(|it| !it.is_null()) }
}

fn values(artifact: &Value) -> Vec<Value> {
    MEMBERS.iter().map(|at| member(artifact, *at)).collect()
}

fn shape_errors(artifact: &Value) -> bool {
    let is_object = |value: &Value| value.is_null() || value.is_object();
    let parts = ["blob", "git", "registry"].iter().all(|part| is_object(&artifact[*part]));
    !is_object(artifact) || !parts || MEMBERS.iter().any(|(part, name)| text(&artifact[*part][*name]).is_wrong())
}

/// An image: its host, its path, its tag and its digest. The last two may be empty.
#[derive(Debug, PartialEq)]
pub struct Image<'a> {
    host: String,
    path: &'a str,
    tag: &'a str,
    digest: &'a str,
}

/// Reads an image reference: "the first part of an image is a host if it has a dot, a port or a capital letter or is
/// `localhost`; hosts are compared without case; no host and Docker Hub's … are one".
pub fn image(text: &str) -> Option<Image<'_>> {
    let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
    let (first, after) = rest.split_once('/').map_or(("", rest), |(first, after)| (first, after));
    let is_host =
        first.contains(['.', ':']) || first.contains(|char: char| char.is_ascii_uppercase()) || first == "localhost";
    let (host, name) = if is_host { (first.to_lowercase(), after) } else { (String::new(), rest) };
    let (path, tag) = name.split_once(':').map_or((name, None), |(path, tag)| (path, Some(tag)));
    let is_hub = ["docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"];
    let host = if is_hub.contains(&host.as_str()) { String::new() } else { host };
    let is_lower = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit();
    let is_part = |part: &str| {
        part.starts_with(is_lower) && part.ends_with(is_lower) && part.chars().all(|c| is_lower(c) || "._-".contains(c))
    };
    let is_tag = |tag: &str| {
        !tag.is_empty()
            && !tag.starts_with(['.', '-'])
            && tag.len() <= 128
            && tag.chars().all(|char| char.is_ascii_alphanumeric() || "_.-".contains(char))
    };
    let is_digest = |digest: &str| {
        digest.split_once(':').is_some_and(|(_, hex)| hex.len() >= 32 && hex.chars().all(|c| c.is_ascii_hexdigit()))
    };
    let is_read = path.split('/').all(is_part) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest);
    is_read.then(|| Image { host, path, tag: tag.unwrap_or_default(), digest: digest.unwrap_or_default() })
}

/// How two images compare.
#[derive(PartialEq)]
enum Images {
    Same,
    AnotherTag,
    Other,
    Unreadable,
}

fn compared(one: &str, other: &str) -> Images {
    let (Some(one), Some(other)) = (image(one), image(other)) else { return Images::Unreadable };
    let are_both = |one: &str, other: &str| !one.is_empty() && !other.is_empty();
    if (&one.host, one.path) != (&other.host, other.path)
        || are_both(one.digest, other.digest) && one.digest != other.digest
    {
        return Images::Other;
    }
    if one.tag != other.tag && are_both(one.tag, other.tag) { Images::AnotherTag } else { Images::Same }
}

impl Judge<'_> {
    pub fn status_shape(&mut self) {
        let status = self.new.status;
        let is_object = |value: &Value| value.is_null() || value.is_object();
        let mut error = |place, value: &Value| self.error("status-shape", place, "", std::slice::from_ref(value));
        if !is_object(status) {
            return error(Place::Field("status"), status);
        }
        if !(status["conditions"].is_null() || status["conditions"].is_array()) {
            error(Place::Field("conditions"), &status["conditions"]);
        }
        for field in ["artifact", "compliantArtifact"] {
            let artifact = &status[field];
            if !is_object(artifact) {
                error(Place::Field(field), artifact);
            }
            for part in ["blob", "git", "registry"].into_iter().filter(|part| !is_object(&artifact[*part])) {
                error(Place::Member(field, part, ""), &artifact[part]);
            }
            for (part, name) in MEMBERS.into_iter().filter(|(part, name)| text(&artifact[*part][*name]).is_wrong()) {
                error(Place::Member(field, part, name), &artifact[part][name]);
            }
        }
    }

    pub fn artifact_rules(&mut self) {
        let [artifact, compliant] = ["artifact", "compliantArtifact"].map(|field| &self.new.status[field]);
        if !(self.is_silent && shape_errors(compliant)) {
            self.compliant_artifact(compliant);
            if !(self.is_silent && shape_errors(artifact)) && is_there(compliant) {
                self.shipped(artifact, compliant);
            }
        }
        if !(self.is_silent && shape_errors(artifact)) {
            self.scanned(artifact);
        }
    }

    fn compliant_artifact(&mut self, compliant: &Value) {
        let rule = "compliant-artifact";
        let scan = &self.new;
        let any_p = scan.status_of("PolicySucceeded");
        let p = scan.current("PolicySucceeded");
        let (is_present, has_scan_policy) = (is_there(compliant), scan.has_scan_policy);
        let is_done = scan.is_on(&["Completed"]) || scan.phase.is_absent();
        let is_without_verdict = is_present && is_done && has_scan_policy && any_p.is_absent();
        let is_error = scan.is_caught_up() || scan.observed.is_absent();
        let (is_completed, is_errored) = (scan.is_on(&["Completed"]), scan.is_on(&["Error"]));
        let reads = |others: &[Value]| [&values(compliant)[..], others].concat();
        let phase = as_read(&scan.status["phase"]);
        let mut error = |row, holds: bool, others: &[Value]| {
            if holds {
                self.error(rule, Place::Field("compliantArtifact"), row, &reads(others));
            }
        };
        error("on Failed", is_present && phase == "Failed", &[]);
        error("p=False", is_present && has_scan_policy && any_p == Read::Is("False"), &[]);
        error("no verdict", is_without_verdict && is_error, &[phase]);
        self.warn_if(rule, is_present && (is_errored || p == Some("Unknown")) || is_without_verdict && !is_error);
        self.warn_if(rule, !is_present && is_completed && has_scan_policy);
    }

    /// `artifact-source`: compliantArtifact against artifact.
    fn shipped(&mut self, artifact: &Value, compliant: &Value) {
        let is_completed = self.new.is_on(&["Completed"]);
        for (part, name) in MEMBERS {
            let (scanned, shipped) = (member(artifact, (part, name)), member(compliant, (part, name)));
            let images = match (scanned.as_str(), shipped.as_str()) {
                (Some(scanned), Some(shipped)) if name == "image" => Some(compared(scanned, shipped)),
                _ => None,
            };
            let is_other = match &images {
                Some(images) => *images == Images::Other,
                None => name == "url" && !scanned.is_null() && !shipped.is_null() && scanned != shipped,
            };
            let is_different = match images {
                Some(images) => images != Images::Same,
                None => scanned != shipped,
            };
            if is_other && is_completed {
                let place = Place::Member("compliantArtifact", part, name);
                self.error("artifact-source", place, "", &[json!("Completed"), scanned, shipped]);
            } else {
                self.warn_if("artifact-source", is_different);
            }
        }
    }

    /// `artifact-source`: artifact against the spec.
    fn scanned(&mut self, artifact: &Value) {
        if !self.new.is_on(&["Completed", "Failed"]) || !self.new.is_caught_up() {
            return;
        }
        for at in [("blob", "url"), ("git", "url"), ("registry", "image")] {
            let (scanned, wanted) = (member(artifact, at), member(self.new.spec, at));
            let (Some(scanned), Some(wanted)) = (scanned.as_str(), wanted.as_str()) else { continue };
            let is_other = match at.1 {
                "image" => matches!(compared(scanned, wanted), Images::Other | Images::Unreadable),
                _ => scanned != wanted,
            };
            self.warn_if("artifact-source", is_other);
        }
    }
}
