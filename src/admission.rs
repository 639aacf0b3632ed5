//! The one function that everything is a door to: bytes of an AdmissionReview in, bytes of an AdmissionReview out.
//!
//! It cannot fail and cannot wait: clock, rules and settings enter as values.

pub mod patch;
pub mod policy;
pub mod reply;
pub mod review;

use std::panic::{AssertUnwindSafe, catch_unwind};

use time::OffsetDateTime;

use crate::law::{self, Change, Findings, Part, Rule, Severity, Softened};
use crate::scan::{Member, Scan};
pub use policy::{FaultPolicy, Override, Policy};
use reply::Reply;
use review::{Operation, Request, Target};

/// Limit of a body: 8 MiB. Two objects of the API server's 3 MiB and 2 MiB for the rest. It is a policy: Go may escape
/// `<`, `>` and `&` to six bytes each, so a legal object could in theory exceed it.
pub const BODY_MAX_BYTES: usize = 8 << 20;

/// The two webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Validate,
    Mutate,
}

/// Why a review was not judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The body is no AdmissionReview v1 that can be judged.
    Unreadable,
    /// The body exceeds [`BODY_MAX_BYTES`].
    TooBig,
    /// The deadline passed before the body was read, or judged.
    TooLate,
    /// Too many reviews are in flight.
    TooBusy,
    /// A rule panicked.
    Internal,
}

/// Everything that an answer depends on besides the bytes.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub door: Door,
    pub now: OffsetDateTime,
    pub rules: &'a [Rule],
    pub policy: &'a Policy,
}

/// What became of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    Mended,
    Refused,
    Fault(Fault),
}

/// What metrics and logs may know of a review: never the object's contents.
#[derive(Debug)]
pub struct Summary {
    pub verdict: Verdict,
    pub operation: &'static str,
    /// The resource and subresource, or `other`.
    pub resource: &'static str,
    /// The rule, what became of what it found, and why if that is less than it said.
    pub findings: Vec<(&'static str, Severity, Option<Softened>)>,
    /// The rules of findings that are for the audit log alone.
    pub audited: Vec<&'static str>,
    /// The rules whose mends wrote something.
    pub mended: Vec<&'static str>,
    /// Whose review it was; none where it was plainly allowed, since nothing is logged then.
    pub identity: Option<Identity>,
}

/// Whose review it was, for a log line.
#[derive(Debug, Default)]
pub struct Identity {
    pub uid: String,
    pub group: String,
    pub version: String,
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub user: String,
}

/// The answer to one request. `http` is 200 wherever a uid was found (except under [`FaultPolicy::FailurePolicy`]);
/// otherwise the body is a `Status` that says what is wrong. Either is one line of JSON.
#[derive(Debug)]
pub struct Answer {
    pub http: u16,
    /// Whether the answer lets the request pass; false too where no review is answered.
    pub is_allowed: bool,
    pub body: Vec<u8>,
    pub summary: Summary,
}

/// Judges or mends one review. Only the first [`BODY_MAX_BYTES`] + 1 bytes of `body` matter.
pub fn answer(body: &[u8], context: &Context<'_>) -> Answer {
    read(body, context, |request, target| judge_review(request, target, context))
}

/// The same, unless the objects have more than `conditions_max` conditions: how long it takes to judge depends on those
/// alone. None where they have: it was only read.
pub fn answer_if_short(body: &[u8], conditions_max: usize, context: &Context<'_>) -> Option<Answer> {
    read(body, context, |request, target| {
        (request.conditions() <= conditions_max).then(|| judge_review(request, target, context))
    })
}

/// Answers a review that is not judged, with the uid that is found in what was read of it.
pub fn fault(body: &[u8], fault: Fault, context: &Context<'_>) -> Answer {
    let words = match fault {
        Fault::Unreadable => "the review cannot be read",
        Fault::TooBig => "the review exceeds the limit of 8 MiB: make the object smaller",
        Fault::TooLate => "the review was not judged before its deadline: try again, or raise timeoutSeconds",
        Fault::TooBusy => "too many reviews are in flight: try again in a second",
        Fault::Internal => "a rule failed on this review: this is a bug in scan-admission, please report it",
    };
    // A body is cut where a limit fell, so its last character may be too.
    let text = String::from_utf8_lossy(&body[..body.len().min(BODY_MAX_BYTES)]);
    let (review, _) = review::decode(&text);
    reply::fault(&review, fault, words, context)
}

/// Has `judge` judge what was read, unless there is nothing to judge.
fn read<T: From<Answer>>(body: &[u8], context: &Context<'_>, judge: impl FnOnce(&Request<'_>, Target<'_>) -> T) -> T {
    if body.len() > BODY_MAX_BYTES {
        return fault(body, Fault::TooBig, context).into();
    }
    let answer = catch_unwind(AssertUnwindSafe(|| {
        let text = match std::str::from_utf8(body) {
            Ok(text) => text,
            Err(error) => {
                let lossy = String::from_utf8_lossy(body);
                let words = format!("the review is not UTF-8 at byte {}", error.valid_up_to());
                return reply::fault(&review::decode(&lossy).0, Fault::Unreadable, &words, context).into();
            }
        };
        let (review, end) = review::decode(text);
        match end.and_then(|()| review.target()) {
            Ok(target) => judge(&review.request, target),
            Err(words) => reply::fault(&review, Fault::Unreadable, &words, context).into(),
        }
    }));
    answer.unwrap_or_else(|_| fault(body, Fault::Internal, context).into())
}

fn judge_review(request: &Request<'_>, target: Target<'_>, context: &Context<'_>) -> Answer {
    let policy = context.policy;
    let mut reply = Reply::new(request, policy);
    match target {
        Target::Nothing => {}
        Target::Other(warning) => reply.warnings.push(warning),
        Target::Scan { kind, operation, is_status, new, old } => {
            let user = request.user();
            let groups = if policy.asks_groups() { request.groups() } else { Vec::new() };
            let modes = policy.modes(&request.namespace(), &user, &groups);
            let change =
                |new| Change::new(kind, new, old, context.now).written_by(&user, &policy.status_writers).under(&modes);
            let judge = |parts: &mut dyn Iterator<Item = Part>, reply: &mut Reply<'_>| {
                let change = change(new);
                let mut findings = Findings::default();
                parts.for_each(|part| law::judge(context.rules, part, &change, &mut findings));
                reply.judge(kind, &findings);
            };
            match (context.door, operation) {
                (Door::Validate, _) => judge(&mut parts(operation, is_status, new, old), &mut reply),
                (Door::Mutate, Operation::Create) => judge(&mut [Part::Create].into_iter(), &mut reply),
                (Door::Mutate, Operation::Update) if is_status => {
                    let trusted = trusted(new, old);
                    reply.mend(&law::mend(context.rules, &change(&trusted)).1);
                }
                (Door::Mutate, Operation::Update) => {}
            }
        }
    }
    reply.answer()
}

/// The parts of a scan that the validating door judges (LAW §6).
fn parts(operation: Operation, is_status: bool, new: &Scan<'_>, old: Option<&Scan<'_>>) -> impl Iterator<Item = Part> {
    let is_new_status = match old {
        // Without a status subresource a main update may write the status. Otherwise it is the old one, and spec
        // edits and finalizers must go through.
        Some(old) if operation == Operation::Update => new.status != old.status,
        _ => new.status != Member::Absent,
    };
    let spec = (!is_status).then_some(Part::Spec);
    spec.into_iter().chain((is_status || is_new_status).then_some(Part::Status))
}

/// The object as the API server will store it: on the status subresource the client's metadata and spec are not.
fn trusted<'a>(new: &Scan<'a>, old: Option<&Scan<'a>>) -> Scan<'a> {
    let from = old.unwrap_or(new);
    Scan { metadata: from.metadata.clone(), spec: from.spec.clone(), status: new.status.clone() }
}
