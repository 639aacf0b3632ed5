//! STAND-IN while the core is being written; the signatures are final.
use time::OffsetDateTime;

/// 8 MiB.
pub const MAX_BODY_BYTES: usize = 8 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door { Validate, Mutate }

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FaultPolicy { #[default] Refuse, Allow, FailurePolicy }

/// Why a review was not judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault { TooBig, TooLate, TooBusy, Internal, Unreadable }

/// Everything a verdict depends on besides the bytes.
pub struct Context<'a> {
    pub door: Door,
    pub now: OffsetDateTime,
    pub rules: &'a [Rule],
    pub faults: FaultPolicy,
}

pub struct Rule; // really crate::law::Rule, with `id: &'static str`
pub static RULES: &[Rule] = &[]; // really crate::law::RULES

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict { Allowed, Mended, Refused, Fault(Fault) }

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity { Advise, Refuse } // really crate::law::Severity

/// What logs and metrics may know of a review: never the object's contents.
#[derive(Debug)]
pub struct Summary {
    pub uid: String, pub operation: String, pub group: String, pub kind: String, pub resource: String,
    pub namespace: String, pub name: String, pub user: String,
    pub verdict: Verdict,
    pub findings: Vec<(&'static str, Severity)>,
    pub mended: Vec<&'static str>,
}

/// The HTTP answer. `http` is 200 whenever a uid was found (503 under `failure-policy`), else 400.., then the body is a one-line JSON `Status`.
pub struct Answer { pub http: u16, pub retry_after_seconds: Option<u32>, pub body: Vec<u8>, pub summary: Summary }

/// Judges or mends one AdmissionReview. Only the first MAX_BODY_BYTES + 1 bytes matter: a longer body is `Fault::TooBig`.
pub fn answer(_body: &[u8], context: &Context<'_>) -> Answer { fault(b"", Fault::Internal, context) }

/// Answers a review that is not judged, because of `fault`, with the uid found in `body` (what was read so far).
pub fn fault(_body: &[u8], fault: Fault, _context: &Context<'_>) -> Answer {
    Answer { http: 200, retry_after_seconds: None, body: b"{}".to_vec(), summary: Summary { uid: String::new(), operation: String::new(), group: String::new(), kind: String::new(), resource: String::new(), namespace: String::new(), name: String::new(), user: String::new(), verdict: Verdict::Fault(fault), findings: vec![], mended: vec![] } }
}
