//! The reviews in tests/fixtures/reviews are what the API server sends while the lives are lived.
//! `UPDATE=1 cargo test --test cluster -- recording` records them anew.

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fs};

use crate::Test;
use crate::captured::Review;
use crate::controlplane::{Namespace, User, eventually};
use crate::life::{Life, lives};
use crate::recorder::Recorder;
use crate::scan;
use crate::writing::Writer;

pub const TESTS: &[(&str, Test)] = &[("recording", recording)];

const DOORS: [&str; 2] = ["mutate", "validate"];

fn recording(namespace: &Namespace<'_>) {
    let recorder = Recorder::start();
    recorder.register(namespace);
    eventually("both doors are asked", || {
        let create = ["create", "--dry-run=server", "-f", "-"];
        namespace.kubectl(User::Developer).args(create).input(scan("first").to_string()).run().ok();
        (recorder.take().len() == 2).then_some(())
    });

    let recorded: BTreeMap<String, String> =
        lives().iter().flat_map(|life| record(&recorder, &Writer::new(namespace, life.recorded), life)).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reviews");
    let is_update = env::var_os("UPDATE").is_some();
    for (name, text) in &recorded {
        let path = folder.join(name);
        if is_update {
            fs::write(&path, text).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        // The first line that differs says more than two texts.
        let differ = text.lines().zip(committed.lines()).enumerate().find(|(_, (sent, committed))| sent != committed);
        assert!(*text == committed, "{name} is not what is sent, {differ:?}: run UPDATE=1 cargo test --test cluster");
    }
    for entry in fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if is_update && !recorded.contains_key(&name) {
            fs::remove_file(folder.join(&name)).unwrap();
            continue;
        }
        assert!(recorded.contains_key(&name), "{name} is in no life");
    }
}

/// Lives a life, and gives what the doors were asked by the names of its files.
fn record(recorder: &Recorder, writer: &Writer<'_>, life: &Life) -> Vec<(String, String)> {
    let mut versions = Vec::new();
    let mut files = Vec::new();
    let mut keep = |step: &str| {
        // A life without steps is its creation.
        let step = if life.steps.is_empty() { life.id() } else { format!("{}-{step}", life.id()) };
        let reviews = recorder.take();
        let doors: Vec<_> = reviews.iter().map(|(door, _)| door.as_str()).collect();
        assert_eq!(doors, DOORS, "{step}");
        for (door, body) in &reviews {
            let name = format!("{step}.{door}");
            let mut review = Review::read(body);
            review.normalise(&name, &mut versions);
            files.push((format!("{name}.json"), review.text()));
        }
    };
    writer.create(&[life.scan()]);
    keep("create");
    // What is refused, a webhook that allows everything would store.
    for step in life.steps.iter().filter(|step| step.refused.is_empty()) {
        if step.delete {
            writer.delete(&life.kind, &life.name);
        } else {
            let stored = writer.read(&life.kind, &life.name).expect("it is there");
            writer.write(&stored, &step.stored(&stored)).unwrap();
        }
        keep(&step.name);
    }
    files
}
