//! Draws the picture of README.md: a terminal with a denied write and what kubectl really printed.

use std::{env, fs};

use anstyle::{AnsiColor, RgbColor, Style};
use anstyle_svg::Term;

use crate::Test;
use crate::controlplane::{Namespace, User};
use crate::scan;
use crate::support::folder::Folder;

pub const TESTS: &[(&str, Test)] =
    &[("the-readme-picture-shows-the-output-of-kubectl", the_readme_picture_shows_the_output_of_kubectl)];

const PICTURE: &str = "docs/denied.svg";

const STATUS: &str = "\
apiVersion: scanning.apps.tanzu.vmware.com/v1beta1
kind: SourceScan
metadata:
  name: payments
status:
  phase: Complete
  cveCount: {critical: \"1\", high: 22, total: 22}
";

fn the_readme_picture_shows_the_output_of_kubectl(namespace: &Namespace<'_>) {
    namespace.kubectl(User::Developer).args(["create", "-f", "-"]).input(scan("payments").to_string()).run().ok();
    let folder = Folder::new();
    let file = folder.join("status.yaml");
    fs::write(&file, STATUS).unwrap();
    let apply = ["apply", "--server-side", "--subresource=status", "-f"];
    let output = namespace.kubectl(User::ScanController).args(apply).args([&file]).run();

    let picture =
        picture(&[("cat status.yaml", STATUS), (&format!("kubectl {} status.yaml", apply.join(" ")), output.failed())]);
    if env::var_os("UPDATE").is_some() {
        fs::write(PICTURE, &picture).unwrap();
    }
    let committed = fs::read_to_string(PICTURE).unwrap_or_default();
    assert!(
        picture == committed,
        "{PICTURE} differs: run UPDATE=1 cargo test --test cluster picture, and review the picture"
    );
}

/// Columns of the terminal, so that the picture is not scaled down on GitHub.
const COLUMNS: usize = 110;

/// Breaks long lines as a terminal does.
fn wrapped(printed: &str) -> String {
    let rows = printed.lines().flat_map(|line| {
        let chars: Vec<char> = line.chars().collect();
        let rows: Vec<String> = chars.chunks(COLUMNS).map(|row| row.iter().collect()).collect();
        if rows.is_empty() { vec![String::new()] } else { rows }
    });
    rows.map(|row| row + "\n").collect()
}

/// Draws commands and what each printed.
fn picture(calls: &[(&str, &str)]) -> String {
    let prompt = AnsiColor::BrightGreen.on_default().bold();
    let command = Style::new().bold();
    let prompted = |words: &str| format!("{prompt}${prompt:#} {command}{words}{command:#}\n");
    let mut text: String =
        calls.iter().map(|(call, output)| format!("{}{}\n", prompted(call), wrapped(output))).collect();
    text += prompted("").trim_end();
    let term = Term::new().fg_color(RgbColor(0xe6, 0xed, 0xf3).into()).bg_color(RgbColor(0x0d, 0x11, 0x17).into());
    // Without a view box, a narrower page would crop the picture instead of scaling it.
    let picture = term.render_svg(&text);
    let size: Vec<&str> = picture.split('"').filter_map(|value| value.strip_suffix("px")).take(2).collect();
    picture.replacen("<svg ", &format!("<svg viewBox=\"0 0 {}\" ", size.join(" ")), 1)
}
