//! The caBundles of the two webhook configurations: what they hold, and the server-side apply of just that field.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use kube::api::{Api, ApiResource, DynamicObject, ObjectMeta, Patch, PatchParams};
use kube::{Client, Error};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, RootCertStore};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::authority::{Bundle, bundle, pem};
use super::ca::is_valid;

/// Who owns the field.
const FIELD_MANAGER: &str = "scan-admission";

/// One of the two kinds of configuration.
pub fn kinds() -> [ApiResource; 2] {
    [ApiResource::erase::<ValidatingWebhookConfiguration>(&()), ApiResource::erase::<MutatingWebhookConfiguration>(&())]
}

/// What became of a write.
pub enum Written {
    /// All was as it should be.
    Nothing,
    Bundle,
    /// Another was faster: read again.
    Conflict,
}

#[derive(Deserialize)]
struct Webhook {
    name: String,
    #[serde(rename = "clientConfig")]
    client: WebhookClientConfig,
}

/// A configuration as it was read.
pub struct Configuration {
    kind: ApiResource,
    name: String,
    resource_version: Option<String>,
    uid: Option<String>,
    webhooks: Vec<Webhook>,
}

impl Configuration {
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
    pub async fn put(&self, client: &Client, wanted: &Bundle) -> Result<Written, Error> {
        let is_same = |found: Bundle| found.len() == wanted.len() && wanted.iter().all(|ca| found.contains(ca));
        if self.bundles().all(is_same) {
            return Ok(Written::Nothing);
        }
        let text = k8s_openapi::ByteString(pem(wanted).into_bytes());
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
            Ok(_) => Ok(Written::Bundle),
            Err(Error::Api(status)) if status.is_conflict() => Ok(Written::Conflict),
            Err(error) => Err(error),
        }
    }

    /// Why an API server would refuse this certificate of a server, if it would.
    pub fn distrusts(&self, leaf: &CertificateDer<'_>, now: OffsetDateTime) -> Option<String> {
        self.webhooks.iter().find_map(|webhook| {
            let (host, _) = host_and_port(&webhook.client)?;
            let error = verify(carried(&webhook.client), std::slice::from_ref(leaf), &host, now).err()?;
            Some(format!("{}: the webhook {} calls {host}: {error}", self.id(), webhook.name))
        })
    }
}

/// The caBundle of a webhook.
pub fn carried(client: &WebhookClientConfig) -> Bundle {
    client.ca_bundle.as_ref().map(|text| bundle(&text.0)).unwrap_or_default()
}

/// By whose name an API server calls, and at which port.
pub fn host_and_port(client: &WebhookClientConfig) -> Option<(String, u16)> {
    if let Some(service) = &client.service {
        let port = service.port.and_then(|port| port.try_into().ok()).unwrap_or(443);
        return Some((format!("{}.{}.svc", service.name, service.namespace), port));
    }
    let url: axum::http::Uri = client.url.as_ref()?.parse().ok()?;
    Some((url.host()?.trim_matches(['[', ']']).to_owned(), url.port_u16().unwrap_or(443)))
}

/// Whether an API server takes a server for `host` that shows `chain`, its own certificate first.
pub fn verify(carried: Bundle, chain: &[CertificateDer<'_>], host: &str, now: OffsetDateTime) -> Result<(), Distrust> {
    let none = || Distrust::Other("no certificate is served".to_owned());
    let (leaf, more) = chain.split_first().ok_or_else(none)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(carried.into_iter().filter(|ca| is_valid(ca, now)));
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()))
        .build()
        .map_err(|_| Distrust::NoCa)?;
    let host = ServerName::try_from(host).map_err(|error| Distrust::Other(error.to_string()))?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now.unix_timestamp().try_into().unwrap_or(0)));
    let verified = verifier.verify_server_cert(leaf, more, &host, &[], now);
    verified.map(drop).map_err(|error| match error {
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            Distrust::Expired
        }
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => Distrust::UnknownIssuer,
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => Distrust::Name,
        error => Distrust::Other(error.to_string()),
    })
}

/// Why an API server does not take a server's certificate. The words of rustls for it change with the time.
#[derive(Debug, PartialEq, Eq)]
pub enum Distrust {
    NoCa,
    Expired,
    UnknownIssuer,
    Name,
    Other(String),
}

impl fmt::Display for Distrust {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NoCa => "its caBundle holds no CA that is within its dates",
            Self::Expired => "the certificate that is served has expired",
            Self::UnknownIssuer => "its caBundle does not hold the CA of the certificate that is served",
            Self::Name => "the certificate that is served is for another name, that of --service",
            Self::Other(words) => words,
        })
    }
}
