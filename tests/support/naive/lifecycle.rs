//! §3 and §4: the rules that compare the phase and the conditions.

use serde_json::{Value, json};

use super::read::{Read, Scan};
use super::{Judge, Place, as_read};

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

impl Judge<'_> {
    pub fn phase_unknown(&mut self) {
        let scan = &self.new;
        let is_known = scan.is_on(&PHASES);
        if !scan.phase.is_absent() && !is_known {
            let reads = [as_read(&scan.status["phase"])];
            self.error("phase-unknown", Place::Field("phase"), "", &reads);
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
        let mut error = |row, holds: bool, reads: &[Value]| {
            if holds {
                self.error(rule, Place::Field("phase"), row, &[&[json!(phase)][..], reads].concat());
            }
        };
        let (status, absent) = (|it: Read<&str>| json!(it.there()), json!(null));
        match phase {
            "Pending" => {
                error("s=True", s == Some("True"), &[json!(s)]);
                self.warn_if(rule, u.is_some() || p.is_some() || s == Some("False"));
            }
            "Scanning" => {
                let is_running = any_s == Read::Is("True") || any_s.is_wrong();
                self.warn_if(rule, (u == Some("False") || p.is_some()) && !is_running);
                self.warn_if(rule, any_s.is_absent());
                let is_policy_to_come = policy && p.is_none();
                self.warn_if(rule, (s == Some("False") || u == Some("True")) && !is_policy_to_come);
            }
            "Completed" => {
                error("s=True", s == Some("True"), &[json!(s)]);
                error("u not True", any_u != Read::Is("True") && !any_u.is_wrong(), &[status(any_u)]);
                error("p", matches!(p, Some("False" | "Unknown")), &[json!(p)]);
                let is_without = has_scan_policy && any_p.is_absent();
                error("P and p absent", is_without && is_caught_up, &[absent]);
                self.warn_if(rule, is_without && !is_caught_up);
            }
            "Failed" => {
                error("s=True", s == Some("True"), &[json!(s)]);
                error("u not True", any_u != Read::Is("True") && !any_u.is_wrong(), &[status(any_u)]);
                error("p not False", any_p != Read::Is("False") && !any_p.is_wrong(), &[status(any_p)]);
            }
            "Error" => {
                error("s=True", s == Some("True"), &[json!(s)]);
                let says_nothing = u == Some("True") && any_p != Read::Is("Unknown") && !any_p.is_wrong();
                let is_unsent = any_d == Read::Is("False");
                let reads = [json!(u), status(any_p), status(any_d)];
                error("nothing says error", says_nothing && !is_unsent && !any_d.is_wrong(), &reads);
                self.warn_if(rule, any_u.is_absent() && any_p.is_absent());
                self.warn_if(rule, says_nothing && is_unsent);
            }
            _ => {}
        }
    }

    pub fn running_with_result(&mut self) {
        let scan = &self.new;
        if scan.current("Scanning") != Some("True") {
            return;
        }
        for name in ["Succeeded", "PolicySucceeded"] {
            let Some(status) = self.new.current(name) else { continue };
            self.error("running-with-result", Place::Field("conditions"), name, &[json!(status)]);
        }
    }

    pub fn policy_without_success(&mut self) {
        let p = self.new.current("PolicySucceeded");
        if !matches!(p, Some("True" | "False")) {
            return;
        }
        if self.new.current("Succeeded") == Some("False") {
            self.error("policy-without-success", Place::Field("conditions"), "", &[json!(p)]);
        }
        self.warn_if("policy-without-success", self.new.condition("Succeeded").is_absent());
    }

    pub fn policy_without_scanpolicy(&mut self) {
        let scan = &self.new;
        let Some(p) = scan.current("PolicySucceeded").filter(|_| !scan.has_scan_policy) else { return };
        let is_phase = scan.phase.is_absent() || scan.is_on(&["Completed", "Failed", "Error"]);
        if is_phase && scan.is_caught_up() {
            let reads = [json!(p), as_read(&scan.status["phase"])];
            self.error("policy-without-scanpolicy", Place::Field("conditions"), "", &reads);
        } else {
            self.warning("policy-without-scanpolicy");
        }
    }
}
