//! Whole lives of scans, as tests/fixtures/lives tells them: what is written, and what is stored then.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::ways_of_writing::Way;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Life {
    pub kind: String,
    pub name: String,
    /// What this life is about.
    pub says: String,
    /// The way of writing that tests/fixtures/reviews shows.
    pub recorded: Way,
    pub spec: Value,
    /// A status that is sent with the creation; it is never stored.
    created: Option<Value>,
    pub steps: Vec<Step>,
    /// What `kubectl get` prints in the end; nothing of a scan that is deleted.
    pub columns: Option<BTreeMap<String, String>>,
}

/// What it changes is there; the rest stays as it was.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub name: String,
    /// As it is stored.
    pub status: Option<Value>,
    /// How what is written differs from it, for the webhook to mutate; null is left out.
    #[serde(default)]
    written: BTreeMap<String, Value>,
    /// The rules that deny it, so that nothing is stored.
    #[serde(default)]
    pub denied: Vec<String>,
    spec: Option<Value>,
    labels: Option<Value>,
    #[serde(default)]
    pub delete: bool,
}

/// All of them, in the order of their files.
pub fn lives() -> Vec<Life> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lives");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: &Path| -> Life {
        let life: Life =
            serde_json::from_slice(&fs::read(path).unwrap()).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        assert_eq!(path.file_stem().unwrap().to_str().unwrap(), life.id());
        life
    };
    paths.iter().map(|path| read(path)).collect()
}

impl Life {
    pub fn id(&self) -> String {
        format!("{}-{}", self.kind.to_lowercase(), self.name)
    }

    /// The scan as it is created.
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
    /// What this step makes of a scan.
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

    /// The same, as it is written when the webhook is there to mutate it.
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
