//! §3: `status-shape`, `compliant-artifact` and `artifact-source`.

use serde_json::Value;

use super::read::{Read, text};
use super::{Field, Judge, as_read};

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

const SOURCES: [&str; 3] = ["blob", "git", "registry"];

fn is_object(value: &Value) -> bool {
    value.is_null() || value.is_object()
}

/// An artifact as it is read: its members that a rule names, and what is of a wrong type.
pub fn as_shipped(artifact: &Value) -> Value {
    let wrong = SOURCES.iter().map(|source| &artifact[*source]).filter(|source| !is_object(source)).cloned();
    wrong.chain(MEMBERS.map(|at| member(artifact, at))).collect()
}

/// Whether `status-shape` has an error in a source of an artifact.
fn is_misshapen(artifact: &Value, source: &str) -> bool {
    let is_wrong = |(part, name): (&str, &str)| part == source && text(&artifact[part][name]).is_wrong();
    !is_object(artifact) || !is_object(&artifact[source]) || MEMBERS.into_iter().any(is_wrong)
}

/// "An object without any member that a rule names counts as empty", and empty objects as absent.
fn is_there(artifact: &Value) -> bool {
    SOURCES.iter().any(|source| is_misshapen(artifact, source))
        || MEMBERS.into_iter().any(|at| !member(artifact, at).is_null())
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
    // "Tag vs digest is fine."
    let is_without_digest = one.digest.is_empty() && other.digest.is_empty();
    let is_another_tag = one.tag != other.tag && (are_both(one.tag, other.tag) || is_without_digest);
    if is_another_tag { Images::AnotherTag } else { Images::Same }
}

impl Judge<'_> {
    pub fn status_shape(&mut self) {
        let status = self.new.status;
        let rule = "status-shape";
        if !is_object(status) {
            return self.error(rule, "status", "", vec![]);
        }
        if !(status["conditions"].is_null() || status["conditions"].is_array()) {
            self.error(rule, "status/conditions", "", vec![]);
        }
        for field in ["artifact", "compliantArtifact"] {
            let artifact = &status[field];
            if !is_object(artifact) {
                self.error(rule, &format!("status/{field}"), "", vec![]);
            }
            for source in SOURCES.into_iter().filter(|source| !is_object(&artifact[*source])) {
                self.error(rule, &format!("status/{field}/{source}"), "", vec![]);
            }
            for (source, name) in
                MEMBERS.into_iter().filter(|(source, name)| text(&artifact[*source][*name]).is_wrong())
            {
                self.error(rule, &format!("status/{field}/{source}/{name}"), "", vec![]);
            }
        }
    }

    pub fn artifact_rules(&mut self) {
        let [artifact, compliant] = ["artifact", "compliantArtifact"].map(|field| &self.new.status[field]);
        if !(self.is_silent && SOURCES.iter().any(|source| is_misshapen(compliant, source))) {
            self.compliant_artifact(compliant);
        }
        if is_object(compliant) && is_there(compliant) {
            self.shipped(artifact, compliant);
        }
        self.scanned(artifact);
        for artifact in [artifact, compliant] {
            let text = artifact["registry"]["image"].as_str().filter(|image| !image.is_empty());
            self.warn_if("artifact-source", text.is_some_and(|text| image(text).is_none()));
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
        let (is_failed, policy) = (scan.is_on(&["Failed"]), "spec/scanPolicy");
        let path = |path: &str| Field::Path(path.to_owned());
        let p_status = || Field::Of("PolicySucceeded", "status");
        let mut error = |row, holds: bool, others: Vec<Field>| {
            if holds {
                self.error(rule, "status/compliantArtifact", row, others);
            }
        };
        error("on Failed", is_present && is_failed, vec![path("status/phase")]);
        let is_violating = is_present && has_scan_policy && any_p == Read::Is("False");
        error("p=False", is_violating, vec![p_status(), path(policy)]);
        // Whether the status is caught up is read, too.
        let generations = ["status/observedGeneration", "metadata/generation"].map(path);
        let reads = [p_status(), path("status/phase"), path(policy)].into_iter().chain(generations);
        error("no verdict", is_without_verdict && is_error, reads.collect());
        self.warn_if(rule, is_present && (is_errored || p == Some("Unknown")) || is_without_verdict && !is_error);
        self.warn_if(rule, !is_present && is_completed && has_scan_policy);
    }

    /// `artifact-source`: compliantArtifact against artifact.
    fn shipped(&mut self, artifact: &Value, compliant: &Value) {
        let is_completed = self.new.is_on(&["Completed"]);
        for (part, name) in MEMBERS {
            if self.is_silent && [artifact, compliant].iter().any(|artifact| is_misshapen(artifact, part)) {
                continue;
            }
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
                let path = |field: &str| format!("status/{field}/{part}/{name}");
                let others = vec![Field::Path(path("artifact")), Field::Path("status/phase".to_owned())];
                self.error("artifact-source", &path("compliantArtifact"), "", others);
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
                "image" => compared(scanned, wanted) == Images::Other,
                _ => scanned != wanted,
            };
            self.warn_if("artifact-source", is_other);
        }
    }
}
