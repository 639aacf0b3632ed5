//! A captured review with its fields in the order of the wire. Values that differ from run to run are replaced by fixed
//! ones.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Serializer, Value, json};

/// The time of every write: just before the first of the times in tests/fixtures/lifecycles.
const TIME: &str = "2026-11-20T08:00:00Z";
/// Replaces the digest of the client certificate.
const CREDENTIAL: &str = "X509SHA256=0000000000000000000000000000000000000000000000000000000000000000";

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Review {
    kind: String,
    api_version: String,
    pub request: Request,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    uid: String,
    kind: Kind,
    resource: Resource,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_resource: Option<String>,
    request_kind: Kind,
    request_resource: Resource,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_sub_resource: Option<String>,
    name: String,
    namespace: String,
    operation: String,
    user_info: UserInfo,
    object: Option<Value>,
    old_object: Option<Value>,
    dry_run: bool,
    options: Options,
}

#[derive(Deserialize, Serialize)]
struct Kind {
    group: String,
    version: String,
    kind: String,
}

#[derive(Deserialize, Serialize)]
struct Resource {
    group: String,
    version: String,
    resource: String,
}

#[derive(Deserialize, Serialize)]
struct UserInfo {
    username: String,
    groups: Vec<String>,
    extra: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    kind: String,
    api_version: String,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

impl Review {
    pub fn read(body: &str) -> Self {
        let review: Self = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
        assert_eq!(serde_json::to_string(&review).unwrap(), body.trim_end(), "a review has another form");
        review
    }

    /// Replaces values that differ from run to run. `versions` lists the resourceVersions of this scan so far.
    pub fn normalise(&mut self, name: &str, versions: &mut Vec<Value>) {
        let request = &mut self.request;
        request.uid = uid(name);
        request
            .user_info
            .extra
            .insert("authentication.kubernetes.io/credential-id".to_owned(), vec![CREDENTIAL.to_owned()]);
        let scan = uid(&format!("{}/{}", request.kind.kind, request.name));
        for object in [&mut request.old_object, &mut request.object].into_iter().flatten() {
            let metadata = object["metadata"].as_object_mut().unwrap();
            for (member, value) in metadata {
                match member.as_str() {
                    "uid" => *value = json!(scan),
                    "creationTimestamp" => *value = json!(TIME),
                    "resourceVersion" => *value = version(value, versions),
                    "managedFields" => managers(value),
                    _ => {}
                }
            }
        }
    }

    /// Returns the text of the committed file.
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        let format = serde_json::ser::PrettyFormatter::with_indent(b" ");
        self.serialize(&mut Serializer::with_formatter(&mut text, format)).unwrap();
        String::from_utf8(text).unwrap() + "\n"
    }
}

/// Numbers the resourceVersions of a scan from 1.
fn version(value: &Value, versions: &mut Vec<Value>) -> Value {
    let known = versions.iter().position(|known| known == value).unwrap_or_else(|| {
        versions.push(value.clone());
        versions.len() - 1
    });
    json!((known + 1).to_string())
}

/// Sorts the managed fields. The API server sorts them by their times in whole seconds first; here all times are equal,
/// so the other members decide.
fn managers(fields: &mut Value) {
    let fields = fields.as_array_mut().unwrap();
    for field in fields.iter_mut() {
        field["time"] = json!(TIME);
    }
    let key =
        |field: &Value| ["operation", "manager", "subresource"].map(|member| field[member].as_str().map(str::to_owned));
    fields.sort_by_key(key);
}

/// Returns the same UID for the same name: its FNV-1a hash in the form of a random UUID.
fn uid(name: &str) -> String {
    let mix = |hash: u128, byte: u8| (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b);
    let hash = name.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, mix);
    let digits = format!("{hash:032x}");
    format!("{}-{}-4{}-8{}-{}", &digits[..8], &digits[8..12], &digits[13..16], &digits[17..20], &digits[20..])
}
