//! Development certificates: made, kept, renewed, and never at the cost of somebody's files.

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

/// What is in the four files.
fn contents(folder: &Path) -> [String; 4] {
    FILES.map(|name| fs::read_to_string(folder.join(name)).unwrap())
}

/// All names but the four.
fn others(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !FILES.contains(&name.as_str())).collect()
}

/// Which of the four files a start `later` than the making of them changes.
fn changed(later: Duration) -> [bool; 4] {
    let folder = Folder::new();
    certificate(folder.path(), now()).unwrap();
    let before = contents(folder.path());
    certificate(folder.path(), now() + later).unwrap();
    let after = contents(folder.path());
    assert_eq!(others(folder.path()), [""; 0], "what is ours and has expired is not kept");
    [0, 1, 2, 3].map(|file| before[file] != after[file])
}

#[test]
fn certificates_are_kept_while_they_hold_and_renewed_before_they_end() {
    let (kept, leaf, both) = ([false; 4], [false, false, true, true], [true; 4]);
    assert_eq!(changed(Duration::ZERO), kept);
    assert_eq!(changed(59 * DAY), kept);
    assert_eq!(changed(60 * DAY), leaf, "less than a third of its life is left");
    assert_eq!(changed(89 * DAY), leaf);
    assert_eq!(changed(91 * DAY), leaf);
    assert_eq!(changed(274 * DAY), leaf);
    assert_eq!(changed(276 * DAY), both, "a leaf would outlive its CA");
    assert_eq!(changed(400 * DAY), both);
    assert_eq!(changed(-DAY), both, "not yet valid");
    assert_eq!(changed(-Duration::MINUTE * 30), kept, "a clock that is a little behind");
}

#[test]
fn a_server_that_runs_for_months_gets_the_next_one() {
    let folder = Folder::new();
    let mut renew = poll(folder.path().to_owned(), certificate(folder.path(), now()).unwrap());
    let before = contents(folder.path());
    assert!(renew(now() + 59 * DAY).is_none());
    assert_eq!(contents(folder.path()), before);
    let next = renew(now() + 60 * DAY).unwrap().unwrap();
    assert!(contents(folder.path())[2] != before[2]);
    assert_eq!(next.cert, certificate(folder.path(), now() + 60 * DAY).unwrap().cert);
    assert!(renew(now() + 61 * DAY).is_none());
    // Somebody has put another one there meanwhile.
    fs::write(folder.join("tls.crt"), rcgen::generate_simple_self_signed([]).unwrap().cert.pem()).unwrap();
    let error = renew(now() + 150 * DAY).unwrap().unwrap_err();
    let error = error.to_string();
    assert!(error.ends_with("tls.crt is not a development certificate, so it is not replaced"), "{error}");
}

#[test]
fn keys_are_for_their_owner_only() {
    let folder = Folder::new();
    certificate(folder.path(), now()).unwrap();
    for name in ["ca.key", "tls.key"] {
        assert_eq!(fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_damaged_file_is_replaced_and_what_is_not_known_as_ours_is_kept_aside() {
    let theirs = rcgen::KeyPair::generate().unwrap().serialize_pem();
    for text in ["", "garbage\n", "-----BEGIN CERTIFICATE-----\nMIIB", "\u{fffd}", theirs.as_str()] {
        for (name, is_ca) in [("ca.crt", true), ("ca.key", true), ("tls.crt", false), ("tls.key", false)] {
            let folder = Folder::new();
            certificate(folder.path(), now()).unwrap();
            let before = contents(folder.path());
            fs::write(folder.join(name), text).unwrap();
            if name == "ca.key" {
                // It is only needed for the next leaf.
                fs::write(folder.join("tls.crt"), "garbage").unwrap();
            }
            let made = certificate(folder.path(), now()).unwrap();
            made.keys_match().unwrap();
            let after = contents(folder.path());
            assert_eq!(
                before[0] != after[0],
                is_ca,
                "{name}: the CA is made anew only if it is the one that is broken"
            );
            let aside = others(folder.path());
            let kept = aside.iter().any(|other| fs::read_to_string(folder.join(other)).unwrap() == text);
            assert!(kept, "{name} was moved aside: {aside:?}");
            assert!(aside.iter().all(|other| other.ends_with(".crt") || other.ends_with(".key")), "{aside:?}");
            certificate(folder.path(), now()).unwrap();
            assert_eq!(contents(folder.path()), after, "and then it is kept");
        }
    }
}

#[test]
fn somebody_elses_certificate_is_left_alone() {
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
fn many_at_once_agree() {
    let folder = Folder::new();
    let all: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| certificate(folder.path(), now()).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(all.iter().all(|made| made.cert == all[0].cert), "one pair was made");
    assert_eq!(others(folder.path()), [""; 0]);
}

#[test]
fn a_file_that_a_killed_process_left_is_no_obstacle() {
    let folder = Folder::new();
    fs::write(folder.join(".new-tls.key"), "half").unwrap();
    certificate(folder.path(), now()).unwrap();
    assert_eq!(others(folder.path()), [""; 0]);
}

/// A pipe is not waited for: as a certificate it is an error, as a key it is moved aside as every other.
#[test]
fn a_pipe_is_not_waited_for() {
    for name in FILES {
        let folder = Folder::new();
        certificate(folder.path(), now()).unwrap();
        fs::remove_file(folder.join(name)).unwrap();
        assert!(Command::new("mkfifo").arg(folder.join(name)).status().unwrap().success());
        let path = folder.path().to_owned();
        let (send, made) = channel();
        // When the leaf is due, so that all are read; on a thread that is left behind if it waits.
        std::thread::spawn(move || send.send(certificate(&path, now() + 61 * DAY)));
        let made = made.recv_timeout(std::time::Duration::from_secs(60)).expect("it does not wait");
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
