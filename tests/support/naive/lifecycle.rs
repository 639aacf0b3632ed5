//! §3 and §4: the rules that compare the phase and the conditions.

use super::read::{Read, Scan};
use super::{Field, Judge};

const PHASES: [&str; 5] = ["Pending", "Scanning", "Completed", "Failed", "Error"];

/// The conditions of §4 by their letters.
struct Letters<'a> {
    /// "each current": the status of s, u, p and d if they are.
    s: Option<&'a str>,
    u: Option<&'a str>,
    p: Option<&'a str>,
    /// The statuses of all, stale or not: "A stale condition satisfies a requirement … where a rule needs a condition to
    /// be there, it counts as there."
    any_s: Read<&'a str>,
    any_u: Read<&'a str>,
    any_p: Read<&'a str>,
    any_d: Read<&'a str>,
    /// "P = spec.scanPolicy set and the status caught up."
    policy: bool,
}

impl<'a> Letters<'a> {
    fn read(scan: &Scan<'a>) -> Letters<'a> {
        Letters {
            s: scan.current("Scanning"),
            u: scan.current("Succeeded"),
            p: scan.current("PolicySucceeded"),
            any_s: scan.status_of("Scanning"),
            any_u: scan.status_of("Succeeded"),
            any_p: scan.status_of("PolicySucceeded"),
            any_d: scan.status_of("SendingResults"),
            policy: scan.has_scan_policy && scan.is_caught_up(),
        }
    }
}

/// The field of a letter or a path.
fn field(name: &str) -> Field {
    match name {
        "s" => Field::Of("Scanning", "status"),
        "u" => Field::Of("Succeeded", "status"),
        "p" => Field::Of("PolicySucceeded", "status"),
        "d" => Field::Of("SendingResults", "status"),
        path => Field::Path(path.to_owned()),
    }
}

impl Judge<'_> {
    pub fn phase_unknown(&mut self) {
        let scan = &self.new;
        let is_known = scan.is_on(&PHASES);
        if !scan.phase.is_absent() && !is_known {
            self.error("phase-unknown", "status/phase", "", vec![]);
        }
        let has_conditions = self.new.entries.iter().any(|entry| entry.is_whole());
        self.warn_if("phase-unknown", self.new.phase.is_absent() && has_conditions);
    }

    pub fn phase_jump(&mut self) {
        let Some(old) = &self.old else { return };
        let jumps = [
            (["Pending", "Error"], ["Completed", "Failed"]),
            (["Completed", "Completed"], ["Failed", "Failed"]),
            (["Failed", "Failed"], ["Completed", "Completed"]),
        ];
        let is_jump = jumps.iter().any(|(from, to)| old.is_on(from) && self.new.is_on(to));
        self.warn_if("phase-jump", is_jump);
    }

    pub fn phase_disagrees(&mut self) {
        let Letters { s, u, p, any_s, any_u, any_p, any_d, policy } = Letters::read(&self.new);
        let Some(phase) = self.new.phase.there() else { return };
        let has_scan_policy = self.new.has_scan_policy;
        let is_caught_up = self.new.is_caught_up();
        let rule = "phase-disagrees";
        let mut error = |row, holds: bool, reads: &[&'static str]| {
            if holds {
                self.error(rule, "status/phase", row, reads.iter().map(|letter| field(letter)).collect());
            }
        };
        match phase {
            "Pending" => {
                error("s=True", s == Some("True"), &["s"]);
                self.warn_if(rule, u.is_some() || p.is_some() || s == Some("False"));
            }
            "Scanning" => {
                let is_running = any_s == Read::Is("True") || any_s.is_wrong();
                self.warn_if(rule, (u == Some("False") || p.is_some()) && !is_running);
                self.warn_if(rule, any_s.is_absent());
                // Of a malformed PolicySucceeded the row says nothing.
                let is_policy_to_come = policy && p.is_none() || any_p.is_wrong();
                self.warn_if(rule, (s == Some("False") || u == Some("True")) && !is_policy_to_come);
            }
            "Completed" => {
                error("s=True", s == Some("True"), &["s"]);
                error("u not True", any_u != Read::Is("True") && !any_u.is_wrong(), &["u"]);
                error("p=False", p == Some("False"), &["p"]);
                error("p=Unknown", p == Some("Unknown"), &["p"]);
                let is_without = has_scan_policy && any_p.is_absent();
                error(
                    "P and p absent",
                    is_without && is_caught_up,
                    &["p", "spec/scanPolicy", "status/observedGeneration", "metadata/generation"],
                );
                self.warn_if(rule, is_without && !is_caught_up);
            }
            "Failed" => {
                error("s=True", s == Some("True"), &["s"]);
                error("u not True", any_u != Read::Is("True") && !any_u.is_wrong(), &["u"]);
                error("p not False", any_p != Read::Is("False") && !any_p.is_wrong(), &["p"]);
            }
            "Error" => {
                error("s=True", s == Some("True"), &["s"]);
                let says_nothing = u == Some("True") && any_p != Read::Is("Unknown") && !any_p.is_wrong();
                let is_unsent = any_d == Read::Is("False");
                error("nothing says error", says_nothing && !is_unsent && !any_d.is_wrong(), &["u", "p", "d"]);
                self.warn_if(rule, any_u.is_absent() && any_p.is_absent());
                self.warn_if(rule, says_nothing && is_unsent);
            }
            _ => {}
        }
    }

    /// An error at the status of a condition that is there.
    fn error_at(&mut self, name: &str, rule: &'static str, reads: Vec<Field>) {
        let entry = *self.new.condition(name).there().expect("a condition");
        self.condition_error(rule, (entry, "status"), "", reads);
    }

    pub fn running_with_result(&mut self) {
        let scan = &self.new;
        if scan.current("Scanning") != Some("True") {
            return;
        }
        // "Beside a current Succeeded or PolicySucceeded" is one row.
        let results = [("u", "Succeeded"), ("p", "PolicySucceeded")];
        let current = results.iter().filter(|(_, name)| self.new.current(name).is_some());
        let reads: Vec<Field> = current.map(|(letter, _)| field(letter)).collect();
        if !reads.is_empty() {
            self.error_at("Scanning", "running-with-result", [reads, vec![field("s")]].concat());
        }
    }

    pub fn policy_without_success(&mut self) {
        let p = self.new.current("PolicySucceeded");
        if !matches!(p, Some("True" | "False")) {
            return;
        }
        if self.new.current("Succeeded") == Some("False") {
            self.error_at("PolicySucceeded", "policy-without-success", vec![field("p"), field("u")]);
        }
        self.warn_if("policy-without-success", self.new.condition("Succeeded").is_absent());
    }

    pub fn policy_without_scanpolicy(&mut self) {
        let scan = &self.new;
        if scan.has_scan_policy || scan.current("PolicySucceeded").is_none() {
            return;
        }
        let is_phase = scan.phase.is_absent() || scan.is_on(&["Completed", "Failed", "Error"]);
        if is_phase && scan.is_caught_up() {
            let reads = ["p", "status/phase", "spec/scanPolicy", "status/observedGeneration", "metadata/generation"];
            self.error_at("PolicySucceeded", "policy-without-scanpolicy", reads.map(field).into());
        } else {
            self.warning("policy-without-scanpolicy");
        }
    }
}
