//! Proves on generated manifests, on the examples of all rules and on the fixtures that `--fix` writes what the mutating
//! webhook writes, and nothing else, as kubectl reads the files.
//!
//! Without Go, our own reader takes the place of kubectl's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use scan_admission::admission::{self, Webhook};
use scan_admission::manifest::{Documents, Manifest, encoding};
use scan_admission::offline::Judge;
use scan_admission::offline::fix::{FixedFile, Fixer};
use scan_admission::offline::input::Input;
use scan_admission::rules::RULES;
use serde_json::{Value, json};

use super::generator::{Generator, Stream, node};
use crate::kubectl_reader;
use crate::support::review_context::{context, now};
use crate::support::reviews::{patch, review, scan};

/// The number of generated documents. A stream has two on average.
const DOCUMENTS: usize = 10_000;

/// The seed of the generated manifests. The variable SEED sets another one.
const SEED: u64 = 20_261_124;

fn seed() -> u64 {
    let seed = env::var("SEED").map_or(SEED, |seed| seed.parse().unwrap());
    eprintln!("SEED={seed}");
    seed
}

/// Returns the documents of each stream as kubectl reads them.
fn read_by_kubectl(streams: &[&str]) -> Vec<Vec<Value>> {
    let Some(read) = kubectl_reader::read(streams) else { return read_by_us(streams) };
    let each = read.into_iter().zip(streams);
    each.map(|(read, stream)| read.unwrap_or_else(|error| panic!("{error}:\n{stream}"))).collect()
}

fn read_by_us(streams: &[&str]) -> Vec<Vec<Value>> {
    let documents = |stream: &&str| {
        let mut documents = Documents::new(stream.as_bytes());
        let mut all = Vec::new();
        while let Some(document) = documents.next_document().unwrap() {
            all.push(serde_json::from_str(Manifest::read(&document).unwrap().json()).unwrap());
        }
        all
    };
    streams.iter().map(documents).collect()
}

/// Makes the writes of the mutating webhook in the scans of a document, except in shared parts. Returns the numbers of
/// those that were made and of those that were not.
fn mutate(document: &mut Value, kind: Option<&str>, shared: &[(String, String)]) -> (usize, usize) {
    let found = document["kind"].as_str().or(kind).unwrap_or_default().to_owned();
    if let Some(kind) = found.strip_suffix("List") {
        let items = document["items"].as_array_mut().into_iter().flatten();
        let counts = items.map(|item| mutate(item, Some(kind).filter(|kind| !kind.is_empty()), shared));
        return counts.fold((0, 0), |sum, counts| (sum.0 + counts.0, sum.1 + counts.1));
    }
    if !["SourceScan", "ImageScan"].contains(&&*found) {
        return (0, 0);
    }
    let mut object = document.clone();
    object["kind"] = json!(found);
    let answer = admission::answer(review(&object, None).to_string().as_bytes(), &context(Webhook::Mutating));
    let mut operations = patch(&serde_json::from_slice(&answer.body).unwrap());
    let name = document["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let operations = operations.as_array_mut().unwrap();
    let all = operations.len();
    operations.retain(|operation| {
        let path = operation["path"].as_str().unwrap();
        let is_in = |(of, pointer): &&(String, String)| {
            *of == name && path.strip_prefix(pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        !shared.iter().any(|shared| is_in(&shared))
    });
    let made = operations.len();
    let patch: json_patch::Patch = serde_json::from_value(json!(operations)).unwrap();
    json_patch::patch(document, &patch).unwrap();
    (made, all - made)
}

fn fix(file: &[u8]) -> FixedFile {
    let judge = Judge { now: now(), settings: Default::default() };
    Fixer::new(&judge, None, true).fix(&Input::File("scans.yaml".into()), file)
}

/// Fixes every stream, and compares the result with what it has to be, as `read` reads them.
fn prove(streams: &[Stream], read: fn(&[&str]) -> Vec<Vec<Value>>) -> (usize, usize) {
    let fixed: Vec<(FixedFile, &Stream)> = streams.iter().map(|stream| (fix(stream.text.as_bytes()), stream)).collect();
    let texts: Vec<String> = fixed
        .iter()
        .map(|(fixed, stream)| match &fixed.contents {
            Some(contents) => String::from_utf8(contents.clone()).unwrap(),
            None => stream.text.clone(),
        })
        .collect();
    let all: Vec<&str> = streams.iter().map(|stream| &*stream.text).chain(texts.iter().map(|text| &**text)).collect();
    let read = read(&all);
    let (before, after) = read.split_at(streams.len());
    let (mut made, mut left) = (0, 0);
    for (index, (fixed, stream)) in fixed.iter().enumerate() {
        let (text, new) = (&stream.text, &texts[index]);
        let errors: Vec<String> = fixed.errors.iter().map(ToString::to_string).collect();
        assert!(errors.is_empty(), "{errors:?}:\n{text}");
        let mut expected = before[index].clone();
        let counts: Vec<_> = expected.iter_mut().map(|document| mutate(document, None, &stream.shared)).collect();
        let sum = |of: fn(&(usize, usize)) -> usize| counts.iter().map(of).sum::<usize>();
        for (read, expected) in after[index].iter().zip(&expected) {
            let difference = json_patch::diff(expected, read);
            assert!(difference.is_empty(), "{difference}:\n{text}\n=== became ===\n{new}");
        }
        assert_eq!(after[index].len(), expected.len(), "{text}\n=== became ===\n{new}");
        assert_eq!(
            (fixed.paths.len(), fixed.left.len()),
            (sum(|it| it.0), sum(|it| it.1)),
            "{text}\n{:?}",
            fixed.paths
        );
        let again = fix(new.as_bytes());
        assert!(again.contents.is_none(), "a second --fix changes {:?}:\n{new}", again.paths);
        check_lines(text, new, fixed.paths.len());
        if index % 10 == 0 {
            check_encodings(text, new);
        }
        made += fixed.paths.len();
        left += fixed.left.len();
    }
    (made, left)
}

/// Expects that the file becomes the same in other encodings, with a byte order mark.
fn check_encodings(old: &str, new: &str) {
    let [old, new] = [old, new].map(|text| format!("\u{FEFF}{text}"));
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    for (old, new) in [(old.clone().into_bytes(), new.clone().into_bytes()), (utf16(&old), utf16(&new))] {
        assert!(fix(&old).contents.as_ref().unwrap_or(&old) == &new, "{}", String::from_utf8_lossy(&old));
    }
}

/// Expects that all lines are byte-equal, except for those of the values that were written, and that no comment is lost.
fn check_lines(old: &str, new: &str, writes: usize) {
    let lines = |text: &'_ str| text.split_inclusive('\n').map(str::to_owned).collect::<Vec<_>>();
    let (before, after) = (lines(old), lines(new));
    let ops = similar::capture_diff_slices(similar::Algorithm::Myers, &before, &after);
    let changed: usize =
        ops.iter().filter(|op| op.tag() != similar::DiffTag::Equal).map(|op| op.old_range().len()).sum();
    // A total that is a list or a mapping has up to eight lines.
    let most = writes + 8 * old.to_lowercase().matches("otal").count().min(writes);
    assert!(changed <= most, "{changed} lines changed for {writes} writes:\n{old}\n=== became ===\n{new}");
    let comments = |text: &str| -> Vec<String> {
        let words = text
            .split_ascii_whitespace()
            .filter(|word| word.starts_with("c") && word[1..].starts_with(|c: char| c.is_ascii_digit()));
        words.map(str::to_owned).collect()
    };
    let (comments_before, comments_after) = (comments(old), comments(new));
    // Comments within a value that is replaced go with it.
    assert!(comments_after.len() + 4 * writes >= comments_before.len(), "{old}\n=== became ===\n{new}");
    let crlf = |text: &str| text.matches("\r\n").count() == text.matches('\n').count();
    assert!(!crlf(old) || !old.contains('\n') || crlf(new), "{old:?}\n=== became ===\n{new:?}");
    assert_eq!(old.ends_with('\n'), new.ends_with('\n'), "{old}\n=== became ===\n{new}");
}

#[test]
fn generated_manifests_become_what_the_webhook_writes() {
    let mut generator = Generator::new(seed());
    let (mut streams, mut documents) = (Vec::new(), 0);
    while documents < DOCUMENTS {
        let stream: Stream = generator.stream();
        documents += stream.documents;
        streams.push(stream);
    }
    let (made, left) = prove(&streams, read_by_kubectl);
    eprintln!("{made} fields were written and {left} left");
    assert!(made > 4 * DOCUMENTS && left > DOCUMENTS / 50, "{made} {left}");
}

#[test]
fn the_examples_of_all_rules_become_what_the_webhook_writes() {
    let mut generator = Generator::new(seed());
    let examples = RULES.iter().flat_map(|rule| rule.examples);
    let objects: BTreeMap<String, Value> =
        examples.map(|example| (example.new.to_owned(), scan(example.new))).collect();
    let streams = objects.values().flat_map(|object| {
        let mut texts = vec![format!("{object:#}\n"), object.to_string()];
        texts.extend((0..6).map(|_| generator.write_one(&node(object))));
        texts.into_iter().map(|text| Stream { text, documents: 1, shared: Vec::new() })
    });
    let streams: Vec<Stream> = streams.collect();
    let (made, left) = prove(&streams, read_by_kubectl);
    assert!(streams.len() > 8 * 100 && made > 500 && left == 0, "{} {made} {left}", streams.len());
}

#[test]
fn the_fixtures_become_what_the_webhook_writes() {
    let (mut streams, mut with_directives) = (Vec::new(), Vec::new());
    for path in files(Path::new("tests/fixtures")) {
        let text = String::from_utf8(encoding::decode(&fs::read(&path).unwrap())).unwrap();
        let stream = |text| Stream { text, documents: 1, shared: Vec::new() };
        let object = serde_json::from_str(&text).map(|review: Value| review["request"]["object"].clone());
        let is_manifest = path.extension().is_some_and(|extension| extension == "yaml" || extension == "json");
        match object {
            Ok(object) if object.is_object() => {
                streams.extend([format!("{object:#}\n"), object.to_string()].map(stream));
            }
            // kubectl does not split a stream after a comment below a directive.
            _ if path.ends_with("check/scans.yaml") => with_directives.push(stream(text)),
            // Malformed documents, and shared values.
            _ if ["broken.yaml", "stream.json", "anchors.yaml"].iter().any(|name| path.ends_with(name)) => {}
            _ if is_manifest => streams.push(stream(text)),
            _ => {}
        }
    }
    assert!(streams.len() > 100 && with_directives.len() == 1, "{}", streams.len());
    prove(&streams, read_by_kubectl);
    prove(&with_directives, read_by_us);
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
