//! `artifact-source`: What is shipped is what was scanned, and that is what was asked for.

use std::borrow::Cow;

use crate::engine::{Change, Example, Expectation, Findings, Part, Rule};
use crate::scan::field::Artifact;
use crate::scan::json::printable;
use crate::scan::{Field, Json, Phase, Source, SourceMember, image};

pub const RULE: Rule = Rule {
    id: "artifact-source",
    title: "What is shipped is what was scanned, and that is what was asked for.",
    checks: "On Completed, the blob URL, git URL and image repository of `compliantArtifact` are those of \
             `artifact`. Any other difference between the two is a warning, and so is an artifact from \
             another source than the spec names, once the status speaks of this spec. A tag beside a \
             digest is no difference.",
    why: "The verdict holds for what was scanned and for nothing else.",
    breaks: "An artifact that nobody scanned is shipped with the verdict of another.",
    repair: "Copy artifact to compliantArtifact as it is.",
    part: Part::Status,
    check,
    mutate: None,
    examples: &[
        Example {
            title: "what was scanned is shipped",
            old: None,
            new: r#"{"status": {"phase": "Completed", "artifact": {"blob": {"url": "https://example.com/code.tar.gz"}}, "compliantArtifact": {"blob": {"url": "https://example.com/code.tar.gz"}}}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a tag that was scanned by its digest",
            old: None,
            new: r#"{"status": {"phase": "Completed", "artifact": {"registry": {"image": "ghcr.io/team/app:v1"}}, "compliantArtifact": {"registry": {"image": "ghcr.io/team/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "another blob is shipped",
            old: None,
            new: r#"{"status": {"phase": "Completed", "artifact": {"blob": {"url": "https://example.com/code.tar.gz"}}, "compliantArtifact": {"blob": {"url": "https://example.com/other.tar.gz"}}}}"#,
            expect: Expectation::Denies("status.compliantArtifact.blob.url"),
        },
        Example {
            title: "another repository is shipped",
            old: None,
            new: r#"{"status": {"phase": "Completed", "artifact": {"registry": {"image": "ghcr.io/team/app:v1"}}, "compliantArtifact": {"registry": {"image": "ghcr.io/team/other:v1"}}}}"#,
            expect: Expectation::Denies("status.compliantArtifact.registry.image"),
        },
        Example {
            title: "another revision is shipped",
            old: None,
            new: r#"{"status": {"phase": "Completed", "artifact": {"blob": {"url": "https://example.com/code.tar.gz", "revision": "a"}}, "compliantArtifact": {"blob": {"url": "https://example.com/code.tar.gz", "revision": "b"}}}}"#,
            expect: Expectation::Warns("status.compliantArtifact.blob.revision"),
        },
        Example {
            title: "another blob than the spec asks for was scanned",
            old: None,
            new: r#"{"status": {"observedGeneration": 1, "artifact": {"blob": {"url": "https://example.com/other.tar.gz"}}}}"#,
            expect: Expectation::Warns("status.artifact.blob.url"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    if let (Some(compliant), artifact) = (status.compliant_artifact.present(), status.artifact.present()) {
        let is_completed = status.phase() == Some(Phase::Completed);
        for source in Source::ALL {
            for &member in source.members() {
                let [shipped, scanned] = [Some(compliant), artifact].map(|sources| sources?.value(source, member));
                compare(Pair { source, member, shipped, scanned }, is_completed && artifact.is_some(), findings);
            }
        }
    }
    if change.new.is_caught_up() {
        for (source, member) in SOURCES {
            let scanned = status.artifact.present().and_then(|sources| sources.value(source, member));
            let (Some(scanned), Some(asked)) = (text(scanned), text(change.new.spec_source(source, member))) else {
                continue;
            };
            if !is_same_source(member, &scanned, &asked) {
                let field = Field::SourceMember { artifact: Artifact::Scanned, source, member };
                let asked = printable(&asked, 128);
                findings.warning(
                    field,
                    format!("is not what spec.{}.{} asks for: {asked} would be right", source.name(), member.name()),
                );
            }
        }
    }
}

struct Pair<'s, 'a> {
    source: Source,
    member: SourceMember,
    shipped: Option<&'s Json<'a>>,
    scanned: Option<&'s Json<'a>>,
}

fn compare<'a>(pair: Pair<'_, '_>, is_error: bool, findings: &mut Findings<'a>) {
    let Pair { source, member, .. } = pair;
    let (shipped, scanned) = (text(pair.shipped), text(pair.scanned));
    if shipped == scanned {
        return;
    }
    let is_elsewhere = SOURCES.contains(&(source, member))
        && shipped
            .as_deref()
            .is_some_and(|shipped| !scanned.as_deref().is_some_and(|scanned| is_same_source(member, shipped, scanned)));
    let right = scanned.map_or("none".to_owned(), |scanned| printable(&scanned, 128));
    let message = format!("differs from artifact.{}.{}: {right} would be right", source.name(), member.name());
    let field = |artifact| Field::SourceMember { artifact, source, member };
    if is_error && is_elsewhere {
        findings.error(field(Artifact::Compliant), message).reads.extend([field(Artifact::Scanned), Field::Phase]);
    } else if is_elsewhere || member != SourceMember::Image {
        findings.warning(field(Artifact::Compliant), message);
    }
}

/// What names a source; the rest says which state of it.
const SOURCES: [(Source, SourceMember); 3] =
    [(Source::Blob, SourceMember::Url), (Source::Git, SourceMember::Url), (Source::Registry, SourceMember::Image)];

fn is_same_source(member: SourceMember, one: &str, other: &str) -> bool {
    match (member, image::repository(one), image::repository(other)) {
        (SourceMember::Image, Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// The text of a string that is there.
fn text<'s>(json: Option<&'s Json<'_>>) -> Option<Cow<'s, str>> {
    json?.string().value()
}
