//! Flags of `--certs cluster`.

use std::path::PathBuf;

use kube::config::KubeConfigOptions;
use kube::{Client, Config};
use time::Duration;

use super::kubeconfig;
use super::manifests::NAME;
use crate::cluster::authority::Times;
use crate::cluster::ca::LIFE_MAX;
use crate::cluster::keeper::Keeper;
use crate::config::value::go_duration;

#[derive(clap::Args)]
#[command(next_help_heading = "With --certs cluster")]
#[group(id = "ca")]
pub struct Args {
    /// The cluster, where this does not run in it
    #[arg(long, env = "SCAN_ADMISSION_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The Service that the API server calls
    #[arg(long, env = "SCAN_ADMISSION_SERVICE", value_name = "NAMESPACE/NAME", default_value_t = format!("{NAME}/{NAME}"))]
    service: String,
    /// The Secret with the CA, in the namespace of the Service
    #[arg(long, env = "SCAN_ADMISSION_CA_SECRET", value_name = "NAME", default_value_t = format!("{NAME}-ca"))]
    ca_secret: String,
    /// The ValidatingWebhookConfiguration and the MutatingWebhookConfiguration that get the caBundle
    #[arg(long, env = "SCAN_ADMISSION_WEBHOOKS", value_name = "NAME", default_value = NAME)]
    webhooks: String,
    /// How long a CA holds; the next one is announced at two thirds of it
    #[arg(long, env = "SCAN_ADMISSION_CA_LIFE", value_name = "DURATION", default_value = "2160h", value_parser = parse_life)]
    ca_life: Duration,
    /// How long a certificate holds; it is renewed at two thirds of it at the latest
    #[arg(long, env = "SCAN_ADMISSION_CERT_LIFE", value_name = "DURATION", default_value = "168h", value_parser = parse_life)]
    cert_life: Duration,
    /// How long every API server may take to know of a CA that the webhooks carry
    #[arg(long, env = "SCAN_ADMISSION_CA_SETTLE", value_name = "DURATION", default_value = "60s", value_parser = parse_life)]
    ca_settle: Duration,
}

fn parse_life(text: &str) -> Result<Duration, String> {
    let life = go_duration(text).and_then(|life| Duration::try_from(life).ok());
    // Times are written in whole seconds.
    let range = Duration::SECOND..=LIFE_MAX;
    life.filter(|life| range.contains(life)).ok_or_else(|| "not a duration from 1s to 87672h, such as 2160h".to_owned())
}

impl Args {
    /// Who keeps the certificates, if the cluster can be reached at all. Needs a runtime.
    pub async fn keeper(&self) -> Result<Keeper, String> {
        let is_label = |text: &str| !text.is_empty() && text.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'));
        let (namespace, service) = self
            .service
            .split_once('/')
            .filter(|(namespace, name)| is_label(namespace) && is_label(name))
            .ok_or_else(|| format!("--service {}: it has to be NAMESPACE/NAME", self.service))?;
        let times = Times { ca: self.ca_life, leaf: self.cert_life, settle: self.ca_settle };
        // From two thirds of its life on a CA is changed; what it has signed last must end before it does.
        if times.ca / 3 < times.leaf + times.settle {
            return Err(
                "--ca-life is too short: a third of it has to hold --cert-life and --ca-settle together".to_owned()
            );
        }
        let config = match &self.kubeconfig {
            Some(path) => kubeconfig::from_file(path, &KubeConfigOptions::default()).await?,
            None => Config::incluster().map_err(|error| {
                format!("--certs cluster: this is no pod of a cluster: {error}\nname a cluster with --kubeconfig FILE")
            })?,
        };
        let client = Client::try_from(config).map_err(|error| format!("--certs cluster: {error}"))?;
        Ok(Keeper {
            client,
            namespace: namespace.to_owned(),
            service: service.to_owned(),
            secret: self.ca_secret.clone(),
            configuration: self.webhooks.clone(),
            times,
        })
    }
}
