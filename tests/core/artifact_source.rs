//! Tests of RULES §3 `artifact-source`: artifact against compliantArtifact, and artifact against spec.

use serde_json::{Value, json};

use crate::findings::found;
use crate::support::reviews::{review, scan};

const RULE: &str = "artifact-source";
const PHASES: [&str; 6] = ["", "Pending", "Scanning", "Completed", "Failed", "Error"];

const ONE: &str = "@sha256:1111111111111111111111111111111111111111111111111111111111111111";
const TWO: &str = "@sha256:2222222222222222222222222222222222222222222222222222222222222222";

/// How two sources compare.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Same,
    /// "another tag, a part that only one of them has, …"
    Differs,
    /// "blob.url, git.url or image repository is not artifact's, or both images have a digest and the digests differ"
    Contradicts,
}
use Comparison::{Contradicts, Differs, Same};

/// Pairs of readable images; `@1` and `@2` stand for the digests [`ONE`] and [`TWO`].
const IMAGES: &[(&str, &str, Comparison)] = &[
    ("ghcr.io/team/app:v1", "ghcr.io/team/app:v1", Same),
    ("ghcr.io/team/app@1", "ghcr.io/team/app@1", Same),
    ("ghcr.io/team/app", "ghcr.io/team/app", Same),
    // "tag vs digest is fine, here and between the two artifacts"
    ("ghcr.io/team/app@1", "ghcr.io/team/app:v1", Same),
    ("ghcr.io/team/app@1", "ghcr.io/team/app", Same),
    ("ghcr.io/team/app:v1@1", "ghcr.io/team/app:v1", Same),
    ("ghcr.io/team/app:v1@1", "ghcr.io/team/app:v1@1", Same),
    ("ghcr.io/team/app:v1", "ghcr.io/team/app:v2", Differs),
    ("team/app:v1", "docker.io/team/app:v2", Differs),
    ("ghcr.io/team/app@1", "ghcr.io/team/app@2", Contradicts),
    ("ghcr.io/team/app:v1@1", "ghcr.io/team/app:v1@2", Contradicts),
    ("ghcr.io/team/app:v1@1", "ghcr.io/team/app@2", Contradicts),
    ("ghcr.io/team/app:v1", "ghcr.io/team/other:v1", Contradicts),
    ("ghcr.io/team/app:v1", "ghcr.io/other/app:v1", Contradicts),
    ("ghcr.io/team/app@1", "ghcr.io/other/app@1", Contradicts),
    ("ghcr.io/team/app:v1", "ghcr.io/team/app/part:v1", Contradicts),
    ("ghcr.io/team/app:v1", "ghcr.io/app:v1", Contradicts),
    // "hosts are compared without case": a first part with a capital letter is a host.
    ("MYHOST/app@1", "MYHOST/app:v1", Same),
    ("MYHOST/app:v1", "MyHost/app:v1", Same),
    ("MYHOST/app:v1", "YOURHOST/app:v1", Contradicts),
    ("GHCR.IO/team/app:v1", "ghcr.io/team/app:v1", Same),
    ("Ghcr.io/team/app@1", "gHCR.io/team/app:v1", Same),
    ("GHCR.IO/team/app:v1", "ghcr.io/team/app:v2", Differs),
    ("GHCR.IO/team/app@1", "ghcr.io/team/app@2", Contradicts),
    ("LOCALHOST:5000/app:v1", "localhost:5000/app:v1", Same),
    // "a dot, a port … or is localhost"
    ("localhost/app@1", "localhost/app:v1", Same),
    ("localhost/app:v1", "app:v1", Contradicts),
    ("localhost:5000/app@1", "localhost:5000/app:v1", Same),
    ("localhost:5000/app:v1", "localhost:5001/app:v1", Contradicts),
    ("registry:5000/app@1", "registry:5000/app:v1", Same),
    ("registry:5000/app:v1", "registry/app:v1", Contradicts),
    ("registry.example.com:5000/a/b/c@1", "registry.example.com:5000/a/b/c:v1", Same),
    ("registry.example.com/app:v1", "registry.example.org/app:v1", Contradicts),
    // The names of Docker Hub.
    ("team/app:v1", "docker.io/team/app:v1", Same),
    ("team/app:v1", "index.docker.io/team/app:v1", Same),
    ("team/app:v1", "registry-1.docker.io/team/app:v1", Same),
    ("team/app:v1", "registry.hub.docker.com/team/app:v1", Same),
    ("team/app@1", "Docker.IO/team/app:v1", Same),
    ("index.docker.io/team/app@1", "registry-1.docker.io/team/app:v1", Same),
    ("registry.hub.docker.com/team/app@1", "docker.io/team/app@1", Same),
    ("team/app:v1", "hub.docker.com/team/app:v1", Contradicts),
    ("team/app:v1", "docker.io.example.com/team/app:v1", Contradicts),
    ("team/app:v1", "ghcr.io/team/app:v1", Contradicts),
    ("team/app@1", "docker.io/team/app@2", Contradicts),
    ("team/app:v1", "docker.io/team/other:v1", Contradicts),
];

fn image(written: &str) -> String {
    written.replace("@1", ONE).replace("@2", TWO)
}

const UNREADABLE: [&str; 11] = [
    "ghcr.io/Team/app:v1",
    "ghcr.io/team/App",
    "ghcr.io/team/app:",
    "ghcr.io/team/app:v 1",
    "ghcr.io/team/app@sha256:1",
    "ghcr.io/team/app@",
    "https://ghcr.io/team/app:v1",
    "ghcr.io//app:v1",
    "/app:v1",
    ":v1",
    "two words",
];

/// Returns a scan with these sources; null is an absent source.
fn object(kind: &str, phase: &str, artifact: &Value, compliant: &Value) -> Value {
    let mut object = scan("{}");
    object["kind"] = json!(kind);
    if kind == "ImageScan" {
        object["spec"] = json!({"registry": {"image": "ghcr.io/team/app:v1"}, "scanTemplate": "t"});
    }
    object["status"] = json!({"phase": phase, "artifact": artifact, "compliantArtifact": compliant});
    object
}

/// Returns the paths that the rule denies and the paths that it warns about.
fn paths(object: &Value) -> [Vec<String>; 2] {
    found(&review(object, None)).of(RULE).map(|paths| paths.into_iter().map(str::to_owned).collect())
}

fn expected(comparison: Comparison, phase: &str, path: &str) -> [Vec<String>; 2] {
    let path = vec![path.to_owned()];
    match comparison {
        Same => [vec![], vec![]],
        Contradicts if phase == "Completed" => [path, vec![]],
        Differs | Contradicts => [vec![], path],
    }
}

#[test]
fn a_compliant_image_is_compared_with_the_scanned_image() {
    let of = |image: &str| json!({"registry": {"image": image}});
    let path = "status.compliantArtifact.registry.image";
    for phase in PHASES {
        for (one, other, comparison) in IMAGES {
            let (one, other) = (image(one), image(other));
            for (artifact, compliant) in [(&one, &other), (&other, &one)] {
                let object = object("ImageScan", phase, &of(artifact), &of(compliant));
                assert_eq!(paths(&object), expected(*comparison, phase, path), "{phase:?}: {artifact}, {compliant}");
            }
        }
    }
}

/// "an image that cannot be read as a reference" is warned about and not compared.
#[test]
fn an_unreadable_image_is_warned_about() {
    let of = |image: &str| json!({"registry": {"image": image}});
    let [artifact, compliant] = ["artifact", "compliantArtifact"].map(|name| format!("status.{name}.registry.image"));
    for (phase, wrong) in PHASES.into_iter().flat_map(|phase| UNREADABLE.map(|wrong| (phase, wrong))) {
        let legal = of("ghcr.io/team/app:v1");
        for (one, other, warned) in [
            (of(wrong), legal.clone(), vec![artifact.clone()]),
            (legal, of(wrong), vec![compliant.clone()]),
            (of(wrong), of(wrong), vec![artifact.clone(), compliant.clone()]),
            (of(wrong), json!(null), vec![artifact.clone()]),
        ] {
            let paths = paths(&object("ImageScan", phase, &one, &other));
            assert_eq!(paths, [vec![], warned], "{phase:?}: {one}, {other}");
        }
    }
}

#[test]
fn a_compliant_source_is_compared_with_the_scanned_source() {
    let (blob, git) = ("https://example.com/code.tar.gz", "https://example.com/code.git");
    let source = |blob: &str, revision: &str| json!({"blob": {"url": blob, "revision": revision}});
    let repository = |git: &str, revision: &str| json!({"git": {"url": git, "revision": revision}});
    let both = json!({"blob": {"url": blob}, "git": {"url": git}});
    for phase in PHASES {
        for (artifact, compliant, comparison, path) in [
            (source(blob, "1"), source(blob, "1"), Same, ""),
            (source(blob, "1"), source(blob, "2"), Differs, "blob.revision"),
            (source(blob, "1"), source("https://example.com/other.tar.gz", "1"), Contradicts, "blob.url"),
            (repository(git, "1"), repository(git, "1"), Same, ""),
            (repository(git, "1"), repository(git, "2"), Differs, "git.revision"),
            (repository(git, "1"), repository("https://example.com/other.git", "1"), Contradicts, "git.url"),
            (both.clone(), both.clone(), Same, ""),
            // A source that is absent, empty or null is not compared.
            (source(blob, "1"), json!(null), Same, ""),
            (source(blob, "1"), json!({}), Same, ""),
            (source(blob, "1"), json!({"blob": null, "git": {}}), Same, ""),
            (
                json!({"blob": {"url": blob}}),
                json!({"blob": {"url": blob, "revision": ""}, "git": {"url": null}}),
                Same,
                "",
            ),
            (json!({"blob": {"url": blob}, "x": 1}), json!({"blob": {"url": blob, "y": 2}}), Same, ""),
        ] {
            let object = object("SourceScan", phase, &artifact, &compliant);
            let path = format!("status.compliantArtifact.{path}");
            assert_eq!(paths(&object), expected(comparison, phase, &path), "{phase:?}: {artifact}, {compliant}");
        }
    }
}

/// "a part that only one of them has". The rules do not say at which field of the part the warning is.
#[test]
fn a_part_of_only_one_artifact_is_warned_about() {
    let (blob, git) =
        (json!({"url": "https://example.com/code.tar.gz"}), json!({"url": "https://example.com/code.git"}));
    let both = json!({"blob": blob, "git": git});
    let revised = json!({"blob": {"url": "https://example.com/code.tar.gz", "revision": "1"}});
    let (blob, git) = (json!({"blob": blob}), json!({"git": git}));
    let pairs = [(&both, &blob), (&blob, &both), (&git, &both), (&blob, &git), (&blob, &revised), (&revised, &blob)];
    for (phase, (artifact, compliant)) in PHASES.into_iter().flat_map(|phase| pairs.map(|pair| (phase, pair))) {
        let [denied, warned] = paths(&object("SourceScan", phase, artifact, compliant));
        assert!(denied.is_empty() && !warned.is_empty(), "{phase:?}: {artifact}, {compliant}: {denied:?} {warned:?}");
    }
    // Without an artifact, it is unknown what was scanned.
    for phase in PHASES {
        let [denied, warned] = paths(&object("SourceScan", phase, &json!(null), &blob));
        assert!(denied.is_empty() && !warned.is_empty(), "{phase:?}: {denied:?} {warned:?}");
    }
}

/// "on Completed and Failed with observedGeneration = generation: …" is a warning; another tag is not even a warning.
#[test]
fn the_scanned_artifact_is_compared_with_the_spec() {
    let generations = [json!(null), json!(1), json!(2), json!(3)];
    let mut warned = 0;
    for (phase, observed) in PHASES.iter().flat_map(|phase| generations.iter().map(move |observed| (phase, observed))) {
        let is_compared = matches!(*phase, "Completed" | "Failed") && *observed == 2;
        let mut is = |mut object: Value, spec: Value, is_another: bool, path: &str| {
            json_patch::merge(&mut object["spec"], &spec);
            object["metadata"]["generation"] = json!(2);
            object["status"]["observedGeneration"] = observed.clone();
            let expected = if is_compared && is_another { vec![format!("status.artifact.{path}")] } else { vec![] };
            warned += expected.len();
            assert_eq!(paths(&object), [vec![], expected], "{object}");
        };
        for (one, other, comparison) in IMAGES {
            for (artifact, spec) in [(one, other), (other, one)] {
                let [artifact, spec] = [artifact, spec].map(|it| json!({"registry": {"image": image(it)}}));
                is(
                    object("ImageScan", phase, &artifact, &json!(null)),
                    spec,
                    *comparison == Contradicts,
                    "registry.image",
                );
            }
        }
        let blob = |url: &str, revision: &str| json!({"blob": {"url": url, "revision": revision}});
        // The sample scan has a blob, which the merge patch removes.
        let git = |url: &str, revision: &str| json!({"git": {"url": url, "revision": revision}, "blob": null});
        let (one, other) = ("https://example.com/1", "https://example.com/2");
        for (artifact, spec, is_another, path) in [
            (blob(one, "1"), blob(one, "1"), false, ""),
            (blob(one, "1"), blob(one, "2"), false, ""),
            (blob(one, "1"), blob(other, "1"), true, "blob.url"),
            (git(one, "1"), git(one, "main"), false, ""),
            (git(one, "1"), git(other, "1"), true, "git.url"),
        ] {
            is(object("SourceScan", phase, &artifact, &json!(null)), spec, is_another, path);
        }
    }
    assert!(warned > 50, "{warned}");
}
