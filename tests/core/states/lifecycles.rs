//! Legal lives of scans: every step an UPDATE of `*/status` of the one before, none worth a denial or a warning.
use serde_json::Value;

use super::object::{Kind, NEXT_REVISION, Scan, Spelling};
use super::{Phase, Status};

#[derive(Clone, Debug)]
pub struct Lifecycle {
    pub name: &'static str,
    pub kind: Kind,
    pub spelling: Spelling,
    /// The first has no status yet. Where the spec differs from the step before, the status is untouched, as with
    /// a status subresource the one request cannot change both.
    pub steps: Vec<Value>,
}

pub fn lifecycles() -> Vec<Lifecycle> {
    lived(LIVES)
}

/// Lives that are legal too: some step is worth a warning, none a denial.
pub fn warned_lifecycles() -> Vec<Lifecycle> {
    lived(WARNED_LIVES)
}

fn lived(lives: &[(&'static str, bool, Live)]) -> Vec<Lifecycle> {
    let mut all = Vec::new();
    for kind in [Kind::SourceScan, Kind::ImageScan] {
        for spelling in [Spelling::Wire, Spelling::Documented] {
            for (name, scan_policy, live) in lives {
                let scan = Scan::created(kind, spelling, *scan_policy);
                let mut life = Life { steps: vec![scan.value()], scan };
                live(&mut life);
                all.push(Lifecycle { name, kind, spelling, steps: life.steps });
            }
        }
    }
    all
}

type Live = fn(&mut Life);

/// Name, whether spec.scanPolicy is set at first, and what happens.
const LIVES: &[(&str, bool, Live)] = &[
    ("first scan passes the policy", true, |life| life.first().done(3).sent(3).passed(3)),
    ("first scan is denied by the policy", true, |life| life.first().done(3).sent(3).denied(3)),
    ("first scan errors", true, |life| life.first().errored(2)),
    ("first scan finds nothing", true, first_scan_finds_nothing),
    ("denied for what is not critical", true, denied_without_critical),
    ("extra keys anywhere", true, extra_keys),
    ("first scan without a Pending before it", true, |life| life.running(1).done(3).sent(3).passed(3)),
    ("no scanPolicy", false, no_scan_policy),
    ("policy still to come", true, |life| life.first().done(3).sent(3).step().passed(4)),
    ("policy still to come after a rescan", true, policy_to_come_after_rescan),
    ("policy still to come after a rescan that finds less", true, policy_to_come_after_less_was_found),
    ("results sent after the policy", true, results_sent_late),
    ("store not configured", true, |life| life.first().done(3).unsent(3).passed(3)),
    ("store not configured, policy denies", true, |life| life.first().done(3).unsent(3).denied(3)),
    ("store configured before a rescan", true, store_configured_before_rescan),
    ("store never heard of", true, |life| life.first().done(3).passed(3)),
    ("policy edit, Failed to Completed", true, |life| life.first_denied().policy_edit(20).done(22).passed(22)),
    ("policy edit, Failed to Failed", true, |life| life.first_denied().policy_edit(20).done(22).denied(22)),
    ("policy edit, Completed to Failed", true, |life| life.first_passed().policy_edit(20).done(22).denied(22)),
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
    ("the time of the scan is written before the verdict", true, scanned_before_verdict),
];

const WARNED_LIVES: &[(&str, bool, Live)] = &[
    ("a rescan that begins with the phase Scanning", true, |life| life.first_passed().begun(Phase::Scanning)),
    ("a rescan that begins with the phase Pending", true, |life| life.first_denied().begun(Phase::Pending)),
    ("a new source whose rescan begins with the phase", true, new_source_begun),
    ("restored from a backup", true, restored),
    ("an older status written over a newer one", true, older_status),
    ("written step by step", true, step_by_step),
    ("results of a new source before its verdict", true, shipped_before_verdict),
    ("errors again and again, conditions untouched", true, errors_untouched),
    ("results of a new source are not sent", true, |life| {
        life.first_passed().new_source().running(20).rescanned(22).passed(22)
    }),
];

struct Life {
    scan: Scan,
    steps: Vec<Value>,
}

fn at(minute: u8) -> String {
    format!("2026-11-20T08:{minute:02}:00Z")
}

/// critical, high, medium, low, unknown.
const FOUND: [i64; 5] = [7, 88, 92, 5, 0];
const FOUND_AGAIN: [i64; 5] = [7, 90, 93, 6, 1];

/// Less than the violated policy's message speaks of.
const FOUND_LESS: [i64; 5] = [0, 1, 2, 0, 0];

impl Life {
    fn step(&mut self) -> &mut Self {
        self.steps.push(self.scan.value());
        self
    }

    fn pending(&mut self) -> &mut Self {
        self.scan.observe().phase(Some(Phase::Pending));
        self.step()
    }

    /// A job starts; what earlier ones left stays.
    fn running(&mut self, minute: u8) -> &mut Self {
        self.scan.observe().phase(Some(Phase::Scanning)).condition("Scanning", Status::True, &at(minute));
        self.step()
    }

    fn first(&mut self) -> &mut Self {
        self.pending().running(1)
    }

    /// The job ended with the counts that are there already, if any.
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

    /// The job is gone, and its condition with it; what ships next is unknown.
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

    /// The ScanPolicy itself is edited: the scan's generation stays.
    fn policy_edit(&mut self, minute: u8) -> &mut Self {
        self.scan.policy += 1;
        self.running(minute)
    }

    /// The phase tells of a rescan before its conditions do.
    fn begun(&mut self, phase: Phase) {
        self.scan.policy += 1;
        self.scan.observe().phase(Some(phase));
        self.step().running(20).done(22).passed(22);
    }

    /// The spec moves on, the status does not yet; what follows is of the new source.
    fn new_source(&mut self) -> &mut Self {
        self.scan.edit_source(NEXT_REVISION);
        self.step();
        self.scan.artifact().remove("compliantArtifact");
        self
    }
}

/// No CVEs, no cveCount.
fn first_scan_finds_nothing(life: &mut Life) {
    life.first().ended(3).sent(3).passed(3);
}

fn denied_without_critical(life: &mut Life) {
    life.first().done(3).sent(3).scan.counts([0, 20, 1, 0, 0]);
    life.denied(3);
}

/// Whatever a newer controller adds.
fn extra_keys(life: &mut Life) {
    life.pending().scan.extra_keys();
    life.step().running(1).scan.extra_keys();
    life.step().done(3).sent(3).scan.compliant_artifact().extra_keys();
    life.passed(3);
    life.scan.extra_keys();
    life.step();
}

fn no_scan_policy(life: &mut Life) {
    life.first().done(3).sent(3).unjudged(3);
    life.scan.template += 1;
    life.running(20).rescanned(22).unjudged(22);
}

/// The old PolicySucceeded stays until the new one comes.
/// The stale verdict speaks of more CVEs than there are now.
fn policy_to_come_after_less_was_found(life: &mut Life) {
    life.first_denied().new_source().running(20).ended(22);
    life.scan.counts(FOUND_LESS);
    life.sent(23).step().passed(24);
}

fn policy_to_come_after_rescan(life: &mut Life) {
    life.first_denied().policy_edit(20).done(22).step().passed(23);
}

fn results_sent_late(life: &mut Life) {
    life.first().done(3).passed(3);
    life.sent(4).step();
}

fn store_configured_before_rescan(life: &mut Life) {
    life.first().done(3).unsent(3).passed(3);
    life.policy_edit(20).done(22).sent(22).passed(22);
}

fn another_scan_policy(life: &mut Life) {
    life.first_denied().scan.edit_scan_policy(Some("lenient-policy"));
    life.step().running(20).done(22).sent(22).passed(22);
}

/// The old PolicySucceeded is never cleared: stale by its observedGeneration, on Completed too.
fn scan_policy_removed(life: &mut Life) {
    life.first_passed().policy_edit(20).scan.edit_scan_policy(None);
    life.step().running(20);
    life.scan.remove("compliantArtifact");
    life.done(22).sent(22).unjudged(22);
}

/// Stale on Completed by its time.
fn scan_policy_removed_without_generations(life: &mut Life) {
    life.first_passed();
    for name in ["Scanning", "Succeeded", "SendingResults", "PolicySucceeded"] {
        life.scan.without_generation(name);
    }
    life.step().policy_edit(20).scan.edit_scan_policy(None);
    life.step().running(20);
    life.scan.remove("compliantArtifact");
    life.done(22).sent(22).unjudged(22);
}

/// No policy, no Failed; the old verdict stays beside Completed.
fn scan_policy_removed_after_denial(life: &mut Life) {
    life.first_denied().policy_edit(20).scan.edit_scan_policy(None);
    life.step().running(20).rescanned(22).sent(22).unjudged(22);
}

/// The ScanTemplate itself is edited: the scan's generation stays.
fn template_edit(life: &mut Life) {
    life.first_passed().scan.template += 1;
    life.running(20).rescanned(22).passed(22);
}

fn another_scan_template(life: &mut Life) {
    life.first_denied().scan.edit_scan_template("another-scan-template");
    life.step().running(20).rescanned(22).sent(22).denied(22);
}

fn new_source_after_scan(life: &mut Life) {
    life.first_passed().new_source().running(20).rescanned(22).sent(22).passed(22);
}

/// Scanning stays True, for generation 2 since the controller has seen it.
fn new_source_during_first_scan(life: &mut Life) {
    life.first().new_source().running(2).done(4).sent(4).passed(4);
}

fn new_source_during_rescan(life: &mut Life) {
    life.first_passed().scan.template += 1;
    life.running(20).new_source().running(21).rescanned(23).sent(23).passed(23);
}

fn retries(life: &mut Life) {
    life.first().errored(2);
    for minute in [3, 5] {
        life.scan.without("Succeeded");
        life.running(minute);
        if minute == 3 {
            life.errored(4);
        }
    }
    life.done(7).sent(7).passed(7);
}

/// Succeeded=False keeps its time through a second error.
fn retries_keeping_conditions(life: &mut Life) {
    life.first().scan.condition("Scanning", Status::False, &at(2)).condition("Succeeded", Status::False, &at(2));
    life.scan.phase(Some(Phase::Error));
    life.step().running(3).scan.condition("Scanning", Status::False, &at(4)).phase(Some(Phase::Error));
    life.step().running(5).done(7).sent(7).passed(7);
}

/// The results and PolicySucceeded of the first scan outlive the error of the second.
fn rescan_errors(life: &mut Life) {
    life.first_passed().policy_edit(20).errored(22);
    life.running(23).done(25).passed(25);
}

fn policy_error(life: &mut Life) {
    life.first().done(3).sent(3).scan.condition("PolicySucceeded", Status::Unknown, &at(3)).phase(Some(Phase::Error));
    life.step().policy_edit(4).done(6).passed(6);
}

/// The scan was finished; its policy is still to come.
fn scanned_before_verdict(life: &mut Life) {
    life.first().done(3).scan.scanned_at(&at(3));
    life.step().passed(4);
}

fn new_source_begun(life: &mut Life) {
    life.first_passed().scan.edit_source(NEXT_REVISION);
    life.step().scan.observe().remove("compliantArtifact");
    life.scan.phase(Some(Phase::Scanning));
    life.step().scan.artifact();
    life.running(20).rescanned(22).passed(22);
}

/// With its spec, whose generation begins at 1 again; the controller scans it anew.
fn restored(life: &mut Life) {
    life.first_passed().new_source().running(20).rescanned(22).passed(22);
    let status = life.scan.value()["status"].clone();
    life.scan.generations(Some(2), Some(1)).remove_status();
    life.steps = vec![life.scan.value()];
    life.scan.restore(status);
    life.step().running(40).rescanned(42).passed(42);
}

/// A backup of the status is written back: every time and generation in it goes back.
fn older_status(life: &mut Life) {
    life.first_passed();
    let older = life.scan.value()["status"].clone();
    life.new_source().running(20).rescanned(22).passed(22);
    life.scan.restore(older);
    life.step().running(40).rescanned(42).passed(42);
}

/// Each step agrees with itself.
fn step_by_step(life: &mut Life) {
    life.first().scan.condition("Scanning", Status::False, &at(3));
    life.step().scan.condition("Succeeded", Status::True, &at(3)).counts(FOUND);
    life.step().scan.artifact().scanned_by("v0.37.0");
    life.step().scan.condition("PolicySucceeded", Status::True, &at(4));
    life.step().scan.phase(Some(Phase::Completed));
    life.step().scan.scanned_at(&at(4));
    life.step().scan.compliant_artifact();
    life.step();
}

/// What ships is the old source until the new one has its verdict.
fn shipped_before_verdict(life: &mut Life) {
    life.first_passed().scan.edit_source(NEXT_REVISION);
    life.step().running(20).rescanned(22).step().passed(24);
}

/// The phase alone says that there was a retry.
fn errors_untouched(life: &mut Life) {
    life.first().errored(2);
    for phase in [Phase::Scanning, Phase::Error, Phase::Scanning, Phase::Error] {
        life.scan.phase(Some(phase));
        life.step();
    }
    life.scan.without("Succeeded");
    life.running(5).done(7).sent(7).passed(7);
}
