//! The twins of the rules about artifacts, and how expressions compare images and URLs.

use super::reading::{
    MATCHED_MAX_CHARS, has_wrong_type, is_absent, is_current, is_phase, is_same_generations, is_same_in_status,
    is_same_member, is_same_policy, is_there, members, sources, sources_name, status,
};
use crate::engine::cel::{OTHER, VALUE, literals, message, pattern, shown, text_message};
use crate::engine::{FieldError, Row, View};
use crate::rules::tables::values::MUST_BE_IMAGE;
use crate::scan::ConditionStatus::Unknown;
use crate::scan::field::Artifact;
use crate::scan::image::DOCKER_HUB;
use crate::scan::{ConditionMember, ConditionType, Phase, Source, SourceMember};

/// The names of all members that a source may have.
fn strings() -> String {
    literals(
        [SourceMember::Url, SourceMember::Revision, SourceMember::Image, SourceMember::ImagePullSecret]
            .map(SourceMember::name),
    )
}

/// Whether an artifact, which is an object, has a value or a source of the wrong type.
fn has_value(map: &str) -> String {
    format!(
        "(size({map}) > 0 && {}.exists(s, s in {map} && {map}[s] != null && (type({map}[s]) != map \
         || {}.exists(m, m in {map}[s] && !({map}[s][m] in [dyn(null), dyn('')])))))",
        sources(),
        strings()
    )
}

/// Whether a source of an artifact, which is an object, is not an object of strings.
fn is_wrong_source(map: &str, source: Source) -> String {
    let members = literals(source.members().iter().map(|member| member.name()));
    let source = source.name();
    format!(
        "(has({map}.{source}) && {map}.{source} != null && (type({map}.{source}) != map \
         || {members}.exists(m, m in {map}.{source} && {map}.{source}[m] != null && type({map}.{source}[m]) != string)))"
    )
}

/// Whether the compliant artifact has a value, and whether it also has no wrong type: where it has, `status-shape` says so,
/// and other rules say nothing of it.
pub fn ships(view: View) -> [String; 2] {
    let (status, name) = (view.variable("status"), Artifact::Compliant.name());
    let map = view.variable(sources_name(Artifact::Compliant));
    let any_wrong = Source::ALL.map(|source| is_wrong_source(&map, source)).join(" || ");
    let is_judged = match view {
        View::Old => format!("{} || {}", view.variable("ships"), has_wrong_type(&status, name, "map")),
        _ => format!("{} && !({any_wrong})", view.variable("ships")),
    };
    [has_value(&map), is_judged]
}

/// Whether an artifact has nothing but objects of strings, as nearly all have.
pub fn is_plain(map: &str) -> String {
    format!(
        "size({map}) <= 3 && {map}.all(s, type({map}[s]) == map && size({map}[s]) <= 8 && {map}[s].all(m, type({map}[s][m]) == string))"
    )
}

/// The texts of the members of an artifact, in the order of [`members`]; empty where there is none.
pub fn texts(view: View, map: &str) -> String {
    format!(
        "!{} ? ['', '', '', '', '', ''] : {}.map(x, x[0] in {map} && type({map}[x[0]]) == map && x[1] in {map}[x[0]] && type({map}[x[0]][x[1]]) == string \
         ? string({map}[x[0]][x[1]]) : '')",
        view.variable("differs"),
        members()
    )
}

/// Whether the compliant artifact differs from the scanned one, or that from the spec, so that the texts and their parts have to
/// be compared. They are empty otherwise.
pub fn differs(view: View) -> String {
    let [scanned, compliant] = Artifact::BOTH.map(|artifact| view.variable(sources_name(artifact)));
    let spec = view.variable("spec");
    let of_spec =
        [(Source::Blob, SourceMember::Url), (Source::Git, SourceMember::Url), (Source::Registry, SourceMember::Image)]
            .map(|(source, member)| {
                format!("{} != {}", text_of(&scanned, source, member), text_of(&spec, source, member))
            });
    format!(
        "{} && {scanned} != {compliant} || {} && {} && ({})",
        view.variable("ships"),
        is_phase(view, &[Phase::Completed, Phase::Failed]),
        view.variable("caughtUp"),
        of_spec.join(" || ")
    )
}

/// The parts of the two URLs and of the image of a list of texts, as lists.
pub fn parts(view: View, texts: &str) -> String {
    let [blob, git, image] = [0, 2, 4].map(|index| format!("string({texts}[{index}])"));
    let differs = view.variable("differs");
    format!("!{differs} ? [] : [dyn({}),\ndyn({}),\ndyn({})]", url_parts(&blob), url_parts(&git), image_parts(&image))
}

/// Whether the sources of two artifacts are the same. What is not an object is compared as it is. A source without a value
/// is the same as none.
fn is_same_artifact(map: &str, old_map: &str) -> String {
    let kind = |map: &str| format!("(s in {map} && type({map}[s]) != map ? dyn({map}[s]) : dyn(null))");
    let member = |map: &str| {
        format!("(s in {map} && type({map}[s]) == map && m in {map}[s] && {map}[s][m] != null ? {map}[s][m] : '')")
    };
    format!(
        "{}.all(s, {} == {} && {}.all(m, {} == {}))",
        sources(),
        kind(map),
        kind(old_map),
        strings(),
        member(map),
        member(old_map)
    )
}

pub fn compliant(view: View) -> Vec<Row> {
    let status_map = view.variable("status");
    let name = Artifact::Compliant.name();
    let [map, old_map] = [view, View::Old].map(|view| view.variable(sources_name(Artifact::Compliant)));
    let present = view.variable("isShipped");
    let has_wrong_type = has_wrong_type(&status_map, name, "map");
    let policy = ConditionType::PolicySucceeded;
    let has_policy = format!("{} != ''", view.variable("scanPolicy"));
    let forbidden = |reason: &str| text_message(&format!("Forbidden: no compliantArtifact while {reason}"));
    let path = "status.compliantArtifact";
    let same = is_same_artifact(&map, &old_map);
    let same_verdict = is_same_member(policy, ConditionMember::Status);
    let phase = |phases: &[Phase]| is_phase(view, phases);
    let is_done = format!("({} == 'Completed' || {0} == '')", view.variable("phase"));
    let no_verdict = format!("{has_policy} && {is_done} && {} && {present}", is_absent(view, policy));
    let is_caught_up = format!("({} || !({}))", view.variable("caughtUp"), is_there(&status_map, "observedGeneration"));
    let reason = "spec.scanPolicy is set and there is no PolicySucceeded";
    let passed = format!("{} == 'True'", status(view, policy));
    let missing = format!(
        "({passed} ? {} : {})",
        text_message("Required value: must be the artifact that passed the policy"),
        text_message("Required value: must be set once PolicySucceeded is \"True\"")
    );
    vec![
        Row::warning(
            format!(
                "{} && {has_policy} && !({has_wrong_type}) && !{}",
                phase(&[Phase::Completed]),
                view.variable("ships")
            ),
            path,
            missing,
        ),
        Row::error(format!("{} && {present}", phase(&[Phase::Failed])), path, forbidden("phase is \"Failed\""))
            .unchanged([same.clone(), is_same_in_status("phase")]),
        Row::error(
            format!("{has_policy} && {} == 'False' && {present}", status(view, policy)),
            path,
            forbidden("PolicySucceeded is \"False\""),
        )
        .row(1)
        .unchanged([same.clone(), same_verdict.clone(), is_same_policy()]),
        Row::error(format!("{no_verdict} && {is_caught_up}"), path, forbidden(reason))
            .row(2)
            .unchanged([same, same_verdict, is_same_in_status("phase"), is_same_policy()])
            .unchanged(is_same_generations()),
        Row::warning(format!("{no_verdict} && !{is_caught_up}"), path, forbidden(reason)),
        Row::warning(format!("{} && {present}", phase(&[Phase::Error])), path, forbidden("phase is \"Error\"")),
        Row::warning(
            format!("!({}) && {} && {present}", phase(&[Phase::Error]), is_current(view, policy, &[Unknown])),
            path,
            forbidden("PolicySucceeded is \"Unknown\""),
        ),
    ]
}

/// A registry: the first part of an image, if it has a dot, a port or a capital letter, or is `localhost`.
const REGISTRY: &str = "([A-Za-z0-9.:\\[\\]-]*[.:A-Z][A-Za-z0-9.:\\[\\]-]*|localhost)/";
/// A part of the path of an image.
const COMPONENT: &str = "[a-z0-9]([a-z0-9._-]*[a-z0-9])?";
/// The first of several parts, which is no registry.
const FIRST: &str = "[a-z0-9]([a-z0-9_-]*[a-z0-9])?/";

/// The repository of an image: its registry and its path.
fn repository() -> String {
    format!("({REGISTRY}{COMPONENT}(/{COMPONENT})*|{FIRST}{COMPONENT}(/{COMPONENT})*|{COMPONENT})")
}

/// Whether a text is an image, as `scan::image` reads it.
fn is_image(text: &str) -> String {
    let image = format!("^{}(:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(@[^:]+:[0-9A-Fa-f]{{32,}})?$", repository());
    format!("size({text}) <= {MATCHED_MAX_CHARS} && {text}.matches({})", pattern(&image))
}

/// Whether a value is there and no image. A text that is too long to be matched is taken for one.
pub fn is_no_image(value: &str) -> String {
    format!("(type({value}) != string || size({value}) <= {MATCHED_MAX_CHARS} && !({}))", is_image(value))
}

/// The parts of an image as a list: the repository, without the aliases of Docker Hub, the tag, and the algorithm and the
/// digits of the digest. An empty list if the text is no image.
fn image_parts(text: &str) -> String {
    let repository = pattern(&format!("^{}", repository()));
    let registry = pattern(&format!("^{REGISTRY}"));
    let hubs = literals(DOCKER_HUB.map(|name| format!("{name}/")).into_iter().chain([String::new()]));
    let official = pattern("^library/[^/]+$");
    format!(
        "[{text}].filter(v, {}).map(v, [v, v.find({repository}), v.find('@.*')])\n\
         .map(v, [v[1].find({registry}).lowerAscii(), v[1].substring(size(v[1].find({registry}))), \
         v[0].substring(size(v[1]), size(v[0]) - size(v[2])), v[2]])\n\
         .map(v, [v[0] in {hubs} ? 'docker.io/' + (v[1].matches({official}) ? v[1].substring(8) : v[1]) : v[0] + v[1], \
         v[2], v[3] == '' ? '' : v[3].split(':')[0], v[3] == '' ? '' : v[3].split(':')[1].lowerAscii()])\n\
         .map(v, [dyn(v[0]), dyn(v[1]), dyn(v[2]), dyn(v[3])])",
        is_image("v")
    )
}

/// The parts of a URL as a list: scheme and host, which are compared without case, the user, and the rest. Any other text is
/// compared as it is.
fn url_parts(text: &str) -> String {
    format!(
        "[{text}].map(v, size(v) <= {MATCHED_MAX_CHARS} && v.contains('://') ? [v, v.split('://')[0]] : [v])\n\
         .map(v, size(v) == 1 ? v : v + [v[0].substring(size(v[1]) + 3).find('^[^/?#]*')])\n\
         .map(v, size(v) == 1 ? [dyn(v[0])] : [dyn(v[1].lowerAscii()), dyn(v[2].find('^.*@')), \
         dyn(v[2].substring(size(v[2].find('^.*@'))).lowerAscii()), dyn(v[0].substring(size(v[1]) + 3 + size(v[2])))])[0]"
    )
}

/// Where a member stands in a list of texts, and in a list of parts if it has any.
fn position(source: Source, member: SourceMember) -> (usize, Option<usize>) {
    let all = Source::ALL.into_iter().flat_map(|source| source.members().iter().map(move |member| (source, *member)));
    let index = all.into_iter().position(|known| known == (source, member)).unwrap_or_default();
    let is_compared = matches!(member, SourceMember::Url | SourceMember::Image);
    (index, is_compared.then_some(index / 2))
}

/// Two texts of a member, and their parts.
struct Compared {
    one: String,
    other: String,
    /// `None` if the texts are compared as they are.
    parts: Option<[String; 2]>,
    is_image: bool,
}

impl Compared {
    fn of(view: View, [one, other]: [&str; 2], source: Source, member: SourceMember) -> Self {
        let (text, part) = position(source, member);
        let texts = |name: &str| format!("{}[{text}]", view.variable(&format!("{name}Texts")));
        let parts =
            part.map(|part| [one, other].map(|name| format!("{}[{part}]", view.variable(&format!("{name}Parts")))));
        Compared { one: texts(one), other: texts(other), parts, is_image: member == SourceMember::Image }
    }

    /// Whether both name different contents: another URL, another repository or another digest.
    fn is_other_source(&self) -> String {
        let Compared { one, other, parts, is_image } = self;
        match parts {
            None => "false".to_owned(),
            Some([a, b]) if *is_image => format!(
                "{one} != {other} && size({a}) > 0 && size({b}) > 0 \
                 && ({a}[0][0] != {b}[0][0] || {a}[0][2] != '' && {a}[0][2] == {b}[0][2] && {a}[0][3] != {b}[0][3])"
            ),
            Some([a, b]) => format!("{one} != {other} && {a} != {b}"),
        }
    }

    /// Whether both name another state of the same source: another revision, tag or digest.
    fn is_other_state(&self) -> String {
        let Compared { one, other, parts, is_image } = self;
        match parts {
            None => format!("{one} != {other}"),
            Some([a, b]) if *is_image => format!(
                "{a}.exists(a, {b}.exists(b, a[2] == '' && b[2] == '' \
                 ? (a[1] == '' ? ':latest' : a[1]) != (b[1] == '' ? ':latest' : b[1]) \
                 : a[1] != '' && b[1] != '' && a[1] != b[1] \
                 || a[2] != '' && b[2] != '' && (a[2].lowerAscii() != b[2].lowerAscii() || a[3] != b[3])))"
            ),
            Some(_) => "false".to_owned(),
        }
    }
}

/// The differences of `artifact-source`.
pub const SOURCE_DIFFERENCES: &str = "URLs and images of more than 1,024 characters are not compared.";

pub fn source(view: View) -> Vec<Row> {
    let status = view.variable("status");
    let mut rows = Vec::new();
    for artifact in Artifact::BOTH {
        let text = text_of(&view.variable(sources_name(artifact)), Source::Registry, SourceMember::Image);
        let error = FieldError::invalid(&VALUE, MUST_BE_IMAGE);
        rows.push(Row::warning(
            format!("{text} != '' && {}", is_no_image(&text)),
            &format!("status.{}.registry.image", artifact.name()),
            message(&error, &text, ""),
        ));
    }
    let [scanned, shipped] = Artifact::BOTH.map(|artifact| view.variable(sources_name(artifact)));
    for source in Source::ALL {
        let is_judged = match view {
            View::Old => view.variable("ships"),
            _ => format!(
                "{} && !({}) && !{} && !{}",
                view.variable("ships"),
                has_wrong_type(&status, Artifact::Scanned.name(), "map"),
                is_wrong_source(&scanned, source),
                is_wrong_source(&shipped, source)
            ),
        };
        for &member in source.members() {
            rows.extend(compare(view, source, member, &is_judged));
        }
    }
    rows.extend(Source::ALL.map(|source| compare_with_spec(view, source)));
    rows
}

fn compare(view: View, source: Source, member: SourceMember, is_judged: &str) -> Vec<Row> {
    let path = |artifact: Artifact| format!("status.{}.{}.{}", artifact.name(), source.name(), member.name());
    let [other_path, own_path] = Artifact::BOTH.map(path);
    let names = [Artifact::Compliant, Artifact::Scanned].map(sources_name);
    let compared = Compared::of(view, names, source, member);
    let (shipped, scanned) = (&compared.one, &compared.other);
    let old = Compared::of(View::Old, names, source, member);
    let equal = format!("must be the value of {other_path}, {OTHER}");
    let invalid = message(&FieldError::invalid(&VALUE, &equal), shipped, &shown(scanned));
    let required = message(&FieldError::required(&equal), "", &shown(scanned));
    let forbidden = text_message(&format!("Forbidden: must be absent, because {other_path} is absent"));
    let is_differing = format!("{shipped} != {scanned} && {is_judged}");
    let is_source = format!("({scanned} != '' && {shipped} != '' && {})", compared.is_other_source());
    let is_completed = is_phase(view, &[Phase::Completed]);
    let text = format!("({shipped} == '' ? {required} : {scanned} == '' ? {forbidden} : {invalid})");
    let mut rows = Vec::new();
    let is_warning = if compared.parts.is_some() {
        rows.push(
            Row::error(format!("{is_completed} && {is_differing} && {is_source}"), &own_path, invalid)
                .unchanged([format!("{shipped} == {}", old.one), format!("{scanned} == {}", old.other)])
                .unchanged([is_same_in_status("phase")]),
        );
        format!("({is_source} ? !({is_completed}) : {})", compared.is_other_state())
    } else {
        "true".to_owned()
    };
    rows.push(Row::warning(
        format!("{is_differing} && ({scanned} == '' || {shipped} == '' || {is_warning})"),
        &own_path,
        text,
    ));
    rows
}

fn compare_with_spec(view: View, source: Source) -> Row {
    let member = if source == Source::Registry { SourceMember::Image } else { SourceMember::Url };
    let names = [sources_name(Artifact::Scanned), "spec"];
    let compared = Compared::of(view, names, source, member);
    let detail = format!("must be the value of spec.{}.{}, {OTHER}", source.name(), member.name());
    Row::warning(
        format!(
            "{} && {} && {scanned} != '' && {asked} != '' && {}",
            is_phase(view, &[Phase::Completed, Phase::Failed]),
            view.variable("caughtUp"),
            compared.is_other_source(),
            scanned = compared.one,
            asked = compared.other,
        ),
        &format!("status.artifact.{}.{}", source.name(), member.name()),
        message(&FieldError::invalid(&VALUE, detail), &compared.one, &shown(&compared.other)),
    )
}

/// The text of a member of a source; empty if it is absent or no string.
fn text_of(map: &str, source: Source, member: SourceMember) -> String {
    let (source, member) = (source.name(), member.name());
    format!(
        "(has({map}.{source}) && type({map}.{source}) == map && has({map}.{source}.{member}) \
         && type({map}.{source}.{member}) == string ? string({map}.{source}.{member}) : '')"
    )
}
