//! `status-shape`: the containers are what they should be.

use crate::law::finding::quote;
use crate::law::{Change, Example, Findings, Part, Rule, Verdict};
use crate::scan::field::Artifact;
use crate::scan::{Field, JsonType, Member, Source};

pub const RULE: Rule = Rule {
    id: "status-shape",
    title: "The status and its parts have the right JSON types.",
    checks: "`status` is an object, `conditions` a list, `artifact` and `compliantArtifact` objects whose `blob`, `git` \
             and `registry` are objects of strings. Null and empty objects count as absent.",
    why: "Our CRDs leave the status loose so that these words, not the schema's, reach the writer. Nothing below a part \
          of the wrong type can be read.",
    breaks: "Every reader that decodes the status into types drops the whole object: Cartographer stops the supply \
             chain, `kubectl get` shows empty columns.",
    repair: "Write the field as the JSON type that the message names, or leave it out.",
    part: Part::Status,
    check,
    mend: None,
    examples: &[
        Example {
            says: "a list of conditions and an artifact",
            old: None,
            new: r#"{"status": {"conditions": [], "artifact": {"blob": {"url": "https://example.com/code.tar.gz"}}}}"#,
            verdict: Verdict::Passes,
        },
        Example { says: "no status", old: None, new: r#"{"status": null}"#, verdict: Verdict::Passes },
        Example {
            says: "a status that is a string",
            old: None,
            new: r#"{"status": "Completed"}"#,
            verdict: Verdict::Refused("status"),
        },
        Example {
            says: "conditions by type instead of a list",
            old: None,
            new: r#"{"status": {"conditions": {"Succeeded": "True"}}}"#,
            verdict: Verdict::Refused("status.conditions"),
        },
        Example {
            says: "a blob given by its URL alone",
            old: None,
            new: r#"{"status": {"artifact": {"blob": "https://example.com/code.tar.gz"}}}"#,
            verdict: Verdict::Refused("status.artifact.blob"),
        },
        Example {
            says: "a revision that is a number",
            old: None,
            new: r#"{"status": {"compliantArtifact": {"git": {"revision": 7}}}}"#,
            verdict: Verdict::Refused("status.compliantArtifact.git.revision"),
        },
        Example {
            says: "a standing fault beside a change elsewhere",
            old: Some(r#"{"status": {"artifact": "none", "phase": "Pending"}}"#),
            new: r#"{"status": {"artifact": "none", "phase": "Scanning"}}"#,
            verdict: Verdict::Advised("status.artifact"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let mut due = |field, found: Option<JsonType>, right| {
        if let Some(found) = found {
            findings.refuse(field, format!("is {found}: {right} would be right"));
        }
    };
    due(Field::Status, wrong(&change.new.status), "an object");
    let Some(status) = change.new.status() else { return };
    due(Field::Conditions, wrong(&status.conditions), "a list");
    for artifact in Artifact::BOTH {
        let sources = artifact.of(status);
        due(Field::Artifact(artifact), wrong(sources), "an object");
        let Some(sources) = sources.is() else { continue };
        for source in Source::ALL {
            due(Field::Source(artifact, source), wrong(sources.get(source)), "an object");
        }
    }
    strings(change, findings);
}

fn strings<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    for artifact in Artifact::BOTH {
        let Some(sources) = artifact.of(status).is() else { continue };
        for source in Source::ALL {
            for &member in source.members() {
                let Some(json) = sources.value(source, member) else { continue };
                if let Member::Wrong(_) = json.string() {
                    let message = format!("is {}: a string would be right", quote(json));
                    findings.refuse(Field::SourceMember(artifact, source, member), message);
                }
            }
        }
    }
}

fn wrong<T>(member: &Member<T>) -> Option<JsonType> {
    match member {
        Member::Wrong(found) => Some(*found),
        _ => None,
    }
}
