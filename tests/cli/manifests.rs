//! Compares the manifests with those of `generate manifests`, and tests that they agree with the program.
//! Run `UPDATE=1 cargo test` to write them again. tests/cluster applies them to a real API server.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use rcgen::{CertificateParams, KeyPair};
use scan_admission::admission::BODY_MAX_BYTES;
use scan_admission::config::Limits;
use scan_admission::server::limits::{REQUEST_BYTES, long_bodies_bytes, most_bytes};

use crate::support::failed_start;
use crate::support::folder::Folder;
use crate::support::process::Process;

/// The generated folders; the other files of manifests are written by hand.
const FOLDERS: [&str; 10] = [
    "base",
    "break-glass",
    "status-writers",
    "events",
    "no-events",
    "files",
    "cert-manager",
    "audit",
    "monitoring",
    "reports",
];

/// Returns the files below `folder` by their paths.
pub fn files(folder: &Path) -> BTreeMap<String, String> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let path = entry.path().strip_prefix(folder).unwrap().display().to_string();
            // The profile of the release is not text.
            (path, String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned())
        })
        .collect()
}

fn generate(target: &str, folder: &Path) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_scan-admission"));
    assert!(program.args(["generate", target, "--to"]).arg(folder).output().unwrap().status.success());
}

#[test]
fn the_committed_manifests_are_the_generated_ones() {
    let folder = Folder::new();
    generate("manifests", folder.path());
    if env::var_os("UPDATE").is_some() {
        for folder in FOLDERS {
            let _ = fs::remove_dir_all(Path::new("manifests").join(folder));
        }
        generate("manifests", Path::new("manifests"));
    }
    let (generated, mut committed) = (files(folder.path()), files(Path::new("manifests")));
    committed.retain(|path, _| FOLDERS.iter().any(|folder| path.starts_with(folder)));
    assert_eq!(generated.keys().collect::<Vec<_>>(), committed.keys().collect::<Vec<_>>());
    for (path, text) in &generated {
        assert!(
            *text == committed[path],
            "{path} differs from the generated file: run UPDATE=1 cargo test --test cli manifests"
        );
        // Templates of Prometheus and Grafana have a space after the braces.
        assert!(!text.replace("{{ ", "").contains("{{"), "{path}: a value is missing");
    }
}

#[test]
fn the_committed_chart_is_the_generated_one() {
    let (folder, chart) = (Folder::new(), Path::new("manifests/chart"));
    generate("chart", folder.path());
    if env::var_os("UPDATE").is_some() {
        let _ = fs::remove_dir_all(chart);
        generate("chart", chart);
    }
    let (generated, committed) = (files(folder.path()), files(chart));
    assert_eq!(generated.keys().collect::<Vec<_>>(), committed.keys().collect::<Vec<_>>());
    for (path, text) in &generated {
        let how = "run UPDATE=1 cargo test --test cli manifests";
        assert!(*text == committed[path], "{path} differs from the generated file: {how}");
        // Placeholders have no space after the braces, and Helm's expressions do.
        let is_placeholder = |rest: &str| rest.starts_with(|c: char| c.is_ascii_lowercase());
        assert!(!text.split("{{").skip(1).any(is_placeholder), "{path}: a value is missing");
    }
}

/// Both the kustomize base and the chart get names, ports and paths from the code, so that they cannot differ.
#[test]
fn the_templates_take_names_ports_and_paths_from_the_code() {
    let from_code =
        ["8443", "8080", "/validate", "/mutate", "/readyz", "/livez", "/metrics", "scanning.apps.tanzu.vmware.com"];
    for (path, text) in files(Path::new("src/install")) {
        let is_template = path.ends_with(".yaml")
            && !path.ends_with("values.table.yaml")
            && !["look.rules.yaml", "krew.yaml"].contains(&path.as_str());
        let lines = text.lines().filter(|line| is_template && !line.trim_start().starts_with('#'));
        for line in lines {
            let literal = from_code.iter().find(|literal| line.contains(**literal));
            assert_eq!(literal, None, "{path}: {line}");
            // Helm's names of templates begin with the name of the chart.
            let is_name = line.contains("scan-admission") && !line.contains("{{- fail ");
            assert!(!is_name || line.contains("include \"scan-admission."), "{path}: {line}");
        }
    }
}

/// A folder that is not writable, even for root.
const READ_ONLY: &str = if cfg!(target_os = "linux") { "/proc" } else { "/" };

/// Runs the program as in a container: with these arguments, without an environment, in a folder that is not writable.
/// BINARY names another build of the program; .ci/run tests that of the image in this way.
#[tokio::test]
async fn the_arguments_of_the_deployment_start_the_program() {
    let folder = Folder::new();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["scan-admission.scan-admission.svc".to_owned()]).unwrap();
    fs::write(folder.join("tls.crt"), certificate.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();

    let deployment = fs::read_to_string("manifests/base/deployment.yaml").unwrap();
    let arguments: Vec<&str> = deployment
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != "args:")
        .skip(1)
        .filter(|line| !line.starts_with('#'))
        .map_while(|line| line.strip_prefix("- "))
        .collect();
    // The ConfigMap that is mounted.
    let mounted = fs::read_to_string("manifests/base/configmap.yaml").unwrap();
    let config = mounted.split_once("  config.yaml: |\n").unwrap().1.replace("\n    ", "\n");
    fs::write(folder.join("config.yaml"), config).unwrap();
    let config = format!("--config={}", folder.join("config.yaml").display());
    assert!(deployment.contains("        - name: config\n          mountPath: /etc/scan-admission/config\n"));
    let addresses = ["--listen=[::]:8443", "--admin=[::]:8080"];
    let [listen, admin] = addresses;
    let arguments_of_base = [
        "serve",
        listen,
        admin,
        "--certs=cluster",
        "--service=$(NAMESPACE)/scan-admission",
        "--webhook-configuration=scan-admission",
        "--ca-secret=scan-admission-ca",
    ];
    let more = ["--config=/etc/scan-admission/config/config.yaml", "--stop-delay=5s", "--events"];
    assert_eq!(arguments, [&arguments_of_base[..], &more].concat());
    // Without a cluster, the arguments must at least be parsed.
    let mut program = Command::new(env!("CARGO_BIN_EXE_scan-admission"));
    // The kubelet replaces the variable.
    let arguments_of_base = arguments_of_base.map(|argument| argument.replace("$(NAMESPACE)", "scan-admission"));
    program
        .args(arguments_of_base)
        .args([&config, "--events"])
        .env_clear()
        .env("HOME", READ_ONLY)
        .current_dir(READ_ONLY);
    let (code, errors) = failed_start::fails(program);
    assert_eq!((code, errors.contains("not running in a pod of a cluster")), (Some(2), true), "{errors}");

    // With the overlay for certificate files.
    let overlay = fs::read_to_string("manifests/files/kustomization.yaml").unwrap();
    let files = overlay.lines().filter_map(|line| line.split_once("value: --tls-")).map(|(_, flag)| {
        let mounted = format!("--tls-{}", flag.trim_end_matches('}'));
        mounted.replace("/etc/scan-admission/tls", &folder.path().display().to_string())
    });
    let mut arguments = vec![
        "serve".to_owned(),
        "--stop-delay=0s".to_owned(),
        "--listen=127.0.0.1:0".to_owned(),
        "--admin=127.0.0.1:0".to_owned(),
    ];
    arguments.extend(files);
    assert_eq!(arguments.len(), 6);
    arguments.push(config);
    let mut program = Command::new(env::var_os("BINARY").unwrap_or(env!("CARGO_BIN_EXE_scan-admission").into()));
    program.args(arguments).env_clear().current_dir(READ_ONLY);
    let server = Process::start(program, folder.join("errors"));
    for probe in ["path: /readyz", "path: /livez"] {
        assert!(deployment.contains(probe), "{probe}");
        let mut stream = TcpStream::connect(server.admin).unwrap();
        write!(stream, "GET {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", &probe[6..]).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    server.signal("TERM");
    assert!(server.wait().await.0.success());
}

/// The limit must cover the sum of the server's own limits. tests/load tests it under load.
#[test]
fn the_memory_limit_covers_the_sum_of_the_servers_limits() {
    let Limits { connections, bodies_bytes, .. } = Limits::default();
    let most_bytes = most_bytes(connections, bodies_bytes);
    let deployment = fs::read_to_string("manifests/base/deployment.yaml").unwrap();
    let (_, limits) = deployment.split_once("limits:").unwrap();
    let mib = limits.lines().find_map(|line| line.trim().strip_prefix("memory: ")?.strip_suffix("Mi")).unwrap();
    let limit_bytes = mib.parse::<usize>().unwrap() << 20;
    assert!(most_bytes <= limit_bytes, "{most_bytes} of {limit_bytes}");
    // Eight bodies of the maximum size fit, with the memory that each request needs besides.
    assert!(8 * (BODY_MAX_BYTES + REQUEST_BYTES) <= long_bodies_bytes(bodies_bytes));
    let config = fs::read_to_string("docs/config.md").unwrap();
    for words in [
        format!("uses at most {} MiB", most_bytes.div_ceil(1 << 20)),
        format!("The memory limit in the manifests is {mib}Mi"),
    ] {
        assert!(config.contains(&words), "{words}");
    }
    // Without a timeout, a kubelet gives up after one second.
    assert_eq!(deployment.matches("timeoutSeconds: ").count(), 2);
}

/// The recipe of the image repeats versions and ports of the code.
#[test]
fn the_image_recipe_has_the_versions_and_ports_of_the_code() {
    let recipe = fs::read_to_string("manifests/Containerfile").unwrap();
    let cargo = fs::read_to_string("Cargo.toml").unwrap();
    let rust = cargo.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    let version = env!("CARGO_PKG_VERSION");
    for line in [
        format!("ARG RUST={rust}-slim"),
        "EXPOSE 8443 8080".to_owned(),
        "USER 65532:65532".to_owned(),
        format!("#     podman build -f manifests/Containerfile -t scan-admission:{version} ."),
    ] {
        assert!(recipe.lines().any(|found| found == line), "{line}");
    }
    let deployment = fs::read_to_string("manifests/base/deployment.yaml").unwrap();
    for line in ["containerPort: 8443", "containerPort: 8080", "runAsUser: 65532", "runAsGroup: 65532"] {
        assert!(deployment.contains(line), "{line}");
    }
    let install = fs::read_to_string("docs/install.md").unwrap();
    assert!(install.contains(&format!("podman push registry.example.com/scan-admission:{version}\n")));
    assert!(install.contains(&format!("  newTag: {version}\n")));
}
