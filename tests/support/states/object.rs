//! Builds complete scans as a controller writes them, one change at a time.

use serde_json::{Map, Value, json};

use super::{Phase, Status};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    SourceScan,
    ImageScan,
}

/// The spelling of the counts and of the metadata URL: the wire's or that of the vendor's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    Wire,
    Documented,
}

/// How compliantArtifact differs from artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compliant {
    Same,
    /// The url of a blob.
    AnotherUrl,
    AnotherRevision,
    /// A git source, which the artifact does not have.
    AnotherPart,
    /// The repository of an image with a digest.
    AnotherRepository,
    AnotherDigest,
    Tag,
}

impl Compliant {
    pub const ALL: [Compliant; 7] = [
        Compliant::Same,
        Compliant::AnotherUrl,
        Compliant::AnotherRevision,
        Compliant::AnotherPart,
        Compliant::AnotherRepository,
        Compliant::AnotherDigest,
        Compliant::Tag,
    ];

    pub fn kind(self) -> Kind {
        match self {
            Compliant::Same | Compliant::AnotherPart | Compliant::AnotherUrl | Compliant::AnotherRevision => {
                Kind::SourceScan
            }
            Compliant::AnotherRepository | Compliant::AnotherDigest | Compliant::Tag => Kind::ImageScan,
        }
    }
}

const WIRE_COUNTS: [&str; 6] = ["critical", "high", "medium", "low", "unknown", "total"];
const DOCUMENTED_COUNTS: [&str; 6] = ["CRITICAL", "HIGH", "MEDIUM", "LOW", "UNKNOWN", "CVETOTAL"];

pub const REVISION: &str = "5805c6502976c10f5529e7f7aeb0af0c370c0354";
pub const NEXT_REVISION: &str = "9d1f0c1be2a4f7c35e88d06b1a3c5d7e9f02468a";

/// Returns the reason, message and error of a row of §2. Texts that §2 does not fix are invented.
fn row(name: &str, status: Status) -> (&'static str, &'static str, &'static str) {
    match (name, status) {
        ("Scanning", Status::True) => ("JobStarted", "The scan job is running", ""),
        ("Scanning", Status::False) => ("JobFinished", "The scan job terminated", ""),
        ("Succeeded", Status::True) => ("JobFinished", "The scan job finished", ""),
        ("Succeeded", Status::False) => {
            ("Error", "Scan job pod could not be retrieved. expected 1 pod, found 0", "expected 1 pod, found 0")
        }
        ("SendingResults", Status::True) => ("ResultsSent", "The scan results were sent", ""),
        ("SendingResults", Status::False) => ("NotConfigured", "The metadata store is not configured", ""),
        ("PolicySucceeded", Status::True) => ("EvaluationPassed", "No CVEs were found that violated the policy", ""),
        ("PolicySucceeded", Status::False) => ("EvaluationFailed", "Policy violated because of 7 CVEs", ""),
        ("PolicySucceeded", Status::Unknown) => {
            ("Error", "An error has occurred", "rego_parse_error: policy.rego:3: unexpected token")
        }
        (name, status) => panic!("{name} has no row for {status:?}"),
    }
}

#[derive(Clone, Debug)]
pub struct Scan {
    kind: Kind,
    spelling: Spelling,
    object: Value,
    /// The generations of the ScanTemplate and of the ScanPolicy objects.
    pub template: i64,
    pub policy: i64,
}

impl Scan {
    /// Returns a scan as its author creates it: without a status.
    pub fn created(kind: Kind, spelling: Spelling, scan_policy: bool) -> Scan {
        let (name, template) = match kind {
            Kind::SourceScan => ("hound-source", "blob-source-scan-template"),
            Kind::ImageScan => ("hound-image", "private-image-scan-template"),
        };
        let object = json!({
            "apiVersion": "scanning.apps.tanzu.vmware.com/v1beta1",
            "kind": format!("{kind:?}"),
            "metadata": {
                "name": name,
                "namespace": "dev",
                "generation": 1,
                "uid": "6f1b8a9e-3c52-4a77-9d0c-2b8e5f4c7a11",
                "creationTimestamp": "2026-11-20T08:00:00Z",
            },
            "spec": { "scanTemplate": template },
        });
        let mut scan = Scan { kind, spelling, object, template: 1, policy: 1 };
        scan.set_source(REVISION);
        if scan_policy {
            scan.object["spec"]["scanPolicy"] = json!("scan-policy");
        }
        scan
    }

    fn set_source(&mut self, revision: &str) {
        let server = "http://source-controller.flux-system.svc.cluster.local.";
        let (member, source) = match self.kind {
            Kind::SourceScan => (
                "blob",
                json!({
                    "url": format!("{server}/gitrepository/dev/hound/{revision}.tar.gz"),
                    "revision": format!("main/{revision}"),
                }),
            ),
            Kind::ImageScan => {
                let digest = format!("{revision:0<64}");
                ("registry", json!({ "image": format!("registry.example.com/dev/hound@sha256:{digest}") }))
            }
        };
        self.object["spec"][member] = source;
    }

    /// Increments the generation, as the API server does for an edit of the spec.
    fn edited(&mut self) -> &mut Self {
        let generation = &mut self.object["metadata"]["generation"];
        *generation = json!(generation.as_i64().unwrap() + 1);
        self
    }

    pub fn edit_source(&mut self, revision: &str) -> &mut Self {
        self.set_source(revision);
        self.edited()
    }

    pub fn edit_scan_policy(&mut self, name: Option<&str>) -> &mut Self {
        let spec = self.object["spec"].as_object_mut().unwrap();
        match name {
            Some(name) => spec.insert("scanPolicy".to_owned(), json!(name)),
            None => spec.remove("scanPolicy"),
        };
        self.edited()
    }

    pub fn edit_scan_template(&mut self, name: &str) -> &mut Self {
        self.object["spec"]["scanTemplate"] = json!(name);
        self.edited()
    }

    fn status(&mut self) -> &mut Map<String, Value> {
        let status = &mut self.object["status"];
        if status.is_null() {
            *status = json!({});
        }
        status.as_object_mut().unwrap()
    }

    fn set(&mut self, field: &str, value: Value) -> &mut Self {
        self.status().insert(field.to_owned(), value);
        self
    }

    pub fn remove(&mut self, field: &str) -> &mut Self {
        self.status().remove(field);
        self
    }

    /// Sets the observed generations to the current ones of the spec, the template and the policy.
    pub fn observe(&mut self) -> &mut Self {
        let generation = self.object["metadata"]["generation"].clone();
        let (template, policy) = (json!(self.template), json!(self.policy));
        let has_policy = !self.object["spec"]["scanPolicy"].is_null();
        self.set("observedGeneration", generation)
            .set("observedTemplateGeneration", template)
            .set("observedTemplateUID", json!("b46ef6e7-5e4d-4e9b-9aee-ebb1c3e645c2"));
        if has_policy { self.set("observedPolicyGeneration", policy) } else { self.remove("observedPolicyGeneration") }
    }

    /// Overwrites status.observedGeneration and metadata.generation, independently of earlier edits.
    pub fn generations(&mut self, observed: Option<i64>, generation: Option<i64>) -> &mut Self {
        match generation {
            Some(generation) => self.object["metadata"]["generation"] = json!(generation),
            None => drop(self.object["metadata"].as_object_mut().unwrap().remove("generation")),
        }
        match observed {
            Some(observed) => self.set("observedGeneration", json!(observed)),
            None => self.remove("observedGeneration"),
        }
    }

    pub fn of_generation(&mut self, name: &str, generation: i64) -> &mut Self {
        let entry = self.conditions().iter_mut().find(|entry| entry["type"] == name).unwrap();
        entry["observedGeneration"] = json!(generation);
        self
    }

    pub fn without_generation(&mut self, name: &str) -> &mut Self {
        let entry = self.conditions().iter_mut().find(|entry| entry["type"] == name).unwrap();
        entry.as_object_mut().unwrap().remove("observedGeneration");
        self
    }

    pub fn remove_status(&mut self) -> &mut Self {
        self.object.as_object_mut().unwrap().remove("status");
        self
    }

    pub fn restore(&mut self, status: Value) -> &mut Self {
        self.object["status"] = status;
        self
    }

    pub fn phase(&mut self, phase: Option<Phase>) -> &mut Self {
        match phase {
            Some(phase) => self.set("phase", json!(phase.name())),
            None => self.remove("phase"),
        }
    }

    /// Writes a condition by its row of §2, for the observed generation. Its time is `at`, or the old time if the
    /// status is unchanged.
    pub fn condition(&mut self, name: &str, status: Status, at: &str) -> &mut Self {
        let (reason, message, error) = row(name, status);
        let mut entry = json!({
            "type": name,
            "status": status.name(),
            "reason": reason,
            "message": message,
            "lastTransitionTime": at,
            "observedGeneration": self.status().get("observedGeneration"),
        });
        if !error.is_empty() {
            entry["error"] = json!(error);
        }
        let conditions = self.conditions();
        match conditions.iter_mut().find(|other| other["type"] == name) {
            Some(other) => {
                if other["status"] == entry["status"] {
                    entry["lastTransitionTime"] = other["lastTransitionTime"].take();
                }
                *other = entry;
            }
            None => conditions.push(entry),
        }
        self
    }

    pub fn without(&mut self, name: &str) -> &mut Self {
        self.conditions().retain(|entry| entry["type"] != name);
        self
    }

    fn conditions(&mut self) -> &mut Vec<Value> {
        self.status().entry("conditions").or_insert_with(|| json!([])).as_array_mut().unwrap()
    }

    pub fn counts(&mut self, counts: [i64; 5]) -> &mut Self {
        let (field, names) = match self.spelling {
            Spelling::Wire => ("cveCount", WIRE_COUNTS),
            Spelling::Documented => ("CVECount", DOCUMENTED_COUNTS),
        };
        let all = counts.into_iter().chain([counts.iter().sum()]);
        let counts: Map<String, Value> = names.into_iter().map(str::to_owned).zip(all.map(Value::from)).collect();
        self.set(field, counts.into())
    }

    pub fn metadata_url(&mut self) -> &mut Self {
        let field = match self.spelling {
            Spelling::Wire => "metadataUrl",
            Spelling::Documented => "metadataURL",
        };
        let store = "https://metadata-store-app.metadata-store.svc.cluster.local:8443";
        let resource = match self.kind {
            Kind::SourceScan => "sources",
            Kind::ImageScan => "images",
        };
        self.set(field, json!(format!("{store}/api/{resource}?digest={REVISION}")))
    }

    pub fn scanned_by(&mut self, version: &str) -> &mut Self {
        self.set("scannedBy", json!({ "scanner": { "name": "Grype", "vendor": "Anchore", "version": version } }))
    }

    pub fn scanned_at(&mut self, at: &str) -> &mut Self {
        self.set("scannedAt", json!(at))
    }

    /// Sets the scanned artifact to the spec's source.
    pub fn artifact(&mut self) -> &mut Self {
        let member = match self.kind {
            Kind::SourceScan => "blob",
            Kind::ImageScan => "registry",
        };
        let source = self.object["spec"][member].clone();
        self.set("artifact", json!({ member: source }))
    }

    /// Sets compliantArtifact to the artifact.
    pub fn compliant_artifact(&mut self) -> &mut Self {
        let artifact = self.status()["artifact"].clone();
        self.set("compliantArtifact", artifact)
    }

    /// Sets the scanned artifact to another source than the spec's.
    pub fn artifact_of_another(&mut self) -> &mut Self {
        let artifact = match self.kind {
            Kind::SourceScan => json!({"blob": {"url": "http://example.com/another.tar.gz", "revision": "main/1"}}),
            Kind::ImageScan => json!({"registry": {"image": format!("example.com/dev/another@sha256:{:0<64}", 1)}}),
        };
        self.set("artifact", artifact)
    }

    pub fn compliant_artifact_that_is(&mut self, compliant: Compliant) -> &mut Self {
        let mut artifact = self.status()["artifact"].clone();
        let image = artifact["registry"]["image"].as_str().map(|image| image.split_once('@').unwrap());
        let (repository, digest) = image.map(|(name, digest)| (name.to_owned(), digest.to_owned())).unwrap_or_default();
        match compliant {
            Compliant::Same => {}
            Compliant::AnotherUrl => artifact["blob"]["url"] = json!("http://example.com/shipped.tar.gz"),
            Compliant::AnotherRevision => artifact["blob"]["revision"] = json!("main/2"),
            Compliant::AnotherPart => artifact["git"] = json!({"url": "https://example.com/code.git"}),
            Compliant::AnotherRepository => artifact["registry"]["image"] = json!(format!("{repository}-2@{digest}")),
            Compliant::AnotherDigest => {
                artifact["registry"]["image"] = json!(format!("{repository}@sha256:{:0<64}", 2));
            }
            Compliant::Tag => artifact["registry"]["image"] = json!(format!("{repository}:v1")),
        }
        self.set("compliantArtifact", artifact)
    }

    /// Adds keys that no rule names to every object of the status except the counts, where an unknown key is a warning.
    pub fn extra_keys(&mut self) -> &mut Self {
        fn add(value: &mut Value) {
            match value {
                Value::Object(members) => {
                    members.values_mut().for_each(add);
                    members.insert("x".to_owned(), json!({"y": [null, "z"]}));
                }
                Value::Array(entries) => entries.iter_mut().for_each(add),
                _ => {}
            }
        }
        add(&mut self.object["status"]);
        for counts in ["cveCount", "CVECount"] {
            if let Some(counts) = self.status().get_mut(counts) {
                counts.as_object_mut().unwrap().remove("x");
            }
        }
        self
    }

    pub fn value(&self) -> Value {
        self.object.clone()
    }
}
