//! Each value of the chart changes an object, and a real API server accepts the result with strict validation.

use std::fs;

use serde_json::{Value, json};

use super::chart;
use super::rendered::objects;
use super::values::leaves;
use crate::controlplane::{ClusterError, ControlPlane, User, eventually};
use crate::helm::{Helm, module};

/// The values with every optional part, since a value of a part has no effect without it.
pub fn everything() -> Value {
    json!({
        "certificates": {"source": "cert-manager"},
        "reports": {"enabled": true},
        "monitoring": {"scrape": "service", "rules": true, "dashboard": true},
        "breakGlass": {"enabled": true},
    })
}

pub fn each_value_can_be_applied() -> Result<(), ClusterError> {
    let helm = Helm::new()?;
    let cluster = ControlPlane::start()?;
    install_kinds(&cluster);
    cluster.namespace("scan-admission", &json!({}));
    let render = |values: &Value| objects(helm.template(&chart(), values).ok());
    let bases = [json!({}), everything()].map(|values| (render(&values), values));
    for (base, _) in &bases {
        apply(&cluster, base.values().collect());
    }
    for leaf in leaves().0 {
        let example = leaf.schema["examples"][0].clone();
        let set = leaf.set(example);
        let mut has_effect = false;
        for (base, values) in &bases {
            let mut values = values.clone();
            merge(&mut values, &set);
            let rendered = render(&values);
            let is_changed = |name: &(String, String), object: &Value| base.get(name) != Some(object);
            let changed: Vec<_> = rendered.iter().filter(|(name, object)| is_changed(name, object)).collect();
            has_effect |= !changed.is_empty() || rendered.len() != base.len();
            apply(&cluster, changed.into_iter().map(|(_, object)| object).collect());
        }
        assert!(has_effect, "{set} changes nothing");
    }
    Ok(())
}

/// Applies objects as a dry run.
pub fn apply(cluster: &ControlPlane, objects: Vec<&Value>) {
    if objects.is_empty() {
        return;
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    // The API server compiles policies for some seconds each.
    let apply = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "--request-timeout=5m", "-f", "-"];
    let printed = cluster.kubectl(User::Admin).args(apply).input(list.to_string()).run();
    printed.ok();
    assert!(!printed.stderr.contains("Warning"), "{}", printed.stderr);
}

/// Installs the kinds of cert-manager and of the Prometheus operator.
pub fn install_kinds(cluster: &ControlPlane) {
    for (path, folder) in [
        ("github.com/cert-manager/cert-manager", "deploy/crds"),
        ("github.com/prometheus-operator/prometheus-operator", "example/prometheus-operator-crd"),
    ] {
        let folder = module(path).join(folder);
        for name in ["certificates", "issuers", "servicemonitors", "podmonitors", "prometheusrules"] {
            let files = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
            for file in files.filter(|file| file.to_str().unwrap().ends_with(&format!("_{name}.yaml"))) {
                // A client-side apply would not fit an annotation.
                cluster.kubectl(User::Admin).args(["create", "-f"]).args([file]).run().ok();
            }
        }
    }
    let wait = ["wait", "--for=condition=Established", "--timeout=30s", "--all", "crd"];
    eventually("the kinds are served", || {
        (cluster.kubectl(User::Admin).args(wait).run().code == Some(0)).then_some(())
    });
}

/// Merges the members of `from` into `into`.
pub fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}
