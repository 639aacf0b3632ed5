//! The image of a release, built from its recipe by buildah, which `podman build` uses too.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::packages::{or_skipped, printed, version};
use crate::support::folder::Folder;
use crate::support::program;

/// An image in the layout of the Open Container Initiative, and the folder that it is in.
struct Image {
    folder: Folder,
    /// The digest of the manifest.
    digest: String,
}

impl Image {
    /// Builds the image of the program, as the workflow does; `None` without buildah.
    fn build() -> Option<Self> {
        static BUILDAH: OnceLock<Result<String, String>> = OnceLock::new();
        or_skipped(BUILDAH.get_or_init(|| version("buildah", "--version", "install buildah")))?;
        let folder = Folder::new();
        let context = folder.join("context");
        fs::create_dir(&context).unwrap();
        fs::copy(program::path(), context.join("scan-admission")).unwrap();
        fs::copy("LICENSE", context.join("LICENSE")).unwrap();
        let (root, runroot) = (folder.join("images"), folder.join("run"));
        let buildah = |arguments: &[&str], last: &OsStr| {
            let mut command = Command::new("buildah");
            command.arg("--root").arg(&root).arg("--runroot").arg(&runroot).arg("--storage-driver=vfs");
            let output = command.args(arguments).arg(last).output().unwrap();
            assert!(output.status.success(), "{}", printed(&output));
        };
        // With layers, as podman has them.
        let arguments = [
            "--layers",
            "--timestamp=0",
            "--identity-label=false",
            "--build-arg=VERSION=1.2.3",
            "--build-arg=REVISION=abc",
            "--tag=i",
        ];
        let recipe = ["build", "--file=manifests/Containerfile.release"];
        buildah(&[&recipe[..], &arguments].concat(), context.as_os_str());
        let layout = format!("oci:{}", folder.join("layout").display());
        buildah(&["push", "--quiet", "i"], layout.as_ref());
        let index: Value = serde_json::from_slice(&fs::read(folder.join("layout/index.json")).unwrap()).unwrap();
        assert_eq!(index["manifests"].as_array().unwrap().len(), 1, "{index}");
        Some(Self { folder, digest: index["manifests"][0]["digest"].as_str().unwrap().to_owned() })
    }

    /// Returns the path of a file of the image by its digest.
    fn blob(&self, digest: &str) -> PathBuf {
        self.folder.join("layout/blobs").join(digest.replace(':', "/"))
    }

    fn json(&self, digest: &str) -> Value {
        serde_json::from_slice(&fs::read(self.blob(digest)).unwrap()).unwrap()
    }
}

/// The pods of the manifests set neither a command nor an environment, so the image has to suit them.
#[test]
fn the_image_has_one_layer_and_the_configuration_of_the_manifests() {
    let Some(image) = Image::build() else { return };
    let manifest = image.json(&image.digest);
    let config = image.json(manifest["config"]["digest"].as_str().unwrap());
    let text = fs::read_to_string("manifests/base/deployment.yaml").unwrap();
    let deployment: Value = serde_saphyr::from_str(&text).unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    let (container, security) = (&pod["containers"][0], &pod["securityContext"]);
    let ports = container["ports"].as_array().unwrap().iter();
    let ports: serde_json::Map<_, _> =
        ports.map(|port| (format!("{}/tcp", port["containerPort"]), json!({}))).collect();
    assert_eq!(container["args"][0], "serve");
    let config = &config["config"];
    let wanted = json!({
        "User": format!("{}:{}", security["runAsUser"], security["runAsGroup"]),
        "ExposedPorts": ports,
        "Entrypoint": ["/scan-admission"],
        "Cmd": ["serve"],
        "Volumes": null,
    });
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(config[name], *value, "{name}");
    }
    let labels = config["Labels"].as_object().unwrap();
    assert_eq!(labels.len(), 5, "{labels:?}");
    let label = |name: &str| labels[format!("org.opencontainers.image.{name}").as_str()].clone();
    assert_eq!(
        ["title", "description", "licenses", "version", "revision"].map(label),
        ["scan-admission", env!("CARGO_PKG_DESCRIPTION"), env!("CARGO_PKG_LICENSE"), "1.2.3", "abc"]
    );

    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 1, "{manifest}");
    let layer = image.blob(layers[0]["digest"].as_str().unwrap());
    let tar = |arguments: &[&str]| {
        let output = Command::new("tar").arg("--file").arg(&layer).arg("--gzip").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", printed(&output));
        output.stdout
    };
    let list = String::from_utf8(tar(&["--list", "--verbose", "--numeric-owner"])).unwrap();
    let lines = list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let files: Vec<_> = lines.map(|words| (words[0].to_owned(), words[1].to_owned(), words[5].to_owned())).collect();
    let file = |mode: &str, name: &str| (mode.to_owned(), "0/0".to_owned(), name.to_owned());
    assert_eq!(files, [file("-rw-r--r--", "LICENSE"), file("-rwxr-xr-x", "scan-admission")]);
    for (name, source) in [("scan-admission", program::path()), ("LICENSE", "LICENSE".into())] {
        assert!(tar(&["--extract", "--to-stdout", name]) == fs::read(source).unwrap(), "{name}");
    }
}
