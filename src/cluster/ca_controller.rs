//! The CA controller: signs the serving certificate with the shared CA, and writes the CA to the webhooks' caBundles.
//!
//! The controller is one loop: it reads the configurations, then the Secret, and takes the one step that is due.
//! Watches only wake the loop; each round reads everything again. Configurations are read before the Secret, and each
//! write names the resourceVersion that was read. So a replica that was suspended cannot undo a later change: the
//! replica that announced a CA in the meantime has also written the configurations, and the outdated write is rejected.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, DynamicObject, PartialObjectMeta, PostParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use time::OffsetDateTime;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::MANAGED_BY;
use super::ca_bundle::{ApplyOutcome, WebhookConfiguration, kinds};
use super::error::{ApiError, SERVE_RIGHTS};
use super::shared_ca::{Bundle, CaStep, CaTimes, Damage, ParsedCa, SharedCa, distinct};
use crate::server::metrics::CaMetrics;
use crate::server::reload::ReloadCounts;
use crate::tls::ca::{Ca, CaError};

/// The longest time between two rounds, since a watch may miss a change.
const INTERVAL_MAX: StdDuration = StdDuration::from_secs(10);
/// The longest duration of a round, which is six requests: an API server that takes longer is treated as unavailable.
const ROUND_MAX: StdDuration = StdDuration::from_secs(30);
/// The shortest time between two rounds: it limits the writes when another tool keeps reverting the caBundles.
const PAUSE: StdDuration = StdDuration::from_millis(50);
/// A leaf is renewed at two thirds of its lifetime, less a random part of up to this fraction, so not all at once.
const JITTER: f64 = 0.1;

/// The CA controller, with the names of the objects that it manages.
pub struct CaController {
    pub client: Client,
    /// The namespace of the Service that the API server calls.
    pub namespace: String,
    pub service: String,
    /// The Secret with the CA, in the namespace of the Service.
    pub secret: String,
    /// The name of both webhook configurations.
    pub configuration: String,
    pub times: CaTimes,
}

/// The channels and metrics that the controller reports to.
pub struct CaOutputs {
    /// Receives each new serving certificate.
    pub certificate: watch::Sender<Option<Arc<CertifiedKey>>>,
    /// Whether the caBundle of every webhook verifies the serving certificate.
    pub trusted: watch::Sender<bool>,
    pub metrics: CaMetrics,
    /// Counts each replacement of the serving certificate as a reload.
    pub counts: ReloadCounts,
}

impl CaOutputs {
    /// A missing configuration does not keep a replica from being ready: the pods are installed first.
    fn set_trusted(&self, is_trusted: bool, is_registered: bool) {
        self.metrics.bundle_synced.set((is_trusted && is_registered).into());
        self.trusted.send_replace(is_trusted);
    }
}

/// Why a round did not succeed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum RoundError {
    #[error("the API server did not answer within {ROUND_MAX:?}; retrying")]
    Timeout,
    #[error("{what} cannot be {verb}: {error}")]
    Api { what: String, verb: &'static str, error: String },
    #[error(
        "{0} does not belong to scan-admission and is left unchanged: it has no label {label}; delete it, or name \
         another Secret with --ca-secret",
        label = [MANAGED_BY.0, MANAGED_BY.1].join("=")
    )]
    ForeignSecret(String),
    #[error("{0}")]
    Ca(String),
    #[error("{} not found; apply the manifests", .0.join(" and "))]
    MissingConfigurations(Vec<String>),
    #[error("there is no serving certificate yet: a new CA is being announced")]
    NoCertificate,
    #[error("{0}")]
    Distrusted(String),
}

impl RoundError {
    fn api(what: impl Into<String>, verb: &'static str) -> impl FnOnce(kube::Error) -> Self {
        let what = what.into();
        move |error| Self::Api { what, verb, error: ApiError(error).with_remedy(SERVE_RIGHTS) }
    }
}

/// The certificate that this replica serves.
struct Leaf {
    certificate: CertificateDer<'static>,
    ca: CertificateDer<'static>,
    renew_at: OffsetDateTime,
    not_after: OffsetDateTime,
}

/// Returns why the caBundle of some webhook does not verify the serving certificate; `None` if all do.
fn distrust(configurations: &[WebhookConfiguration], leaf: Option<&Leaf>, now: OffsetDateTime) -> Option<RoundError> {
    match leaf {
        Some(leaf) => {
            let message = configurations.iter().find_map(|one| one.distrusts(&leaf.certificate, now));
            message.map(RoundError::Distrusted)
        }
        None => Some(RoundError::NoCertificate),
    }
}

/// The state that is kept between rounds.
#[derive(Default)]
struct ControllerState {
    leaf: Option<Leaf>,
    /// The damages of the Secret that were logged last.
    damages: Vec<Damage>,
}

/// The webhook configurations that a round has read.
#[derive(Default)]
struct ReadConfigurations {
    configurations: Vec<WebhookConfiguration>,
    /// Kind and name of each configuration that does not exist.
    missing: Vec<String>,
}

enum Round {
    /// An object was written or had changed: the next round follows at once.
    Again,
    Done,
}

impl CaController {
    /// Runs the loop. Never returns.
    pub async fn run(self, clock: fn() -> OffsetDateTime, outputs: CaOutputs) {
        let wake = Arc::new(Notify::new());
        self.watch(&wake);
        let interval = INTERVAL_MAX.min(self.times.settle.unsigned_abs() / 2);
        let mut state = ControllerState::default();
        let mut logged = None;
        loop {
            let round = timeout(ROUND_MAX, self.round(clock, &mut state, &outputs)).await;
            let result = match round {
                Ok(Ok(Round::Again)) => {
                    sleep(PAUSE).await;
                    continue;
                }
                Ok(Ok(Round::Done)) => Ok(()),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(RoundError::Timeout),
            };
            let has_failed = result.is_err();
            if logged.as_ref() != Some(&result) {
                match &result {
                    Ok(()) => tracing::info!("every webhook accepts the serving certificate"),
                    // Before the manifests are applied, and during an uninstallation.
                    Err(error @ RoundError::MissingConfigurations(_)) => tracing::warn!("{error}"),
                    Err(error) => tracing::error!("{error}"),
                }
                logged = Some(result);
            }
            // Counted after the line is logged, so that the log explains each count.
            if has_failed {
                outputs.metrics.failures.inc();
            }
            let renew_in = state.leaf.as_ref().and_then(|leaf| (leaf.renew_at - clock()).try_into().ok());
            tokio::select! {
                () = wake.notified() => sleep(PAUSE).await,
                () = sleep(renew_in.unwrap_or(interval).min(interval)) => {}
            }
        }
    }

    /// Watches the Secret and the configurations, and wakes the loop at each change.
    fn watch(&self, wake: &Arc<Notify>) {
        let named = |name: &str| watcher::Config::default().fields(&format!("metadata.name={name}"));
        let secrets: Api<PartialObjectMeta<Secret>> = Api::namespaced(self.client.clone(), &self.namespace);
        let secrets = watcher(secrets, named(&self.secret)).default_backoff().map_ok(drop).boxed();
        let mut watches = vec![(self.secret_id(), secrets)];
        for kind in kinds() {
            let id = format!("{} {}", kind.kind, self.configuration);
            let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &kind);
            let watch = watcher(api, named(&self.configuration)).default_backoff().map_ok(drop).boxed();
            watches.push((id, watch));
        }
        for (id, mut events) in watches {
            let wake = wake.clone();
            tokio::spawn(async move {
                let mut is_logged = false;
                while let Some(event) = events.next().await {
                    match event {
                        Ok(()) => wake.notify_one(),
                        // Only a missing right to watch is logged: any other error also fails a round, which logs it.
                        Err(error) => {
                            if let Some(why) = forbidden(error).filter(|_| !is_logged) {
                                tracing::error!("cannot watch {id}; noticing changes only by polling: {why}");
                                is_logged = true;
                            }
                        }
                    }
                }
            });
        }
    }

    /// Reads the configurations and the Secret, and takes at most one step.
    async fn round(
        &self,
        clock: fn() -> OffsetDateTime,
        state: &mut ControllerState,
        outputs: &CaOutputs,
    ) -> Result<Round, RoundError> {
        let ReadConfigurations { configurations, missing } = self.read_configurations(outputs).await?;
        let bundles: Vec<Bundle> = configurations.iter().flat_map(WebhookConfiguration::bundles).collect();

        let now = clock();
        let leaf = state.leaf.as_ref().filter(|leaf| now < leaf.not_after);
        let secret = match self.read_secret().await {
            Ok(secret) => secret,
            Err(error) => {
                outputs.set_trusted(distrust(&configurations, leaf, now).is_none(), missing.is_empty());
                self.add_ca(&configurations, leaf).await?;
                return Err(error);
            }
        };
        let data = secret.iter().flat_map(|secret| &secret.data).flatten();
        let data = data.map(|(name, value)| (name.clone(), value.0.clone())).collect();
        let ParsedCa { ca: shared, damages } = SharedCa::parse(&data, now);
        if damages != state.damages {
            damages.iter().for_each(|damage| tracing::warn!(secret = self.secret, "{damage}; discarding it"));
            state.damages = damages;
        }
        let serving_ca = leaf.map(|leaf| &leaf.ca);
        let step = shared.step(&bundles, serving_ca, now, self.times);
        let shared = match step.map_err(|error| RoundError::Ca(error.to_string()))? {
            CaStep::Unchanged(shared) => shared,
            CaStep::Save(shared, why) => {
                if self.save(secret, &shared).await? {
                    tracing::info!(secret = self.secret, "{why}");
                }
                return Ok(Round::Again);
            }
        };
        let ca = shared.current.as_ref();
        outputs.metrics.not_after.set(ca.map_or(0, |ca| ca.not_after.unix_timestamp()));
        if let Some(ca) = ca
            && state.leaf.as_ref().is_none_or(|leaf| leaf.ca != ca.certificate || leaf.renew_at <= now)
        {
            let leaf = self.sign(ca, now, &outputs.certificate).map_err(|error| RoundError::Ca(error.to_string()))?;
            outputs.counts.reloads.inc_by(state.leaf.replace(leaf).is_some().into());
        }
        let distrust = distrust(&configurations, state.leaf.as_ref(), now);
        outputs.set_trusted(distrust.is_none(), missing.is_empty());
        if self.apply(&configurations, &shared.bundle()).await? {
            return Ok(Round::Again);
        }
        let missing = (!missing.is_empty()).then_some(RoundError::MissingConfigurations(missing));
        missing.or(distrust).map_or(Ok(Round::Done), Err)
    }

    async fn read_configurations(&self, outputs: &CaOutputs) -> Result<ReadConfigurations, RoundError> {
        let mut read = ReadConfigurations::default();
        for kind in kinds() {
            let id = format!("{} {}", kind.kind, self.configuration);
            match WebhookConfiguration::read(&self.client, kind, &self.configuration).await {
                Ok(Some(configuration)) => read.configurations.push(configuration),
                Ok(None) => read.missing.push(id),
                Err(error) => {
                    outputs.set_trusted(false, false);
                    return Err(RoundError::api(id, "read")(error));
                }
            }
        }
        Ok(read)
    }

    /// Writes `bundle` to each configuration that differs. Returns whether a configuration was written or had changed.
    async fn apply(&self, configurations: &[WebhookConfiguration], bundle: &Bundle) -> Result<bool, RoundError> {
        let (mut has_changed, mut failed) = (false, None);
        // A configuration that cannot be written does not prevent the write of the other.
        for configuration in configurations {
            let id = configuration.id();
            match configuration.apply(&self.client, bundle).await {
                Ok(ApplyOutcome::Unchanged) => {}
                Ok(ApplyOutcome::Written) => {
                    tracing::info!(configuration = id, cas = bundle.len(), "updated the caBundle");
                    has_changed = true;
                }
                Ok(ApplyOutcome::Conflict) => has_changed = true,
                Err(error) => failed = Some(RoundError::api(format!("the caBundle of {id}"), "written")(error)),
            }
        }
        failed.map_or(Ok(has_changed), Err)
    }

    /// Adds the CA of the serving certificate to each configuration that lacks it, and removes no certificate. Called
    /// while the Secret cannot be read, so that the serving certificate stays verified.
    async fn add_ca(&self, configurations: &[WebhookConfiguration], leaf: Option<&Leaf>) -> Result<(), RoundError> {
        let Some(leaf) = leaf else { return Ok(()) };
        for configuration in configurations {
            if configuration.bundles().any(|bundle| !bundle.contains(&leaf.ca)) {
                let mut wanted: Bundle = configuration.bundles().flatten().collect();
                wanted.push(leaf.ca.clone());
                wanted = distinct(wanted.iter());
                self.apply(std::slice::from_ref(configuration), &wanted).await?;
            }
        }
        Ok(())
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Returns the name of the Secret, for messages.
    fn secret_id(&self) -> String {
        format!("the Secret {}/{}", self.namespace, self.secret)
    }

    /// Reads the Secret. A Secret with data but without our label is an error, since it may belong to somebody else.
    async fn read_secret(&self) -> Result<Option<Secret>, RoundError> {
        let id = self.secret_id();
        let secret = self.secrets().get_opt(&self.secret).await.map_err(RoundError::api(id.clone(), "read"))?;
        let is_ours = |secret: &Secret| {
            let labels = secret.metadata.labels.as_ref();
            let is_empty = secret.data.as_ref().is_none_or(BTreeMap::is_empty);
            is_empty || labels.and_then(|labels| labels.get(MANAGED_BY.0)).is_some_and(|by| by == MANAGED_BY.1)
        };
        match secret {
            Some(secret) if !is_ours(&secret) => Err(RoundError::ForeignSecret(id)),
            secret => Ok(secret),
        }
    }

    /// Creates or replaces the Secret. Returns false if another client has written or deleted it since it was read.
    async fn save(&self, found: Option<Secret>, shared: &SharedCa) -> Result<bool, RoundError> {
        let secrets = self.secrets();
        let is_new = found.is_none();
        let mut secret = found.unwrap_or_default();
        secret.metadata.name = Some(self.secret.clone());
        let labels = secret.metadata.labels.get_or_insert_default();
        for (name, value) in [MANAGED_BY, ("app.kubernetes.io/name", MANAGED_BY.1)] {
            labels.insert(name.to_owned(), value.to_owned());
        }
        secret.data = Some(shared.data().into_iter().map(|(name, value)| (name, ByteString(value))).collect());
        let written = if is_new {
            secrets.create(&PostParams::default(), &secret).await
        } else {
            secrets.replace(&self.secret, &PostParams::default(), &secret).await
        };
        match written {
            Ok(_) => Ok(true),
            // Created, written or deleted in the meantime.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
            Err(error) => Err(RoundError::api(self.secret_id(), "written")(error)),
        }
    }

    /// Signs a serving certificate for the names of the Service, and sends it to the server.
    fn sign(
        &self,
        ca: &Ca,
        now: OffsetDateTime,
        sender: &watch::Sender<Option<Arc<CertifiedKey>>>,
    ) -> Result<Leaf, CaError> {
        let (service, namespace) = (&self.service, &self.namespace);
        let names = ["", ".svc", ".svc.cluster.local"].map(|end| format!("{service}.{namespace}{end}"));
        let names = [names.as_slice(), std::slice::from_ref(service)].concat();
        let pair = ca.leaf(&names, now, self.times.leaf)?;
        let certificate = pair.cert[0].clone();
        let jitter = fastrand::f64() * JITTER;
        let (not_before, not_after) = ca.leaf_dates(now, self.times.leaf);
        let renew_at = not_before + (not_after - not_before) * (2.0 / 3.0 - jitter);
        sender.send_replace(Some(Arc::new(pair)));
        Ok(Leaf { certificate, ca: ca.certificate.clone(), renew_at, not_after })
    }
}

/// Returns the message of a watch that fails because a right is missing; `None` for other errors.
fn forbidden(error: watcher::Error) -> Option<String> {
    use watcher::Error::{InitialListFailed, WatchError, WatchFailed, WatchStartFailed};
    let error = match error {
        InitialListFailed(error) | WatchStartFailed(error) | WatchFailed(error) => ApiError(error),
        WatchError(status) => ApiError(kube::Error::Api(status)),
        _ => return None,
    };
    error.is_forbidden().then(|| error.with_remedy(SERVE_RIGHTS))
}
