//! An installation as it was found: all that the checks look at, read once.

use std::collections::BTreeMap;

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhook, MutatingWebhookConfiguration, ServiceReference, ValidatingWebhookConfiguration,
    WebhookClientConfig,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams, PartialObjectMeta, PostParams, Resource};
use kube::{Client, Error};
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

use super::endpoint::Probe;
use super::write::Written;
use crate::cluster::said;
use crate::scan::{GROUP, Kind};

/// What the manifests say, and where it is installed.
pub struct Expected {
    /// Of the Service and the Deployment.
    pub namespace: String,
    pub service: String,
    /// Of both configurations.
    pub configuration: String,
    /// The webhooks of the two, in the order of [`Door::BOTH`].
    pub webhooks: [Vec<MutatingWebhook>; 2],
    /// Of the ServiceAccount, for `--certs cluster`.
    pub rights: Vec<ResourceAttributes>,
}

/// The two kinds of configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Validate,
    Mutate,
}

impl Door {
    pub const BOTH: [Door; 2] = [Door::Validate, Door::Mutate];

    pub fn kind(self) -> &'static str {
        match self {
            Door::Validate => "ValidatingWebhookConfiguration",
            Door::Mutate => "MutatingWebhookConfiguration",
        }
    }
}

/// Something that was looked for.
#[derive(Debug, Clone)]
pub enum Seen<T> {
    Is(T),
    Absent,
    /// Nobody knows, and why.
    Unknown(String),
}

impl<T> Seen<T> {
    pub fn is(&self) -> Option<&T> {
        match self {
            Seen::Is(value) => Some(value),
            _ => None,
        }
    }

    fn of(read: Result<Option<T>, Error>) -> Self {
        match read {
            Ok(Some(value)) => Seen::Is(value),
            Ok(None) => Seen::Absent,
            Err(error) => Seen::Unknown(said(&error)),
        }
    }
}

/// A configuration, whichever kind: webhooks that validate have no more fields than those that mutate.
#[derive(Debug, Clone)]
pub struct Configuration {
    pub door: Door,
    pub name: String,
    pub webhooks: Vec<MutatingWebhook>,
}

impl Configuration {
    /// For messages.
    pub fn id(&self) -> String {
        format!("{} {}", self.door.kind(), self.name)
    }
}

/// Where webhooks are called.
#[derive(Debug, Clone)]
pub struct Target {
    /// The name that the API server asks for.
    pub host: String,
    pub at: Place,
}

#[derive(Debug, Clone)]
pub enum Place {
    Service { reference: ServiceReference, service: Seen<Box<Service>>, slices: Seen<Vec<EndpointSlice>> },
    Url { port: u16 },
}

/// Where one replica listens, or who knows who.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    pub address: String,
    pub port: u16,
    pub pod: Option<String>,
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let brackets = if self.address.contains(':') { ("[", "]") } else { ("", "") };
        write!(out, "{}{}{}:{}", brackets.0, self.address, brackets.1, self.port)?;
        self.pod.as_ref().map_or(Ok(()), |pod| write!(out, " (pod {pod})"))
    }
}

/// A right of the ServiceAccount, and whether it has it.
pub struct Right {
    pub wanted: ResourceAttributes,
    pub is_allowed: Seen<bool>,
}

pub struct World {
    pub expected: Expected,
    /// By the API server's clock, where it tells it: it is the one that verifies certificates.
    pub now: OffsetDateTime,
    /// Of this machine against it.
    pub skew: time::Duration,
    /// All configurations of the cluster, of each kind in the order in which the API server goes through them.
    pub configurations: [Seen<Vec<Configuration>>; 2],
    /// Labels of every namespace.
    pub namespaces: Seen<Vec<BTreeMap<String, String>>>,
    pub definitions: [Seen<Box<CustomResourceDefinition>>; 2],
    pub deployment: Seen<Box<Deployment>>,
    pub pods: Seen<Vec<Pod>>,
    pub rights: Vec<Right>,
    /// By host and port.
    pub targets: Vec<Target>,
    pub probes: Vec<Probe>,
    /// Where it was asked for.
    pub written: Option<Written>,
}

impl World {
    /// Our two configurations, those that are there.
    pub fn ours(&self) -> impl Iterator<Item = &Configuration> {
        let all = self.configurations.iter().filter_map(Seen::is).flatten();
        all.filter(|found| found.name == self.expected.configuration)
    }

    /// Our webhooks, each with its configuration and what the manifests say of it.
    pub fn webhooks(&self) -> impl Iterator<Item = (&Configuration, &MutatingWebhook, Option<&MutatingWebhook>)> {
        self.ours().flat_map(|found| {
            let due = &self.expected.webhooks[found.door as usize];
            let pair = move |webhook| (found, webhook, due.iter().find(|due| due.name == webhook_name(webhook)));
            found.webhooks.iter().map(pair)
        })
    }

    /// Whether the certificates are the program's own, so that it needs rights.
    pub fn keeps_certificates(&self) -> bool {
        let template = self.deployment.is().and_then(|deployment| deployment.spec.as_ref()?.template.spec.as_ref());
        let mut arguments = template.into_iter().flat_map(|spec| &spec.containers).flat_map(|one| &one.args).flatten();
        arguments.any(|argument| argument == "--certs=cluster")
    }
}

fn webhook_name(webhook: &MutatingWebhook) -> &str {
    &webhook.name
}

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
    let read: Result<Vec<_>, serde_json::Error> = read.collect();
    Seen::of(read.map(Some).map_err(Error::SerdeError)).sorted()
}

impl Seen<Vec<Configuration>> {
    /// By name, as the API server sorts them.
    fn sorted(mut self) -> Self {
        if let Seen::Is(list) = &mut self {
            list.sort_by(|one, other| one.name.cmp(&other.name));
        }
        self
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
        if world_target(&targets, &webhook.client_config).is_some() {
            continue;
        }
        if let Some(target) = target(client, &webhook.client_config).await {
            targets.push(target);
        }
    }
    targets
}

/// The target that a webhook calls.
pub fn world_target<'a>(targets: &'a [Target], config: &WebhookClientConfig) -> Option<&'a Target> {
    let (host, port) = host_and_port(config)?;
    targets.iter().find(|target| target.host == host && target.port() == port)
}

/// By whose name and at which port it is called; the path is another matter.
pub fn host_and_port(config: &WebhookClientConfig) -> Option<(String, u16)> {
    if let Some(service) = &config.service {
        let port = service.port.and_then(|port| port.try_into().ok()).unwrap_or(443);
        return Some((format!("{}.{}.svc", service.name, service.namespace), port));
    }
    let url: axum::http::Uri = config.url.as_ref()?.parse().ok()?;
    Some((url.host()?.trim_matches(['[', ']']).to_owned(), url.port_u16().unwrap_or(443)))
}

impl Target {
    pub fn port(&self) -> u16 {
        match &self.at {
            Place::Service { reference, .. } => reference.port.and_then(|port| port.try_into().ok()).unwrap_or(443),
            Place::Url { port } => *port,
        }
    }
}

async fn target(client: &Client, config: &WebhookClientConfig) -> Option<Target> {
    let (host, port) = host_and_port(config)?;
    let Some(reference) = config.service.clone() else { return Some(Target { host, at: Place::Url { port } }) };
    let services: Api<Service> = Api::namespaced(client.clone(), &reference.namespace);
    let service = Seen::of(services.get_opt(&reference.name).await.map(|found| found.map(Box::new)));
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), &reference.namespace);
    let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={}", reference.name));
    let slices = Seen::of(slices.list(&of_service).await.map(|list| Some(list.items)));
    Some(Target { host, at: Place::Service { reference, service, slices } })
}

impl Target {
    /// Where its requests may go: the endpoints that are ready.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let (reference, service, slices) = match &self.at {
            Place::Url { port } => return vec![Endpoint { address: self.host.clone(), port: *port, pod: None }],
            Place::Service { reference, service, slices } => (reference, service, slices),
        };
        let Some(spec) = service.is().and_then(|service| service.spec.as_ref()) else { return Vec::new() };
        if let Some(name) = spec.external_name.as_ref().filter(|_| spec.type_.as_deref() == Some("ExternalName")) {
            return vec![Endpoint { address: name.clone(), port: self.port(), pod: None }];
        }
        let called = reference.port.unwrap_or(443);
        let Some(port) = spec.ports.iter().flatten().find(|port| port.port == called) else { return Vec::new() };
        let mut endpoints: Vec<Endpoint> =
            slices.is().into_iter().flatten().flat_map(|slice| ready(slice, port.name.as_deref())).collect();
        endpoints.sort();
        endpoints.dedup();
        endpoints
    }
}

/// The ready endpoints of a slice, at its port of this name.
fn ready(slice: &EndpointSlice, name: Option<&str>) -> Vec<Endpoint> {
    let is_it = |port: &&k8s_openapi::api::discovery::v1::EndpointPort| {
        port.name.as_deref().unwrap_or_default() == name.unwrap_or_default()
    };
    let port = slice.ports.iter().flatten().find(is_it).and_then(|port| port.port?.try_into().ok());
    let Some(port) = port else { return Vec::new() };
    let is_ready = |one: &&k8s_openapi::api::discovery::v1::Endpoint| {
        one.conditions.as_ref().is_none_or(|conditions| conditions.ready != Some(false))
    };
    let endpoints = slice.endpoints.iter().filter(is_ready).filter_map(|one| {
        let pod = one.target_ref.as_ref().and_then(|target| target.name.clone());
        Some(Endpoint { address: one.addresses.first()?.clone(), port, pod })
    });
    endpoints.collect()
}

/// The path of a call.
pub fn path(config: &WebhookClientConfig) -> Option<String> {
    if let Some(service) = &config.service {
        return Some(service.path.clone().unwrap_or_else(|| "/".to_owned()));
    }
    let url: axum::http::Uri = config.url.as_ref()?.parse().ok()?;
    Some(url.path().to_owned())
}
