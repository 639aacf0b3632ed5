//! `metadata-url`: the metadata URL is the URL of results that were sent to the metadata store.

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Rule};
use crate::rules::cel;
use crate::rules::tables::values::{MUST_BE_URL, invalid_string};
use crate::scan::{ConditionStatus, ConditionType, Field, Member, Spelling, url};

pub const RULE: Rule = Rule {
    id: "metadata-url",
    title: "The metadata URL is the URL of results that were sent to the metadata store.",
    checks: "`metadataUrl` (or `metadataURL`) is an absolute http or https URL with a host. Anything else is an error. A URL \
             is a warning while a current `SendingResults` is False. A missing URL is a warning while a current \
             `SendingResults` is True.",
    why: "The results of the scan are at this URL of the metadata store.",
    breaks: "The link does not work, or it points to results that were never sent.",
    repair: "Write the URL that the store returned. If nothing was sent, leave out the URL.",
    part: Part::Status,
    check,
    mutate: None,
    cel: Cel::Near(cel::shape::metadata_url, cel::shape::URL_DIFFERENCES),
    examples: &[
        Example {
            title: "results that were sent",
            old: None,
            new: r#"{"status": {"metadataUrl": "https://store.example.com:8443/api/sources?digest=1", "conditions": [{"type": "SendingResults", "status": "True", "reason": "ResultsSent", "message": "All good", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "results that were not sent",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "SendingResults", "status": "False", "reason": "NotSent", "message": "no store is configured", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a URL without a scheme",
            old: None,
            new: r#"{"status": {"metadataUrl": "store.example.com/api"}}"#,
            expect: Expectation::Denies("status.metadataUrl"),
        },
        Example {
            title: "a URL that is not a string",
            old: None,
            new: r#"{"status": {"metadataURL": 7}}"#,
            expect: Expectation::Denies("status.metadataURL"),
        },
        Example {
            title: "a URL although the results were not sent",
            old: None,
            new: r#"{"status": {"metadataUrl": "https://store.example.com/1", "conditions": [{"type": "SendingResults", "status": "False", "reason": "NotSent", "message": "no store is configured", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Warns("status.metadataUrl"),
        },
        Example {
            title: "no URL although the results were sent",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "SendingResults", "status": "True", "reason": "ResultsSent", "message": "All good", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Warns("status.metadataUrl"),
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
        if !matches!(text, Member::Present(text) if url::is_http(text)) {
            findings.error(field, invalid_string(json, MUST_BE_URL));
        }
        if sending == Some(ConditionStatus::False) {
            findings.warning(field, FieldError::forbidden("no URL while SendingResults is \"False\""));
        }
    }
    if is_absent && sending == Some(ConditionStatus::True) {
        let error = FieldError::required("must be the URL of the results while SendingResults is \"True\"");
        findings.warning(Field::MetadataUrl(Spelling::Wire), error);
    }
}
