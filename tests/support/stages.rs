//! The stages of answering a review, to be measured one by one.

use std::hint::black_box;

use scan_admission::admission::reply::Reply;
use scan_admission::admission::review::{self, Target};
use scan_admission::admission::{self, Answer, Context, Webhook};
use scan_admission::engine;
use scan_admission::engine::{Change, Findings, Part};

use crate::support::bodies::{Body, Outcome};

/// Calls `stage` with each stage and its name, first the whole answer. A stage can be run any number of times, and
/// includes the drop of its result.
pub fn each(body: &Body, context: &Context<'_>, mut stage: impl FnMut(&'static str, &mut dyn FnMut())) {
    let text = body.text.as_str();
    check(body, &admission::answer(text.as_bytes(), context));
    stage("answer", &mut || drop(black_box(admission::answer(black_box(text.as_bytes()), context))));
    stage("decode", &mut || drop(black_box(review::decode(black_box(text)))));

    let (review, _) = review::decode(text);
    let Ok(Target::Scan { kind, new, old, .. }) = review.target() else { panic!("{} is not of a scan", body.name()) };
    let change = || Change::new(kind, new, old, context.now);
    match body.webhook {
        Webhook::Validating => {
            let judge = || {
                let mut findings = Findings::default();
                engine::validate(context.rules, Part::Status, &change(), &mut findings);
                findings
            };
            stage("validate", &mut || drop(black_box(judge())));
            let findings = judge();
            let encode = || {
                let mut reply = Reply::new(&review.request, context.settings);
                reply.validate(kind, &findings, context.events);
                reply.answer()
            };
            check(body, &encode());
            stage("encode", &mut || drop(black_box(encode())));
        }
        Webhook::Mutating => {
            stage("mutate", &mut || drop(black_box(engine::mutate(context.rules, &change()))));
            let operations = engine::mutate(context.rules, &change()).operations;
            let encode = || {
                let mut reply = Reply::new(&review.request, context.settings);
                reply.mutate(&operations);
                reply.answer()
            };
            check(body, &encode());
            stage("encode", &mut || drop(black_box(encode())));
        }
    }
}

fn check(body: &Body, answer: &Answer) {
    use admission::Decision;
    let expected = match body.outcome {
        Outcome::Allowed => Decision::Allow,
        Outcome::Denied => Decision::Deny,
        Outcome::Mutated => Decision::Mutate,
    };
    assert_eq!(answer.summary.decision, expected, "{}: {}", body.name(), String::from_utf8_lossy(&answer.body));
}
