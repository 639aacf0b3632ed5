//! The admission policies and bindings of a cluster, as they are stored.

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Client, Error};
use serde_json::Value;

use super::lookup::Lookup;
use crate::policies::metadata::{APP, COMPONENT};
use crate::policies::{DOMAIN, digest_of_spec};

/// A kind of policies or of bindings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyKind {
    Validating,
    Mutating,
    ValidatingBinding,
    MutatingBinding,
}

impl PolicyKind {
    pub const ALL: [PolicyKind; 4] =
        [PolicyKind::Validating, PolicyKind::Mutating, PolicyKind::ValidatingBinding, PolicyKind::MutatingBinding];

    /// Returns the name of the kind in the API.
    pub fn name(self) -> &'static str {
        match self {
            PolicyKind::Validating => "ValidatingAdmissionPolicy",
            PolicyKind::Mutating => "MutatingAdmissionPolicy",
            PolicyKind::ValidatingBinding => "ValidatingAdmissionPolicyBinding",
            PolicyKind::MutatingBinding => "MutatingAdmissionPolicyBinding",
        }
    }

    /// Returns the kind of the bindings of a kind of policies; `None` for a kind of bindings.
    pub fn binding(self) -> Option<PolicyKind> {
        match self {
            PolicyKind::Validating => Some(PolicyKind::ValidatingBinding),
            PolicyKind::Mutating => Some(PolicyKind::MutatingBinding),
            PolicyKind::ValidatingBinding | PolicyKind::MutatingBinding => None,
        }
    }
}

/// A policy or a binding. Its fields are read from JSON, since the types of the oldest Kubernetes release lack some of them.
#[derive(Debug, Clone)]
pub struct StoredPolicy {
    pub kind: PolicyKind,
    pub object: Value,
}

impl StoredPolicy {
    pub fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// Returns kind and name, for messages.
    pub fn id(&self) -> String {
        format!("{} {}", self.kind.name(), self.name())
    }

    /// Returns an annotation of the generated policies; empty if it is absent.
    pub fn annotation(&self, name: &str) -> &str {
        self.object["metadata"]["annotations"][format!("{DOMAIN}/{name}")].as_str().unwrap_or_default()
    }

    /// Returns the name of the policy that a binding binds.
    pub fn policy_name(&self) -> &str {
        self.object["spec"]["policyName"].as_str().unwrap_or_default()
    }

    /// Returns whether the spec is the one that was generated.
    pub fn is_unedited(&self) -> bool {
        digest_of_spec(&self.object) == self.annotation("spec")
    }

    /// Returns whether `generate policies` has made the policy or the binding.
    pub fn is_generated(&self) -> bool {
        let labels = &self.object["metadata"]["labels"];
        labels["app.kubernetes.io/name"] == APP && labels["app.kubernetes.io/component"] == COMPONENT
    }
}

/// Lists all policies and bindings of a cluster. Those without our labels may be bindings of our policies too.
pub async fn policies(client: &Client) -> [Lookup<Vec<StoredPolicy>>; 4] {
    let mut all = PolicyKind::ALL.map(|_| Lookup::Absent);
    for (kind, found) in PolicyKind::ALL.into_iter().zip(&mut all) {
        *found = of_kind(client, kind).await;
    }
    all
}

/// A cluster that does not serve the kind has none: MutatingAdmissionPolicies are served as v1 from Kubernetes 1.36 on.
async fn of_kind(client: &Client, kind: PolicyKind) -> Lookup<Vec<StoredPolicy>> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind.name()));
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let list = match api.list(&ListParams::default()).await {
        Err(Error::Api(status)) if status.code == 404 => return Lookup::Found(Vec::new()),
        list => list,
    };
    let list = match Lookup::of(list.map(|list| Some(list.items))) {
        Lookup::Found(items) => items,
        Lookup::Absent => Vec::new(),
        Lookup::Unknown(why) => return Lookup::Unknown(why),
    };
    let stored = list.iter().map(|one| Ok(StoredPolicy { kind, object: serde_json::to_value(one)? }));
    match stored.collect::<Result<_, serde_json::Error>>() {
        Ok(stored) => Lookup::Found(stored),
        Err(error) => Lookup::Unknown(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use kube::client::Body;

    use super::*;

    /// Lists a kind of an API server that gives this answer.
    async fn listed(code: u16, answer: &'static str) -> Lookup<Vec<StoredPolicy>> {
        let service = tower::service_fn(move |request: axum::http::Request<Body>| {
            let path = request.uri().path().to_owned();
            assert_eq!(path, "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies");
            let answer = axum::http::Response::builder().status(code).body(Body::from(answer.as_bytes().to_vec()));
            async { Ok::<_, Infallible>(answer.unwrap()) }
        });
        of_kind(&Client::new(service, "default"), PolicyKind::Mutating).await
    }

    /// As an API server before 1.36 answers, which does not serve the kind.
    #[tokio::test]
    async fn a_kind_that_is_not_served_has_no_policies() {
        let found = listed(404, "404 page not found\n").await;
        assert!(found.found().is_some_and(Vec::is_empty), "{found:?}");
    }

    #[tokio::test]
    async fn a_kind_that_cannot_be_listed_is_unknown() {
        let status = r#"{"kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden", "message": "no"}"#;
        let found = listed(403, status).await;
        assert!(matches!(&found, Lookup::Unknown(why) if why == "no"), "{found:?}");
    }
}
