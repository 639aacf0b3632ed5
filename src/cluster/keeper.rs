//! Keeps a replica's certificate signed by the shared CA, and the CA in the webhook configurations.
//!
//! One loop: read the configurations, then the Secret, and take the one step that is due. Watches only wake it, all that
//! it acts on is read anew. In this order, and written under the resourceVersion that was read: what a replica undoes
//! after a sleep is refused, since whoever announced a CA meanwhile has written the configurations after that reading.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DynamicObject, PartialObjectMeta, PostParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, Error as ApiError};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use time::OffsetDateTime;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::authority::{Authority, Bundle, Step, Times, distinct};
use super::bundle::{Configuration, Written, kinds};
use super::ca::{self, Ca};
use super::{forbidden, why};

/// The longest that nothing is looked at: watches may have missed something.
const LOOK_MAX: StdDuration = StdDuration::from_secs(10);
/// A round is six requests; an API server that takes longer for them is as good as away.
const ROUND_MAX: StdDuration = StdDuration::from_secs(30);
/// Between two looks at least: whoever writes against us is not answered faster.
const PAUSE: StdDuration = StdDuration::from_millis(50);
/// A leaf is renewed at two thirds of its life, less up to this part of it, so that replicas do not all do it at once.
const JITTER: f64 = 0.1;

const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "scan-admission");

/// What is kept, and where.
pub struct Keeper {
    pub client: Client,
    /// Of the Service that the API server calls.
    pub namespace: String,
    pub service: String,
    /// In the namespace of the Service.
    pub secret: String,
    /// Both configurations have it.
    pub configuration: String,
    pub times: Times,
}

/// For metrics.
#[derive(Clone, Default)]
pub struct Report {
    /// End of the CA that signs, in Unix seconds; 0 where there is none.
    pub ca_not_after: Gauge,
    /// 1 where every webhook would accept the certificate that is served.
    pub in_step: Gauge,
    /// Certificates that replaced another.
    pub reloads: Counter,
    /// Looks that could not be ended.
    pub failures: Counter,
}

/// To the server.
pub struct Outlet {
    /// Each certificate that is to be served.
    pub renew: watch::Sender<Option<Arc<CertifiedKey>>>,
    /// Whether every webhook accepts it.
    pub trusted: watch::Sender<bool>,
    pub report: Report,
}

impl Outlet {
    fn tell(&self, is_in_step: bool) {
        self.report.in_step.set(is_in_step.into());
        self.trusted.send_replace(is_in_step);
    }
}

/// What this replica serves.
struct Leaf {
    certificate: CertificateDer<'static>,
    ca: CertificateDer<'static>,
    renew_at: OffsetDateTime,
    end: OffsetDateTime,
}

/// Why some webhook would not accept what is served.
fn distrust(configurations: &[Configuration], leaf: Option<&Leaf>, now: OffsetDateTime) -> Option<String> {
    match leaf {
        Some(leaf) => configurations.iter().find_map(|one| one.distrusts(&leaf.certificate, now)),
        None => Some("there is no certificate yet: a new CA is being announced".to_owned()),
    }
}

/// From look to look.
#[derive(Default)]
struct State {
    leaf: Option<Leaf>,
    /// Of the Secret, as they were last told.
    damages: Vec<String>,
}

enum Round {
    /// Something was written: look again at once.
    Again,
    Done,
}

impl Keeper {
    /// Never returns.
    pub async fn keep(self, clock: fn() -> OffsetDateTime, outlet: Outlet) {
        let wake = Arc::new(Notify::new());
        self.watch(&wake);
        let look = LOOK_MAX.min(self.times.settle.unsigned_abs() / 2);
        let mut state = State::default();
        let mut told = None;
        loop {
            let round = timeout(ROUND_MAX, self.round(clock, &mut state, &outlet)).await;
            let trouble = match round {
                Ok(Ok(Round::Again)) => {
                    sleep(PAUSE).await;
                    continue;
                }
                Ok(Ok(Round::Done)) => None,
                Ok(Err(trouble)) => Some(trouble),
                Err(_) => Some("the API server does not answer".to_owned()),
            };
            let has_failed = trouble.is_some();
            if told.as_ref() != Some(&trouble) {
                match &trouble {
                    None => tracing::info!("every webhook accepts the certificate that is served"),
                    Some(trouble) => tracing::error!("{trouble}"),
                }
                told = Some(trouble);
            }
            // After it is told: who sees the count finds the line.
            if has_failed {
                outlet.report.failures.inc();
            }
            let renew_in = state.leaf.as_ref().and_then(|leaf| (leaf.renew_at - clock()).try_into().ok());
            tokio::select! {
                () = wake.notified() => sleep(PAUSE).await,
                () = sleep(renew_in.unwrap_or(look).min(look)) => {}
            }
        }
    }

    /// Wakes the loop when somebody writes the Secret or a configuration.
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
                let mut is_told = false;
                while let Some(event) = events.next().await {
                    match event {
                        Ok(()) => wake.notify_one(),
                        // All else that can go wrong the looks meet too, and tell.
                        Err(error) => {
                            if let Some(why) = forbidden(&error).filter(|_| !is_told) {
                                tracing::error!(
                                    "{id} cannot be watched, so changes are seen only at the next look: {why}"
                                );
                                is_told = true;
                            }
                        }
                    }
                }
            });
        }
    }

    /// One look, and at most one step. An error is what the log says.
    async fn round(&self, clock: fn() -> OffsetDateTime, state: &mut State, outlet: &Outlet) -> Result<Round, String> {
        let (configurations, missing) = self.read_configurations(outlet).await?;
        let bundles: Vec<Bundle> = configurations.iter().flat_map(Configuration::bundles).collect();

        let now = clock();
        let leaf = state.leaf.as_ref().filter(|leaf| now < leaf.end);
        let secret = match self.read_secret().await {
            Ok(secret) => secret,
            Err(trouble) => {
                outlet.tell(missing.is_empty() && distrust(&configurations, leaf, now).is_none());
                self.put_back(&configurations, leaf).await?;
                return Err(trouble);
            }
        };
        let data = secret.iter().flat_map(|secret| &secret.data).flatten();
        let data = data.map(|(name, value)| (name.clone(), value.0.clone())).collect();
        let (authority, damages) = Authority::parse(&data, now);
        if damages != state.damages {
            damages.iter().for_each(|damage| tracing::warn!(secret = self.secret, "{damage}: it is replaced"));
            state.damages = damages;
        }
        let served_by = leaf.map(|leaf| &leaf.ca);
        let step = authority.step(&bundles, served_by, now, self.times).map_err(|error| error.to_string())?;
        let authority = match step {
            Step::Rest(authority) => authority,
            Step::Save(authority, why) => {
                if self.save(secret, &authority).await? {
                    tracing::info!(secret = self.secret, "{why}");
                }
                return Ok(Round::Again);
            }
        };
        let ca = authority.current.as_ref();
        outlet.report.ca_not_after.set(ca.map_or(0, |ca| ca.not_after.unix_timestamp()));
        if let Some(ca) = ca
            && state.leaf.as_ref().is_none_or(|leaf| leaf.ca != ca.certificate || leaf.renew_at <= now)
        {
            let leaf = self.sign(ca, now, &outlet.renew).map_err(|error| error.to_string())?;
            outlet.report.reloads.inc_by(state.leaf.replace(leaf).is_some().into());
        }
        let distrust = distrust(&configurations, state.leaf.as_ref(), now);
        let missing =
            (!missing.is_empty()).then(|| format!("{}: not there, apply the manifests", missing.join(" and ")));
        let trouble = missing.or(distrust);
        outlet.tell(trouble.is_none());
        if self.put(&configurations, &authority.bundle()).await? {
            return Ok(Round::Again);
        }
        trouble.map_or(Ok(Round::Done), Err)
    }

    /// Those that are there, and the names of those that are not.
    async fn read_configurations(&self, outlet: &Outlet) -> Result<(Vec<Configuration>, Vec<String>), String> {
        let mut configurations = Vec::new();
        let mut missing = Vec::new();
        for kind in kinds() {
            let id = format!("{} {}", kind.kind, self.configuration);
            match Configuration::read(&self.client, kind, &self.configuration).await {
                Ok(Some(configuration)) => configurations.push(configuration),
                Ok(None) => missing.push(id),
                Err(error) => {
                    outlet.tell(false);
                    return Err(format!("{id} cannot be read: {}", why(&error)));
                }
            }
        }
        Ok((configurations, missing))
    }

    /// Writes the caBundles that are not as they should be. True: something has changed.
    async fn put(&self, configurations: &[Configuration], bundle: &Bundle) -> Result<bool, String> {
        let mut has_changed = false;
        let mut failed = None;
        // One that cannot be written keeps no other from it.
        for configuration in configurations {
            let id = configuration.id();
            match configuration.put(&self.client, bundle).await {
                Ok(Written::Nothing) => {}
                Ok(Written::Bundle) => {
                    tracing::info!(configuration = id, cas = bundle.len(), "the caBundle was put right");
                    has_changed = true;
                }
                Ok(Written::Conflict) => has_changed = true,
                Err(error) => failed = Some(format!("the caBundle of {id} cannot be written: {}", why(&error))),
            }
        }
        failed.map_or(Ok(has_changed), Err)
    }

    /// While the Secret cannot be read: what is served stays verified, and nothing that others have written is taken away.
    async fn put_back(&self, configurations: &[Configuration], leaf: Option<&Leaf>) -> Result<(), String> {
        let Some(leaf) = leaf else { return Ok(()) };
        for configuration in configurations {
            if configuration.bundles().any(|bundle| !bundle.contains(&leaf.ca)) {
                let mut wanted: Bundle = configuration.bundles().flatten().collect();
                wanted.push(leaf.ca.clone());
                wanted = distinct(wanted.iter());
                self.put(std::slice::from_ref(configuration), &wanted).await?;
            }
        }
        Ok(())
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// For messages.
    fn secret_id(&self) -> String {
        format!("the Secret {}/{}", self.namespace, self.secret)
    }

    async fn read_secret(&self) -> Result<Option<Secret>, String> {
        let id = self.secret_id();
        let secret = self
            .secrets()
            .get_opt(&self.secret)
            .await
            .map_err(|error| format!("{id} cannot be read: {}", why(&error)))?;
        let is_ours = |secret: &Secret| {
            let labels = secret.metadata.labels.as_ref();
            let is_empty = secret.data.as_ref().is_none_or(BTreeMap::is_empty);
            is_empty || labels.and_then(|labels| labels.get(MANAGED_BY.0)).is_some_and(|by| by == MANAGED_BY.1)
        };
        match secret {
            Some(secret) if !is_ours(&secret) => Err(format!(
                "{id} is somebody else's and is left alone: it has no label {}={}; name another with --ca-secret, or delete it",
                MANAGED_BY.0, MANAGED_BY.1
            )),
            secret => Ok(secret),
        }
    }

    /// Creates or replaces the Secret. False: another was faster.
    async fn save(&self, found: Option<Secret>, authority: &Authority) -> Result<bool, String> {
        let secrets = self.secrets();
        let is_new = found.is_none();
        let mut secret = found.unwrap_or_default();
        secret.metadata.name = Some(self.secret.clone());
        let labels = secret.metadata.labels.get_or_insert_default();
        for (name, value) in [MANAGED_BY, ("app.kubernetes.io/name", MANAGED_BY.1)] {
            labels.insert(name.to_owned(), value.to_owned());
        }
        secret.data = Some(authority.data().into_iter().map(|(name, value)| (name, ByteString(value))).collect());
        let written = if is_new {
            secrets.create(&PostParams::default(), &secret).await
        } else {
            secrets.replace(&self.secret, &PostParams::default(), &secret).await
        };
        match written {
            Ok(_) => Ok(true),
            // Created, or written, or deleted meanwhile.
            Err(ApiError::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
            Err(error) => Err(format!("{} cannot be written: {}", self.secret_id(), why(&error))),
        }
    }

    fn sign(
        &self,
        ca: &Ca,
        now: OffsetDateTime,
        renew: &watch::Sender<Option<Arc<CertifiedKey>>>,
    ) -> Result<Leaf, ca::Error> {
        let (service, namespace) = (&self.service, &self.namespace);
        let names = ["", ".svc", ".svc.cluster.local"].map(|end| format!("{service}.{namespace}{end}"));
        let names = [names.as_slice(), std::slice::from_ref(service)].concat();
        let pair = ca.leaf(&names, now, self.times.leaf)?;
        let certificate = pair.cert[0].clone();
        let jitter = fastrand::f64() * JITTER;
        let (not_before, not_after) = ca.leaf_dates(now, self.times.leaf);
        let renew_at = not_before + (not_after - not_before) * (2.0 / 3.0 - jitter);
        renew.send_replace(Some(Arc::new(pair)));
        Ok(Leaf { certificate, ca: ca.certificate.clone(), renew_at, end: not_after })
    }
}
