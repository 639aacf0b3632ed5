//! The rendered chart, compared with the kustomize base, its overlays and its components.

use std::collections::BTreeMap;
use std::fs;

use scan_admission::manifest::yaml;
use serde_json::{Value, json};

use super::chart;
use crate::controlplane::{ClusterError, kubectl};
use crate::helm::Helm;
use crate::installed::generate;
use crate::support::folder::Folder;

/// Objects by kind and name.
pub type Objects = BTreeMap<(String, String), Value>;

pub fn lint_finds_nothing() -> Result<(), ClusterError> {
    let printed = Helm::new()?.run(["lint", "--strict", "--kube-version=1.36.0", chart().to_str().unwrap()]);
    let findings: Vec<&str> = printed.ok().lines().filter(|line| line.starts_with('[')).collect();
    assert_eq!(findings, Vec::<&str>::new());
    assert!(printed.stdout.contains("1 chart(s) linted, 0 chart(s) failed"), "{}", printed.stdout);
    Ok(())
}

/// The namespace is that of the release, which Helm creates. All other objects are the same, except for labels of Helm.
pub fn objects_are_those_of_the_manifests() -> Result<(), ClusterError> {
    let helm = Helm::new()?;
    let folder = Folder::new();
    generate(folder.path());
    let no_events = json!({"enabled": false});
    let monitoring = json!({"scrape": "service", "rules": true, "dashboard": true});
    let cases = [
        ("resources: [../base]", json!({})),
        ("resources: [../base]\ncomponents: [../no-events]", json!({"events": no_events})),
        ("resources: [../files]", json!({"certificates": {"source": "secret"}, "events": no_events})),
        ("resources: [../files]\ncomponents: [../events]", json!({"certificates": {"source": "secret"}})),
        ("resources: [../cert-manager]", json!({"certificates": {"source": "cert-manager"}, "events": no_events})),
        ("resources: [../base]\ncomponents: [../break-glass]", json!({"breakGlass": {"enabled": true}})),
        ("resources: [../base]\ncomponents: [../base/crds]", json!({"crds": {"install": true}})),
        ("resources: [../base]\ncomponents: [../reports]", json!({"reports": {"enabled": true}})),
        (
            "resources: [../base, ../monitoring]\ncomponents: [../reports]",
            json!({"monitoring": monitoring, "reports": {"enabled": true}}),
        ),
        (
            "resources: [../base]\ncomponents: [../status-writers]\npatches: [{target: {kind: ConfigMap}, patch: '[{\"op\": \"replace\", \"path\": \"/data/config.yaml\", \"value\": \"statusWriters:\\n- jane\\n\"}]'}]",
            json!({"config": {"statusWriters": ["jane"]}}),
        ),
    ];
    for (overlay, values) in cases {
        fs::create_dir_all(folder.join("mine")).unwrap();
        fs::write(folder.join("mine/kustomization.yaml"), overlay).unwrap();
        let kustomized = kubectl()?.args(["kustomize"]).args([folder.join("mine")]).run();
        let mut kustomized = objects(kustomized.ok());
        assert!(kustomized.remove(&("Namespace".to_owned(), "scan-admission".to_owned())).is_some());
        let printed = helm.template(&chart(), &values);
        // An upgrade must not change what the replicas or cert-manager have written.
        let is_secret = |line: &&str| line.contains("caBundle:") || line.contains("PRIVATE KEY");
        assert_eq!(printed.ok().lines().find(is_secret), None, "{overlay}");
        let rendered = objects(printed.ok());
        let names = |objects: &Objects| objects.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&rendered), names(&kustomized), "{overlay}");
        for (name, object) in &kustomized {
            assert_eq!(rendered[name], *object, "{overlay}: {name:?}");
        }
    }
    Ok(())
}

/// Returns the objects of a release without those of hooks, and without the labels and annotations of Helm.
pub fn objects(text: &str) -> Objects {
    let documents = text.split("\n---\n").map(|document| {
        let json = yaml::to_json(document).unwrap_or_else(|error| panic!("{error}\n{document}")).text;
        serde_json::from_str::<Value>(&json).unwrap()
    });
    let is_object = |object: &Value| !object.is_null() && object["metadata"]["annotations"]["helm.sh/hook"].is_null();
    let objects = documents.filter(is_object).map(|mut object| {
        without_labels(&mut object);
        let metadata = object["metadata"].as_object_mut().unwrap();
        if metadata.get("annotations") == Some(&json!({"helm.sh/resource-policy": "keep"})) {
            metadata.remove("annotations");
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        ((text(&object["kind"]), text(&object["metadata"]["name"])), object)
    });
    objects.collect()
}

/// Removes the labels that only one of the two ways of installation sets.
fn without_labels(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for label in ["instance", "version", "managed-by"] {
                members.remove(&format!("app.kubernetes.io/{label}"));
            }
            members.remove("helm.sh/chart");
            if members.contains_key("grafana_dashboard") {
                members.remove("app.kubernetes.io/name");
            }
            members.values_mut().for_each(without_labels);
        }
        Value::Array(entries) => entries.iter_mut().for_each(without_labels),
        _ => {}
    }
}
