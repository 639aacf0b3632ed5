//! Errors of requests to the API server, as messages.

use std::error::Error as _;

use kube::core::Status;

/// The manifests that grant the rights of `serve` and of `audit --watch`, as messages name them.
pub const SERVE_RIGHTS: &str = "manifests/base/rbac.yaml";
pub const WATCH_RIGHTS: &str = "the component manifests/reports";

/// An error of a request. Displays the message of the API server, or, if there was no response, the error with all its
/// causes.
#[derive(Debug, thiserror::Error)]
#[error("{}", describe(.0))]
pub struct ApiError(#[from] pub kube::Error);

fn describe(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        error => {
            let causes = std::iter::successors(error.source(), |&error| error.source());
            causes.fold(error.to_string(), |message, cause| format!("{message}: {cause}"))
        }
    }
}

impl ApiError {
    /// Returns whether a right is missing.
    pub fn is_forbidden(&self) -> bool {
        matches!(&self.0, kube::Error::Api(status) if status.code == 403)
    }

    /// Returns the message, and for a missing right the manifest that grants it.
    pub fn with_remedy(&self, manifest: &str) -> String {
        if self.is_forbidden() {
            format!("{self}; apply {manifest}, which grants this right")
        } else {
            self.to_string()
        }
    }
}

/// Returns whether a denial, with the code 403, says that the namespace of the object is being deleted.
pub fn is_terminating(status: &Status) -> bool {
    let mut causes = status.details.iter().flat_map(|details| &details.causes);
    causes.any(|cause| cause.reason == "NamespaceTerminating")
}
