//! The twins of the rules about the spec and about the user.

use super::artifacts::is_no_image;
use super::reading::{is_same, is_there, text};
use super::shape::is_no_url;
use crate::engine::cel::{FOUND, VALUE, message};
use crate::engine::{FieldError, Row, View};
use crate::rules::tables::values::{MUST_BE_IMAGE, MUST_BE_URL};
use crate::scan::Kind;

/// The differences of `scan-target`.
pub const TARGET_DIFFERENCES: &str = "A blob URL or an image of more than 1,024 characters is not checked.";

/// Whether a member of a source of the spec is there and not empty.
fn is_set(spec: &str, source: &str, member: &str) -> String {
    format!(
        "has({spec}.{source}) && type({spec}.{source}) == map && {} != ''",
        text(&format!("{spec}.{source}"), member)
    )
}

pub fn target(view: View) -> Vec<Row> {
    let spec = view.variable("spec");
    let old = View::Old.variable("spec");
    let [blob, git, image] =
        [("blob", "url"), ("git", "url"), ("registry", "image")].map(|(source, member)| is_set(&spec, source, member));
    let is_kind = |kind: Kind| format!("object.kind == '{}'", kind.name());
    let same = |source: &str, member: &str| {
        let of =
            |spec: &str| format!("(has({spec}.{source}) && type({spec}.{source}) == map ? {spec}.{source} : {{}})");
        format!("[[{}, {}]].all(p, {})", of(&spec), of(&old), is_same("p[0]", "p[1]", member))
    };
    let url = format!("{spec}.blob.url");
    let reference = format!("{spec}.registry.image");
    vec![
        Row::error(
            format!("{} && !({blob}) && !({git})", is_kind(Kind::SourceScan)),
            "spec.blob.url",
            message(&FieldError::required("spec.blob.url or spec.git.url must be set"), "", ""),
        )
        .unchanged([same("blob", "url"), same("git", "url")]),
        Row::error(
            format!("{} && !({image})", is_kind(Kind::ImageScan)),
            "spec.registry.image",
            message(&FieldError::required(MUST_BE_IMAGE), "", ""),
        )
        .unchanged([same("registry", "image")]),
        Row::warning(
            format!("{blob} && {}", is_no_url(&url)),
            "spec.blob.url",
            message(&FieldError::invalid(&VALUE, MUST_BE_URL), &url, ""),
        ),
        Row::warning(
            format!("{image} && {}", is_no_image(&reference)),
            "spec.registry.image",
            message(&FieldError::invalid(&VALUE, MUST_BE_IMAGE), &reference, ""),
        ),
    ]
}

pub fn template(view: View) -> Vec<Row> {
    vec![Row::warning(
        format!("{} == ''", text(&view.variable("spec"), "scanTemplate")),
        "spec.scanTemplate",
        message(&FieldError::required("must name a ScanTemplate"), "", ""),
    )]
}

/// Whether the status of both objects differs at all. An empty one counts as absent.
pub fn has_other_status() -> String {
    let status =
        |object: &str| format!("({} && {object}.status != {{}} ? {object}.status : null)", is_there(object, "status"));
    format!("{} != {}", status("object"), format_args!("(oldObject == null ? null : {})", status("oldObject")))
}

/// The policies add the list of users, which the configuration has.
pub fn writer(_: View) -> Vec<Row> {
    let user = "request.userInfo.username";
    let error = FieldError::forbidden(format_args!("must be written by one of the statusWriters, and not by {FOUND}"));
    vec![Row::error(
        format!("!({user} in variables.statusWriters) && {}", has_other_status()),
        "status",
        message(&error, user, ""),
    )]
}
