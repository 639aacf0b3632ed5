//! An installation as it was found: everything that the checks read.

use std::collections::BTreeMap;

use k8s_openapi::api::admissionregistration::v1::MutatingWebhook;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::ResourceAttributes;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion,
};
use time::OffsetDateTime;

use super::dry_run::{DryRun, DryRunError};
use super::endpoint::Probe;
use super::expected::{Expected, configuration_kind};
use super::lookup::Lookup;
use super::target::CallTarget;
use crate::admission::Webhook;
use crate::scan::Kind;

/// A webhook configuration of either kind: a `MutatingWebhook` has every field of a `ValidatingWebhook`.
#[derive(Debug, Clone)]
pub struct RegisteredConfiguration {
    pub kind: Webhook,
    pub name: String,
    pub webhooks: Vec<MutatingWebhook>,
}

impl RegisteredConfiguration {
    /// For messages.
    pub fn id(&self) -> String {
        format!("{} {}", configuration_kind(self.kind), self.name)
    }
}

/// A right of the ServiceAccount, and whether it has it.
pub struct Right {
    pub wanted: ResourceAttributes,
    pub is_allowed: Lookup<bool>,
}

pub struct Snapshot {
    pub expected: Expected,
    /// By the API server's clock, where it tells it: it is the one that verifies certificates.
    pub now: OffsetDateTime,
    /// Of this machine against it.
    pub skew: time::Duration,
    /// All webhook configurations of the cluster, of each kind in the order in which the API server goes through them.
    pub configurations: [Lookup<Vec<RegisteredConfiguration>>; 2],
    /// Labels of every namespace.
    pub namespaces: Lookup<Vec<BTreeMap<String, String>>>,
    pub definitions: [Lookup<Box<CustomResourceDefinition>>; 2],
    pub deployment: Lookup<Box<Deployment>>,
    /// Whether the configuration says who may write a status; absent where there is none.
    pub has_status_writers: Lookup<bool>,
    pub pods: Lookup<Vec<Pod>>,
    pub rights: Vec<Right>,
    /// What our webhooks call, each once.
    pub targets: Vec<CallTarget>,
    pub probes: Vec<Probe>,
    /// Where it was asked for.
    pub dry_run: Option<Result<DryRun, DryRunError>>,
}

impl Snapshot {
    /// Our two configurations, those that are there.
    pub fn ours(&self) -> impl Iterator<Item = &RegisteredConfiguration> {
        let all = self.configurations.iter().filter_map(Lookup::found).flatten();
        all.filter(|found| found.name == self.expected.configuration)
    }

    /// Our webhooks.
    pub fn webhooks(&self) -> impl Iterator<Item = OurWebhook<'_>> {
        self.ours().flat_map(|configuration| {
            let expected = &self.expected.webhooks[configuration.kind as usize];
            configuration.webhooks.iter().map(move |webhook| {
                let expected = expected.iter().find(|expected| expected.name == webhook.name);
                OurWebhook { configuration, webhook, expected }
            })
        })
    }

    /// Whether the certificates are the program's own, so that it needs rights.
    pub fn keeps_certificates(&self) -> bool {
        let template = self.deployment.found().and_then(|deployment| deployment.spec.as_ref()?.template.spec.as_ref());
        let mut arguments = template.into_iter().flat_map(|spec| &spec.containers).flat_map(|one| &one.args).flatten();
        arguments.any(|argument| argument == "--certs=cluster")
    }

    /// The definitions that are there, each with its versions that are served.
    pub fn served_versions(&self) -> impl Iterator<Item = (Kind, Vec<ServedVersion>)> {
        let versions = |definition: &CustomResourceDefinition| {
            let served = definition.spec.versions.iter().filter(|version| version.served);
            let has_status = |version: &CustomResourceDefinitionVersion| {
                version.subresources.as_ref().is_some_and(|subresources| subresources.status.is_some())
            };
            served
                .map(|version| ServedVersion {
                    name: version.name.clone(),
                    has_status_subresource: has_status(version),
                })
                .collect()
        };
        let all = Kind::ALL.into_iter().zip(&self.definitions);
        all.filter_map(move |(kind, definition)| Some((kind, versions(definition.found()?))))
    }

    pub fn lacks_status_subresource(&self) -> bool {
        self.served_versions().any(|(_, versions)| versions.iter().any(|version| !version.has_status_subresource))
    }
}

/// A webhook of ours, as it was found.
#[derive(Clone, Copy)]
pub struct OurWebhook<'s> {
    pub configuration: &'s RegisteredConfiguration,
    pub webhook: &'s MutatingWebhook,
    /// As the manifests have it; none where they do not.
    pub expected: Option<&'s MutatingWebhook>,
}

impl OurWebhook<'_> {
    /// For messages.
    pub fn id(&self) -> String {
        format!("{} of {}", self.webhook.name, self.configuration.id())
    }
}

/// A version of a kind that is served.
pub struct ServedVersion {
    pub name: String,
    pub has_status_subresource: bool,
}
