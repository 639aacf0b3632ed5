//! Legal lifecycles of scans. Every step is an UPDATE of the step before that has no finding, or at most warnings.

use serde_json::Value;

use super::object::{Kind, NEXT_REVISION, Scan, Spelling};
use super::{Phase, Status};

#[derive(Clone, Debug)]
pub struct Lifecycle {
    pub name: &'static str,
    pub kind: Kind,
    pub spelling: Spelling,
    /// The first step has no status. A step that changes the spec does not change the status, because with a status
    /// subresource one request cannot change both.
    pub steps: Vec<Value>,
}

pub fn lifecycles() -> Vec<Lifecycle> {
    build_all(LIFECYCLES)
}

/// Returns legal lifecycles with at least one warning and no denial.
pub fn warned_lifecycles() -> Vec<Lifecycle> {
    build_all(WARNED_LIFECYCLES)
}

fn build_all(table: &[(&'static str, bool, Build)]) -> Vec<Lifecycle> {
    let mut all = Vec::new();
    for kind in [Kind::SourceScan, Kind::ImageScan] {
        for spelling in [Spelling::Wire, Spelling::Documented] {
            for (name, scan_policy, build) in table {
                let scan = Scan::created(kind, spelling, *scan_policy);
                let mut lifecycle = LifecycleBuilder { steps: vec![scan.value()], scan };
                build(&mut lifecycle);
                all.push(Lifecycle { name, kind, spelling, steps: lifecycle.steps });
            }
        }
    }
    all
}

type Build = fn(&mut LifecycleBuilder);

/// The name, whether spec.scanPolicy is set at first, and the steps.
const LIFECYCLES: &[(&str, bool, Build)] = &[
    ("first scan passes the policy", true, |lifecycle| lifecycle.first().done(3).sent(3).passed(3)),
    ("first scan is denied by the policy", true, |lifecycle| lifecycle.first().done(3).sent(3).denied(3)),
    ("first scan errors", true, |lifecycle| lifecycle.first().errored(2)),
    ("first scan finds nothing", true, first_scan_finds_nothing),
    ("denied without critical CVEs", true, denied_without_critical),
    ("extra keys anywhere", true, extra_keys),
    ("first scan without a Pending before it", true, |lifecycle| lifecycle.running(1).done(3).sent(3).passed(3)),
    ("no scanPolicy", false, no_scan_policy),
    ("policy evaluated later", true, |lifecycle| lifecycle.first().done(3).sent(3).step().passed(4)),
    ("policy evaluated later after a rescan", true, policy_evaluated_after_rescan),
    ("policy evaluated later after a rescan that finds less", true, policy_evaluated_after_rescan_that_finds_less),
    ("results sent after the policy", true, results_sent_late),
    ("store not configured", true, |lifecycle| lifecycle.first().done(3).unsent(3).passed(3)),
    ("store not configured, policy denies", true, |lifecycle| lifecycle.first().done(3).unsent(3).denied(3)),
    ("store configured before a rescan", true, store_configured_before_rescan),
    ("no SendingResults", true, |lifecycle| lifecycle.first().done(3).passed(3)),
    ("policy edit, Failed to Completed", true, |lifecycle| {
        lifecycle.first_denied().policy_edit(20).done(22).passed(22)
    }),
    ("policy edit, Failed to Failed", true, |lifecycle| lifecycle.first_denied().policy_edit(20).done(22).denied(22)),
    ("policy edit, Completed to Failed", true, |lifecycle| {
        lifecycle.first_passed().policy_edit(20).done(22).denied(22)
    }),
    ("another scanPolicy", true, another_scan_policy),
    ("scanPolicy removed during a rescan", true, scan_policy_removed),
    ("scanPolicy removed, no generations in conditions", true, scan_policy_removed_without_generations),
    ("scanPolicy removed after a denial", true, scan_policy_removed_after_denial),
    ("template edit", true, template_edit),
    ("another scanTemplate", true, another_scan_template),
    ("new source after the scan", true, new_source_after_scan),
    ("new source during the first scan", true, new_source_during_first_scan),
    ("new source during a rescan", true, new_source_during_rescan),
    ("retries after errors", true, retries),
    ("retries after errors, old conditions kept", true, retries_keeping_conditions),
    ("rescan errors, its retry passes", true, rescan_errors),
    ("policy cannot be evaluated, its retry passes", true, policy_error),
    ("scannedAt is written before PolicySucceeded", true, scanned_before_policy),
];

const WARNED_LIFECYCLES: &[(&str, bool, Build)] = &[
    ("a rescan that begins with the phase Scanning", true, |lifecycle| lifecycle.first_passed().begun(Phase::Scanning)),
    ("a rescan that begins with the phase Pending", true, |lifecycle| lifecycle.first_denied().begun(Phase::Pending)),
    ("a new source whose rescan begins with the phase", true, new_source_begun),
    ("restored from a backup", true, restored),
    ("an older status written over a newer one", true, older_status),
    ("written step by step", true, step_by_step),
    ("results of a new source before its PolicySucceeded", true, compliant_artifact_of_old_source),
    ("repeated errors, conditions unchanged", true, errors_with_unchanged_conditions),
    ("results of a new source are not sent", true, |lifecycle| {
        lifecycle.first_passed().new_source().running(20).rescanned(22).passed(22)
    }),
];

struct LifecycleBuilder {
    scan: Scan,
    steps: Vec<Value>,
}

fn at(minute: u8) -> String {
    format!("2026-11-20T08:{minute:02}:00Z")
}

/// critical, high, medium, low, unknown.
const FOUND: [i64; 5] = [7, 88, 92, 5, 0];
const FOUND_AGAIN: [i64; 5] = [7, 90, 93, 6, 1];

/// Fewer than the message of the violated policy names.
const FOUND_LESS: [i64; 5] = [0, 1, 2, 0, 0];

impl LifecycleBuilder {
    fn step(&mut self) -> &mut Self {
        self.steps.push(self.scan.value());
        self
    }

    fn pending(&mut self) -> &mut Self {
        self.scan.observe().phase(Some(Phase::Pending));
        self.step()
    }

    /// A job starts. The results of earlier jobs stay.
    fn running(&mut self, minute: u8) -> &mut Self {
        self.scan.observe().phase(Some(Phase::Scanning)).condition("Scanning", Status::True, &at(minute));
        self.step()
    }

    fn first(&mut self) -> &mut Self {
        self.pending().running(1)
    }

    /// The job ends. The counts stay unchanged.
    fn ended(&mut self, minute: u8) -> &mut Self {
        self.scan
            .condition("Scanning", Status::False, &at(minute))
            .condition("Succeeded", Status::True, &at(minute))
            .scanned_by("v0.37.0")
            .artifact();
        self
    }

    fn done(&mut self, minute: u8) -> &mut Self {
        self.ended(minute).scan.counts(FOUND);
        self
    }

    fn rescanned(&mut self, minute: u8) -> &mut Self {
        self.ended(minute).scan.counts(FOUND_AGAIN).scanned_by("v0.38.0");
        self
    }

    fn sent(&mut self, minute: u8) -> &mut Self {
        self.scan.condition("SendingResults", Status::True, &at(minute)).metadata_url();
        self
    }

    fn unsent(&mut self, minute: u8) -> &mut Self {
        self.scan.condition("SendingResults", Status::False, &at(minute));
        self
    }

    fn passed(&mut self, minute: u8) {
        self.scan.condition("PolicySucceeded", Status::True, &at(minute)).compliant_artifact();
        self.scan.phase(Some(Phase::Completed)).scanned_at(&at(minute));
        self.step();
    }

    fn denied(&mut self, minute: u8) {
        self.scan.condition("PolicySucceeded", Status::False, &at(minute)).remove("compliantArtifact");
        self.scan.phase(Some(Phase::Failed)).scanned_at(&at(minute));
        self.step();
    }

    fn unjudged(&mut self, minute: u8) {
        self.scan.phase(Some(Phase::Completed)).scanned_at(&at(minute));
        self.step();
    }

    /// The job is gone, and its condition and compliantArtifact are removed.
    fn errored(&mut self, minute: u8) {
        self.scan.without("Scanning").condition("Succeeded", Status::False, &at(minute)).remove("compliantArtifact");
        self.scan.phase(Some(Phase::Error));
        self.step();
    }

    fn first_passed(&mut self) -> &mut Self {
        self.first().done(3).sent(3).passed(3);
        self
    }

    fn first_denied(&mut self) -> &mut Self {
        self.first().done(3).sent(3).denied(3);
        self
    }

    /// The ScanPolicy object is edited, so the scan's generation stays.
    fn policy_edit(&mut self, minute: u8) -> &mut Self {
        self.scan.policy += 1;
        self.running(minute)
    }

    /// A rescan changes the phase before its conditions.
    fn begun(&mut self, phase: Phase) {
        self.scan.policy += 1;
        self.scan.observe().phase(Some(phase));
        self.step().running(20).done(22).passed(22);
    }

    /// The spec gets a new source in a step of its own; the next step has the artifact of the new source.
    fn new_source(&mut self) -> &mut Self {
        self.scan.edit_source(NEXT_REVISION);
        self.step();
        self.scan.artifact().remove("compliantArtifact");
        self
    }
}

/// Without CVEs there is no cveCount.
fn first_scan_finds_nothing(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first().ended(3).sent(3).passed(3);
}

fn denied_without_critical(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first().done(3).sent(3).scan.counts([0, 20, 1, 0, 0]);
    lifecycle.denied(3);
}

/// A newer controller adds unknown keys.
fn extra_keys(lifecycle: &mut LifecycleBuilder) {
    lifecycle.pending().scan.extra_keys();
    lifecycle.step().running(1).scan.extra_keys();
    lifecycle.step().done(3).sent(3).scan.compliant_artifact().extra_keys();
    lifecycle.passed(3);
    lifecycle.scan.extra_keys();
    lifecycle.step();
}

fn no_scan_policy(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first().done(3).sent(3).unjudged(3);
    lifecycle.scan.template += 1;
    lifecycle.running(20).rescanned(22).unjudged(22);
}

/// The message of the stale PolicySucceeded names more CVEs than there are now.
fn policy_evaluated_after_rescan_that_finds_less(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first_denied().new_source().running(20).ended(22);
    lifecycle.scan.counts(FOUND_LESS);
    lifecycle.sent(23).step().passed(24);
}

/// The old PolicySucceeded stays until the new one is written.
fn policy_evaluated_after_rescan(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first_denied().policy_edit(20).done(22).step().passed(23);
}

fn results_sent_late(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first().done(3).passed(3);
    lifecycle.sent(4).step();
}

fn store_configured_before_rescan(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first().done(3).unsent(3).passed(3);
    lifecycle.policy_edit(20).done(22).sent(22).passed(22);
}

fn another_scan_policy(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first_denied().scan.edit_scan_policy(Some("lenient-policy"));
    lifecycle.step().running(20).done(22).sent(22).passed(22);
}

/// The old PolicySucceeded is never removed. It is stale by its observedGeneration, on Completed too.
fn scan_policy_removed(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first_passed().policy_edit(20).scan.edit_scan_policy(None);
    lifecycle.step().running(20);
    lifecycle.scan.remove("compliantArtifact");
    lifecycle.done(22).sent(22).unjudged(22);
}

/// The old PolicySucceeded is stale on Completed by its time.
fn scan_policy_removed_without_generations(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first_passed();
    for name in ["Scanning", "Succeeded", "SendingResults", "PolicySucceeded"] {
        lifecycle.scan.without_generation(name);
    }
    lifecycle.step().policy_edit(20).scan.edit_scan_policy(None);
    lifecycle.step().running(20);
    lifecycle.scan.remove("compliantArtifact");
    lifecycle.done(22).sent(22).unjudged(22);
}

/// Without a policy the phase is Completed, beside the old PolicySucceeded=False.
fn scan_policy_removed_after_denial(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first_denied().policy_edit(20).scan.edit_scan_policy(None);
    lifecycle.step().running(20).rescanned(22).sent(22).unjudged(22);
}

/// The ScanTemplate object is edited, so the scan's generation stays.
fn template_edit(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first_passed().scan.template += 1;
    lifecycle.running(20).rescanned(22).passed(22);
}

fn another_scan_template(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first_denied().scan.edit_scan_template("another-scan-template");
    lifecycle.step().running(20).rescanned(22).sent(22).denied(22);
}

fn new_source_after_scan(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first_passed().new_source().running(20).rescanned(22).sent(22).passed(22);
}

/// Scanning stays True. Its generation is 2 once the controller has observed the new spec.
fn new_source_during_first_scan(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first().new_source().running(2).done(4).sent(4).passed(4);
}

fn new_source_during_rescan(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first_passed().scan.template += 1;
    lifecycle.running(20).new_source().running(21).rescanned(23).sent(23).passed(23);
}

fn retries(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first().errored(2);
    for minute in [3, 5] {
        lifecycle.scan.without("Succeeded");
        lifecycle.running(minute);
        if minute == 3 {
            lifecycle.errored(4);
        }
    }
    lifecycle.done(7).sent(7).passed(7);
}

/// Succeeded=False keeps its time through a second error.
fn retries_keeping_conditions(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first().scan.condition("Scanning", Status::False, &at(2)).condition("Succeeded", Status::False, &at(2));
    lifecycle.scan.phase(Some(Phase::Error));
    lifecycle.step().running(3).scan.condition("Scanning", Status::False, &at(4)).phase(Some(Phase::Error));
    lifecycle.step().running(5).done(7).sent(7).passed(7);
}

/// The results and PolicySucceeded of the first scan stay through the error of the second.
fn rescan_errors(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first_passed().policy_edit(20).errored(22);
    lifecycle.running(23).done(25).passed(25);
}

fn policy_error(lifecycle: &mut LifecycleBuilder) {
    lifecycle
        .first()
        .done(3)
        .sent(3)
        .scan
        .condition("PolicySucceeded", Status::Unknown, &at(3))
        .phase(Some(Phase::Error));
    lifecycle.step().policy_edit(4).done(6).passed(6);
}

/// scannedAt is written at the end of the job, before the policy is evaluated.
fn scanned_before_policy(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first().done(3).scan.scanned_at(&at(3));
    lifecycle.step().passed(4);
}

fn new_source_begun(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first_passed().scan.edit_source(NEXT_REVISION);
    lifecycle.step().scan.observe().remove("compliantArtifact");
    lifecycle.scan.phase(Some(Phase::Scanning));
    lifecycle.step().scan.artifact();
    lifecycle.running(20).rescanned(22).passed(22);
}

/// The whole object is restored. Its generation begins at 1 again, and the controller rescans it.
fn restored(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first_passed().new_source().running(20).rescanned(22).passed(22);
    let status = lifecycle.scan.value()["status"].clone();
    lifecycle.scan.generations(Some(2), Some(1)).remove_status();
    lifecycle.steps = vec![lifecycle.scan.value()];
    lifecycle.scan.restore(status);
    lifecycle.step().running(40).rescanned(42).passed(42);
}

/// A backup of the status is written back, so every time and generation in it goes back.
fn older_status(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first_passed();
    let older = lifecycle.scan.value()["status"].clone();
    lifecycle.new_source().running(20).rescanned(22).passed(22);
    lifecycle.scan.restore(older);
    lifecycle.step().running(40).rescanned(42).passed(42);
}

/// One field is written at a time, and the status is consistent after each step.
fn step_by_step(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first().scan.condition("Scanning", Status::False, &at(3));
    lifecycle.step().scan.condition("Succeeded", Status::True, &at(3)).counts(FOUND);
    lifecycle.step().scan.artifact().scanned_by("v0.37.0");
    lifecycle.step().scan.condition("PolicySucceeded", Status::True, &at(4));
    lifecycle.step().scan.phase(Some(Phase::Completed));
    lifecycle.step().scan.scanned_at(&at(4));
    lifecycle.step().scan.compliant_artifact();
    lifecycle.step();
}

/// compliantArtifact is the old source until the policy is evaluated for the new source.
fn compliant_artifact_of_old_source(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first_passed().scan.edit_source(NEXT_REVISION);
    lifecycle.step().running(20).rescanned(22).step().passed(24);
}

/// Only the phase shows that there was a retry.
fn errors_with_unchanged_conditions(lifecycle: &mut LifecycleBuilder) {
    lifecycle.first().errored(2);
    for phase in [Phase::Scanning, Phase::Error, Phase::Scanning, Phase::Error] {
        lifecycle.scan.phase(Some(phase));
        lifecycle.step();
    }
    lifecycle.scan.without("Succeeded");
    lifecycle.running(5).done(7).sent(7).passed(7);
}
