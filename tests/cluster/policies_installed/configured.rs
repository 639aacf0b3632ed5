//! Policies of a configuration: the modes of rules, overrides, and status writers.

use std::fs;
use std::path::Path;

use scan_admission::admission::ReviewSettings;
use scan_admission::config::Config;
use serde_json::{Value, json};

use super::in_process::{Answers, Write};
use super::install::{annotation, listed};
use super::printed::Printed;
use super::{TIMEOUT, generate, patch_status, start};
use crate::break_glass;
use crate::controlplane::{ControlPlane, Namespace, User, eventually};
use crate::requests_and_answers::stored;
use crate::scan;
use crate::support::folder::Folder;

const CONFIG: &str = "
rules: {phase-unknown: warn, metadata-url: audit, scanned-at: 'off', status-on-create: 'off'}
overrides:
- namespaces: ['team-*']
  rules: {cve-count-values: warn, spelling-conflict: 'off'}
- users: ['system:serviceaccount:scan-link-system:*']
  namespaces: [team-b]
  rules: {observed-generation: audit}
- groups: [system:masters]
  rules: {scanned-by: 'off', status-writer: warn}
statusWriters: ['system:serviceaccount:scan-link-system:scan-link-controller']
";

/// A write, which has errors of all rules that the configuration names.
fn status() -> Value {
    json!({"phase": "Complete", "metadataUrl": "ftp://x", "scannedAt": "yesterday", "scannedBy": 1,
        "observedGeneration": "1", "cveCount": {"low": "1"}, "CVECount": {"LOW": 2}})
}

pub fn modes_are_applied(_: &Path) {
    let folder = Folder::new();
    let config = folder.join("config.yaml");
    fs::write(&config, CONFIG).unwrap();
    let policies = folder.join("policies");
    generate(&policies, &["--config", config.to_str().unwrap()]);
    let settings = Config::read(CONFIG.as_bytes()).unwrap_or_else(|error| panic!("{error}")).settings;

    let cluster = start(&[]).unwrap_or_else(|error| panic!("{error:?}"));
    cluster.kubectl(User::Admin).args(["apply", TIMEOUT, "-k"]).args([&policies]).run().ok();
    let namespaces = ["default", "team-a", "team-b"].map(|name| namespace(&cluster, name));
    until_in_force(&namespaces[0]);
    let mut seen = Vec::new();
    for namespace in &namespaces {
        for user in [User::ScanController, User::Admin] {
            for (index, status) in statuses().iter().enumerate() {
                let name = format!("{user:?}-{index}").to_lowercase();
                seen.push(compare(namespace, user, &name, status, &settings));
            }
        }
    }
    // The cases must show each mode.
    let denied = |rule: &str| seen.iter().filter(|answers| answers.denied.contains_key(rule)).count();
    let warned = |rule: &str| seen.iter().filter(|answers| answers.warned.contains_key(rule)).count();
    let audited = |rule: &str| seen.iter().filter(|answers| answers.audited.contains(rule)).count();
    assert!(denied("phase-unknown") == 0 && warned("phase-unknown") > 0);
    assert!(denied("metadata-url") + warned("metadata-url") == 0 && audited("metadata-url") > 0);
    assert!(denied("scanned-at") + warned("scanned-at") + audited("scanned-at") == 0);
    for rule in ["cve-count-values", "status-writer"] {
        assert!(warned(rule) > 0, "{rule}");
    }
    assert!(denied("cve-count-values") > 0 && denied("spelling-conflict") > 0 && denied("scanned-by") > 0);
    assert!(denied("observed-generation") > 0 && audited("observed-generation") > 0);
    a_user_who_is_no_writer_is_denied(&namespaces[0], &settings);
}

/// All errors together, and each member with an error alone.
fn statuses() -> Vec<Value> {
    let all = status();
    let counts = json!({"cveCount": {"low": 1}, "CVECount": {"LOW": 2}});
    let single = all.as_object().unwrap().iter().map(|(name, value)| json!({name.as_str(): value}));
    single.chain([all.clone(), counts]).collect()
}

fn namespace<'c>(cluster: &'c ControlPlane, name: &str) -> Namespace<'c> {
    if name == "default" { Namespace { cluster, name: name.to_owned() } } else { cluster.namespace(name, &json!({})) }
}

fn until_in_force(namespace: &Namespace<'_>) {
    break_glass(namespace).args(["create", "-f", "-"]).input(scan("probe").to_string()).run().ok();
    let error = json!({"status": {"phase": "Complete", "scannedBy": 1, "cveCount": {"low": 1, "more": 1},
        "conditions": [{"type": "Other", "status": "True", "reason": "A"}]}});
    eventually("all policies are in force", || {
        let shown = patch_status(namespace, "probe", &error.to_string(), &["--dry-run=server"]).stderr;
        let rules = ["scanned-by", "phase-unknown", "condition-unknown-type"];
        let all = rules.iter().all(|rule| shown.contains(&format!("[{rule}]")));
        (all && !shown.contains("[condition-fields]")).then_some(())
    });
}

/// Writes a status, and compares with the answers of the webhooks of the same configuration.
fn compare(namespace: &Namespace<'_>, user: User, name: &str, status: &Value, settings: &ReviewSettings) -> Answers {
    break_glass(namespace).args(["create", "-f", "-"]).input(scan(name).to_string()).run().ok();
    let old = stored(namespace, name);
    let mut new = old.clone();
    new["status"] = status.clone();
    let groups: &[&str] = if user == User::Admin { &["system:masters"] } else { &["system:serviceaccounts"] };
    let write = Write {
        new,
        old: Some(&old),
        is_status: true,
        namespace: &namespace.name,
        user: user.username(),
        groups,
        settings,
    };
    let answers = write.answers();
    let patch = json!({"status": status}).to_string();
    let command = ["patch", "sourcescan", name, "--subresource=status", "--type=merge", "--patch", &patch];
    let output = namespace.kubectl(user).args(command).run();
    let printed = Printed::of(&output.stderr);
    let case = format!("{} {name} {status}\n{}{answers:?}", namespace.name, output.stderr);
    assert_eq!(printed.warned, answers.warned, "{case}");
    let shown = printed.denied.first_key_value();
    assert_eq!(shown.is_none(), answers.denied.is_empty(), "{case}");
    assert!(shown.is_none_or(|(rule, messages)| answers.denied.get(rule) == Some(messages)), "{case}");
    // The webhook writes out the messages, the policies list the rules.
    let expected = listed(|rule| answers.audited.contains(&format!("[{rule}]")));
    let audited = || annotation(namespace, name, "scan-warnings/audited").unwrap_or_default();
    eventually(&format!("{expected} is audited: {case}"), || (audited() == expected).then_some(()));
    answers
}

fn a_user_who_is_no_writer_is_denied(namespace: &Namespace<'_>, settings: &ReviewSettings) {
    let old = stored(namespace, "admin-0");
    let mut new = old.clone();
    new["status"] = json!({"phase": "Pending"});
    let user = "somebody";
    let write = Write {
        new,
        old: Some(&old),
        is_status: true,
        namespace: &namespace.name,
        user,
        groups: &["writers"],
        settings,
    };
    let bind = ["create", "clusterrolebinding", "writers", "--clusterrole=tests-scan-controller", "--group=writers"];
    namespace.kubectl(User::Admin).args(bind).run().ok();
    let patch = [
        "patch",
        "sourcescan",
        "admin-0",
        "--subresource=status",
        "--type=merge",
        "--patch",
        r#"{"status": {"phase": "Pending"}}"#,
    ];
    let as_user = ["--as=somebody", "--as-group=writers"];
    let output = eventually("the rights are granted", || {
        let output = namespace.kubectl(User::Admin).args(patch).args(as_user).run();
        (!output.stderr.contains("cannot patch resource") && !output.stderr.contains("cannot get resource"))
            .then_some(output)
    });
    let denied = Printed::of(output.failed()).denied;
    assert!(denied.contains_key("status-writer"), "{output:?}");
    assert_eq!(denied, write.answers().denied);
}
