//! Admission: [`answer`] takes the bytes of an AdmissionReview and returns the bytes of the answer.
//!
//! It does not fail, since errors are answers too, and it does not wait: the time, the rules and the settings are
//! values.

pub mod event;
pub mod patch;
pub mod reply;
pub mod review;
pub mod settings;
pub mod user;

use std::panic::{AssertUnwindSafe, catch_unwind};

use time::OffsetDateTime;

use crate::engine::{self, Action, Change, Downgrade, Findings, Part, Rule, Severity};
use crate::scan::Member;
pub use event::EventReasons;
use event::StatusEvent;
use reply::Reply;
use review::{Operation, Request, Review, Target};
pub use settings::{FaultPolicy, Override, ReviewSettings};

/// The largest body: 8 MiB, which is two objects at the API server's limit of 3 MiB and 2 MiB for the rest. A valid
/// review can exceed it in theory, since Go may escape `<`, `>` and `&` to six bytes each.
pub const BODY_MAX_BYTES: usize = 8 << 20;

/// The most memory that judging a review takes besides its body: 20 MiB. The decoded strings together are no longer
/// than the body; the rest is for 20,000 conditions in each object and, at the mutating webhook, in a copy. The worst
/// known bodies take 19.0 MB (`cargo bench -- worst`), and a test compares them with the limit.
pub const JUDGEMENT_MAX_BYTES: usize = 20 << 20;

/// One of the two webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Webhook {
    Validating,
    Mutating,
}

impl Webhook {
    pub const BOTH: [Webhook; 2] = [Webhook::Validating, Webhook::Mutating];

    pub fn name(self) -> &'static str {
        match self {
            Webhook::Validating => "validating",
            Webhook::Mutating => "mutating",
        }
    }
}

/// Why a review was not judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The body is not a valid AdmissionReview v1.
    BadRequest,
    /// The body exceeds [`BODY_MAX_BYTES`].
    TooLarge,
    /// The deadline passed before the body was read or judged.
    Timeout,
    /// Too many reviews are in flight.
    TooManyRequests,
    /// A rule panicked, which is a bug.
    Internal,
}

impl Fault {
    pub fn name(self) -> &'static str {
        match self {
            Fault::BadRequest => "bad-request",
            Fault::TooLarge => "too-large",
            Fault::Timeout => "timeout",
            Fault::TooManyRequests => "too-many-requests",
            Fault::Internal => "internal",
        }
    }
}

/// The inputs of an answer besides the bytes.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub webhook: Webhook,
    pub now: OffsetDateTime,
    pub rules: &'a [Rule],
    pub settings: &'a ReviewSettings,
    /// Which answers have a [`StatusEvent`].
    pub events: EventReasons,
}

/// The effect of an answer on the write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Allow,
    /// The write is allowed and patched.
    Mutate,
    Deny,
    /// The review was not judged. The [`FaultPolicy`] decides whether the write is allowed.
    Error(Fault),
}

impl Decision {
    pub fn name(self) -> &'static str {
        match self {
            Decision::Allow => "allow",
            Decision::Mutate => "mutate",
            Decision::Deny => "deny",
            Decision::Error(_) => "error",
        }
    }
}

/// The data of a review for metrics, logs and Events. Only the Event has contents of the object.
#[derive(Debug)]
pub struct Summary {
    pub decision: Decision,
    pub operation: &'static str,
    /// The resource and subresource, such as `imagescans/status`; `other` if it is not a scan.
    pub resource: &'static str,
    pub findings: Vec<RuleFinding>,
    /// The rules whose mutations wrote something.
    pub mutations: Vec<&'static str>,
    /// `None` if the decision is [`Decision::Allow`], since nothing is logged then.
    pub request: Option<RequestInfo>,
    /// The Event about the scan, if the [`Context`] asks for one.
    pub event: Option<Box<StatusEvent>>,
}

/// A finding without the contents of the object, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleFinding {
    pub rule: &'static str,
    pub severity: Severity,
    pub action: Action,
    pub downgraded: Option<Downgrade>,
}

/// The request, for log lines. A member is empty if the request does not have it.
#[derive(Debug, Default)]
pub struct RequestInfo {
    pub uid: String,
    pub group: String,
    pub version: String,
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub user: String,
}

/// The answer to one review, as one line of JSON.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status: 200 if the uid was found, except for faults under [`FaultPolicy::FailurePolicy`]. The body is
    /// then an AdmissionReview; otherwise it is a `Status` that says what is wrong.
    pub http: u16,
    /// Whether the answer allows the write. False if the body is a `Status`.
    pub is_allowed: bool,
    pub body: Vec<u8>,
    pub summary: Summary,
}

/// Decodes a review, and judges or mutates it. A body that is too large need not be read beyond [`BODY_MAX_BYTES`] + 1
/// bytes.
pub fn answer(body: &[u8], context: &Context<'_>) -> Answer {
    match decode(body, context) {
        Ok(review) => answer_review(review, context),
        Err(answer) => *answer,
    }
}

/// Decodes a review. An error is the answer to a body that is too large or malformed.
pub fn decode<'a>(body: &'a [u8], context: &Context<'_>) -> Result<Review<'a>, Box<Answer>> {
    if body.len() > BODY_MAX_BYTES {
        return Err(Box::new(fault(body, Fault::TooLarge, context)));
    }
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(error) => {
            let lossy = String::from_utf8_lossy(body);
            let message = format!("the review is not UTF-8 at byte {}", error.valid_up_to());
            return Err(Box::new(reply::fault(&review::decode(&lossy).0, Fault::BadRequest, &message, context)));
        }
    };
    let (review, end) = review::decode(text);
    match end {
        Ok(()) => Ok(review),
        Err(message) => Err(Box::new(reply::fault(&review, Fault::BadRequest, &message, context))),
    }
}

/// Judges or mutates a decoded review. If a rule panics, the answer is [`Fault::Internal`].
pub fn answer_review(mut review: Review<'_>, context: &Context<'_>) -> Answer {
    if context.webhook == Webhook::Mutating {
        review.request.restore_metadata_and_spec();
    }
    let review = &review;
    let answer = catch_unwind(AssertUnwindSafe(|| match review.target() {
        Ok(target) => judge(&review.request, target, context),
        Err(message) => reply::fault(review, Fault::BadRequest, &message, context),
    }));
    answer.unwrap_or_else(|_| reply::fault(review, Fault::Internal, message(Fault::Internal), context))
}

/// Answers a review that is not judged. `body` may be incomplete; the answer has the uid if it can be found.
pub fn fault(body: &[u8], fault: Fault, context: &Context<'_>) -> Answer {
    // The body may end within a character.
    let text = String::from_utf8_lossy(&body[..body.len().min(BODY_MAX_BYTES)]);
    let (review, _) = review::decode(&text);
    reply::fault(&review, fault, message(fault), context)
}

fn message(fault: Fault) -> &'static str {
    match fault {
        Fault::BadRequest => "the review cannot be read",
        Fault::TooLarge => "the review exceeds the limit of 8 MiB: make the object smaller",
        Fault::Timeout => "the review was not judged before its deadline: try again, or raise timeoutSeconds",
        Fault::TooManyRequests => "too many reviews are in flight: try again in a second",
        Fault::Internal => "a rule failed on this review: this is a bug in scan-admission, please report it",
    }
}

fn judge(request: &Request<'_>, target: Target<'_>, context: &Context<'_>) -> Answer {
    let settings = context.settings;
    let mut reply = Reply::new(request, settings);
    match target {
        Target::Ignored => {}
        Target::Unsupported(warning) => reply.warnings.push(warning),
        Target::Scan { kind, operation, is_status, new, old } => {
            let user = request.user();
            let groups = if settings.needs_groups() { request.groups() } else { Vec::new() };
            let modes = settings.modes(request.namespace(), user, &groups);
            let change =
                Change::new(kind, new, old, context.now).with_user(user, &settings.status_writers).with_modes(&modes);
            let validate = |parts: Vec<Part>, reply: &mut Reply<'_>| {
                let mut findings = Findings::default();
                parts.into_iter().for_each(|part| engine::validate(context.rules, part, &change, &mut findings));
                reply.validate(kind, &findings, context.events);
            };
            match (context.webhook, operation) {
                (Webhook::Validating, _) => validate(parts(operation, is_status, &change), &mut reply),
                (Webhook::Mutating, Operation::Create) => validate(vec![Part::Create], &mut reply),
                (Webhook::Mutating, Operation::Update) if is_status => {
                    if is_mutated(&change) {
                        reply.mutate(&engine::mutate(context.rules, &change).operations);
                    }
                }
                (Webhook::Mutating, Operation::Update) => {}
            }
        }
    }
    reply.answer()
}

/// Returns whether the mutating webhook applies mutations to an update of the status. Any change by a user who may not
/// write a status is denied, so a status that such a user left as it was is not changed.
pub fn is_mutated(change: &Change<'_>) -> bool {
    change.may_write_status() || change.old.is_none_or(|old| !old.has_same_status(change.new))
}

/// Returns the parts of a scan that the validating webhook judges.
pub fn parts(operation: Operation, is_status: bool, change: &Change<'_>) -> Vec<Part> {
    let is_new_status = || match change.old {
        // If the CRD has a status subresource, an update of the object itself cannot change the status, and an error in
        // the status must not block an edit of the spec or of the finalizers.
        Some(old) if operation == Operation::Update => !change.new.has_same_status(old),
        _ => !matches!(change.new.status, Member::Absent),
    };
    // Comparing statuses takes time, and is not needed for most writes: updates of the status by a user who may write
    // it.
    let is_new_status = (!is_status || !change.may_write_status()) && is_new_status();
    let mut parts = Vec::new();
    if !is_status {
        parts.push(Part::Spec);
    }
    if is_status || is_new_status {
        parts.push(Part::Status);
    }
    if !change.may_write_status() && is_new_status {
        parts.push(Part::Writer);
    }
    parts
}
