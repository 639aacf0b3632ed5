//! `artifact-source`: the compliant artifact is the scanned artifact, and the scanned artifact is the one that the spec names.

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Rule};
use crate::rules::cel;
use crate::rules::tables::values::{MUST_BE_IMAGE, must_equal};
use crate::scan::{Artifact, Difference, ImageReference};
use crate::scan::{Field, Json, Member, Phase, Source, SourceMember, Sources};

pub const RULE: Rule = Rule {
    id: "artifact-source",
    title: "The compliant artifact is the scanned artifact, and the scanned artifact is the one that the spec names.",
    checks: "On phase Completed it is an error if `compliantArtifact` and `artifact` have different blob URLs, git URLs or \
             image repositories, or different image digests. Every other difference is a warning, such as another tag or a \
             member that only one of them has; on other phases all differences are warnings. An image that is not a valid \
             reference is a warning. On Completed and Failed, if the status is caught up, an `artifact` of another source \
             than the spec's is a warning. These make no difference: a tag in one image and a digest in the other, upper \
             and lower case in a host, and the different names of Docker Hub.",
    why: "The policy was evaluated for the scanned artifact, and for no other artifact.",
    breaks: "An artifact that was never scanned is shipped with the verdict about another artifact.",
    repair: "Copy `artifact` to `compliantArtifact` unchanged.",
    part: Part::Status,
    check,
    mutate: None,
    cel: Cel::Near(cel::artifacts::source, cel::artifacts::SOURCE_DIFFERENCES),
    examples: &[
        Example {
            title: "the scanned artifact is shipped",
            old: None,
            new: r#"{"status": {"phase": "Completed", "artifact": {"blob": {"url": "https://example.com/code.tar.gz"}}, "compliantArtifact": {"blob": {"url": "https://example.com/code.tar.gz"}}}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "another blob is shipped",
            old: None,
            new: r#"{"status": {"phase": "Completed", "artifact": {"blob": {"url": "https://example.com/code.tar.gz"}}, "compliantArtifact": {"blob": {"url": "https://example.com/other.tar.gz"}}}}"#,
            expect: Expectation::Denies("status.compliantArtifact.blob.url"),
        },
        Example {
            title: "an image with another digest is shipped",
            old: None,
            new: r#"{"status": {"phase": "Completed", "artifact": {"registry": {"image": "ghcr.io/team/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}, "compliantArtifact": {"registry": {"image": "ghcr.io/team/app@sha256:0000c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}}}"#,
            expect: Expectation::Denies("status.compliantArtifact.registry.image"),
        },
        Example {
            title: "a host in upper case, and a tag instead of a digest",
            old: None,
            new: r#"{"status": {"phase": "Completed", "artifact": {"registry": {"image": "MYHOST/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}, "compliantArtifact": {"registry": {"image": "MyHost/app:v1"}}}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "another revision is shipped",
            old: None,
            new: r#"{"status": {"phase": "Completed", "artifact": {"blob": {"url": "https://example.com/code.tar.gz", "revision": "a"}}, "compliantArtifact": {"blob": {"url": "https://example.com/code.tar.gz", "revision": "b"}}}}"#,
            expect: Expectation::Warns("status.compliantArtifact.blob.revision"),
        },
        Example {
            title: "the scanned blob is not the one that the spec names",
            old: None,
            new: r#"{"status": {"phase": "Completed", "observedGeneration": 1, "artifact": {"blob": {"url": "https://example.com/other.tar.gz"}}}}"#,
            expect: Expectation::Warns("status.artifact.blob.url"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    let [artifact, compliant] = Artifact::BOTH.map(|artifact| artifact.of(status).present());
    for (of, sources) in Artifact::BOTH.into_iter().zip([artifact, compliant]) {
        check_image(of, sources, findings);
    }
    if let Some(compliant) = compliant.filter(|compliant| !compliant.is_empty()) {
        let none = Sources::default();
        let is_wrong_type = matches!(status.artifact, Member::WrongType(_));
        let artifact = artifact.unwrap_or(&none);
        for source in Source::ALL {
            let has_wrong_type = is_wrong_type || artifact.is_wrong_type(source) || compliant.is_wrong_type(source);
            if !has_wrong_type || change.is_old_object {
                compare(source, [artifact, compliant], status.phase() == Some(Phase::Completed), findings);
            }
        }
    }
    if matches!(status.phase(), Some(Phase::Completed | Phase::Failed)) && change.new.is_caught_up() {
        compare_with_spec(change, artifact, findings);
    }
}

/// Warns of an image that is not a valid reference and therefore cannot be compared.
fn check_image<'a>(artifact: Artifact, sources: Option<&Sources<'a>>, findings: &mut Findings<'a>) {
    let (source, member) = (Source::Registry, SourceMember::Image);
    let image = sources.and_then(|sources| sources.text(source, member));
    if let Some(image) = image.filter(|image| ImageReference::parse(image).is_none()) {
        let error = FieldError::invalid(&Json::from_text(image), MUST_BE_IMAGE);
        findings.warning(Field::SourceMember { artifact, source, member }, error);
    }
}

/// Compares one source of the compliant artifact with the same source of the scanned artifact.
fn compare<'a>(source: Source, artifacts: [&Sources<'a>; 2], is_completed: bool, findings: &mut Findings<'a>) {
    for &member in source.members() {
        let [scanned, shipped] = artifacts.map(|sources| sources.text(source, member));
        let difference = match (scanned, shipped) {
            (Some(scanned), Some(shipped)) => member.difference(shipped, scanned),
            (None, None) => Difference::None,
            _ => Difference::Other,
        };
        if difference == Difference::None {
            continue;
        }
        let field = |artifact| Field::SourceMember { artifact, source, member };
        let other = field(Artifact::Scanned);
        let error = match (shipped, scanned) {
            (Some(shipped), Some(scanned)) => {
                FieldError::invalid(&Json::from_text(shipped), must_equal(&Json::from_text(scanned), other))
            }
            (None, Some(scanned)) => FieldError::required(must_equal(&Json::from_text(scanned), other)),
            (_, None) => FieldError::forbidden(format_args!("must be absent, because {other} is absent")),
        };
        if difference == Difference::Source && is_completed {
            findings.error(field(Artifact::Compliant), error).reads.extend([other, Field::Phase]);
        } else {
            findings.warning(field(Artifact::Compliant), error);
        }
    }
}

/// Warns of a scanned artifact that the spec does not name. Called only if the scan of this spec has ended.
fn compare_with_spec<'a>(change: &Change<'a>, artifact: Option<&Sources<'a>>, findings: &mut Findings<'a>) {
    for source in Source::ALL {
        let member = if source == Source::Registry { SourceMember::Image } else { SourceMember::Url };
        let scanned = artifact.and_then(|artifact| artifact.text(source, member));
        let asked = change.new.spec_source(source, member).and_then(|asked| asked.string().value());
        let (Some(scanned), Some(asked)) = (scanned, asked) else { continue };
        if member.difference(scanned, asked) == Difference::Source {
            let field = Field::SourceMember { artifact: Artifact::Scanned, source, member };
            let named = Field::SpecSource { source, member };
            let detail = must_equal(&Json::from_text(asked), named);
            findings.warning(field, FieldError::invalid(&Json::from_text(scanned), detail));
        }
    }
}
