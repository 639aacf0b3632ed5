//! Reads an installation from the API server.

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ServiceReference, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::{SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, ListParams, PartialObjectMeta, PostParams, Resource};
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

use super::configured::settings;
use super::endpoint::ClockReading;
use super::expected::Expected;
use super::lookup::Lookup;
use super::policies::policies;
use super::snapshot::{RegisteredConfiguration, Right, Snapshot};
use super::target::{Backend, CallTarget};
use crate::admission::Webhook;
use crate::cluster::ca_bundle::called_address;
use crate::cluster::error::ApiError;
use crate::scan::{GROUP, Kind};

/// Why there is no diagnosis.
#[derive(Debug, thiserror::Error)]
pub enum DiagnoseError {
    #[error("the API server cannot be reached: {0}")]
    Unanswered(ApiError),
    #[error("the probe of a replica panicked: {0}")]
    Panic(tokio::task::JoinError),
}

/// Reads the snapshot, without the probes of the replicas and the dry run.
pub async fn read(client: &Client, expected: Expected) -> Result<Snapshot, DiagnoseError> {
    let ClockReading { theirs: now, ours } = clock(client).await?;
    let configurations = [
        configurations::<ValidatingWebhookConfiguration>(client, Webhook::Validating).await,
        configurations::<MutatingWebhookConfiguration>(client, Webhook::Mutating).await,
    ];
    let all: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut definitions = [Lookup::Absent, Lookup::Absent];
    for (kind, definition) in Kind::ALL.into_iter().zip(&mut definitions) {
        *definition =
            Lookup::of(all.get_opt(&format!("{}.{GROUP}", kind.plural())).await.map(|found| found.map(Box::new)));
    }
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &expected.namespace);
    let deployment = Lookup::of(deployments.get_opt(&expected.service).await.map(|found| found.map(Box::new)));
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let labels = |one: PartialObjectMeta<Namespace>| one.metadata.labels.unwrap_or_default();
    let namespaces = Lookup::of(
        namespaces
            .list_metadata(&ListParams::default())
            .await
            .map(|list| Some(list.items.into_iter().map(labels).collect())),
    );
    let mut snapshot = Snapshot {
        now,
        skew: ours - now,
        configurations,
        namespaces,
        definitions,
        pods: pods(client, &expected.namespace, &deployment).await,
        settings: settings(client, &expected.namespace, &deployment).await,
        policies: policies(client).await,
        deployment,
        rights: Vec::new(),
        targets: Vec::new(),
        probes: Vec::new(),
        dry_run: None,
        expected,
    };
    snapshot.rights = rights(client, &snapshot).await;
    snapshot.targets = targets(client, &snapshot).await;
    Ok(snapshot)
}

/// Returns the API server's clock, or that of this machine if the API server sends no date.
async fn clock(client: &Client) -> Result<ClockReading, DiagnoseError> {
    let failed = |error: kube::Error| DiagnoseError::Unanswered(error.into());
    let request = axum::http::Request::get("/version").body(kube::client::Body::empty());
    let request = request.map_err(|error| failed(kube::Error::HttpError(error)))?;
    let answer = client.send(request).await.map_err(failed)?;
    let now = OffsetDateTime::now_utc();
    Ok(ClockReading::of(answer.headers()).unwrap_or(ClockReading { theirs: now, ours: now }))
}

/// Lists all webhook configurations of a kind.
async fn configurations<K>(client: &Client, kind: Webhook) -> Lookup<Vec<RegisteredConfiguration>>
where
    K: Resource<DynamicType = ()> + DeserializeOwned + serde::Serialize + Clone + std::fmt::Debug,
{
    let all: Api<K> = Api::all(client.clone());
    let list = match all.list(&ListParams::default()).await {
        Ok(list) => list,
        Err(error) => return Lookup::Unknown(ApiError(error).to_string()),
    };
    let read = list.items.into_iter().map(|one| {
        let name = one.meta().name.clone().unwrap_or_default();
        let mut value = serde_json::to_value(&one)?;
        let webhooks: Option<_> = serde_json::from_value(value["webhooks"].take())?;
        Ok(RegisteredConfiguration { kind, name, webhooks: webhooks.unwrap_or_default() })
    });
    match read.collect::<Result<Vec<_>, serde_json::Error>>() {
        Ok(mut read) => {
            // The API server calls configurations in this order.
            read.sort_by(|one: &RegisteredConfiguration, other| one.name.cmp(&other.name));
            Lookup::Found(read)
        }
        Err(error) => Lookup::Unknown(error.to_string()),
    }
}

/// Lists the pods that the Deployment selects.
async fn pods(client: &Client, namespace: &str, deployment: &Lookup<Box<Deployment>>) -> Lookup<Vec<Pod>> {
    let selector = match deployment {
        Lookup::Found(deployment) => deployment.spec.as_ref().map(|spec| spec.selector.clone()),
        Lookup::Absent => return Lookup::Absent,
        Lookup::Unknown(why) => return Lookup::Unknown(why.clone()),
    };
    let selector = kube::core::Selector::try_from(selector.unwrap_or_default());
    let Ok(selector) = selector else {
        return Lookup::Unknown("the selector of the Deployment is not valid".to_owned());
    };
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    Lookup::of(pods.list(&ListParams::default().labels_from(&selector)).await.map(|list| Some(list.items)))
}

/// Asks for each needed right whether the ServiceAccount has it.
async fn rights(client: &Client, snapshot: &Snapshot) -> Vec<Right> {
    let expected = &snapshot.expected;
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    let namespace = &expected.namespace;
    let groups = ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
    let mut rights = Vec::new();
    for wanted in snapshot.needed_rights() {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                // The ServiceAccount has the name of the Service.
                user: Some(format!("system:serviceaccount:{namespace}:{}", expected.service)),
                groups: Some(groups.to_vec()),
                resource_attributes: Some(wanted.clone()),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let answer = reviews.create(&PostParams::default(), &review).await;
        let is_allowed = Lookup::of(answer.map(|answer| Some(answer.status.is_some_and(|status| status.allowed))));
        rights.push(Right { wanted, is_allowed });
    }
    rights
}

/// Returns each Service or URL that our webhooks call, once.
async fn targets(client: &Client, snapshot: &Snapshot) -> Vec<CallTarget> {
    let mut targets: Vec<CallTarget> = Vec::new();
    for ours in snapshot.webhooks() {
        let Some(address) = called_address(&ours.webhook.client_config) else { continue };
        if !targets.iter().any(|target| target.address == address) {
            let backend = match &ours.webhook.client_config.service {
                Some(reference) => service(client, reference).await,
                None => Backend::Url,
            };
            targets.push(CallTarget { address, backend });
        }
    }
    targets
}

/// Reads a Service and its EndpointSlices.
async fn service(client: &Client, reference: &ServiceReference) -> Backend {
    let services: Api<Service> = Api::namespaced(client.clone(), &reference.namespace);
    let service = Lookup::of(services.get_opt(&reference.name).await.map(|found| found.map(Box::new)));
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), &reference.namespace);
    let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={}", reference.name));
    let slices = Lookup::of(slices.list(&of_service).await.map(|list| Some(list.items)));
    Backend::Service { reference: reference.clone(), service, slices }
}
