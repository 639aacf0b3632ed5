//! `metadata-url`: The metadata URL leads somewhere.

use crate::law::finding::quote;
use crate::law::{Change, Example, Findings, Part, Rule, Verdict};
use crate::scan::{ConditionStatus, ConditionType, Field, Member, Spelling, url};

pub const RULE: Rule = Rule {
    id: "metadata-url",
    title: "The metadata URL leads somewhere.",
    checks: "`metadataUrl` (or `metadataURL`) is an absolute http or https URL with a host. It is advice where it \
             is set beside a current `SendingResults` False, or absent beside True.",
    why: "The URL is where the results are found in the metadata store.",
    breaks: "A link that leads nowhere, or to results that were never sent.",
    repair: "Write the URL that the store returned, and none where nothing was sent.",
    part: Part::Status,
    check,
    mend: None,
    examples: &[
        Example {
            says: "results that were sent",
            old: None,
            new: r#"{"status": {"metadataUrl": "https://store.example.com:8443/api/sources?digest=1", "conditions": [{"type": "SendingResults", "status": "True", "reason": "ResultsSent", "message": "All good", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "results that were not sent",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "SendingResults", "status": "False", "reason": "NotSent", "message": "no store is configured", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "a URL without a scheme",
            old: None,
            new: r#"{"status": {"metadataUrl": "store.example.com/api"}}"#,
            verdict: Verdict::Refused("status.metadataUrl"),
        },
        Example {
            says: "a URL that is no string",
            old: None,
            new: r#"{"status": {"metadataURL": 7}}"#,
            verdict: Verdict::Refused("status.metadataURL"),
        },
        Example {
            says: "a URL of results that were not sent",
            old: None,
            new: r#"{"status": {"metadataUrl": "https://store.example.com/1", "conditions": [{"type": "SendingResults", "status": "False", "reason": "NotSent", "message": "no store is configured", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Advised("status.metadataUrl"),
        },
        Example {
            says: "no URL of results that were sent",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "SendingResults", "status": "True", "reason": "ResultsSent", "message": "All good", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Advised("status.metadataUrl"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    let sending = change.conditions().current(ConditionType::SendingResults);
    let mut is_absent = true;
    for spelling in Spelling::BOTH {
        let json = status.metadata_url.get(spelling);
        let text = json.string();
        if text == Member::Absent {
            continue;
        }
        is_absent = false;
        let field = Field::MetadataUrl(spelling);
        if !matches!(text, Member::Is(text) if url::is_http(&text)) {
            let message = format!("is {}: an absolute http(s) URL with a host would be right", quote(json));
            findings.refuse(field.clone(), message);
        }
        if sending == Some(ConditionStatus::False) {
            findings
                .advise(field, "is set while SendingResults is False: no URL would be right, or SendingResults True");
        }
    }
    if is_absent && sending == Some(ConditionStatus::True) {
        findings.advise(
            Field::MetadataUrl(Spelling::Wire),
            "is absent while SendingResults is True: the URL of the results would be right",
        );
    }
}
