//! The twins of the rules about the types of the status, the scanner and the URL of the results.

use super::reading::{
    MATCHED_MAX_CHARS, has_wrong_type, is_current, is_phase, is_same, is_there, members, sources, sources_name, text,
};
use crate::engine::cel::{FOUND, OTHER, VALUE, message, pattern, text_message};
use crate::engine::{FieldError, Row, View};
use crate::rules::tables::values::MUST_BE_URL;
use crate::scan::ConditionStatus::{False, True};
use crate::scan::field::{Artifact, metadata_url_name};
use crate::scan::{ConditionType, Phase, ScannerMember, Spelling};

fn must_be(what: &str, value: &str) -> String {
    message(&FieldError::type_invalid(&VALUE, format_args!("must be {what}")), value, "")
}

pub fn status(view: View) -> Vec<Row> {
    let (object, status) = (view.object(), view.variable("status"));
    let mut rows = vec![
        Row::error(
            has_wrong_type(object, "status", "map"),
            "status",
            must_be("an object", &format!("{object}.status")),
        )
        .unchanged(["object.status == oldObject.status".to_owned()]),
        Row::error(
            has_wrong_type(&status, "conditions", "list"),
            "status.conditions",
            must_be("a list", &format!("{status}.conditions")),
        )
        .unchanged(["variables.status.conditions == variables.oldStatus.conditions".to_owned()]),
    ];
    rows.extend(Artifact::BOTH.into_iter().flat_map(|artifact| artifact_rows(view, artifact)));
    rows
}

fn artifact_rows(view: View, artifact: Artifact) -> [Row; 3] {
    let (status, name) = (view.variable("status"), artifact.name());
    let [map, old] = [view, View::Old].map(|view| view.variable(sources_name(artifact)));
    let unless_plain =
        |list: String| format!("({} ? [] : {list})", view.variable(&format!("{}Plain", sources_name(artifact))));
    let (source, member) = (format!("{map}[s]"), format!("{map}[x[0]][x[1]]"));
    [
        Row::error(
            has_wrong_type(&status, name, "map"),
            &format!("status.{name}"),
            must_be("an object", &format!("{status}.{name}")),
        )
        .unchanged([format!("variables.status.{name} == variables.oldStatus.{name}")]),
        Row::error(format!("s in {map} && {source} != null && type({source}) != map"), "", must_be("an object", &source))
            .for_each("s", unless_plain(sources()), format!("'status.{name}.' + s"))
            .unchanged([format!("{source} == {old}[s]")]),
        Row::error(
            format!(
                "x[0] in {map} && type({map}[x[0]]) == map && x[1] in {map}[x[0]] && {member} != null && type({member}) != string"
            ),
            "",
            must_be("a string", &member),
        )
        .for_each("x", unless_plain(members()), format!("'status.{name}.' + x[0] + '.' + x[1]"))
        .unchanged([format!("{member} == {old}[x[0]][x[1]]")]),
    ]
}

pub fn scanner(view: View) -> Vec<Row> {
    let status = view.variable("status");
    let by = format!("{status}.scannedBy");
    let old = "variables.oldStatus.scannedBy";
    let is_map = format!("has({by}) && type({by}) == map");
    let nested = format!("{by}.scanner");
    let is_nested = format!("{is_map} && has({nested}) && type({nested}) == map");
    let mut rows = vec![
        Row::error(
            has_wrong_type(&status, "scannedBy", "map"),
            "status.scannedBy",
            must_be("an object of strings", &by),
        )
        .unchanged([format!("{by} == {old}")]),
        Row::error(
            format!("{is_map} && {}", has_wrong_type(&by, "scanner", "map")),
            "status.scannedBy.scanner",
            must_be("an object of strings", &nested),
        )
        .unchanged([format!("{nested} == {old}.scanner")]),
    ];
    for (path, is_there) in [("scannedBy.scanner", &is_nested), ("scannedBy", &is_map)] {
        for member in ScannerMember::ALL.map(ScannerMember::name) {
            let map = format!("{status}.{path}");
            rows.push(
                Row::error(
                    format!("{is_there} && {}", has_wrong_type(&map, member, "string")),
                    &format!("status.{path}.{member}"),
                    must_be("a string", &format!("{map}.{member}")),
                )
                .unchanged([format!("{map}.{member} == variables.oldStatus.{path}.{member}")]),
            );
        }
    }
    rows.push(missing_scanner(view, &by, [&is_map, &is_nested]));
    rows
}

fn missing_scanner(view: View, by: &str, [is_map, is_nested]: [&str; 2]) -> Row {
    let has = |member: ScannerMember| {
        let name = member.name();
        format!(
            "({is_map} && {} != '' || {is_nested} && {} != '')",
            text(by, name),
            text(&format!("{by}.scanner"), name)
        )
    };
    let [name, version] = [ScannerMember::Name, ScannerMember::Version].map(has);
    let detail = format!("must have the scanner's {OTHER} while phase is {FOUND}");
    let missing = format!("({name} ? 'version' : {version} ? 'name' : 'name and version')");
    Row::warning(
        format!(
            "{} && !(has({by}) && {by} != null && type({by}) != map) && !({name} && {version})",
            is_phase(view, &[Phase::Completed, Phase::Failed])
        ),
        "status.scannedBy",
        message(&FieldError::required(detail), &view.variable("phase"), &missing),
    )
}

/// An absolute http(s) URL with a host, as `scan::url` checks it.
const URL: &str = "^[Hh][Tt][Tt][Pp][Ss]?://([^/?#\\x00-\\x20\\x7f-\\x{9f}]*@)?([^:/?#@\\[\\x00-\\x20\\x7f-\\x{9f}][^:/?#@\\x00-\\x20\\x7f-\\x{9f}]*|\\[[^\\]/?#@\\x00-\\x20\\x7f-\\x{9f}]+\\])\
    (:([+]?0*([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?)?([/?#][^\\x00-\\x20\\x7f-\\x{9f}]*)?$";

/// Whether a value is no http(s) URL. A text that is too long to be matched is taken for one.
pub fn is_no_url(value: &str) -> String {
    format!("(type({value}) != string || size({value}) <= {MATCHED_MAX_CHARS} && !{value}.matches({}))", pattern(URL))
}

/// The differences of `metadata-url`.
pub const URL_DIFFERENCES: &str = "A URL of more than 1,024 characters is not checked.";

pub fn metadata_url(view: View) -> Vec<Row> {
    let status = view.variable("status");
    let sending = ConditionType::SendingResults;
    let mut rows = Vec::new();
    let mut absent = Vec::new();
    for spelling in Spelling::BOTH {
        let name = metadata_url_name(spelling);
        let value = format!("{status}.{name}");
        let is_set = format!("{} != ''", text(&status, name));
        absent.push(format!("{} == ''", text(&status, name)));
        let path = format!("status.{name}");
        let invalid = FieldError::invalid(&VALUE, MUST_BE_URL);
        rows.push(
            Row::error(format!("{is_set} && {}", is_no_url(&value)), &path, message(&invalid, &value, ""))
                .unchanged([is_same(&status, "variables.oldStatus", name)]),
        );
        rows.push(Row::warning(
            format!("{is_set} && {}", is_current(view, sending, &[False])),
            &path,
            text_message("Forbidden: no URL while SendingResults is \"False\""),
        ));
    }
    let required = FieldError::required("must be the URL of the results while SendingResults is \"True\"");
    rows.push(Row::warning(
        format!("{} && {}", is_current(view, sending, &[True]), absent.join(" && ")),
        &format!("status.{}", metadata_url_name(Spelling::Wire)),
        message(&required, "", ""),
    ));
    rows
}

/// Whether a value is there and not empty.
pub fn is_set(map: &str, key: &str) -> String {
    format!("{} && {map}.{key} != ''", is_there(map, key))
}
