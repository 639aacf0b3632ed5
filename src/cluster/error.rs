//! Why an API server rejects a request.

use std::error::Error as _;

/// An error of the API server, or why it could not be asked: its message alone, with all causes.
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
    pub fn is_forbidden(&self) -> bool {
        matches!(&self.0, kube::Error::Api(status) if status.code == 403)
    }

    /// For requests of the server: which manifest gives the right that is missing.
    pub fn with_remedy(&self) -> String {
        if self.is_forbidden() {
            format!("{self}: manifests/base/rbac.yaml gives that right, apply it")
        } else {
            self.to_string()
        }
    }
}
