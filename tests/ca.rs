//! `serve --certs cluster` that cannot start: what it says.

#[path = "support/folder.rs"]
mod folder;
#[path = "support/process.rs"]
mod process;

use std::fs;

use folder::Folder;
use process::{command, fails};

/// The error of a start with these arguments.
fn start_error(folder: &Folder, arguments: &[&str]) -> String {
    let mut command = command(folder.path(), &["--certs", "cluster"]);
    command.args(arguments).env_remove("KUBERNETES_SERVICE_HOST").env_remove("KUBERNETES_SERVICE_PORT");
    let (code, words) = fails(command);
    assert_eq!(code, Some(2), "{words}");
    words
}

#[test]
fn without_a_cluster() {
    let folder = Folder::new();
    let words = start_error(&folder, &[]);
    assert!(words.contains("--certs cluster: this is no pod of a cluster: "), "{words}");
    assert!(words.ends_with("\nname a cluster with --kubeconfig FILE\n"), "{words}");
}

#[test]
fn with_a_kubeconfig_that_is_none() {
    let folder = Folder::new();
    let cases = [
        ("missing", None, "No such file or directory"),
        ("nonsense", Some("\t: ["), "failed to parse kubeconfig YAML"),
        ("empty", Some("apiVersion: v1\nkind: Config\n"), "failed to determine current context"),
    ];
    for (name, text, why) in cases {
        if let Some(text) = text {
            fs::write(folder.join(name), text).unwrap();
        }
        let words = start_error(&folder, &["--kubeconfig", name]);
        assert!(words.contains(&format!("--kubeconfig {name}: ")) && words.contains(why), "{words}");
    }
}

#[test]
fn with_settings_that_do_not_go_together() {
    let folder = Folder::new();
    let cases: [(&[&str], &str); 9] = [
        (
            &["--service", "scan-admission"],
            "invalid value 'scan-admission' for '--service <NAMESPACE/NAME>': it has to be NAMESPACE/NAME",
        ),
        (&["--service", "/a"], "invalid value '/a' for '--service <NAMESPACE/NAME>': it has to be NAMESPACE/NAME"),
        (
            &["--service", "a/b/c"],
            "invalid value 'a/b/c' for '--service <NAMESPACE/NAME>': it has to be NAMESPACE/NAME",
        ),
        (
            &["--service", "a/b_c"],
            "invalid value 'a/b_c' for '--service <NAMESPACE/NAME>': it has to be NAMESPACE/NAME",
        ),
        (
            &["--ca-life", "500h"],
            "--ca-life is too short: a third of it has to hold --cert-life and --ca-settle together",
        ),
        (&["--ca-life", "0s"], "'--ca-life <DURATION>': not a duration from 1s to 87672h, such as 2160h"),
        (&["--cert-life", "week"], "'--cert-life <DURATION>': not a duration from 1s to 87672h, such as 2160h"),
        (&["--ca-settle", "1ms"], "'--ca-settle <DURATION>': not a duration from 1s to 87672h, such as 2160h"),
        (
            &["--tls-cert", "a", "--tls-key", "b"],
            "--certs cluster makes its own certificate: leave out --tls-cert and --tls-key, or use --certs files",
        ),
    ];
    for (arguments, words) in cases {
        let said = start_error(&folder, arguments);
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}
