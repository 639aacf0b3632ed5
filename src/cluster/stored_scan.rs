//! Reads one stored scan.

use kube::api::{GetParams, Request};
use kube::{Client, Error};
use serde_json::value::RawValue;

use super::error::ApiError;
use super::listing::{ListingError, listings};
use crate::scan::{GROUP, Kind};

/// Why a scan cannot be read. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoredScanError {
    #[error(transparent)]
    Kinds(#[from] ListingError),
    #[error("this cluster serves no {plural}.{GROUP}; name another cluster with --kubeconfig or --context", plural = .0.plural())]
    NotServed(Kind),
    #[error("{kind} {name:?} was not found in namespace {namespace:?}; name another one with --namespace", kind = .kind.name())]
    NotFound { kind: Kind, namespace: String, name: String },
    #[error("{error}; this needs the right to get {plural} in namespace {namespace:?}", plural = .kind.plural())]
    Forbidden { error: ApiError, kind: Kind, namespace: String },
    #[error("{kind} {name:?} cannot be read: {error}", kind = .kind.name())]
    Get { kind: Kind, name: String, error: ApiError },
}

/// Returns the JSON of a scan.
pub async fn stored_scan(
    client: &Client,
    kind: Kind,
    namespace: &str,
    name: &str,
) -> Result<Box<RawValue>, StoredScanError> {
    let listings = listings(client).await?;
    let listing = listings.iter().find(|listing| listing.kind == kind).ok_or(StoredScanError::NotServed(kind))?;
    let path = format!("/apis/{}/namespaces/{namespace}/{}", listing.version(), kind.plural());
    let found = match Request::new(path).get(name, &GetParams::default()).map_err(Error::BuildRequest) {
        Ok(request) => client.request::<Box<RawValue>>(request).await,
        Err(error) => Err(error),
    };
    let (namespace, name) = (namespace.to_owned(), name.to_owned());
    found.map_err(|error| match error {
        Error::Api(status) if status.code == 404 => StoredScanError::NotFound { kind, namespace, name },
        error => {
            let error = ApiError(error);
            if error.is_forbidden() {
                StoredScanError::Forbidden { error, kind, namespace }
            } else {
                StoredScanError::Get { kind, name, error }
            }
        }
    })
}
