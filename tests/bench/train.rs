//! Sends the reviews of which `.ci/profile` makes the profile of the release. They are those of a cluster, where most are
//! small and allowed; the others keep the compiler from treating them as code that never runs.

use crate::measure::{Contender, Times, Workspace};
use crate::support::bodies::{Body, Outcome, Shape, Size};
use scan_admission::admission::Webhook;
use std::time::Duration;

/// Starts the program, sends the reviews, and stops it.
pub fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let workspace = Workspace::new();
        let server = workspace.start(&Contender::Ours);
        for (size, shape, outcome, webhook, protocol, count) in [
            (Size::Kb6, Shape::Plain, Outcome::Allowed, Webhook::Validating, "http/1.1", 6_000),
            (Size::Kb6, Shape::Plain, Outcome::Allowed, Webhook::Mutating, "http/1.1", 6_000),
            (Size::Kb6, Shape::Plain, Outcome::Allowed, Webhook::Validating, "h2", 2_000),
            (Size::Kb6, Shape::Plain, Outcome::Allowed, Webhook::Mutating, "h2", 1_000),
            (Size::Kb6, Shape::Plain, Outcome::Denied, Webhook::Validating, "http/1.1", 1_000),
            (Size::Kb6, Shape::Plain, Outcome::Mutated, Webhook::Mutating, "http/1.1", 1_000),
            (Size::Kb110, Shape::Fields, Outcome::Allowed, Webhook::Validating, "http/1.1", 400),
            (Size::Kb110, Shape::Fields, Outcome::Mutated, Webhook::Mutating, "http/1.1", 200),
            (Size::Kb110, Shape::Conditions, Outcome::Allowed, Webhook::Validating, "http/1.1", 40),
            (Size::Mb1, Shape::Fields, Outcome::Allowed, Webhook::Validating, "http/1.1", 60),
        ] {
            server.review_many(&Body::new(size, shape, outcome, webhook), protocol, count).await;
        }
        let new = Times { warm: Duration::ZERO, closed: Duration::from_secs(1), open: Duration::ZERO };
        for protocol in ["http/1.1", "h2"] {
            let body = Body::new(Size::Kb6, Shape::Plain, Outcome::Allowed, Webhook::Validating);
            server.cold(&body, protocol, 8, new).await;
        }
        server.stop();
    });
}
