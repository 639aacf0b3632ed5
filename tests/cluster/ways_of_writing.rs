//! The ways to write a scan: with the verbs of kubectl, and with kube-rs as a controller does.

use std::fs;

use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use kube::{Client, Error};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::runtime::{self, Runtime};

use crate::controlplane::{Kubectl, Namespace, User};
use crate::support::folder::Folder;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// `kubectl patch --type=merge`
    PatchMerge,
    /// `kubectl patch --type=json`
    PatchJson,
    /// `kubectl apply --server-side`
    Apply,
    /// `kubectl edit`
    Edit,
    /// Get and replace.
    ControllerReplace,
    /// A merge patch.
    ControllerPatch,
    /// Server-side apply.
    ControllerApply,
}

/// The field manager of the controller.
const MANAGER: &str = "scan-controller";

/// Writes the scans of one namespace in one way: statuses as the scan controller, everything else as the developer.
pub struct Writer<'a> {
    namespace: &'a Namespace<'a>,
    way: Way,
    runtime: Runtime,
    developer: Client,
    controller: Client,
    folder: Folder,
}

impl<'a> Writer<'a> {
    pub fn new(namespace: &'a Namespace<'a>, way: Way) -> Self {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = |user| {
            runtime.block_on(async {
                let kubeconfig = Kubeconfig::read_from(namespace.cluster.kubeconfig(user)).unwrap();
                let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
                Client::try_from(config.unwrap()).unwrap()
            })
        };
        let (developer, controller) = (client(User::Developer), client(User::ScanController));
        Self { namespace, way, runtime, developer, controller, folder: Folder::new() }
    }

    fn api(&self, user: User, kind: &str) -> Api<DynamicObject> {
        let client = if user == User::Developer { &self.developer } else { &self.controller };
        let kind = GroupVersionKind::gvk("scanning.apps.tanzu.vmware.com", "v1beta1", kind);
        Api::namespaced_with(client.clone(), &self.namespace.name, &ApiResource::from_gvk(&kind))
    }

    /// Returns the stored scan.
    pub fn read(&self, kind: &str, name: &str) -> Option<Value> {
        let scan = self.runtime.block_on(self.api(User::ScanController, kind).get_opt(name)).unwrap();
        scan.map(|scan| serde_json::to_value(scan).unwrap())
    }

    pub fn create(&self, scans: &[Value]) {
        let kubectl = |arguments: &[&str]| {
            let list = json!({"apiVersion": "v1", "kind": "List", "items": scans}).to_string();
            self.namespace.kubectl(User::Developer).args(arguments).args(["-f", "-"]).input(list).run().ok();
        };
        match self.way {
            Way::PatchMerge | Way::PatchJson | Way::Edit => kubectl(&["create"]),
            Way::Apply => kubectl(&["apply", "--server-side"]),
            Way::ControllerReplace | Way::ControllerPatch | Way::ControllerApply => {
                for scan in scans {
                    self.runtime.block_on(self.create_one(scan)).unwrap();
                }
            }
        }
    }

    async fn create_one(&self, scan: &Value) -> Result<DynamicObject, Error> {
        let (kind, name) = names(scan);
        let api = self.api(User::Developer, kind);
        match self.way {
            Way::ControllerApply => api.patch(name, &PatchParams::apply(MANAGER), &Patch::Apply(scan)).await,
            _ => api.create(&manager(), &typed(scan)).await,
        }
    }

    pub fn delete(&self, kind: &str, name: &str) {
        match self.way {
            Way::PatchMerge | Way::PatchJson | Way::Apply | Way::Edit => {
                self.namespace.kubectl(User::Developer).args(["delete", kind, name]).run().ok();
            }
            Way::ControllerReplace | Way::ControllerPatch | Way::ControllerApply => {
                let api = self.api(User::Developer, kind);
                self.runtime.block_on(api.delete(name, &DeleteParams::default())).unwrap();
            }
        }
    }

    /// Writes `new` over the stored `old`. Fails with the API server's message.
    pub fn write(&self, old: &Value, new: &Value) -> Result<(), String> {
        match self.way {
            Way::PatchMerge | Way::PatchJson | Way::Apply | Way::Edit => {
                let output = self.kubectl(old, new).run();
                match (output.code, self.way) {
                    (Some(0), _) => Ok(()),
                    // `kubectl edit` shows the error in a comment when it opens the editor again.
                    (_, Way::Edit) => Err(fs::read_to_string(self.folder.join("shown")).unwrap()),
                    _ => Err(output.stderr),
                }
            }
            Way::ControllerReplace | Way::ControllerPatch | Way::ControllerApply => {
                let written = self.runtime.block_on(self.control(old, new));
                written.map(drop).map_err(|error| error.to_string())
            }
        }
    }

    fn kubectl(&self, old: &Value, new: &Value) -> Kubectl {
        let (kind, name) = names(new);
        let kubectl = self.namespace.kubectl(writer_of(old, new));
        let kubectl = kubectl.args(is_status(old, new).then_some("--subresource=status"));
        let patch = |kubectl: Kubectl, kind_of_patch: &str, patch: Value| {
            kubectl.args(["patch", kind, name, kind_of_patch, "--patch", &patch.to_string()])
        };
        match self.way {
            Way::PatchMerge => patch(kubectl, "--type=merge", merge_patch(old, new)),
            Way::PatchJson => patch(kubectl, "--type=json", json!(json_patch::diff(old, new))),
            Way::Apply => kubectl.args(["apply", "--server-side", "-f", "-"]).input(applied(old, new).to_string()),
            _ => {
                let mut edited = new.clone();
                edited["metadata"].as_object_mut().unwrap().remove("managedFields"); // the editor does not show them
                fs::write(self.folder.join("edited"), edited.to_string()).unwrap(); // JSON is YAML
                let script = "cd \"${0%/*}\" && cp \"$1\" shown && cp edited \"$1\"\n";
                fs::write(self.folder.join("editor.sh"), script).unwrap();
                let kubectl = kubectl.env("KUBE_EDITOR", format!("sh {}", self.folder.join("editor.sh").display()));
                // kubectl leaves a copy of a denied edit in this folder.
                kubectl.env("TMPDIR", self.folder.path()).args(["edit", kind, name])
            }
        }
    }

    async fn control(&self, old: &Value, new: &Value) -> Result<DynamicObject, Error> {
        let is_status = is_status(old, new);
        let (kind, name) = names(new);
        let api = self.api(writer_of(old, new), kind);
        let (params, patch) = match self.way {
            Way::ControllerPatch => {
                let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
                (params, Patch::Merge(merge_patch(old, new)))
            }
            Way::ControllerApply => (PatchParams::apply(MANAGER), Patch::Apply(applied(old, new))),
            _ if is_status => return api.replace_status(name, &manager(), &typed(new)).await,
            _ => return api.replace(name, &manager(), &typed(new)).await,
        };
        if is_status { api.patch_status(name, &params, &patch).await } else { api.patch(name, &params, &patch).await }
    }
}

/// Whether a write changes the status. A write changes either the status or the other fields.
fn is_status(old: &Value, new: &Value) -> bool {
    old["status"] != new["status"]
}

fn writer_of(old: &Value, new: &Value) -> User {
    if is_status(old, new) { User::ScanController } else { User::Developer }
}

fn manager() -> PostParams {
    PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() }
}

fn typed(scan: &Value) -> DynamicObject {
    serde_json::from_value(scan.clone()).unwrap()
}

fn names(scan: &Value) -> (&str, &str) {
    (scan["kind"].as_str().unwrap(), scan["metadata"]["name"].as_str().unwrap())
}

/// Returns the fields that the apply of `new` owns: the status, or everything else.
fn applied(old: &Value, new: &Value) -> Value {
    let mut applied =
        json!({"apiVersion": new["apiVersion"], "kind": new["kind"], "metadata": {"name": new["metadata"]["name"]}});
    if is_status(old, new) {
        applied["status"] = new["status"].clone();
    } else {
        applied["spec"] = new["spec"].clone();
        if let Some(labels) = new["metadata"].get("labels") {
            applied["metadata"]["labels"] = labels.clone();
        }
    }
    applied
}

/// Returns the merge patch between two objects (RFC 7386).
fn merge_patch(old: &Value, new: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (old, new) else { return new.clone() };
    let gone = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed = new.iter().filter(|(key, value)| old.get(*key) != Some(value));
    let changed = changed.map(|(key, value)| (key.clone(), merge_patch(old.get(key).unwrap_or(&Value::Null), value)));
    Value::Object(gone.chain(changed).collect::<Map<_, _>>())
}
