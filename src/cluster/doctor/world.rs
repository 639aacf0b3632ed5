//! An installation as it was found: all that the checks look at.

use std::collections::BTreeMap;

use k8s_openapi::api::admissionregistration::v1::MutatingWebhook;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::ResourceAttributes;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion,
};
use kube::Error;
use time::OffsetDateTime;

use super::endpoint::Probe;
use super::target::Target;
use super::write::Written;
use crate::cluster::said;
use crate::scan::Kind;

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

    pub fn of(read: Result<Option<T>, Error>) -> Self {
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
    /// What our webhooks call, each once.
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
    pub fn webhooks<'w>(
        &'w self,
    ) -> impl Iterator<Item = (&'w Configuration, &'w MutatingWebhook, Option<&'w MutatingWebhook>)> {
        self.ours().flat_map(|found| {
            let due = &self.expected.webhooks[found.door as usize];
            let pair =
                move |webhook: &'w MutatingWebhook| (found, webhook, due.iter().find(|due| due.name == webhook.name));
            found.webhooks.iter().map(pair)
        })
    }

    /// Whether the certificates are the program's own, so that it needs rights.
    pub fn keeps_certificates(&self) -> bool {
        let template = self.deployment.is().and_then(|deployment| deployment.spec.as_ref()?.template.spec.as_ref());
        let mut arguments = template.into_iter().flat_map(|spec| &spec.containers).flat_map(|one| &one.args).flatten();
        arguments.any(|argument| argument == "--certs=cluster")
    }

    /// The definitions that are there, each with its versions that are served, and whether they have a status subresource.
    pub fn served_versions(&self) -> impl Iterator<Item = (Kind, Vec<(String, bool)>)> {
        let versions = |definition: &CustomResourceDefinition| {
            let served = definition.spec.versions.iter().filter(|version| version.served);
            let has_status = |version: &CustomResourceDefinitionVersion| {
                version.subresources.as_ref().is_some_and(|subresources| subresources.status.is_some())
            };
            served.map(|version| (version.name.clone(), has_status(version))).collect()
        };
        let all = Kind::ALL.into_iter().zip(&self.definitions);
        all.filter_map(move |(kind, seen)| Some((kind, versions(seen.is()?))))
    }

    pub fn lacks_status_subresource(&self) -> bool {
        self.served_versions().any(|(_, versions)| versions.iter().any(|(_, has_status)| !has_status))
    }
}
