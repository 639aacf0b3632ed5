//! The caBundles of the two webhook configurations: reads them, and writes them by a server-side apply of that field
//! alone.

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use kube::api::{Api, ApiResource, DynamicObject, ObjectMeta, Patch, PatchParams};
use kube::{Client, Error};
use rustls::pki_types::CertificateDer;
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::shared_ca::Bundle;
use crate::tls::verify::verify;
use crate::tls::{bundle, pem};

/// The field manager that owns the caBundles.
const FIELD_MANAGER: &str = "scan-admission";

/// The two kinds of webhook configurations.
pub fn kinds() -> [ApiResource; 2] {
    [ApiResource::erase::<ValidatingWebhookConfiguration>(&()), ApiResource::erase::<MutatingWebhookConfiguration>(&())]
}

/// The outcome of an apply.
pub enum ApplyOutcome {
    /// The caBundles were already as wanted, so nothing was written.
    Unchanged,
    Written,
    /// The configuration has changed since it was read: read it again.
    Conflict,
}

#[derive(Deserialize)]
struct RegisteredWebhook {
    name: String,
    #[serde(rename = "clientConfig")]
    client: WebhookClientConfig,
}

/// A webhook configuration as it was read.
pub struct WebhookConfiguration {
    kind: ApiResource,
    name: String,
    resource_version: Option<String>,
    uid: Option<String>,
    webhooks: Vec<RegisteredWebhook>,
}

impl WebhookConfiguration {
    /// Reads a configuration; `None` if there is none of this name.
    pub async fn read(client: &Client, kind: ApiResource, name: &str) -> Result<Option<Self>, Error> {
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
        let Some(mut object) = api.get_opt(name).await? else { return Ok(None) };
        let webhooks = object.data["webhooks"].take();
        let webhooks = Option::deserialize(webhooks).map_err(Error::SerdeError)?.unwrap_or_default();
        let ObjectMeta { resource_version, uid, .. } = object.metadata;
        Ok(Some(Self { kind, name: name.to_owned(), resource_version, uid, webhooks }))
    }

    /// Returns kind and name, for messages.
    pub fn id(&self) -> String {
        format!("{} {}", self.kind.kind, self.name)
    }

    /// Returns the caBundle of each webhook.
    pub fn bundles(&self) -> impl Iterator<Item = Bundle> {
        self.webhooks.iter().map(|webhook| bundle_of(&webhook.client))
    }

    /// Writes `wanted` to every webhook, unless all of them already have exactly these certificates.
    pub async fn apply(&self, client: &Client, wanted: &Bundle) -> Result<ApplyOutcome, Error> {
        let is_same = |found: Bundle| found.len() == wanted.len() && wanted.iter().all(|ca| found.contains(ca));
        if self.bundles().all(is_same) {
            return Ok(ApplyOutcome::Unchanged);
        }
        let text = k8s_openapi::ByteString(pem::encode(wanted).into_bytes());
        let webhooks: Vec<Value> =
            self.webhooks.iter().map(|one| json!({"name": one.name, "clientConfig": {"caBundle": text}})).collect();
        let patch = json!({
            "apiVersion": self.kind.api_version, "kind": self.kind.kind, "webhooks": webhooks,
            // The resourceVersion keeps a replica that was suspended after reading from undoing later writes of others.
            // The uid keeps the apply from creating a configuration again that has been deleted.
            "metadata": {"name": self.name, "resourceVersion": self.resource_version, "uid": self.uid},
        });
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &self.kind);
        let forced = PatchParams::apply(FIELD_MANAGER).force();
        match api.patch(&self.name, &forced, &Patch::Apply(patch)).await {
            Ok(_) => Ok(ApplyOutcome::Written),
            Err(Error::Api(status)) if status.is_conflict() => Ok(ApplyOutcome::Conflict),
            Err(error) => Err(error),
        }
    }

    /// Returns why an API server that calls a webhook would reject this serving certificate; `None` if it accepts it.
    pub fn distrusts(&self, leaf: &CertificateDer<'_>, now: OffsetDateTime) -> Option<String> {
        self.webhooks.iter().find_map(|webhook| {
            let host = called_address(&webhook.client)?.host;
            let error = verify(&bundle_of(&webhook.client), std::slice::from_ref(leaf), &host, now).err()?;
            Some(format!("{}: the webhook {} calls {host}: {error}", self.id(), webhook.name))
        })
    }
}

/// Returns the certificates in the caBundle of a webhook.
pub fn bundle_of(client: &WebhookClientConfig) -> Bundle {
    client.ca_bundle.as_ref().map(|text| bundle::certificates(&text.0)).unwrap_or_default()
}

/// The host and the port that an API server calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalledAddress {
    pub host: String,
    pub port: u16,
}

/// Returns the address that an API server calls for a webhook; `None` if its configuration has neither a Service nor a
/// usable URL.
pub fn called_address(client: &WebhookClientConfig) -> Option<CalledAddress> {
    if let Some(service) = &client.service {
        let port = service.port.and_then(|port| port.try_into().ok()).unwrap_or(443);
        return Some(CalledAddress { host: format!("{}.{}.svc", service.name, service.namespace), port });
    }
    let url: axum::http::Uri = client.url.as_ref()?.parse().ok()?;
    let host = url.host()?.trim_matches(['[', ']']).to_owned();
    Some(CalledAddress { host, port: url.port_u16().unwrap_or(443) })
}
