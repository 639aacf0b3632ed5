//! Tests development certificates: creation, reuse, renewal, and that no files of others are overwritten.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::channel;

use scan_admission::tls::development::{DevelopmentError, certificate, poll};
use time::{Duration, OffsetDateTime};

use crate::support::folder::Folder;

const FILES: [&str; 4] = ["ca.crt", "ca.key", "tls.crt", "tls.key"];
const DAY: Duration = Duration::DAY;

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// Returns the contents of the four files.
fn contents(folder: &Path) -> [String; 4] {
    FILES.map(|name| fs::read_to_string(folder.join(name)).unwrap())
}

/// Returns the names of all other files.
fn others(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !FILES.contains(&name.as_str())).collect()
}

/// Returns which of the four files change at a start `later` than their creation.
fn changed(later: Duration) -> [bool; 4] {
    let folder = Folder::new();
    certificate(folder.path(), now()).unwrap();
    let before = contents(folder.path());
    certificate(folder.path(), now() + later).unwrap();
    let after = contents(folder.path());
    assert_eq!(others(folder.path()), [""; 0], "no expired development certificate is backed up");
    [0, 1, 2, 3].map(|file| before[file] != after[file])
}

#[test]
fn certificates_are_kept_while_valid_and_renewed_before_they_expire() {
    let (kept, leaf, both) = ([false; 4], [false, false, true, true], [true; 4]);
    assert_eq!(changed(Duration::ZERO), kept);
    assert_eq!(changed(59 * DAY), kept);
    assert_eq!(changed(60 * DAY), leaf, "less than a third of its lifetime is left");
    assert_eq!(changed(89 * DAY), leaf);
    assert_eq!(changed(91 * DAY), leaf);
    assert_eq!(changed(274 * DAY), leaf);
    assert_eq!(changed(276 * DAY), both, "a leaf would outlive its CA");
    assert_eq!(changed(400 * DAY), both);
    assert_eq!(changed(-DAY), both, "not yet valid");
    assert_eq!(changed(-Duration::MINUTE * 30), kept, "a clock that is slightly slow");
}

#[test]
fn a_certificate_is_renewed_while_the_server_runs() {
    let folder = Folder::new();
    let mut renew = poll(folder.path().to_owned(), certificate(folder.path(), now()).unwrap());
    let before = contents(folder.path());
    assert!(renew(now() + 59 * DAY).is_none());
    assert_eq!(contents(folder.path()), before);
    let next = renew(now() + 60 * DAY).unwrap().unwrap();
    assert!(contents(folder.path())[2] != before[2]);
    assert_eq!(next.cert, certificate(folder.path(), now() + 60 * DAY).unwrap().cert);
    assert!(renew(now() + 61 * DAY).is_none());
    // Another program has written another certificate meanwhile.
    fs::write(folder.join("tls.crt"), rcgen::generate_simple_self_signed([]).unwrap().cert.pem()).unwrap();
    let error = renew(now() + 150 * DAY).unwrap().unwrap_err();
    let error = error.to_string();
    assert!(error.ends_with("tls.crt is not a development certificate, so it is not replaced"), "{error}");
}

#[test]
fn keys_are_readable_only_by_their_owner() {
    let folder = Folder::new();
    certificate(folder.path(), now()).unwrap();
    for name in ["ca.key", "tls.key"] {
        assert_eq!(fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_damaged_file_is_replaced_and_an_unknown_one_is_backed_up() {
    let theirs = rcgen::KeyPair::generate().unwrap().serialize_pem();
    for text in ["", "garbage\n", "-----BEGIN CERTIFICATE-----\nMIIB", "\u{fffd}", theirs.as_str()] {
        for (name, is_ca) in [("ca.crt", true), ("ca.key", true), ("tls.crt", false), ("tls.key", false)] {
            let folder = Folder::new();
            certificate(folder.path(), now()).unwrap();
            let before = contents(folder.path());
            fs::write(folder.join(name), text).unwrap();
            if name == "ca.key" {
                // The CA is read only to sign the next leaf.
                fs::write(folder.join("tls.crt"), "garbage").unwrap();
            }
            let made = certificate(folder.path(), now()).unwrap();
            made.keys_match().unwrap();
            let after = contents(folder.path());
            assert_eq!(before[0] != after[0], is_ca, "{name}: the CA is recreated only if it is damaged");
            let aside = others(folder.path());
            let kept = aside.iter().any(|other| fs::read_to_string(folder.join(other)).unwrap() == text);
            assert!(kept, "{name} was not backed up: {aside:?}");
            assert!(aside.iter().all(|other| other.ends_with(".crt") || other.ends_with(".key")), "{aside:?}");
            certificate(folder.path(), now()).unwrap();
            assert_eq!(contents(folder.path()), after, "the new certificate is reused");
        }
    }
}

#[test]
fn a_foreign_certificate_is_not_overwritten() {
    let theirs = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    for stem in ["tls", "ca"] {
        let folder = Folder::new();
        let (path, key_path) = (folder.join(stem).with_extension("crt"), folder.join(stem).with_extension("key"));
        fs::write(&path, theirs.cert.pem()).unwrap();
        fs::write(&key_path, theirs.signing_key.serialize_pem()).unwrap();
        let error = certificate(folder.path(), now()).unwrap_err();
        assert!(matches!(&error, DevelopmentError::Foreign(foreign) if *foreign == path), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), theirs.cert.pem());
        assert_eq!(fs::read_to_string(&key_path).unwrap(), theirs.signing_key.serialize_pem());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is written");
    }
}

#[test]
fn concurrent_starts_agree_on_one_certificate() {
    let folder = Folder::new();
    let all: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| certificate(folder.path(), now()).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(all.iter().all(|made| made.cert == all[0].cert), "one pair is created");
    assert_eq!(others(folder.path()), [""; 0]);
}

#[test]
fn a_temporary_file_of_a_killed_process_is_replaced() {
    let folder = Folder::new();
    fs::write(folder.join(".new-tls.key"), "half").unwrap();
    certificate(folder.path(), now()).unwrap();
    assert_eq!(others(folder.path()), [""; 0]);
}

/// A pipe instead of a file never blocks: a certificate is an error, and a key is backed up like every other file.
#[test]
fn a_pipe_does_not_block_the_start() {
    for name in FILES {
        let folder = Folder::new();
        certificate(folder.path(), now()).unwrap();
        fs::remove_file(folder.join(name)).unwrap();
        assert!(Command::new("mkfifo").arg(folder.join(name)).status().unwrap().success());
        let path = folder.path().to_owned();
        let (send, made) = channel();
        // The leaf is due, so that all files are read. The thread is left behind if it blocks.
        std::thread::spawn(move || send.send(certificate(&path, now() + 61 * DAY)));
        let made = made.recv_timeout(std::time::Duration::from_secs(60)).expect("the start does not block");
        if name.ends_with(".crt") {
            let error = made.unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("the file is a pipe or a device: "), "{error}");
        } else {
            made.unwrap();
            let [aside] = <[String; 1]>::try_from(others(folder.path())).unwrap();
            assert!(aside.starts_with(&name.replace(".key", ".old-")), "{aside}");
        }
    }
}
