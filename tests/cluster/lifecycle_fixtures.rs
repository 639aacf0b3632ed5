//! Reads the lifecycles of scans in tests/fixtures/lifecycles: what is written in each step, and what is then stored.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::ways_of_writing::Way;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lifecycle {
    pub kind: String,
    pub name: String,
    /// What this lifecycle tests.
    pub description: String,
    /// The way of writing by which tests/fixtures/reviews was recorded.
    pub recorded: Way,
    pub spec: Value,
    /// A status that is sent with the creation. It is never stored.
    created: Option<Value>,
    pub steps: Vec<Step>,
    /// What `kubectl get` prints at the end; none if the scan is deleted.
    pub columns: Option<BTreeMap<String, String>>,
}

/// One write. It names the members that it changes; the others stay as they were.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub name: String,
    /// The status that is stored.
    pub status: Option<Value>,
    /// The members, by path, whose written value differs from the stored one, so that the webhook mutates it. Null is
    /// omitted.
    #[serde(default)]
    written: BTreeMap<String, Value>,
    /// The rules that deny the write, so that nothing is stored.
    #[serde(default)]
    pub denied: Vec<String>,
    spec: Option<Value>,
    labels: Option<Value>,
    #[serde(default)]
    pub delete: bool,
}

/// Returns all lifecycles in the order of their files.
pub fn lifecycles() -> Vec<Lifecycle> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lifecycles");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: &Path| -> Lifecycle {
        let lifecycle: Lifecycle =
            serde_json::from_slice(&fs::read(path).unwrap()).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        assert_eq!(path.file_stem().unwrap().to_str().unwrap(), lifecycle.id());
        lifecycle
    };
    paths.iter().map(|path| read(path)).collect()
}

impl Lifecycle {
    pub fn id(&self) -> String {
        format!("{}-{}", self.kind.to_lowercase(), self.name)
    }

    /// Returns the scan as it is created.
    pub fn scan(&self) -> Value {
        let mut scan = json!({
            "apiVersion": "scanning.apps.tanzu.vmware.com/v1beta1", "kind": self.kind,
            "metadata": {"name": self.name}, "spec": self.spec,
        });
        if let Some(status) = &self.created {
            scan["status"] = status.clone();
        }
        scan
    }
}

impl Step {
    /// Applies this step to a scan, as the scan is stored.
    pub fn stored(&self, scan: &Value) -> Value {
        let mut scan = scan.clone();
        if let Some(status) = &self.status {
            scan["status"] = status.clone();
        }
        if let Some(spec) = &self.spec {
            scan["spec"] = spec.clone();
        }
        if let Some(labels) = &self.labels {
            scan["metadata"]["labels"] = labels.clone();
        }
        scan
    }

    /// Applies this step to a scan, as the scan is written before the webhook mutates it.
    pub fn written(&self, scan: &Value) -> Value {
        let mut scan = self.stored(scan);
        for (path, value) in &self.written {
            let (parent, member) = path.rsplit_once('/').unwrap();
            let parent = scan["status"].pointer_mut(parent).and_then(Value::as_object_mut);
            let parent = parent.unwrap_or_else(|| panic!("{}: no {path}", self.name));
            let before = match value {
                Value::Null => parent.remove(member),
                value => parent.insert(member.to_owned(), value.clone()),
            };
            assert_ne!(before, None, "{}: no {path}", self.name);
        }
        scan
    }
}
