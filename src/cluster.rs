//! What talks to an API server: the CA that all replicas share, the caBundles of the webhooks, and who looks at either from
//! outside.
//!
//! Invariants: nothing of somebody else's is overwritten; each write is made under the version that was read, or owns one
//! field only; losing the API server loses nothing that is served.

pub mod audit;
pub mod authority;
pub mod bundle;
pub mod ca;
pub mod doctor;
pub mod keeper;

use std::error::Error as _;

/// What an API server has against a request, and what to do about it.
fn why(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.code == 403 => {
            format!("{}: manifests/base/rbac.yaml gives that right, apply it", status.message)
        }
        error => said(error),
    }
}

/// What an API server says of a request, or why it could not be asked.
fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        error => {
            let causes = std::iter::successors(error.source(), |&error| error.source());
            causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
        }
    }
}

/// The same of a watch, if a right is missing.
fn forbidden(error: &kube::runtime::watcher::Error) -> Option<String> {
    use kube::runtime::watcher::Error::{InitialListFailed, WatchError, WatchFailed, WatchStartFailed};
    let error = match error {
        InitialListFailed(error) | WatchStartFailed(error) | WatchFailed(error) => error,
        WatchError(status) => &kube::Error::Api(status.clone()),
        _ => return None,
    };
    matches!(error, kube::Error::Api(status) if status.code == 403).then(|| why(error))
}
