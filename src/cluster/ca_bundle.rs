//! The caBundles of the two webhook configurations: what they hold, and the server-side apply of just that field.

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

/// Who owns the field.
const FIELD_MANAGER: &str = "scan-admission";

/// One of the two kinds of configuration.
pub fn kinds() -> [ApiResource; 2] {
    [ApiResource::erase::<ValidatingWebhookConfiguration>(&()), ApiResource::erase::<MutatingWebhookConfiguration>(&())]
}

/// The outcome of a write.
pub enum ApplyOutcome {
    /// Nothing had to be written.
    Unchanged,
    Written,
    /// Another was faster: read again.
    Conflict,
}

#[derive(Deserialize)]
struct RegisteredWebhook {
    name: String,
    #[serde(rename = "clientConfig")]
    client: WebhookClientConfig,
}

/// A configuration as it was read.
pub struct WebhookConfiguration {
    kind: ApiResource,
    name: String,
    resource_version: Option<String>,
    uid: Option<String>,
    webhooks: Vec<RegisteredWebhook>,
}

impl WebhookConfiguration {
    pub async fn read(client: &Client, kind: ApiResource, name: &str) -> Result<Option<Self>, Error> {
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
        let Some(mut object) = api.get_opt(name).await? else { return Ok(None) };
        let webhooks = object.data["webhooks"].take();
        let webhooks = Option::deserialize(webhooks).map_err(Error::SerdeError)?.unwrap_or_default();
        let ObjectMeta { resource_version, uid, .. } = object.metadata;
        Ok(Some(Self { kind, name: name.to_owned(), resource_version, uid, webhooks }))
    }

    /// Kind and name, for messages.
    pub fn id(&self) -> String {
        format!("{} {}", self.kind.kind, self.name)
    }

    /// The caBundle of each webhook.
    pub fn bundles(&self) -> impl Iterator<Item = Bundle> {
        self.webhooks.iter().map(|webhook| carried(&webhook.client))
    }

    /// Writes `wanted` where something else is.
    pub async fn put(&self, client: &Client, wanted: &Bundle) -> Result<ApplyOutcome, Error> {
        let is_same = |found: Bundle| found.len() == wanted.len() && wanted.iter().all(|ca| found.contains(ca));
        if self.bundles().all(is_same) {
            return Ok(ApplyOutcome::Unchanged);
        }
        let text = k8s_openapi::ByteString(pem::encode(wanted).into_bytes());
        let webhooks: Vec<Value> =
            self.webhooks.iter().map(|one| json!({"name": one.name, "clientConfig": {"caBundle": text}})).collect();
        let patch = json!({
            "apiVersion": self.kind.api_version, "kind": self.kind.kind, "webhooks": webhooks,
            // Of what was read: a replica that was asleep meanwhile does not undo what others have done.
            // One that has been deleted is not made again: no other has its uid.
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

    /// Why an API server would reject this certificate of a server, if it would.
    pub fn distrusts(&self, leaf: &CertificateDer<'_>, now: OffsetDateTime) -> Option<String> {
        self.webhooks.iter().find_map(|webhook| {
            let host = called_address(&webhook.client)?.host;
            let error = verify(&carried(&webhook.client), std::slice::from_ref(leaf), &host, now).err()?;
            Some(format!("{}: the webhook {} calls {host}: {error}", self.id(), webhook.name))
        })
    }
}

/// The caBundle of a webhook.
pub fn carried(client: &WebhookClientConfig) -> Bundle {
    client.ca_bundle.as_ref().map(|text| bundle::certificates(&text.0)).unwrap_or_default()
}

/// The name and the port that an API server calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalledAddress {
    pub host: String,
    pub port: u16,
}

pub fn called_address(client: &WebhookClientConfig) -> Option<CalledAddress> {
    if let Some(service) = &client.service {
        let port = service.port.and_then(|port| port.try_into().ok()).unwrap_or(443);
        return Some(CalledAddress { host: format!("{}.{}.svc", service.name, service.namespace), port });
    }
    let url: axum::http::Uri = client.url.as_ref()?.parse().ok()?;
    let host = url.host()?.trim_matches(['[', ']']).to_owned();
    Some(CalledAddress { host, port: url.port_u16().unwrap_or(443) })
}
