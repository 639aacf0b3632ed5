//! `doctor`: looks at an installation as an expert would who debugs it, and changes nothing.
//!
//! The cluster is read once, into a [`World`]; the replicas are asked for their certificate and an answer. A check is a
//! value over that, in a table from which the docs and the tests follow.

pub mod book;
mod checks;
pub mod endpoint;
mod read;
pub mod target;
pub mod world;
pub mod write;

use kube::Client;

pub use checks::CHECKS;
pub use world::{Expected, World};

use super::bundle::host_and_port;
use endpoint::{ENDPOINTS_MAX, Way, probe};
use read::read;

/// One thing that may be wrong, and everything that is said about it.
pub struct Check {
    /// The final name: an anchor in docs/doctor.md, and what the JSON says.
    pub id: &'static str,
    /// What is so where all is well, in one sentence.
    pub title: &'static str,
    /// What comes of it where it is not.
    pub causes: &'static str,
    pub remedy: &'static str,
    pub look: fn(&World, &mut Findings),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Fault,
    /// It differs from what the manifests say, or may matter; somebody may have meant it so.
    Note,
    /// From here, or with these rights, nobody can tell.
    Unknown,
}

impl Severity {
    pub const ALL: [Severity; 3] = [Severity::Fault, Severity::Note, Severity::Unknown];

    pub fn name(self) -> &'static str {
        match self {
            Severity::Fault => "fault",
            Severity::Note => "note",
            Severity::Unknown => "could-not-look",
        }
    }
}

pub struct Finding {
    pub check: &'static Check,
    pub severity: Severity,
    /// What is so here, in one sentence.
    pub message: String,
}

/// What the checks have found so far.
#[derive(Default)]
pub struct Findings {
    list: Vec<(Severity, String)>,
}

impl Findings {
    fn add(&mut self, severity: Severity, message: String) {
        let finding = (severity, message);
        // Four webhooks call one Service: what is wrong with it is said once.
        if !self.list.contains(&finding) {
            self.list.push(finding);
        }
    }

    fn fault(&mut self, message: impl Into<String>) {
        self.add(Severity::Fault, message.into());
    }

    fn note(&mut self, message: impl Into<String>) {
        self.add(Severity::Note, message.into());
    }

    fn unknown(&mut self, message: impl Into<String>) {
        self.add(Severity::Unknown, message.into());
    }
}

/// Asks every check.
pub fn examine(world: &World) -> Vec<Finding> {
    let of = |check: &'static Check| {
        let mut findings = Findings::default();
        (check.look)(world, &mut findings);
        findings.list.into_iter().map(move |(severity, message)| Finding { check, severity, message })
    };
    CHECKS.iter().copied().flatten().flat_map(of).collect()
}

/// Reads the cluster and asks its replicas; `is_probe` allows the dry run of a write. An error: there is no cluster to
/// look at.
pub async fn look(client: &Client, expected: Expected, way: &Way, is_probe: bool) -> Result<World, String> {
    let mut world = read(client, expected).await?;
    let mut asked = Vec::new();
    for target in &world.targets {
        let is_target = |(host, port): (String, u16)| host == target.host && port == target.port;
        let calls = world.webhooks().map(|(_, webhook, _)| &webhook.client_config);
        let mut paths: Vec<String> =
            calls.filter(|config| host_and_port(config).is_some_and(is_target)).filter_map(target::path).collect();
        paths.sort();
        paths.dedup();
        for endpoint in target.endpoints().into_iter().take(ENDPOINTS_MAX) {
            asked.push(tokio::spawn(probe(target.host.clone(), endpoint, paths.clone(), way.clone())));
        }
    }
    for probed in asked {
        world.probes.push(probed.await.map_err(|error| error.to_string())?);
    }
    if is_probe {
        world.written = Some(write::write(client).await);
    }
    Ok(world)
}
