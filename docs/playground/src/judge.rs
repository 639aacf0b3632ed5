//! Judges the texts of the page: a file as `check` does, and a write as the webhooks do.

use std::io;

use scan_admission::admission::{Context, EventReasons, Webhook, answer};
use scan_admission::engine::PatchOperation;
use scan_admission::manifest::{Document, Manifest, ScanManifest, path};
use scan_admission::offline::Judge;
use scan_admission::offline::contents::contents;
use scan_admission::offline::documents::{check_file, located_findings};
use scan_admission::offline::fix::Fixer;
use scan_admission::offline::input::Input;
use scan_admission::report::{FindingSink, ReportedError, ReportedObject};
use scan_admission::rules::RULES;
use scan_admission::scan::{Container, Scan, reader, time};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::document::{self, STATUS_KIND, each_document, edited, first_scan, patched, whole};
use crate::judgement::{Answers, Judgement, ReviewedObjects, ShownError, ShownFinding, ShownScan};
use crate::kubectl;
use crate::request::{Request, Write};
use crate::text::indented;
use crate::write::ScanWrite;

/// The name of the text in findings and in the diff.
const NAME: &str = "scan.yaml";

/// A document, and the text that it is in.
struct Place<'p> {
    text: &'p str,
    document: &'p Document<'p>,
    manifest: &'p Manifest<'p>,
}

pub fn judge(request: &Request<'_>) -> Judgement {
    let Some(now) = time::parse(&request.now) else {
        return Judgement::failed(format!("the time {:?} is not like 2026-11-24T12:00:00Z", request.now));
    };
    let judge = Judge { now, settings: request.settings() };
    let mut judgement = Judgement::default();
    let old = document::object(if request.write == Write::File { "" } else { &request.old });
    let old = old.unwrap_or_else(|errors| {
        judgement.old_errors = errors.into_iter().map(ShownError::from).collect();
        None
    });
    let errors = each_document(&request.text, |document, manifest| {
        let place = Place { text: &request.text, document, manifest };
        if let Some(review) = review(manifest.json()) {
            judge_review(&place, &review, &judge, &mut judgement);
            return true;
        }
        match first_scan(manifest) {
            Ok(found) => judge_scan(&place, &found, request, old.as_deref(), &judge, &mut judgement),
            Err(errors) => judgement.errors.extend(errors.into_iter().map(ShownError::from)),
        }
        judgement.scan.is_some()
    });
    judgement.errors.extend(errors.into_iter().map(ShownError::from));
    if judgement.scan.is_none() && judgement.answers.is_none() && request.text.contains("\"AdmissionReview\"") {
        // The server answers a review that it cannot read, too.
        let [mutating, validating] =
            [Webhook::Mutating, Webhook::Validating].map(|webhook| answered(&request.text, webhook, &judge));
        judgement.answers = Some(Answers { mutating, validating });
    } else if request.write == Write::File && judgement.review.is_none() {
        check(&request.text, &judge, &mut judgement);
    }
    judgement
}

/// Judges a scan that is written as the page says.
fn judge_scan(
    place: &Place<'_>,
    found: &ScanManifest<'_>,
    request: &Request<'_>,
    old: Option<&str>,
    judge: &Judge,
    judgement: &mut Judgement,
) {
    let write = ScanWrite {
        kind: found.kind,
        namespace: &found.namespace,
        name: &found.name,
        user: &request.user,
        groups: &[],
        write: request.write,
        new: whole(found),
        old: old.map(str::to_owned),
        is_reviewed: false,
    };
    let operations = judge_write(place, found, &write, judge, judgement);
    let mutating = answered(&write.review(&write.new), Webhook::Mutating, judge);
    let stored = write.stored(&patched(&write.new, operations));
    let validating = answered(&write.review(&stored), Webhook::Validating, judge);
    judgement.kubectl = Some(kubectl::printed(write.kind, write.name, write.write, &[&mutating, &validating]));
    judgement.answers = Some(Answers { mutating, validating });
}

/// Shows the scan of a write, its findings and its mutations, and returns the mutations.
fn judge_write(
    place: &Place<'_>,
    found: &ScanManifest<'_>,
    write: &ScanWrite<'_>,
    judge: &Judge,
    judgement: &mut Judgement,
) -> Vec<PatchOperation> {
    let (findings, operations) = write.judge(judge);
    let findings = located_findings(NAME, place.manifest, found, findings, &[]);
    judgement.findings = findings.iter().map(ShownFinding::from).collect();
    let fixed = edited(place.text, place.document, place.manifest, found, operations.clone());
    judgement.not_fixed = fixed.left.into_iter().map(ShownError::from).collect();
    judgement.fixed = fixed.text;
    let old = write.old.as_deref().map(reader::read::<Container<'_, Scan<'_>>>);
    let old = old.and_then(Result::ok).and_then(|old| old.value());
    judgement.scans = 1;
    judgement.scan = found.scan().ok().map(|scan| ShownScan {
        kind: found.kind.name(),
        namespace: found.namespace.clone(),
        name: found.name.clone(),
        old_phase: old.as_ref().and_then(|old| contents(old).phase),
        has_old: old.is_some(),
        contents: contents(&scan),
    });
    operations
}

/// The members of an AdmissionReview that the page reads.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ReviewedRequest<'a> {
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    #[serde(borrow)]
    old_object: Option<&'a RawValue>,
    sub_resource: Option<String>,
    operation: String,
    name: Option<String>,
    namespace: Option<String>,
    user_info: ReviewedUser,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ReviewedUser {
    username: String,
    groups: Vec<String>,
}

/// Returns the request of a document that is an AdmissionReview, whatever its other members are: only a review has a request. A
/// request of another form is empty.
fn review(json: &str) -> Option<ReviewedRequest<'_>> {
    let request = path::value(json, "request")?;
    Some(serde_json::from_str(request).unwrap_or_default())
}

/// Judges the write of an AdmissionReview as it is.
fn judge_review(place: &Place<'_>, review: &ReviewedRequest<'_>, judge: &Judge, judgement: &mut Judgement) {
    let json = place.manifest.json();
    let [mutating, validating] = [Webhook::Mutating, Webhook::Validating].map(|webhook| answered(json, webhook, judge));
    let write = match (review.operation.as_str(), review.sub_resource.as_deref()) {
        ("CREATE", _) => Write::Create,
        (_, Some("status")) => Write::Status,
        _ => Write::Scan,
    };
    let objects = [review.object, review.old_object].map(|object| object.map(RawValue::get));
    let [new, old] = objects.map(|object| object.filter(|object| object.starts_with('{')));
    if let (Ok(found), Some(new)) = (first_scan(place.manifest), new) {
        let written = ScanWrite {
            kind: found.kind,
            namespace: review.namespace.as_deref().unwrap_or(&found.namespace),
            name: review.name.as_deref().unwrap_or(&found.name),
            user: &review.user_info.username,
            groups: &review.user_info.groups,
            write,
            new: new.to_owned(),
            old: old.map(str::to_owned),
            is_reviewed: true,
        };
        let operations = judge_write(place, &found, &written, judge, judgement);
        let stored = answered(&patched(json, operations), Webhook::Validating, judge);
        judgement.kubectl = Some(kubectl::printed(written.kind, written.name, write, &[&mutating, &stored]));
    }
    judgement.review = Some(ReviewedObjects {
        object: new.map(indented).unwrap_or_default(),
        old: old.map(indented).unwrap_or_default(),
        write,
        user: review.user_info.username.clone(),
    });
    judgement.answers = Some(Answers { mutating, validating });
}

/// Returns the answer of a webhook to a review.
fn answered(review: &str, webhook: Webhook, judge: &Judge) -> String {
    let context =
        Context { webhook, now: judge.now, rules: RULES, settings: &judge.settings, events: EventReasons::default() };
    String::from_utf8(answer(review.as_bytes(), &context).body).unwrap_or_default()
}

/// Replaces the findings by those of `check`, and the fixes by those of `check --fix`.
fn check(text: &str, judge: &Judge, judgement: &mut Judgement) {
    let fixer = Fixer::new(judge, Some(STATUS_KIND), true);
    let input = Input::Stdin(NAME.to_owned());
    let mut report = PageReport::default();
    // Neither the text in memory nor the report can fail.
    let _ = check_file(&input, Some(text.as_bytes()), &fixer, &mut report);
    (judgement.findings, judgement.errors, judgement.scans) = (report.findings, report.errors, report.scans);
    let fixed = fixer.fix(&input, text.as_bytes());
    judgement.not_fixed = fixed.left.into_iter().map(ShownError::from).collect();
    judgement.fixed = fixed.contents.and_then(|contents| String::from_utf8(contents).ok());
}

/// What `check` reports to the page.
#[derive(Default)]
struct PageReport {
    findings: Vec<ShownFinding>,
    errors: Vec<ShownError>,
    scans: usize,
}

impl FindingSink for PageReport {
    fn need_fixes(&self) -> bool {
        false
    }

    fn count_file(&mut self) {}

    fn skip_object(&mut self) {}

    fn object(&mut self, object: &ReportedObject<'_>) -> io::Result<()> {
        self.scans += usize::from(object.subject.is_some());
        self.findings.extend(object.findings.iter().map(ShownFinding::from));
        Ok(())
    }

    fn error(&mut self, error: &ReportedError) -> io::Result<()> {
        self.errors.push(error.into());
        Ok(())
    }
}
