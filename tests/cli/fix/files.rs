//! Tests of how `--fix` writes files, and that the diffs of `--diff` apply to them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{check, right, text, wrong};
use crate::support::folder::Folder;

/// The names in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn fix(path: &Path) -> (i32, String) {
    let done = check(&["--fix", path.to_str().unwrap()]);
    (done.status.code().unwrap(), text(&done.stderr))
}

#[test]
fn a_link_stays_and_its_target_keeps_mode_and_owner() {
    let folder = Folder::new();
    fs::create_dir(folder.join("real")).unwrap();
    let target = folder.join("real/scan.yaml");
    fs::write(&target, wrong()).unwrap();
    // Only the superuser may give a file away.
    let owner = if chown(&target, Some(12_345), Some(23_456)).is_ok() {
        (12_345, 23_456)
    } else {
        let metadata = fs::metadata(&target).unwrap();
        (metadata.uid(), metadata.gid())
    };
    fs::set_permissions(&target, Permissions::from_mode(0o640)).unwrap();
    let (first, second) = (folder.join("first.yaml"), folder.join("second.yaml"));
    symlink("real/scan.yaml", &first).unwrap();
    symlink("first.yaml", &second).unwrap();
    let (code, errors) = fix(&second);
    assert!(code == 0 && errors.starts_with(&format!("{}: fixed 1 field", second.display())), "{errors}");
    assert_eq!(fs::read_link(&second).unwrap(), Path::new("first.yaml"));
    assert_eq!(fs::read_link(&first).unwrap(), Path::new("real/scan.yaml"));
    assert_eq!(fs::read_to_string(&target).unwrap(), right());
    let metadata = fs::metadata(&target).unwrap();
    assert_eq!((metadata.mode() & 0o7777, (metadata.uid(), metadata.gid())), (0o640, owner));
    assert_eq!(names(&folder.join("real")), ["scan.yaml"]);
    // A file without a change is not touched.
    assert_eq!(fix(&second).0, 0);
    let again = fs::metadata(&target).unwrap();
    assert_eq!(
        (again.ino(), again.mtime_nsec(), again.ctime_nsec()),
        (metadata.ino(), metadata.mtime_nsec(), metadata.ctime_nsec())
    );
}

#[test]
fn a_file_that_cannot_be_replaced_safely_is_an_error() {
    let folder = Folder::new();
    let path = folder.join("scan.yaml");
    fs::write(&path, wrong()).unwrap();
    fs::hard_link(&path, folder.join("other.yaml")).unwrap();
    let (code, errors) = fix(&path);
    assert!(code == 2 && errors.contains("scan.yaml: not fixed: the file has 2 hard links"), "{errors}");
    fs::remove_file(folder.join("other.yaml")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
    let (code, errors) = fix(&path);
    assert!(code == 2 && errors.contains("scan.yaml: not fixed: the file is read-only"), "{errors}");
    assert_eq!((fs::read_to_string(&path).unwrap(), names(folder.path())), (wrong(), vec!["scan.yaml".to_owned()]));
    // A pipe, such as of `<(…)` in a shell, cannot be written back.
    let pipe = folder.join("pipe.yaml");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::write(pipe, wrong())
    });
    let (code, errors) = fix(&pipe);
    writer.join().unwrap().unwrap();
    assert!(code == 2 && errors.contains("not a regular file"), "{errors}");
}

/// Fixes a long file under a limit on the length of files, after a command of the shell.
fn fix_with_limit(before: &str, path: &Path) -> std::process::Output {
    let script = format!("{before} ulimit -f 8; exec \"$0\" check --fix \"$1\"");
    Command::new("sh").args(["-c", &script, env!("CARGO_BIN_EXE_scan-admission")]).arg(path).output().unwrap()
}

#[test]
fn nothing_is_lost_or_left_behind_when_the_disk_is_full_or_the_program_is_killed() {
    let folder = Folder::new();
    let path = folder.join("scan.yaml");
    let long = format!("# {}\n{}", "x".repeat(200_000), wrong());
    fs::write(&path, &long).unwrap();
    // The limit is an error of the write, as a full disk is.
    let done = fix_with_limit("trap '' XFSZ;", &path);
    assert_eq!(done.status.code(), Some(2));
    assert!(text(&done.stderr).contains("scan.yaml: not fixed: File too large"), "{}", text(&done.stderr));
    assert_eq!(
        (fs::read_to_string(&path).unwrap() == long, names(folder.path())),
        (true, vec!["scan.yaml".to_owned()])
    );
    // Without the trap, the signal kills the program within the write.
    let done = fix_with_limit("", &path);
    assert!(done.status.signal().is_some(), "{:?}", done.status);
    assert_eq!(
        (fs::read_to_string(&path).unwrap() == long, names(folder.path())),
        (true, vec!["scan.yaml".to_owned()])
    );
    assert_eq!(fix(&path).0, 0);
    assert!(fs::read_to_string(&path).unwrap().ends_with(&right()));
}

#[test]
fn the_encoding_stays() {
    let folder = Folder::new();
    let path = folder.join("scan.yaml");
    let utf16 = |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    let files = |scan: String| {
        let scan = scan.replace("# four", "# \u{1F600}é");
        let crlf = scan.replace('\n', "\r\n");
        let twice = format!("\u{FEFF}{crlf}---\r\n\u{FEFF}{crlf}");
        let lone =
            [utf16("\u{FEFF}# ", u16::to_le_bytes), vec![0, 0xD8], utf16(&format!("\n---\n{scan}"), u16::to_le_bytes)];
        [
            scan.clone().into_bytes(),
            twice.clone().into_bytes(),
            utf16(&twice, u16::to_le_bytes),
            utf16(&twice, u16::to_be_bytes),
            scan.trim_end().into(),
            lone.concat(),
            [b"a: \xFF\n---\n", scan.as_bytes()].concat(),
        ]
    };
    for (old, new) in files(wrong()).into_iter().zip(files(right())) {
        fs::write(&path, &old).unwrap();
        fix(&path);
        assert_eq!(fs::read(&path).unwrap(), new, "{}", String::from_utf8_lossy(&old));
    }
}

#[test]
fn a_diff_applies() {
    let (old, new) = (Folder::new(), Folder::new());
    let insert = |text: &str| text.replace(", total: 4", "");
    let block = "status:\n  cveCount:\n    critical: 1";
    let files = [
        ("plain.yaml", wrong()),
        ("name with spaces.yaml", insert(&wrong())),
        ("crlf.yaml", wrong().replace('\n', "\r\n")),
        ("no-newline.yaml", wrong().trim_end().to_owned()),
        ("added-at-the-end.yaml", format!("{}{block}", super::HEAD)),
        ("added-at-the-end-crlf.yaml", format!("{}{block}", super::HEAD).replace('\n', "\r\n")),
        ("marked.yaml", format!("\u{FEFF}{}", wrong())),
        ("latin1-é.yaml", format!("# x\n{}", wrong())),
        ("clean.yaml", right()),
    ];
    for folder in [&old, &new] {
        fs::create_dir(folder.join("deep")).unwrap();
        for (name, contents) in &files {
            fs::write(folder.join("deep").join(name), contents).unwrap();
        }
    }
    let run = |flag: &str, folder: &Folder| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scan-admission"));
        command.args(["check", flag, "deep"]).current_dir(folder.path()).output().unwrap()
    };
    let diff = run("--diff", &old);
    assert_eq!(diff.status.code(), Some(1));
    assert_eq!(run("--fix", &new).status.code(), Some(0));
    fs::write(old.join("change.diff"), &diff.stdout).unwrap();
    let change = |reverse: &[&str], program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).args(reverse).current_dir(old.path());
        // Otherwise git would look for the repository around the folder.
        command
            .env("GIT_CEILING_DIRECTORIES", old.path().parent().unwrap())
            .stdin(fs::File::open(old.join("change.diff")).unwrap());
        let done = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
        assert!(done.status.success(), "{program}: {}{}", text(&done.stdout), text(&done.stderr));
    };
    let is_fixed = || {
        files.iter().all(|(name, _)| {
            fs::read(old.join("deep").join(name)).unwrap() == fs::read(new.join("deep").join(name)).unwrap()
        })
    };
    assert!(!is_fixed());
    change(&[], "git", &["apply", "-"]);
    assert!(is_fixed());
    if Command::new("patch").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "patch was not found");
        eprintln!("skipped: patch was not found");
        return;
    }
    change(&["-R"], "git", &["apply", "-"]);
    assert!(!is_fixed());
    change(&[], "patch", &["-p1", "--binary"]);
    assert!(is_fixed());
}
