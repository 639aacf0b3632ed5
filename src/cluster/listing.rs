//! Lists objects of a cluster page by page, so that memory does not grow with their number.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroup, ListMeta};
use kube::api::{GetParams, ListParams, Request};
use kube::{Client, Error};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::ApiError;
use crate::scan::{GROUP, Kind};

/// The number of objects in a page. A scan with its managedFields is about 8 KB, so a page takes 2 MB of memory, and
/// 100,000 scans take 400 requests.
const PAGE: u32 = 250;

/// A page of a list.
#[derive(Default)]
pub struct ListPage {
    pub items: Vec<Box<RawValue>>,
    /// The number of objects after this page, as the API server estimates it; 0 where it gives no estimate.
    pub left: u64,
    /// The version of the list. It differs from that of the first page if the continue token has expired meanwhile.
    pub resource_version: String,
}

#[derive(Deserialize)]
struct List {
    metadata: ListMeta,
    items: Vec<Box<RawValue>>,
}

/// An iterator over the pages of a list.
pub struct Pages {
    client: Client,
    path: String,
    params: ListParams,
    /// Whether there is a next page.
    has_next: bool,
}

impl Pages {
    /// Lists the objects at a path of the API, such as `/apis/GROUP/VERSION/PLURAL`, that the selectors of `params` select.
    pub fn new(client: Client, path: String, params: ListParams) -> Self {
        Self { client, path, params: params.limit(PAGE), has_next: true }
    }

    /// Returns the next page; `None` after the last page.
    pub async fn next(&mut self) -> Result<Option<ListPage>, Error> {
        if !self.has_next {
            return Ok(None);
        }
        let page = match self.page().await {
            // A continue token expires after about five minutes. The error then holds a token that continues with
            // the current objects instead of the snapshot of the first page.
            Err(Error::Api(status)) if status.code == 410 => {
                self.params.continue_token = status.metadata.as_ref().and_then(|metadata| metadata.continue_.clone());
                if self.params.continue_token.is_none() {
                    return Err(Error::Api(status));
                }
                self.page().await
            }
            page => page,
        };
        let List { metadata, items } = page?;
        self.params.continue_token = metadata.continue_.filter(|next| !next.is_empty());
        self.has_next = self.params.continue_token.is_some();
        let left = metadata.remaining_item_count.and_then(|left| left.try_into().ok()).unwrap_or(0);
        Ok(Some(ListPage { items, left, resource_version: metadata.resource_version.unwrap_or_default() }))
    }

    async fn page(&self) -> Result<List, Error> {
        let request = Request::new(&self.path).list(&self.params);
        self.client.request(request.map_err(Error::BuildRequest)?).await
    }
}

/// Why scans cannot be listed. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    #[error(
        "this cluster has neither SourceScans nor ImageScans: no CustomResourceDefinition of {GROUP} is served; name \
         another cluster with --kubeconfig or --context"
    )]
    NoKinds,
    #[error("the API groups of the cluster cannot be read: {0}")]
    Group(ApiError),
    #[error("the kinds of {version} cannot be read: {error}")]
    Version { version: String, error: ApiError },
    #[error("{0}; docs/doctor.md has a ClusterRole that grants this right")]
    Forbidden(ApiError),
    #[error("the {plural} cannot be listed: {error}")]
    List { plural: &'static str, error: ApiError },
}

/// The pages of all scans of a kind.
pub struct Listing {
    pub kind: Kind,
    /// The apiVersion: group and version.
    version: String,
    pages: Pages,
}

/// Returns a listing for each kind that the cluster serves.
pub async fn listings(client: &Client) -> Result<Vec<Listing>, ListingError> {
    let group: APIGroup = match group(client).await {
        Ok(group) => group,
        Err(Error::Api(status)) if status.code == 404 => return Err(ListingError::NoKinds),
        Err(error) => return Err(ListingError::Group(error.into())),
    };
    let mut listings: Vec<Listing> = Vec::new();
    // The preferred version first.
    let preferred = group.preferred_version.iter().chain(&group.versions);
    for version in preferred.map(|version| &version.group_version) {
        let resources = client.list_api_group_resources(version).await;
        let resources =
            resources.map_err(|error| ListingError::Version { version: version.clone(), error: error.into() })?;
        for kind in Kind::ALL {
            let is_new = !listings.iter().any(|listing| listing.kind == kind);
            if is_new && resources.resources.iter().any(|resource| resource.name == kind.plural()) {
                let pages = Pages::new(client.clone(), path(version, kind), ListParams::default());
                listings.push(Listing { kind, version: version.clone(), pages });
            }
        }
    }
    Ok(listings)
}

async fn group(client: &Client) -> Result<APIGroup, Error> {
    let request = Request::new("/apis").get(GROUP, &GetParams::default());
    client.request(request.map_err(Error::BuildRequest)?).await
}

impl Listing {
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the next page; `None` after the last page.
    pub async fn next(&mut self) -> Result<Option<ListPage>, ListingError> {
        self.pages.next().await.map_err(|error| {
            let error = ApiError(error);
            if error.is_forbidden() {
                ListingError::Forbidden(error)
            } else {
                ListingError::List { plural: self.kind.plural(), error }
            }
        })
    }
}

/// Returns the path of all scans of a kind.
pub fn path(version: &str, kind: Kind) -> String {
    format!("/apis/{version}/{}", kind.plural())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;

    /// Returns a client that is given these answers in order, and the URIs of its requests.
    fn cluster(answers: Vec<(u16, Value)>) -> (Client, Arc<Mutex<Vec<String>>>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answers, record) = (Arc::new(Mutex::new(answers.into_iter())), asked.clone());
        let service = tower::service_fn(move |request: axum::http::Request<Body>| {
            record.lock().unwrap().push(request.uri().to_string());
            let (code, answer) = answers.lock().unwrap().next().unwrap();
            let answer = axum::http::Response::builder().status(code).body(Body::from(answer.to_string().into_bytes()));
            async { Ok::<_, std::convert::Infallible>(answer.unwrap()) }
        });
        (Client::new(service, "default"), asked)
    }

    fn page(next: &str, names: &[&str]) -> Value {
        let items: Vec<Value> = names.iter().map(|name| json!({"metadata": {"name": name}})).collect();
        json!({"metadata": {"continue": next, "remainingItemCount": 7}, "items": items})
    }

    #[tokio::test]
    async fn a_listing_continues_after_its_token_has_expired() {
        let gone = json!({"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old",
            "metadata": {"continue": "c+"}});
        let (client, asked) = cluster(vec![
            (200, page("a", &["1", "2"])),
            (410, gone),
            (200, page("b", &["3"])),
            (200, page("", &["4"])),
        ]);
        let mut pages = Pages::new(client, path("x/v1", Kind::SourceScan), ListParams::default());
        let mut found = Vec::new();
        while let Some(page) = pages.next().await.unwrap() {
            assert_eq!(page.left, 7);
            found.extend(
                page.items
                    .iter()
                    .map(|scan| serde_json::from_str::<Value>(scan.get()).unwrap()["metadata"]["name"].clone()),
            );
        }
        assert_eq!(found, ["1", "2", "3", "4"]);
        let asked = asked.lock().unwrap();
        let tokens: Vec<_> = asked.iter().map(|uri| uri.split("&continue=").nth(1).unwrap_or_default()).collect();
        assert_eq!(tokens, ["", "a", "c%2B", "b"], "{asked:?}");
        assert!(asked.iter().all(|uri| uri.starts_with("/apis/x/v1/sourcescans?&limit=250")), "{asked:?}");
    }
}
