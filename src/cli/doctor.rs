//! `doctor`: is the webhook on this cluster installed as it should be, and does it answer.

mod report;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhook;
use k8s_openapi::api::authorization::v1::ResourceAttributes;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize as _;
use serde_json::Value;

use super::manifests::{self, NAME};
use super::output::Output;
use super::{UNUSABLE, kubeconfig, yaml};
use crate::cluster::doctor::endpoint::{Identity, Way};
use crate::cluster::doctor::world::Door;
use crate::cluster::doctor::{Expected, Severity, examine, look};
use report::Report;

/// Something is not as it should be.
const ILL: u8 = 1;

/// Looks at an installation on a cluster as an expert would, and says what is wrong, what comes of it and what to do
#[derive(Args)]
#[command(
    after_help = "Nothing is changed, and nothing is written but with --probe, which allows the dry run of one write that has to
be refused. docs/doctor.md has every check, and which rights they take.

Examples:
  scan-admission doctor
  scan-admission doctor --probe -o json | jq -r '.findings[].check'
  kubectl --namespace scan-admission port-forward pod/POD 9443:8443 &
  scan-admission doctor --connect-to 10.1.2.3:8443=127.0.0.1:9443

Exit: 0 all is well, 1 something is wrong, 2 not everything could be looked at."
)]
pub struct Doctor {
    /// For people, or one JSON document
    #[arg(short, long, value_enum, default_value_t = Output::Text, env = "SCAN_ADMISSION_OUTPUT")]
    output: Output,
    /// The Service that the API server calls; the Deployment and the ServiceAccount have its name
    #[arg(long, env = "SCAN_ADMISSION_SERVICE", value_name = "NAMESPACE/NAME", default_value_t = format!("{NAME}/{NAME}"))]
    service: String,
    /// The name of both webhook configurations
    #[arg(long, env = "SCAN_ADMISSION_WEBHOOKS", value_name = "NAME", default_value = NAME)]
    webhooks: String,
    /// Try a write that has to be refused, by a dry run through the API server
    #[arg(long, env = "SCAN_ADMISSION_PROBE")]
    probe: bool,
    /// Where an endpoint is reached from here, as by a port that is forwarded
    #[arg(long, env = "SCAN_ADMISSION_CONNECT_TO", value_name = "ENDPOINT=ADDRESS", value_parser = parse_instead, value_delimiter = ',')]
    connect_to: Vec<(String, String)>,
    /// PEM file with a client certificate and its chain, for replicas that demand one
    #[arg(long, env = "SCAN_ADMISSION_CLIENT_CERT", value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// PEM file with its key
    #[arg(long, env = "SCAN_ADMISSION_CLIENT_KEY", value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
    #[command(flatten)]
    cluster: kubeconfig::Args,
}

fn parse_instead(text: &str) -> Result<(String, String), String> {
    let both = text.split_once('=').filter(|(endpoint, address)| endpoint.contains(':') && address.contains(':'));
    let (endpoint, address) = both.ok_or("not two addresses with ports, such as 10.1.2.3:8443=127.0.0.1:9443")?;
    Ok((endpoint.to_owned(), address.to_owned()))
}

impl Doctor {
    pub fn run(self) -> io::Result<ExitCode> {
        let expected = expected(&self.service, &self.webhooks).map_err(io::Error::other)?;
        let identity = match (&self.client_cert, &self.client_key) {
            (Some(certificate), Some(key)) => Some(Arc::new(identity(certificate, key).map_err(io::Error::other)?)),
            _ => None,
        };
        let way = Way { instead: self.connect_to.iter().cloned().collect(), identity };
        let looked = kubeconfig::run(async {
            let client = self.cluster.client().await?;
            look(&client, expected, &way, self.probe).await
        })?;
        let findings = examine(&looked.map_err(io::Error::other)?);
        Report::new(self.output.stdout(), &findings).write(self.output)?;
        let has = |severity| findings.iter().any(|finding| finding.severity == severity);
        Ok(ExitCode::from(match (has(Severity::Fault), has(Severity::Unknown)) {
            (true, _) => ILL,
            (false, true) => UNUSABLE,
            (false, false) => 0,
        }))
    }
}

fn identity(certificate: &Path, key: &Path) -> Result<Identity, String> {
    let failed =
        |flag: &str, path: &Path, error: rustls::pki_types::pem::Error| format!("{flag} {}: {error:?}", path.display());
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let chain = chain.map_err(|error| failed("--client-cert", certificate, error))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| failed("--client-key", key, error))?;
    Ok(Identity { chain, key })
}

/// What the manifests of this release say, under the names that it is installed by.
fn expected(service: &str, configuration: &str) -> Result<Expected, String> {
    let (namespace, name) =
        service.split_once('/').ok_or_else(|| format!("--service {service}: it has to be NAMESPACE/NAME"))?;
    let mut webhooks = [Vec::new(), Vec::new()];
    for object in objects("base/webhooks.yaml")? {
        let door = Door::BOTH.into_iter().find(|door| object["kind"] == door.kind());
        if let Some(door) = door {
            webhooks[door as usize] = Vec::<MutatingWebhook>::deserialize(&object["webhooks"]).map_err(bad)?;
        }
    }
    let mut rights = Vec::new();
    for object in objects("base/rbac.yaml")? {
        let namespace = (object["kind"] == "Role").then(|| namespace.to_owned());
        let rules = object["rules"].as_array().into_iter().flatten();
        rights.extend(rules.flat_map(|rule| rights_of(rule, namespace.as_ref(), configuration)));
    }
    Ok(Expected {
        namespace: namespace.to_owned(),
        service: name.to_owned(),
        configuration: configuration.to_owned(),
        webhooks,
        rights,
    })
}

/// Each verb on each name apart, as the API server asks.
fn rights_of(rule: &Value, namespace: Option<&String>, configuration: &str) -> Vec<ResourceAttributes> {
    let list = |key: &str| {
        let entries = rule[key].as_array().into_iter().flatten();
        entries.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let group = list("apiGroups").concat();
    let names = list("resourceNames");
    let mut rights = Vec::new();
    for resource in list("resources") {
        // Configurations may have another name here than in the manifests.
        let name = if namespace.is_none() { Some(configuration.to_owned()) } else { names.first().cloned() };
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

/// The objects of a file of the manifests.
fn objects(path: &str) -> Result<Vec<Value>, String> {
    let files = manifests::files();
    let (_, text) = files.iter().find(|(found, _)| found == path).ok_or_else(|| format!("there is no {path}"))?;
    let object = |text| {
        let json = yaml::to_json(text).map_err(|fault| bad(fault.words))?;
        serde_json::from_str(&json.text).map_err(bad)
    };
    text.split("\n---\n").map(object).collect()
}

/// The manifests are tested: nobody sees this.
fn bad(error: impl std::fmt::Display) -> String {
    format!("the manifests of this release cannot be read: {error}")
}
