//! Lists names of scans and namespaces, for the completion of a shell.

use kube::{Client, Error};
use serde::Deserialize;
use serde_json::Value;

use super::listing::listings;
use crate::scan::Kind;

/// The most names that are listed. Beyond it, a person has to type more of the name anyway.
const NAMES_MAX: usize = 5_000;

/// A list in the form that `kubectl get` prints, which is a hundredth of the objects.
#[derive(Deserialize)]
struct NameTable {
    #[serde(default)]
    rows: Vec<NameRow>,
}

#[derive(Deserialize)]
struct NameRow {
    /// The first column of every kind is the name.
    cells: Vec<Value>,
}

/// Returns the names of the scans of a kind in a namespace. Without the kind or the right there are none.
pub async fn scan_names(client: &Client, kind: Kind, namespace: &str) -> Vec<String> {
    let Ok(listings) = listings(client).await else { return Vec::new() };
    let Some(listing) = listings.iter().find(|listing| listing.kind == kind) else { return Vec::new() };
    let path = format!("/apis/{}/namespaces/{namespace}/{}", listing.version(), kind.plural());
    names(client, &path).await.unwrap_or_default()
}

/// Returns the names of the namespaces. Without the right there are none.
pub async fn namespace_names(client: &Client) -> Vec<String> {
    names(client, "/api/v1/namespaces").await.unwrap_or_default()
}

async fn names(client: &Client, path: &str) -> Result<Vec<String>, Error> {
    // The version 0 is answered from the cache of the API server, which does not read etcd for each key that is pressed.
    let uri = format!("{path}?resourceVersion=0&limit={NAMES_MAX}&includeObject=None");
    let request = axum::http::Request::get(uri).header("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io");
    let request = request
        .body(Vec::new())
        .map_err(|error| Error::BuildRequest(kube::core::request::Error::BuildRequest(error)))?;
    let table: NameTable = client.request(request).await?;
    let names = table.rows.into_iter().filter_map(|row| Some(row.cells.first()?.as_str()?.to_owned()));
    Ok(names.take(NAMES_MAX).collect())
}
