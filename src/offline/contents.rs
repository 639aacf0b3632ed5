//! Reads the contents of a scan in plain words: its phase, its conditions and which of them are stale, its verdict and its
//! results.

use crate::report::describe::{ConditionState, DescribedCondition, DescribedCounts, DescribedScan};
use crate::rules::tables::phases::{self, MEANINGS};
use crate::scan::conditions::Form;
use crate::scan::{
    Condition, ConditionMember, ConditionStatus, ConditionType, Conditions, Container, Count, CveCount, Json, Member,
    Scan, ScannerForm, ScannerMember, Source, SourceMember, Sources, Spelling, Staleness, Status,
};

/// The most conditions that are described. A scan has four, and other controllers add a few. A list could have 18,000.
const CONDITIONS_MAX: usize = 100;

/// Returns the contents of a scan. What depends on its metadata, the time and its findings is left empty.
pub fn contents(scan: &Scan<'_>) -> DescribedScan {
    let conditions = Conditions::of(scan);
    let spec = scan.spec.present();
    let described = DescribedScan {
        scan_template: spec.and_then(|spec| shown(&spec.scan_template)),
        scan_policy: spec.and_then(|spec| shown(&spec.scan_policy)),
        verdict: policy_outcome(scan, &conditions),
        meaning: meaning(scan, &conditions),
        phase: scan.status().and_then(|status| shown(&status.phase)),
        generation: scan.generation(),
        observed_generation: scan.status().and_then(|status| status.observed_generation.integer().value()),
        conditions: described_conditions(&conditions),
        more_conditions: conditions.entries().len().saturating_sub(CONDITIONS_MAX),
        ..scan.status().map(results).unwrap_or_default()
    };
    let source = described.source.or_else(|| sources(&spec?.sources));
    DescribedScan { source, ..described }
}

/// Returns a value as text: a string as it is, and another value as its JSON. The empty string counts as absent.
fn shown(json: &Json<'_>) -> Option<String> {
    match json.string() {
        Member::Absent => None,
        Member::Present(text) => Some(text.to_owned()),
        Member::WrongType(_) => Some(json.to_json().into_owned()),
    }
}

/// Returns what the run has found.
fn results(status: &Status<'_>) -> DescribedScan {
    let counts = Spelling::BOTH.iter().find_map(|spelling| status.cve_count.get(*spelling).present());
    let url = Spelling::BOTH.iter().find_map(|spelling| shown(status.metadata_url.get(*spelling)));
    DescribedScan {
        cve_count: counts.map(described_counts),
        scanned_at: shown(&status.scanned_at),
        scanner: scanner(status),
        source: of_artifact(&status.artifact),
        compliant_artifact: of_artifact(&status.compliant_artifact),
        metadata_url: url,
        ..DescribedScan::default()
    }
}

fn described_counts(counts: &CveCount<'_>) -> DescribedCounts {
    let [critical, high, medium, low, unknown, total] = Count::ALL.map(|count| counts.count(count).value());
    DescribedCounts { critical, high, medium, low, unknown, total }
}

/// Returns the scanner: `Grype v0.37.0 (Anchore)`.
fn scanner(status: &Status<'_>) -> Option<String> {
    let scanned_by = status.scanned_by.present()?;
    let member = |member| {
        let scanners = ScannerForm::BOTH.into_iter().filter_map(|form| scanned_by.scanner(form));
        scanners.filter_map(|scanner| shown(scanner.get(member))).next()
    };
    let [name, version] = [member(ScannerMember::Name), member(ScannerMember::Version)];
    let vendor = member(ScannerMember::Vendor).map(|vendor| format!("({vendor})"));
    let parts: Vec<String> = [name, version, vendor].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

fn of_artifact(artifact: &Container<'_, Sources<'_>>) -> Option<String> {
    sources(artifact.present()?)
}

/// Returns the sources: `https://example.com/code.tar.gz, revision main`.
fn sources(sources: &Sources<'_>) -> Option<String> {
    let value = |source, member| sources.value(source, member).and_then(shown);
    let with_revision = |source| {
        let revision = value(source, SourceMember::Revision).map(|revision| format!(", revision {revision}"));
        Some(value(source, SourceMember::Url)? + &revision.unwrap_or_default())
    };
    let image = value(Source::Registry, SourceMember::Image);
    let all = [with_revision(Source::Blob), with_revision(Source::Git), image];
    let all: Vec<String> = all.into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn meaning(scan: &Scan<'_>, conditions: &Conditions<'_>) -> String {
    let of = |phase| MEANINGS.iter().find(|row| row.phase == phase).map(|row| row.meaning.to_owned());
    let Some(status) = scan.status() else {
        return "no status: the controller has not written one yet".to_owned();
    };
    match (status.phase(), shown(&status.phase)) {
        (Some(phase), _) => of(phase).unwrap_or_default(),
        (None, Some(_)) => "none of the phases".to_owned(),
        (None, None) => match phases::of_conditions(conditions, scan.has_scan_policy()) {
            Some(phase) => format!("no phase; the conditions are those of {}", phase.name()),
            None => "no phase".to_owned(),
        },
    }
}

/// Returns what is known of the verdict.
fn policy_outcome(scan: &Scan<'_>, conditions: &Conditions<'_>) -> String {
    let policy = ConditionType::PolicySucceeded;
    let verdict = match conditions.status(policy) {
        Some(ConditionStatus::True) => "the artifact complies",
        Some(ConditionStatus::False) => "the artifact violates the policy",
        Some(ConditionStatus::Unknown) => "the policy could not be evaluated",
        None if !scan.has_scan_policy() => "none, so the results are not judged",
        None => "not evaluated yet",
    };
    if conditions.staleness(policy).is_some() { format!("{verdict}, in an earlier run") } else { verdict.to_owned() }
}

fn described_conditions(conditions: &Conditions<'_>) -> Vec<DescribedCondition> {
    let entries = conditions.entries().iter().enumerate().take(CONDITIONS_MAX);
    entries
        .map(|(index, entry)| {
            let member = |member| entry.condition.and_then(|condition| shown(&condition[member]));
            let (state, why) = match entry.condition {
                Some(condition) if entry.form != Form::Malformed => state(conditions, index, condition),
                _ => (ConditionState::Ignored, Some("malformed, see the findings".to_owned())),
            };
            DescribedCondition {
                condition_type: member(ConditionMember::Type),
                status: member(ConditionMember::Status),
                reason: member(ConditionMember::Reason),
                message: member(ConditionMember::Message),
                error: member(ConditionMember::Error),
                since: member(ConditionMember::LastTransitionTime),
                state,
                why,
            }
        })
        .collect()
}

/// Returns whether a condition counts, and why if it does not.
fn state(conditions: &Conditions<'_>, index: usize, condition: &Condition<'_>) -> (ConditionState, Option<String>) {
    if conditions.first_of_same_type(condition).is_some_and(|(first, _)| first != index) {
        return (ConditionState::Ignored, Some("another condition of this type comes first".to_owned()));
    }
    let Some(staleness) = condition.known_type().and_then(|known| conditions.staleness(known)) else {
        return (ConditionState::Current, None);
    };
    let why = match staleness {
        Staleness::OlderGeneration => "its observedGeneration is lower than that of the status".to_owned(),
        Staleness::BeforeRun => "its time is not later than that of Scanning".to_owned(),
        Staleness::OlderThan(other) => format!("its time is earlier than that of {}", other.name()),
    };
    (ConditionState::Stale, Some(why))
}
