//! The objects that the manifests of this release install, under the names of this installation.

use k8s_openapi::api::admissionregistration::v1::MutatingWebhook;
use k8s_openapi::api::authorization::v1::ResourceAttributes;
use serde::Deserialize as _;
use serde_json::Value;

use crate::admission::Webhook;
use crate::install;
use crate::manifest::yaml;

/// The expected objects.
pub struct Expected {
    /// The namespace of the Service and the Deployment.
    pub namespace: String,
    /// The name of the Service, the Deployment and the ServiceAccount.
    pub service: String,
    /// The name of both webhook configurations.
    pub configuration: String,
    /// The webhooks of the two configurations, in the order of [`Webhook::BOTH`].
    pub webhooks: [Vec<MutatingWebhook>; 2],
    /// The rights that the ServiceAccount needs for `--certs cluster`.
    pub certificate_rights: Vec<ResourceAttributes>,
    /// The rights that the ServiceAccount needs for `--events`.
    pub event_rights: Vec<ResourceAttributes>,
}

/// Why the built-in manifests cannot be read. They are tested, so this error is a bug.
#[derive(Debug, thiserror::Error)]
#[error("the manifests of this release cannot be read: {0}")]
pub struct ExpectedError(String);

fn unreadable(error: impl std::fmt::Display) -> ExpectedError {
    ExpectedError(error.to_string())
}

/// Returns the kind of the configurations that register a webhook.
pub fn configuration_kind(webhook: Webhook) -> &'static str {
    match webhook {
        Webhook::Validating => "ValidatingWebhookConfiguration",
        Webhook::Mutating => "MutatingWebhookConfiguration",
    }
}

/// Returns the part of a webhook's name that says what it does, such as `status.validate`. The rest is a domain, which the chart
/// lets its user choose.
pub fn function(name: &str) -> &str {
    let ends = name.match_indices('.').map(|(index, _)| index);
    ends.take(2).last().map_or(name, |end| &name[..end])
}

impl Expected {
    /// Reads the built-in manifests.
    pub fn new(namespace: &str, service: &str, configuration: &str) -> Result<Self, ExpectedError> {
        let mut webhooks = [Vec::new(), Vec::new()];
        for object in objects("base/webhooks.yaml")? {
            let kind = Webhook::BOTH.into_iter().find(|kind| object["kind"] == configuration_kind(*kind));
            if let Some(kind) = kind {
                let found = Vec::<MutatingWebhook>::deserialize(&object["webhooks"]);
                webhooks[kind as usize] = found.map_err(unreadable)?;
            }
        }
        let rights = |path| {
            let mut rights = Vec::new();
            for object in objects(path)? {
                let namespace = (object["kind"] == "Role").then(|| namespace.to_owned());
                let rules = object["rules"].as_array().into_iter().flatten();
                rights.extend(rules.flat_map(|rule| rights_of(rule, namespace.as_ref(), configuration)));
            }
            Ok(rights)
        };
        Ok(Self {
            namespace: namespace.to_owned(),
            service: service.to_owned(),
            configuration: configuration.to_owned(),
            webhooks,
            certificate_rights: rights("base/rbac.yaml")?,
            event_rights: rights("base/events.yaml")?,
        })
    }
}

/// Returns a right for each verb and resource of an RBAC rule.
fn rights_of(rule: &Value, namespace: Option<&String>, configuration: &str) -> Vec<ResourceAttributes> {
    let list = |key: &str| {
        let entries = rule[key].as_array().into_iter().flatten();
        entries.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let group = list("apiGroups").concat();
    let names = list("resourceNames");
    let mut rights = Vec::new();
    for resource in list("resources") {
        // The configurations of this installation may have another name than in the manifests.
        let is_configuration = namespace.is_none() && !names.is_empty();
        let name = if is_configuration { Some(configuration.to_owned()) } else { names.first().cloned() };
        for verb in list("verbs") {
            rights.push(ResourceAttributes {
                group: Some(group.clone()),
                namespace: namespace.cloned(),
                resource: Some(resource.clone()),
                name: name.clone(),
                verb: Some(verb),
                ..ResourceAttributes::default()
            });
        }
    }
    rights
}

/// Returns the objects in a file of the manifests.
fn objects(path: &str) -> Result<Vec<Value>, ExpectedError> {
    let files = install::files();
    let file = files.iter().find(|file| file.path == path);
    let text = &file.ok_or_else(|| unreadable(format!("there is no {path}")))?.text;
    let object = |text| {
        let json = yaml::to_json(text).map_err(unreadable)?;
        serde_json::from_str(&json.text).map_err(unreadable)
    };
    text.split("\n---\n").map(object).collect()
}
