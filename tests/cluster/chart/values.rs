//! The schema of the values: what it rejects, and that its examples are valid.

use std::fs;

use serde_json::{Value, json};

use super::chart;
use crate::controlplane::ClusterError;
use crate::helm::Helm;

/// A value with its schema and its path.
pub struct Leaf {
    pub path: Vec<String>,
    pub schema: Value,
}

impl Leaf {
    /// Returns the values with this value at the path.
    pub fn set(&self, value: Value) -> Value {
        self.path.iter().rev().fold(value, |inner, name| json!({name: inner}))
    }
}

/// Returns the values of the schema, and the paths of its groups.
pub fn leaves() -> (Vec<Leaf>, Vec<Vec<String>>) {
    let text = fs::read_to_string(chart().join("values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    let (mut leaves, mut groups) = (Vec::new(), vec![Vec::new()]);
    collect(&schema, &[], &mut leaves, &mut groups);
    leaves.retain(|leaf| leaf.path != ["global"]);
    assert!(leaves.len() > 50 && groups.len() > 10);
    (leaves, groups)
}

fn collect(schema: &Value, path: &[String], leaves: &mut Vec<Leaf>, groups: &mut Vec<Vec<String>>) {
    for (name, property) in schema["properties"].as_object().unwrap() {
        let path: Vec<String> = path.iter().chain([name]).cloned().collect();
        if property["default"].is_null() && property["properties"].is_object() {
            groups.push(path.clone());
            collect(property, &path, leaves, groups);
        } else {
            leaves.push(Leaf { path, schema: property.clone() });
        }
    }
}

/// Values that a user may write by mistake, and the path that the error must name.
fn mistakes() -> Vec<(Value, &'static str)> {
    vec![
        (json!({"replicas": 0}), "/replicas"),
        (json!({"replicas": "2"}), "/replicas"),
        (json!({"replicaCount": 2}), "replicaCount"),
        (json!({"mode": "enforce"}), "/mode"),
        (json!({"mode": "off"}), "/mode"),
        (json!({"image": "scan-admission:1"}), "/image"),
        (json!({"image": {"tag": 1.0}}), "/image/tag"),
        (json!({"image": {"tag": "a:b"}}), "/image/tag"),
        (json!({"image": {"digest": "sha256:abc"}}), "/image/digest"),
        (json!({"image": {"pullPolicy": "IfMissing"}}), "/image/pullPolicy"),
        (json!({"imagePullSecrets": ["registry"]}), "/imagePullSecrets/0"),
        (json!({"fullnameOverride": "Scans"}), "/fullnameOverride"),
        (json!({"port": 443}), "/port"),
        (json!({"port": 8080}), "/port"),
        (json!({"service": {"port": 65536}}), "/service/port"),
        (json!({"extraArgs": ["listen"]}), "/extraArgs/0"),
        (json!({"certificates": {"source": "certmanager"}}), "/certificates/source"),
        (json!({"certificates": {"caBundle": "LS0t"}}), "caBundle"),
        (json!({"certificates": {"issuerRef": {"names": "x"}}}), "/certificates/issuerRef"),
        (json!({"webhooks": {"status": {"failurePolicy": "Warn"}}}), "/webhooks/status/failurePolicy"),
        (json!({"webhooks": {"status": {"timeoutSeconds": 31}}}), "/webhooks/status/timeoutSeconds"),
        (json!({"webhooks": {"matchConditions": [{"name": "x"}]}}), "/webhooks/matchConditions/0"),
        (json!({"webhooks": {"namespaceSelector": {"matchLabel": {}}}}), "/webhooks/namespaceSelector"),
        (json!({"reports": {"stuck": 30}}), "/reports/stuck"),
        (json!({"reports": {"kind": "reports"}}), "/reports/kind"),
        (json!({"monitoring": {"interval": "30"}}), "/monitoring/interval"),
        (json!({"podDisruptionBudget": {"maxUnavailable": 0}}), "/podDisruptionBudget/maxUnavailable"),
        (json!({"podDisruptionBudget": {"maxUnavailable": "100%"}}), "/podDisruptionBudget/maxUnavailable"),
        (json!({"breakGlass": {"subjects": ["jane"]}}), "/breakGlass/subjects/0"),
        (json!({"commonLabels": {"app.kubernetes.io/name": "x"}}), "/commonLabels"),
        (json!({"commonLabels": {"helm.sh/chart": "x"}}), "/commonLabels"),
        (json!({"commonLabels": {"team": "a b"}}), "/commonLabels/team"),
        (json!({"podLabels": {"app.kubernetes.io/instance": "x"}}), "/podLabels"),
        (json!({"monitoring": {"labels": {"team": 1}}}), "/monitoring/labels/team"),
        (json!({"webhooks": {"domain": "scans..example.com"}}), "/webhooks/domain"),
        (json!({"webhooks": {"domain": ""}}), "/webhooks/domain"),
        (json!({"podAnnotations": {"checked": true}}), "/podAnnotations/checked"),
        (json!({"config": {"rules": {"phase-unknow": "warn"}}}), "/config/rules"),
        (json!({"config": {"rules": {"phase-unknown": "Warn"}}}), "/config/rules/phase-unknown"),
        (json!({"config": {"limits": {"body": "10"}}}), "/config/limits/body"),
        (json!({"config": {"statusWriters": []}}), "/config/statusWriters"),
    ]
}

pub fn bad_values_are_rejected() -> Result<(), ClusterError> {
    let helm = Helm::new()?;
    let (leaves, groups) = leaves();
    let mut cases = mistakes().into_iter().map(|(values, path)| (values, path.to_owned())).collect::<Vec<_>>();
    // No value is a number with a fraction, and no group has an unknown member.
    cases.extend(leaves.iter().map(|leaf| (leaf.set(json!(12.5)), format!("/{}", leaf.path.join("/")))));
    for group in groups {
        let path = group.iter().map(|name| format!("/{name}")).collect::<String>();
        let path = format!("at '{path}': additional properties 'unknownMember' not allowed");
        cases.push((Leaf { path: group, schema: Value::Null }.set(json!({"unknownMember": 1})), path));
    }
    for (values, path) in cases {
        let printed = helm.template(&chart(), &values);
        let error = printed.failed();
        let is_named = error.contains("don't meet the specifications of the schema") && error.contains(&path);
        assert!(is_named, "{values} is rejected without {path}: {error}");
    }
    Ok(())
}
