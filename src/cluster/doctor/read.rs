//! Reads an installation from its cluster.

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

use super::target::{Place, Target};
use super::world::{Configuration, Door, Expected, Right, Seen, World};
use crate::cluster::bundle::host_and_port;
use crate::cluster::said;
use crate::scan::{GROUP, Kind};

/// Reads all but what replicas and the dry run say. An error: there is no cluster to look at.
pub async fn read(client: &Client, expected: Expected) -> Result<World, String> {
    let (now, skew) = clock(client).await?;
    let configurations = [
        configurations::<ValidatingWebhookConfiguration>(client, Door::Validate).await,
        configurations::<MutatingWebhookConfiguration>(client, Door::Mutate).await,
    ];
    let all: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut definitions = [Seen::Absent, Seen::Absent];
    for (kind, seen) in Kind::ALL.into_iter().zip(&mut definitions) {
        *seen = Seen::of(all.get_opt(&format!("{}.{GROUP}", kind.plural())).await.map(|found| found.map(Box::new)));
    }
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &expected.namespace);
    let deployment = Seen::of(deployments.get_opt(&expected.service).await.map(|found| found.map(Box::new)));
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let labels = |one: PartialObjectMeta<Namespace>| one.metadata.labels.unwrap_or_default();
    let namespaces = Seen::of(
        namespaces
            .list_metadata(&ListParams::default())
            .await
            .map(|list| Some(list.items.into_iter().map(labels).collect())),
    );
    let mut world = World {
        now,
        skew,
        configurations,
        namespaces,
        definitions,
        pods: pods(client, &expected.namespace, &deployment).await,
        deployment,
        rights: Vec::new(),
        targets: Vec::new(),
        probes: Vec::new(),
        written: None,
        expected,
    };
    if world.keeps_certificates() {
        world.rights = rights(client, &world.expected).await;
    }
    world.targets = targets(client, &world).await;
    Ok(world)
}

/// What the API server's clock says, and how far ours is from it.
async fn clock(client: &Client) -> Result<(OffsetDateTime, time::Duration), String> {
    let request = axum::http::Request::get("/version").body(kube::client::Body::empty());
    let request = request.map_err(|error| error.to_string())?;
    let answer = client.send(request).await.map_err(|error| format!("no cluster answers: {}", said(&error)))?;
    let now = OffsetDateTime::now_utc();
    let theirs = date(answer.headers()).unwrap_or(now);
    Ok((theirs, now - theirs))
}

/// The `Date` of an answer.
pub fn date(headers: &axum::http::HeaderMap) -> Option<OffsetDateTime> {
    let text = headers.get(axum::http::header::DATE)?.to_str().ok()?;
    // RFC 9110: always GMT, which RFC 2822 writes as +0000.
    let text = text.strip_suffix(" GMT").map(|start| format!("{start} +0000"))?;
    OffsetDateTime::parse(&text, &time::format_description::well_known::Rfc2822).ok()
}

async fn configurations<K>(client: &Client, door: Door) -> Seen<Vec<Configuration>>
where
    K: Resource<DynamicType = ()> + DeserializeOwned + serde::Serialize + Clone + std::fmt::Debug,
{
    let all: Api<K> = Api::all(client.clone());
    let list = match all.list(&ListParams::default()).await {
        Ok(list) => list,
        Err(error) => return Seen::Unknown(said(&error)),
    };
    let read = list.items.into_iter().map(|one| {
        let name = one.meta().name.clone().unwrap_or_default();
        let mut value = serde_json::to_value(&one)?;
        let webhooks: Option<_> = serde_json::from_value(value["webhooks"].take())?;
        Ok(Configuration { door, name, webhooks: webhooks.unwrap_or_default() })
    });
    match read.collect::<Result<Vec<_>, serde_json::Error>>() {
        Ok(mut read) => {
            // As the API server sorts them.
            read.sort_by(|one: &Configuration, other| one.name.cmp(&other.name));
            Seen::Is(read)
        }
        Err(error) => Seen::Unknown(error.to_string()),
    }
}

/// Those that the Deployment selects.
async fn pods(client: &Client, namespace: &str, deployment: &Seen<Box<Deployment>>) -> Seen<Vec<Pod>> {
    let selector = match deployment {
        Seen::Is(deployment) => deployment.spec.as_ref().map(|spec| spec.selector.clone()),
        Seen::Absent => return Seen::Absent,
        Seen::Unknown(why) => return Seen::Unknown(why.clone()),
    };
    let selector = kube::core::Selector::try_from(selector.unwrap_or_default());
    let Ok(selector) = selector else {
        return Seen::Unknown("the selector of the Deployment does not parse".to_owned());
    };
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    Seen::of(pods.list(&ListParams::default().labels_from(&selector)).await.map(|list| Some(list.items)))
}

async fn rights(client: &Client, expected: &Expected) -> Vec<Right> {
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    let namespace = &expected.namespace;
    let groups = ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
    let mut rights = Vec::new();
    for wanted in &expected.rights {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                // Deployment, Service and ServiceAccount have one name.
                user: Some(format!("system:serviceaccount:{namespace}:{}", expected.service)),
                groups: Some(groups.to_vec()),
                resource_attributes: Some(wanted.clone()),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let answer = reviews.create(&PostParams::default(), &review).await;
        let is_allowed = Seen::of(answer.map(|answer| Some(answer.status.is_some_and(|status| status.allowed))));
        rights.push(Right { wanted: wanted.clone(), is_allowed });
    }
    rights
}

/// What our webhooks call, each once.
async fn targets(client: &Client, world: &World) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for (_, webhook, _) in world.webhooks() {
        let Some((host, port)) = host_and_port(&webhook.client_config) else { continue };
        if !targets.iter().any(|target| target.host == host && target.port == port) {
            let at = match &webhook.client_config.service {
                Some(reference) => service(client, reference).await,
                None => Place::Url,
            };
            targets.push(Target { host, port, at });
        }
    }
    targets
}

async fn service(client: &Client, reference: &ServiceReference) -> Place {
    let services: Api<Service> = Api::namespaced(client.clone(), &reference.namespace);
    let service = Seen::of(services.get_opt(&reference.name).await.map(|found| found.map(Box::new)));
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), &reference.namespace);
    let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={}", reference.name));
    let slices = Seen::of(slices.list(&of_service).await.map(|list| Some(list.items)));
    Place::Service { reference: reference.clone(), service, slices }
}
