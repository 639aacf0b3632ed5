//! Every scan of a cluster, page by page, whatever their number.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroup, ListMeta};
use kube::api::{GetParams, ListParams, Request};
use kube::{Client, Error};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::ApiError;
use crate::scan::{GROUP, Kind};

/// Scans of one request. A scan with its managedFields is some 8 KB, so a page is 2 MB: little to hold, and 100,000 scans
/// are 400 requests.
const PAGE: u32 = 250;

/// The scans of one request, and how many are still to come as far as the API server knows.
#[derive(Default)]
pub struct ScanPage {
    pub scans: Vec<Box<RawValue>>,
    pub left: u64,
}

#[derive(Deserialize)]
struct List {
    metadata: ListMeta,
    items: Vec<Box<RawValue>>,
}

/// Why scans cannot be listed. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    #[error(
        "this cluster knows no SourceScan and no ImageScan: no CustomResourceDefinition of {GROUP} is served; name another \
         cluster with --kubeconfig or --context"
    )]
    NoKinds,
    #[error("the cluster cannot be asked for its kinds: {0}")]
    Group(ApiError),
    #[error("the cluster cannot be asked for the kinds of {version}: {error}")]
    Version { version: String, error: ApiError },
    #[error("{0}: docs/doctor.md has a ClusterRole that gives that right")]
    Forbidden(ApiError),
    #[error("the {plural} cannot be listed: {error}")]
    List { plural: &'static str, error: ApiError },
}

/// All scans of a kind, of which one page at a time is held.
pub struct Listing {
    client: Client,
    pub kind: Kind,
    /// Group and version.
    version: String,
    /// Where the next page begins; none behind the last one.
    next: Option<String>,
}

/// The kinds that the cluster serves, each to be listed.
pub async fn listings(client: &Client) -> Result<Vec<Listing>, ListingError> {
    let group: APIGroup = match group(client).await {
        Ok(group) => group,
        Err(Error::Api(status)) if status.code == 404 => return Err(ListingError::NoKinds),
        Err(error) => return Err(ListingError::Group(error.into())),
    };
    let mut listings: Vec<Listing> = Vec::new();
    // The preferred one first.
    let preferred = group.preferred_version.iter().chain(&group.versions);
    for version in preferred.map(|version| &version.group_version) {
        let resources = client.list_api_group_resources(version).await;
        let resources =
            resources.map_err(|error| ListingError::Version { version: version.clone(), error: error.into() })?;
        for kind in Kind::ALL {
            let is_new = !listings.iter().any(|listing| listing.kind == kind);
            if is_new && resources.resources.iter().any(|resource| resource.name == kind.plural()) {
                let (client, version) = (client.clone(), version.clone());
                listings.push(Listing { client, kind, version, next: Some(String::new()) });
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

    /// The next page; none behind the last one.
    pub async fn next(&mut self) -> Result<Option<ScanPage>, ListingError> {
        let Some(from) = &self.next else { return Ok(None) };
        let page = match self.page(from).await {
            // The API server remembers a list for five minutes or so. With this token it goes on with what is there now.
            Err(Error::Api(status)) if status.code == 410 => {
                match status.metadata.as_ref().and_then(|metadata| metadata.continue_.clone()) {
                    Some(from) => self.page(&from).await,
                    None => Err(Error::Api(status)),
                }
            }
            page => page,
        };
        let List { metadata, items } = page.map_err(|error| {
            let error = ApiError(error);
            if error.is_forbidden() {
                ListingError::Forbidden(error)
            } else {
                ListingError::List { plural: self.kind.plural(), error }
            }
        })?;
        self.next = metadata.continue_.filter(|next| !next.is_empty());
        let left = metadata.remaining_item_count.and_then(|left| left.try_into().ok()).unwrap_or(0);
        Ok(Some(ScanPage { scans: items, left }))
    }

    async fn page(&self, from: &str) -> Result<List, Error> {
        let path = format!("/apis/{}/{}", self.version, self.kind.plural());
        let request = Request::new(path).list(&ListParams::default().limit(PAGE).continue_token(from));
        self.client.request(request.map_err(Error::BuildRequest)?).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;

    /// A cluster that answers in turn, and what it is asked.
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
    async fn a_list_that_is_forgotten_meanwhile_goes_on() {
        let gone = json!({"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old",
            "metadata": {"continue": "c+"}});
        let (client, asked) = cluster(vec![
            (200, page("a", &["1", "2"])),
            (410, gone),
            (200, page("b", &["3"])),
            (200, page("", &["4"])),
        ]);
        let version = "x/v1".to_owned();
        let mut listing = Listing { client, kind: Kind::SourceScan, version, next: Some(String::new()) };
        let mut found = Vec::new();
        while let Some(page) = listing.next().await.unwrap() {
            assert_eq!(page.left, 7);
            found.extend(
                page.scans
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
