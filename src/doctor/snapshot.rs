//! The snapshot of an installation: everything that the checks read.

use std::collections::BTreeMap;

use k8s_openapi::api::admissionregistration::v1::MutatingWebhook;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::ResourceAttributes;
use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion,
};
use time::OffsetDateTime;

use super::configured::argument;
use super::dry_run::{DryRun, DryRunError};
use super::endpoint::Probe;
use super::expected::{Expected, configuration_kind, function};
use super::lookup::Lookup;
use super::policies::{PolicyKind, StoredPolicy};
use super::target::CallTarget;
use crate::admission::{ReviewSettings, Webhook};
use crate::scan::Kind;

/// A webhook configuration of either kind. Its webhooks have one type, since a `MutatingWebhook` has every field of a
/// `ValidatingWebhook`.
#[derive(Debug, Clone)]
pub struct RegisteredConfiguration {
    pub kind: Webhook,
    pub name: String,
    pub webhooks: Vec<MutatingWebhook>,
}

impl RegisteredConfiguration {
    /// Returns kind and name, for messages.
    pub fn id(&self) -> String {
        format!("{} {}", configuration_kind(self.kind), self.name)
    }
}

/// A right that the ServiceAccount needs, and whether it has it.
pub struct Right {
    pub wanted: ResourceAttributes,
    pub is_allowed: Lookup<bool>,
}

/// An installation, as it was found.
pub struct Snapshot {
    pub expected: Expected,
    /// The time of the API server's clock if it sends its date: the API server verifies the certificates.
    pub now: OffsetDateTime,
    /// The clock of this machine minus that of the API server.
    pub skew: time::Duration,
    /// All webhook configurations of the cluster by kind, each in the order in which the API server calls them.
    pub configurations: [Lookup<Vec<RegisteredConfiguration>>; 2],
    /// The labels of each namespace.
    pub namespaces: Lookup<Vec<BTreeMap<String, String>>>,
    pub definitions: [Lookup<Box<CustomResourceDefinition>>; 2],
    pub deployment: Lookup<Box<Deployment>>,
    /// The settings of the replicas; absent if there is no Deployment.
    pub settings: Lookup<Box<ReviewSettings>>,
    /// All admission policies and bindings of the cluster, in the order of [`PolicyKind::ALL`].
    pub policies: [Lookup<Vec<StoredPolicy>>; 4],
    pub pods: Lookup<Vec<Pod>>,
    pub rights: Vec<Right>,
    /// Each Service or URL that our webhooks call, once.
    pub targets: Vec<CallTarget>,
    pub probes: Vec<Probe>,
    /// `None` without `--probe`.
    pub dry_run: Option<Result<DryRun, DryRunError>>,
}

impl Snapshot {
    /// Returns those of our two configurations that exist.
    pub fn ours(&self) -> impl Iterator<Item = &RegisteredConfiguration> {
        let all = self.configurations.iter().filter_map(Lookup::found).flatten();
        all.filter(|found| found.name == self.expected.configuration)
    }

    /// Returns the webhooks of our configurations.
    pub fn webhooks(&self) -> impl Iterator<Item = OurWebhook<'_>> {
        self.ours().flat_map(|configuration| {
            let expected = &self.expected.webhooks[configuration.kind as usize];
            configuration.webhooks.iter().map(move |webhook| {
                let expected = expected.iter().find(|expected| function(&expected.name) == function(&webhook.name));
                OurWebhook { configuration, webhook, expected }
            })
        })
    }

    /// Returns the generated policies of the cluster, and their bindings.
    pub fn generated(&self) -> impl Iterator<Item = &StoredPolicy> {
        self.policies.iter().filter_map(Lookup::found).flatten().filter(|stored| stored.is_generated())
    }

    /// Returns the generated policies of the cluster without their bindings.
    pub fn generated_policies(&self) -> impl Iterator<Item = &StoredPolicy> {
        self.generated().filter(|stored| stored.kind.binding().is_some())
    }

    /// Returns all policies or bindings of a kind, generated or not; `None` if they are unknown.
    pub fn stored(&self, kind: PolicyKind) -> Option<&Vec<StoredPolicy>> {
        self.policies[kind as usize].found()
    }

    /// Returns the rights that the replicas need for their arguments.
    pub fn needed_rights(&self) -> impl Iterator<Item = ResourceAttributes> {
        let Expected { certificate_rights, event_rights, .. } = &self.expected;
        let certificate_rights = certificate_rights.iter().filter(|_| self.argument("--certs") == Some("cluster"));
        let rights = certificate_rights.chain(event_rights.iter().filter(|_| self.has_flag("--events")));
        rights.cloned().map(|mut right| {
            // The Secret has the name of the installation.
            if right.resource.as_deref() == Some("secrets") && right.name.is_some() {
                right.name = self.argument("--ca-secret").map(str::to_owned).or(right.name);
            }
            right
        })
    }

    fn containers(&self) -> impl Iterator<Item = &Container> {
        let template = self.deployment.found().and_then(|deployment| deployment.spec.as_ref()?.template.spec.as_ref());
        template.into_iter().flat_map(|spec| &spec.containers)
    }

    /// Returns the value of a flag of the replicas.
    fn argument(&self, flag: &str) -> Option<&str> {
        self.containers().find_map(|container| argument(container, flag))
    }

    /// Returns whether the replicas have a flag, with or without a value.
    fn has_flag(&self, flag: &str) -> bool {
        self.containers().flat_map(|container| &container.args).flatten().any(|argument| argument.starts_with(flag))
    }

    /// Returns each kind that has a definition, with its served versions.
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

    /// Returns whether a served version of a kind has no status subresource.
    pub fn lacks_status_subresource(&self) -> bool {
        self.served_versions().any(|(_, versions)| versions.iter().any(|version| !version.has_status_subresource))
    }
}

/// A webhook of our configurations, as it was found.
#[derive(Clone, Copy)]
pub struct OurWebhook<'s> {
    pub configuration: &'s RegisteredConfiguration,
    pub webhook: &'s MutatingWebhook,
    /// The webhook of the manifests with the same function; `None` if they have none.
    pub expected: Option<&'s MutatingWebhook>,
}

impl OurWebhook<'_> {
    /// Returns its name with that of the configuration, for messages.
    pub fn id(&self) -> String {
        format!("{} of {}", self.webhook.name, self.configuration.id())
    }
}

/// A served version of a kind.
pub struct ServedVersion {
    pub name: String,
    pub has_status_subresource: bool,
}
