//! `scan-target`: the spec names the source or the image to scan.

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Rule};
use crate::rules::cel;
use crate::rules::tables::values::{MUST_BE_IMAGE, MUST_BE_URL, invalid_string};
use crate::scan::image::ImageReference;
use crate::scan::{Field, Json, Kind, Member, Source, SourceMember, url};

pub const RULE: Rule = Rule {
    id: "scan-target",
    title: "The spec names the source or the image to scan.",
    checks: "A SourceScan that has neither `spec.blob.url` nor `spec.git.url` is an error, and so is an ImageScan without \
             `spec.registry.image`. A blob URL that is not an http or https URL is a warning, and so is an image that is not \
             a valid reference.",
    why: "Without a target there is nothing to scan.",
    breaks: "The scan stays Pending forever, or its job fails with an error that does not name the cause.",
    repair: "Set the field in the spec.",
    part: Part::Spec,
    check,
    mutate: None,
    cel: Cel::Near(cel::spec::target, cel::spec::TARGET_DIFFERENCES),
    examples: &[
        Example {
            title: "a blob",
            old: None,
            new: r#"{"spec": {"blob": {"url": "https://example.com/code.tar.gz"}}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a git repository",
            old: None,
            new: r#"{"spec": {"blob": null, "git": {"url": "ssh://git@example.com/code.git"}}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "an image",
            old: None,
            new: r#"{"kind": "ImageScan", "spec": {"registry": {"image": "ghcr.io/team/app:v1"}}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "neither blob nor git",
            old: None,
            new: r#"{"spec": {"blob": null}}"#,
            expect: Expectation::Denies("spec.blob.url"),
        },
        Example {
            title: "no image",
            old: None,
            new: r#"{"kind": "ImageScan", "spec": {"registry": {"imagePullSecret": "pull"}}}"#,
            expect: Expectation::Denies("spec.registry.image"),
        },
        Example {
            title: "a blob URL that is not http",
            old: None,
            new: r#"{"spec": {"blob": {"url": "file:///code.tar.gz"}}}"#,
            expect: Expectation::Warns("spec.blob.url"),
        },
        Example {
            title: "an image reference in upper case",
            old: None,
            new: r#"{"kind": "ImageScan", "spec": {"registry": {"image": "ghcr.io/Team/App"}}}"#,
            expect: Expectation::Warns("spec.registry.image"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let get = |source, member| change.new.spec_source(source, member);
    let is_there = |json: Option<&Json<'_>>| json.is_some_and(|json| json.string() != Member::Absent);
    let [blob, git] = [Source::Blob, Source::Git].map(|source| get(source, SourceMember::Url));
    let image = get(Source::Registry, SourceMember::Image);
    match change.kind {
        Kind::SourceScan if !is_there(blob) && !is_there(git) => {
            let error = FieldError::required("spec.blob.url or spec.git.url must be set");
            let fields =
                [Source::Blob, Source::Git].map(|source| Field::SpecSource { source, member: SourceMember::Url });
            findings.error(fields[0], error).reads.push(fields[1]);
        }
        Kind::ImageScan if !is_there(image) => {
            let field = Field::SpecSource { source: Source::Registry, member: SourceMember::Image };
            findings.error(field, FieldError::required(MUST_BE_IMAGE));
        }
        _ => {}
    }
    let unsound = |json: Option<&'a Json<'a>>, is_sound: fn(&str) -> bool| {
        let is_unsound = |json: &&Json<'_>| match json.string() {
            Member::Absent => false,
            Member::WrongType(_) => true,
            Member::Present(text) => !is_sound(text),
        };
        json.filter(is_unsound)
    };
    if let Some(found) = unsound(blob, url::is_http) {
        let field = Field::SpecSource { source: Source::Blob, member: SourceMember::Url };
        findings.warning(field, invalid_string(found, MUST_BE_URL));
    }
    if let Some(found) = unsound(image, |image| ImageReference::parse(image).is_some()) {
        let field = Field::SpecSource { source: Source::Registry, member: SourceMember::Image };
        findings.warning(field, invalid_string(found, MUST_BE_IMAGE));
    }
}
