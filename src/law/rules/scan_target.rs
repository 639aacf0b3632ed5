//! `scan-target`: The spec names something to scan.

use crate::law::finding::quote;
use crate::law::{Change, Example, Findings, Part, Rule, Verdict};
use crate::scan::{Field, Json, Kind, Member, Source, SourceMember, image, url};

pub const RULE: Rule = Rule {
    id: "scan-target",
    title: "The spec names something to scan.",
    checks: "A SourceScan has `spec.blob.url` or `spec.git.url`, an ImageScan has `spec.registry.image`. A blob URL \
             that is not http(s) and an image reference that does not parse are advice.",
    why: "Without a target there is nothing that a status could speak of.",
    breaks: "The scan stays Pending for ever, or its job fails with an error from deep within.",
    repair: "Name the source in the spec.",
    part: Part::Spec,
    check,
    mend: None,
    examples: &[
        Example {
            says: "a blob",
            old: None,
            new: r#"{"spec": {"blob": {"url": "https://example.com/code.tar.gz"}}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "a repository of code",
            old: None,
            new: r#"{"spec": {"blob": null, "git": {"url": "ssh://git@example.com/code.git"}}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "an image",
            old: None,
            new: r#"{"kind": "ImageScan", "spec": {"registry": {"image": "ghcr.io/team/app:v1"}}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "neither blob nor git",
            old: None,
            new: r#"{"spec": {"blob": null}}"#,
            verdict: Verdict::Refused("spec.blob.url"),
        },
        Example {
            says: "no image",
            old: None,
            new: r#"{"kind": "ImageScan", "spec": {"registry": {"imagePullSecret": "pull"}}}"#,
            verdict: Verdict::Refused("spec.registry.image"),
        },
        Example {
            says: "a blob by another way than http",
            old: None,
            new: r#"{"spec": {"blob": {"url": "file:///code.tar.gz"}}}"#,
            verdict: Verdict::Advised("spec.blob.url"),
        },
        Example {
            says: "an image reference in capitals",
            old: None,
            new: r#"{"kind": "ImageScan", "spec": {"registry": {"image": "ghcr.io/Team/App"}}}"#,
            verdict: Verdict::Advised("spec.registry.image"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let get = |source, member| change.new.spec_source(source, member);
    let is_there = |json: Option<&Json<'_>>| json.is_some_and(|json| matches!(json.string(), Member::Is(_)));
    let [blob, git] = [Source::Blob, Source::Git].map(|source| get(source, SourceMember::Url));
    let image = get(Source::Registry, SourceMember::Image);
    match change.kind {
        Kind::SourceScan if !is_there(blob) && !is_there(git) => {
            let message = "names neither blob.url nor git.url: one of them would be right";
            let fields = [Source::Blob, Source::Git].map(|source| Field::SpecSource(source, SourceMember::Url));
            findings.refuse(fields[0].clone(), message).reads.push(fields[1].clone());
        }
        Kind::ImageScan if !is_there(image) => {
            let field = Field::SpecSource(Source::Registry, SourceMember::Image);
            findings
                .refuse(field, "names no image: a reference such as registry.example.com/team/app:v1 would be right");
        }
        _ => {}
    }
    let advise = |json: Option<&Json<'_>>, is_sound: fn(&str) -> bool| {
        json.filter(|json| matches!(json.string(), Member::Is(text) if !is_sound(&text))).map(quote)
    };
    if let Some(found) = advise(blob, url::is_http) {
        let field = Field::SpecSource(Source::Blob, SourceMember::Url);
        findings.advise(field, format!("is {found}: an http(s) URL would be right"));
    }
    if let Some(found) = advise(image, |image| image::repository(image).is_some()) {
        let field = Field::SpecSource(Source::Registry, SourceMember::Image);
        findings.advise(
            field,
            format!("is {found}: an image reference such as registry.example.com/team/app:v1 would be right"),
        );
    }
}
