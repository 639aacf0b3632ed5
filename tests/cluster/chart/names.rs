//! Names, namespaces and labels that a user may choose: a real API server accepts every object, those of hooks included.

use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::chart;
use super::switches::{apply, everything, install_kinds, merge};
use crate::controlplane::{ClusterError, ControlPlane};
use crate::helm::Helm;
use scan_admission::manifest::yaml;

/// Names of a release and of a namespace, and the name of the objects.
const NAMES: [(&str, &str, &str); 6] = [
    ("prod", "scans", "prod-scan-admission"),
    // YAML would read these as numbers or booleans.
    ("2026", "1e3", "scan-admission-2026"),
    ("true", "null", "true-scan-admission"),
    ("a.b-scan-admission.c", "no", "a-b-scan-admission-c"),
    // The longest ones.
    (
        "r23456789-123456789-123456789-123456789-1234567890123",
        "n23456789-123456789-123456789-123456789-123456789-123456789-123",
        "r23456789-123456789-123456789-123456789-12345",
    ),
    // Where it is cut there are two hyphens.
    ("r23456789-123456789-123456789-123456789-123--x", "y", "r23456789-123456789-123456789-123456789-123"),
];

pub fn any_name_and_labels_can_be_applied() -> Result<(), ClusterError> {
    let helm = Helm::new()?;
    let cluster = ControlPlane::start()?;
    install_kinds(&cluster);
    let mut all = everything();
    merge(
        &mut all,
        &json!({"certificates": {"secretName": "1"}, "webhooks": {"name": "0x1"}, "crds": {"install": true}}),
    );
    for (release, namespace, name) in NAMES {
        cluster.namespace(namespace, &json!({}));
        for values in [json!({}), all.clone()] {
            let objects = rendered(helm.template_of(release, namespace, &chart(), &values).ok());
            let services = objects.iter().filter(|object| object["kind"] == "Service");
            assert_eq!(services.map(|object| &object["metadata"]["name"]).collect::<Vec<_>>(), [name]);
            apply_but_pods(&cluster, &objects);
        }
    }

    // The same label may be set for all objects, for pods and for monitoring.
    let labels = json!({"example.com/a_b.c": "1e3", "team": "true"});
    let annotations = json!({"a": "yes\nno: \"1\"\n", "b": "{{ .x }}"});
    let monitoring = json!({"labels": labels, "dashboardLabels": labels});
    let common = json!({"commonLabels": labels, "podLabels": labels, "commonAnnotations": annotations,
        "podAnnotations": annotations, "monitoring": monitoring, "policies": {"enabled": true}});
    merge(&mut all, &common);
    let objects = rendered(helm.template_of("prod", "scans", &chart(), &all).ok());
    for object in &objects {
        let (metadata, what) = (&object["metadata"], format!("{} {}", object["kind"], object["metadata"]["name"]));
        assert!(metadata["labels"]["team"] == "true" && metadata["labels"]["example.com/a_b.c"] == "1e3", "{what}");
        assert_eq!(metadata["labels"]["app.kubernetes.io/instance"], "prod", "{what}");
        // A hook exists only for a moment.
        let is_hook = !metadata["annotations"]["helm.sh/hook"].is_null();
        assert!(is_hook || metadata["annotations"]["a"] == annotations["a"], "{what}");
    }
    apply_but_pods(&cluster, &objects);
    Ok(())
}

/// A pod needs its service account, which a dry run does not create.
fn apply_but_pods(cluster: &ControlPlane, objects: &[Value]) {
    apply(cluster, objects.iter().filter(|object| object["kind"] != "Pod").collect());
}

/// Returns all objects. A key twice in a document is an error.
fn rendered(text: &str) -> Vec<Value> {
    let documents = text.split("\n---\n").map(|document| {
        serde_saphyr::from_str::<IgnoredAny>(document).unwrap_or_else(|error| panic!("{error}\n{document}"));
        serde_json::from_str(&yaml::to_json(document).unwrap().text).unwrap()
    });
    documents.filter(|object: &Value| !object.is_null()).collect()
}
