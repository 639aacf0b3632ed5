//! The checks, in the order of an investigation: the registration of the webhooks, the requests that match them, the
//! connection to the endpoints, the certificates, the replicas and their releases, the kinds, and the policies.

mod calls;
mod certificates;
mod kinds;
mod matching;
mod policies;
mod registration;
mod replicas;
mod versions;

use super::check::Check;

/// All checks. docs/doctor.md is generated from this table, and the tests break an installation at least once for each
/// check.
pub const CHECKS: &[&[Check]] = &[
    registration::CHECKS,
    matching::CHECKS,
    calls::CHECKS,
    certificates::CHECKS,
    replicas::CHECKS,
    versions::CHECKS,
    kinds::CHECKS,
    policies::CHECKS,
];
