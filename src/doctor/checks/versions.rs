//! The releases of the replicas, of the chart and of this program.

use std::collections::BTreeMap;

use crate::doctor::check::{Check, Diagnostics};
use crate::doctor::snapshot::Snapshot;
use crate::policies::release::{RELEASE, Release};

/// The label of the Deployment with the version of the chart.
const CHART_VERSION: &str = "app.kubernetes.io/version";

pub const CHECKS: &[Check] = &[
    Check {
        id: "releases-differ",
        title: "All replicas are of one release.",
        causes: "The decision depends on the replica that the API server happens to call. During a rollout this is normal for some seconds.",
        remedy: "Wait for the end of the rollout. If the pods have the same image, its tag was moved: pull it again, or name the image by its digest.",
        run: releases_differ,
    },
    Check {
        id: "other-release",
        title: "The replicas, the chart and this program are of one release.",
        causes: "`doctor` compares the installation with the manifests of its own release, and `check` and `audit` judge by its own rules.",
        remedy: "Use the program of the release that is installed, or upgrade the installation. Before an upgrade, this is expected.",
        run: other_release,
    },
];

/// Returns the endpoints by the version and the rules that they answer with. Those of older releases do not say it.
fn releases(snapshot: &Snapshot) -> BTreeMap<&Release, Vec<String>> {
    let mut releases: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for probe in &snapshot.probes {
        if let Some(release) = probe.outcome.as_ref().ok().and_then(|served| served.release.as_ref()) {
            releases.entry(release).or_default().push(probe.endpoint.to_string());
        }
    }
    releases
}

fn releases_differ(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    let releases = releases(snapshot);
    if releases.len() > 1 {
        let all = releases.iter().map(|(release, endpoints)| format!("{release} at {}", endpoints.join(" and ")));
        diagnostics.problem(format!("the replicas are of different releases: {}", all.collect::<Vec<_>>().join(", ")));
    }
}

fn other_release(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    let of = |release: &Release| (release.version.clone(), release.rules.clone());
    for (release, endpoints) in releases(snapshot) {
        if of(release) != of(&RELEASE) {
            let endpoints = endpoints.join(" and ");
            diagnostics.note(format!("the release at {endpoints} is {release}: this program is {}", *RELEASE));
        }
    }
    let labels = snapshot.deployment.found().and_then(|deployment| deployment.metadata.labels.as_ref());
    if let Some(version) = labels.and_then(|labels| labels.get(CHART_VERSION))
        && *version != RELEASE.version
    {
        diagnostics.note(format!("the version of the chart is {version}: this program is {}", *RELEASE));
    }
}
