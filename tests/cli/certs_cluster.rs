//! Tests which cluster the commands use, and the errors of `--certs cluster` without a usable cluster.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::failed_start::fails;
use crate::support::folder::Folder;
use crate::support::program::{clean, command};

/// A way to name a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Flag,
    InCluster,
    Variable,
    Home,
}

const ALL: [Named; 4] = [Named::Flag, Named::InCluster, Named::Variable, Named::Home];

/// Stands in for an API server: accepts connections and sends nothing.
fn listen() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

fn port(listener: &TcpListener) -> u16 {
    listener.local_addr().unwrap().port()
}

/// Returns the cluster to which the program with these arguments connects first.
fn asked(arguments: &[&str], named: &[Named]) -> Named {
    let folder = Folder::new();
    let listeners = ALL.map(|one| (one, listen()));
    let kubeconfig = |name: &str, listener: &TcpListener| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let server = format!("http://127.0.0.1:{}", port(listener));
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{{name: a, context: {{cluster: a, user: a}}}}]\n\
             users: [{{name: a, user: {{}}}}]\nclusters: [{{name: a, cluster: {{server: \"{server}\"}}}}]\n"
        );
        fs::write(&path, text).unwrap();
        path
    };
    let mut program = Command::new("sh");
    // A service account is mounted at a fixed path, so the program runs in a mount namespace with one at this path.
    let (wrap, prepare) = if named.contains(&Named::InCluster) {
        let ca = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
        for (name, text) in [("ca.crt", ca.cert.pem()), ("token", "a".to_owned()), ("namespace", "a".to_owned())] {
            fs::write(folder.join(name), text).unwrap();
        }
        let account = "/run/secrets/kubernetes.io/serviceaccount";
        (
            "unshare --user --map-root-user --mount ",
            format!("mount -t tmpfs none /run && mkdir -p {account} && cp ca.crt token namespace {account} && "),
        )
    } else {
        ("", String::new())
    };
    program.args(["-c", &format!("exec {wrap}sh -c '{prepare}exec \"$@\"' sh \"$@\"",), "sh"]);
    program.arg(env!("CARGO_BIN_EXE_scan-admission")).args(arguments).current_dir(folder.path());
    clean(&mut program);
    program.env("HOME", folder.path()).env_remove("KUBECONFIG").env_remove("KUBERNETES_SERVICE_HOST");
    program.env("SCAN_ADMISSION_LISTEN", "127.0.0.1:0").env("SCAN_ADMISSION_ADMIN", "127.0.0.1:0");
    for (one, listener) in listeners.iter().filter(|(one, _)| named.contains(one)) {
        match one {
            Named::Flag => drop(program.arg("--kubeconfig").arg(kubeconfig("flag", listener))),
            Named::InCluster => {
                program.env("KUBERNETES_SERVICE_HOST", "127.0.0.1");
                program.env("KUBERNETES_SERVICE_PORT", port(listener).to_string());
            }
            Named::Variable => drop(program.env("KUBECONFIG", kubeconfig("variable", listener))),
            Named::Home => drop(kubeconfig(".kube/config", listener)),
        }
    }
    let mut child = program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    let found = loop {
        if let Some((one, _)) = listeners.iter().find(|(_, listener)| listener.accept().is_ok()) {
            break Some(*one);
        }
        if start.elapsed() > Duration::from_secs(60) {
            break None;
        }
        std::thread::yield_now();
    };
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    found.unwrap_or_else(|| panic!("{named:?}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// `serve` usually runs in a pod; the other commands are run by hand, like kubectl.
#[test]
fn a_cluster_is_chosen_in_the_order_of_the_command() {
    use Named::{Flag, Home, InCluster, Variable};
    let serve = ["serve", "--certs=cluster"];
    let may_unshare = ["--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/run"];
    let may_unshare = Command::new("unshare").args(may_unshare).output().is_ok_and(|output| output.status.success());
    if !may_unshare {
        eprintln!("skipped in part: no mount namespaces on this machine, so no pod can be imitated");
    }
    for (arguments, order) in [
        (&serve[..], [Flag, InCluster, Variable, Home]),
        (&["audit"], [Flag, Variable, Home, InCluster]),
        (&["doctor"], [Flag, Variable, Home, InCluster]),
    ] {
        for first in 0..order.len() {
            let named: Vec<Named> =
                order[first..].iter().copied().filter(|one| may_unshare || *one != InCluster).collect();
            if let Some(expected) = named.first() {
                assert_eq!(asked(arguments, &named), *expected, "{arguments:?} {named:?}");
            }
        }
    }
}

/// The environment variables of a pod are not enough: without a token, the kubeconfig is used.
#[test]
fn in_a_pod_without_a_token_a_kubeconfig_is_used() {
    let folder = Folder::new();
    let mut command = command(folder.path(), &["--certs", "cluster"]);
    command.env("KUBERNETES_SERVICE_HOST", "127.0.0.1").env("KUBERNETES_SERVICE_PORT", "1").env("KUBECONFIG", "none");
    let (code, words) = fails(command);
    assert_eq!(code, Some(2), "{words}");
    assert!(words.contains("\nno usable kubeconfig: ") && words.contains("none"), "{words}");
}

/// Returns the error of a start with these arguments.
fn start_error(folder: &Folder, arguments: &[&str]) -> String {
    let mut command = command(folder.path(), &["--certs", "cluster"]);
    command.args(arguments);
    let (code, words) = fails(command);
    assert_eq!(code, Some(2), "{words}");
    words
}

#[test]
fn cluster_certificates_without_a_cluster_are_an_error() {
    let folder = Folder::new();
    let words = start_error(&folder, &[]);
    assert!(words.contains("--certs cluster: not running in a pod of a cluster: "), "{words}");
    assert!(words.contains("\nno usable kubeconfig: "), "{words}");
    assert!(words.ends_with("\nname a cluster with --kubeconfig FILE\n"), "{words}");
}

#[test]
fn an_unusable_kubeconfig_is_an_error() {
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
fn contradictory_flags_are_an_error() {
    let folder = Folder::new();
    let cases: [(&[&str], &str); 9] = [
        (
            &["--service", "scan-admission"],
            "invalid value 'scan-admission' for '--service <NAMESPACE/NAME>': must be NAMESPACE/NAME, such as scan-admission/scan-admission",
        ),
        (
            &["--service", "/a"],
            "invalid value '/a' for '--service <NAMESPACE/NAME>': must be NAMESPACE/NAME, such as scan-admission/scan-admission",
        ),
        (
            &["--service", "a/b/c"],
            "invalid value 'a/b/c' for '--service <NAMESPACE/NAME>': must be NAMESPACE/NAME, such as scan-admission/scan-admission",
        ),
        (
            &["--service", "a/b_c"],
            "invalid value 'a/b_c' for '--service <NAMESPACE/NAME>': must be NAMESPACE/NAME, such as scan-admission/scan-admission",
        ),
        (
            &["--ca-life", "500h"],
            "--ca-life is too short: a third of it must be at least the sum of --cert-life and --ca-settle",
        ),
        (&["--ca-life", "0s"], "'--ca-life <DURATION>': must be a duration from 1s to 87672h, such as 2160h"),
        (&["--cert-life", "week"], "'--cert-life <DURATION>': must be a duration from 1s to 87672h, such as 2160h"),
        (&["--ca-settle", "1ms"], "'--ca-settle <DURATION>': must be a duration from 1s to 87672h, such as 2160h"),
        (
            &["--tls-cert", "a", "--tls-key", "b"],
            "--certs cluster creates its own certificate: omit --tls-cert and --tls-key, or use --certs files",
        ),
    ];
    for (arguments, words) in cases {
        let error = start_error(&folder, arguments);
        assert!(error.contains(words), "{arguments:?}: {error}");
    }
}
