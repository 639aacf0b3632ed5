//! `status-shape`: the status and its parts have the right JSON types.

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Rule};
use crate::rules::cel;
use crate::rules::tables::values::not_a_string;
use crate::scan::field::Artifact;
use crate::scan::{Container, Field, Json, Member, Source};

pub const RULE: Rule = Rule {
    id: "status-shape",
    title: "The status and its parts have the right JSON types.",
    checks: "`status` is an object, and `conditions` is a list. `artifact` and `compliantArtifact` are objects, and their \
             members `blob`, `git` and `registry` are objects of strings. Anything else is an error. Null and empty objects \
             count as absent.",
    why: "If a part has the wrong type, nothing inside it can be read. The CRDs leave the types of the status open, so that \
             the writer sees this message and not one of the schema.",
    breaks: "A reader that decodes the status into types cannot read the object. Cartographer stops the supply chain, and \
             `kubectl get` shows empty columns.",
    repair: "Write the field with the JSON type that the message names, or leave it out.",
    part: Part::Status,
    check,
    mutate: None,
    cel: Cel::Exact(cel::shape::status),
    examples: &[
        Example {
            title: "a list of conditions and an artifact",
            old: None,
            new: r#"{"status": {"conditions": [], "artifact": {"blob": {"url": "https://example.com/code.tar.gz"}}}}"#,
            expect: Expectation::Passes,
        },
        Example { title: "no status", old: None, new: r#"{"status": null}"#, expect: Expectation::Passes },
        Example {
            title: "a status that is a string",
            old: None,
            new: r#"{"status": "Completed"}"#,
            expect: Expectation::Denies("status"),
        },
        Example {
            title: "conditions that are an object instead of a list",
            old: None,
            new: r#"{"status": {"conditions": {"Succeeded": "True"}}}"#,
            expect: Expectation::Denies("status.conditions"),
        },
        Example {
            title: "a blob that is a string instead of an object",
            old: None,
            new: r#"{"status": {"artifact": {"blob": "https://example.com/code.tar.gz"}}}"#,
            expect: Expectation::Denies("status.artifact.blob"),
        },
        Example {
            title: "a revision that is a number",
            old: None,
            new: r#"{"status": {"compliantArtifact": {"git": {"revision": 7}}}}"#,
            expect: Expectation::Denies("status.compliantArtifact.git.revision"),
        },
        Example {
            title: "an old error, while another field changes",
            old: Some(r#"{"status": {"artifact": "none", "phase": "Pending"}}"#),
            new: r#"{"status": {"artifact": "none", "phase": "Scanning"}}"#,
            expect: Expectation::Warns("status.artifact"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let mut expect = |field, found: Option<&Json<'_>>, must| {
        if let Some(found) = found {
            findings.error(field, FieldError::type_invalid(found, must));
        }
    };
    expect(Field::Status, wrong(&change.new.status), "must be an object");
    let Some(status) = change.new.status() else { return };
    expect(Field::Conditions, wrong(&status.conditions), "must be a list");
    for artifact in Artifact::BOTH {
        let sources = artifact.of(status);
        expect(Field::Artifact(artifact), wrong(sources), "must be an object");
        let Some(sources) = sources.present() else { continue };
        for source in Source::ALL {
            expect(Field::Source { artifact, source }, wrong(sources.get(source)), "must be an object");
        }
    }
    strings(change, findings);
}

fn strings<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    for artifact in Artifact::BOTH {
        let Some(sources) = artifact.of(status).present() else { continue };
        for source in Source::ALL {
            for &member in source.members() {
                let Some(json) = sources.value(source, member) else { continue };
                if let Member::WrongType(_) = json.string() {
                    findings.error(Field::SourceMember { artifact, source, member }, not_a_string(json));
                }
            }
        }
    }
}

fn wrong<'c, 'a, T>(container: &'c Container<'a, T>) -> Option<&'c Json<'a>> {
    match container {
        Member::WrongType(found) => Some(found),
        _ => None,
    }
}
