//! Tests the page itself: links, settings, the keyboard, accessibility, pictures, and what it may load.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::{env, fs};

use base64::Engine as _;
use scan_admission::rules::RULES;
use serde::Deserialize;
use serde_json::{Value, json};

use super::tools::{Shown, browse, page};
use crate::support::fixtures::fixture;

/// The pictures of docs/playground/README.md. They may differ by this share, since fonts differ.
const PICTURE_DIFFERENCE_MAX: f64 = 0.06;

#[derive(Deserialize)]
struct Linked {
    hash: String,
    states: [Value; 2],
    shown: [Shown; 2],
}

#[test]
fn a_link_opens_what_the_page_showed() {
    let Some(Linked { hash, states, shown }) = browse::<Linked>("link", &()) else { return };
    assert!(hash.starts_with("#~") && hash.len() < 1_000, "{hash}");
    assert_eq!(states[0], states[1]);
    assert_eq!(states[0]["modes"], json!({"cve-total": "audit"}));
    assert_eq!((&states[0]["user"], &states[0]["write"]), (&json!("somebody"), &json!("status")));
    assert!(
        states[0]["text"].as_str().unwrap().contains("é 漢 🦀")
            && states[0]["old"].as_str().unwrap().contains("phase: Scanning")
    );
    assert_eq!(shown[0], shown[1]);
}

#[derive(Deserialize)]
struct Split {
    review: Shown,
    split: Shown,
    state: Value,
}

#[test]
fn a_review_is_split_into_old_and_new() {
    let text = String::from_utf8(fixture("sourcescan-failed-5-completed.validate.json")).unwrap();
    let Some(Split { review, split, state }) = browse::<Split>("split", &text) else { return };
    let request: Value = serde_json::from_str::<Value>(&text).unwrap()["request"].take();
    for (text, object) in [("text", "object"), ("old", "oldObject")] {
        let shown: Value = serde_json::from_str(state[text].as_str().unwrap()).unwrap();
        assert_eq!(shown, request[object]);
    }
    assert_eq!((&state["write"], &state["user"]), (&json!("status"), &request["userInfo"]["username"]));
    // The present phase, and the step from the old one.
    let lit = [json!({"from": "Scanning", "to": "Completed"}), json!({"phase": "Completed"})];
    assert_eq!((review.lit, split.lit), (lit.to_vec(), lit.to_vec()));
    assert_eq!(review.kubectl, split.kubectl);
    assert!(review.phase.contains("From Scanning to Completed.") && review.counts.contains("192 in total"));
    assert!(review.conditions.contains("PolicySucceeded") && review.conditions.contains("current"));
}

#[derive(Deserialize)]
struct Typed {
    order: Vec<String>,
    at: String,
    selected: String,
    used: Shown,
    undone: Shown,
    explained: String,
    skipped: String,
    after: Shown,
}

#[test]
fn the_page_is_usable_with_the_keyboard_alone() {
    let Some(typed) = browse::<Typed>("keyboard", &()) else { return };
    let Typed { order, at, selected, used, undone, explained, skipped, after } = typed;
    let expected =
        ["Skip to the findings", "example", "write", "compare", "share", "Show an example of this rule", "text"];
    assert_eq!(order[..expected.len()], expected);
    // A finding leads to its value, and "did you mean" replaces it, which can be undone.
    assert_eq!((at.as_str(), selected.as_str()), ("text", "Complete"));
    assert!(used.text.contains("phase: \"Completed\"") && used.of_rule("phase-unknown").is_empty(), "{used:?}");
    assert!(undone.text.contains("phase: Complete\n") && undone.of_rule("phase-unknown").len() == 1, "{undone:?}");
    // Neither the description of a rule nor the way to the findings changes the text.
    assert_eq!((explained.as_str(), skipped.as_str()), ("rule", "results"));
    assert_eq!(after, undone);
}

#[test]
fn the_mode_of_a_rule_can_be_switched() {
    let Some(modes) = browse::<BTreeMap<String, Shown>>("modes", &()) else { return };
    let actions = |mode: &str| -> Vec<String> {
        let found = modes[mode].findings.iter().filter(|finding| finding.rule == "phase-unknown");
        found.map(|finding| format!("{} {}", finding.action, finding.message.contains("not denied"))).collect()
    };
    assert_eq!(
        ["deny", "warn", "audit", "off"].map(actions),
        [vec!["deny false"], vec!["warn true"], vec!["audit true"], vec![]]
    );
    assert!(modes["deny"].kubectl.contains("is invalid: ") && modes["warn"].kubectl.ends_with(" replaced"));
}

#[derive(Deserialize)]
struct Audited {
    found: Vec<String>,
    passes: usize,
    /// The pixels by which the page is wider than the window.
    overflow: usize,
}

#[test]
fn axe_finds_no_violation_light_dark_and_on_a_phone() {
    let Some(views) = browse::<BTreeMap<String, Audited>>("accessibility", &()) else { return };
    assert_eq!(views.len(), 9);
    for (view, Audited { found, passes, overflow }) in views {
        assert!(found.is_empty(), "{view}:\n{}", found.join("\n"));
        assert!(passes > 20 && overflow == 0, "{view}: {passes} checks, {overflow} pixels");
    }
}

#[test]
fn the_committed_pictures_show_the_page() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let views = [
        ("desktop.png", json!({"width": 1440, "height": 2040, "hash": "#phase-disagrees"})),
        ("phone.png", json!({"width": 390, "height": 1200, "hash": "#phase-unknown"})),
    ];
    let picture = |(name, view): &(&str, Value)| {
        let mut picture = view.clone();
        picture["path"] = json!(folder.join(name));
        picture["committed"] = json!(format!("docs/playground/{name}"));
        picture
    };
    let pictures: Vec<Value> = views.iter().map(picture).collect();
    let Some(differences) = browse::<BTreeMap<String, f64>>("pictures", &pictures) else { return };
    for (path, difference) in differences {
        let committed = Path::new("docs/playground").join(Path::new(&path).file_name().unwrap());
        if env::var_os("UPDATE").is_some() {
            fs::copy(&path, &committed).unwrap();
        } else {
            assert!(
                difference <= PICTURE_DIFFERENCE_MAX,
                "{} differs by {difference}: run UPDATE=1 cargo test --test cli playground, and look at the picture",
                committed.display()
            );
        }
    }
}

/// The policy is read from the page: nothing may be loaded, and only its own script and styles run.
#[test]
fn the_page_allows_only_its_own_script_and_styles() {
    let Some(page) = page() else { return };
    let html = fs::read_to_string(page).unwrap();
    let policy =
        html.split_once("http-equiv=\"Content-Security-Policy\" content=\"").unwrap().1.split_once('"').unwrap().0;
    let directives: Vec<&str> = policy.split("; ").collect();
    let hash = |text: &str| {
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        format!("'sha256-{}'", base64::engine::general_purpose::STANDARD.encode(digest.as_ref()))
    };
    let contents = |open: &str, close: &str| -> Vec<String> {
        html.split(open).skip(1).map(|rest| hash(rest.split_once(close).unwrap().0)).collect()
    };
    let mut styles = contents("<style>", "</style>");
    styles.dedup();
    let expected = [
        "default-src 'none'".to_owned(),
        format!("script-src {} 'wasm-unsafe-eval'", contents("<script>", "</script>").concat()),
        format!("style-src {}", styles.join(" ")),
        "base-uri 'none'".to_owned(),
        "form-action 'none'".to_owned(),
    ];
    assert_eq!(directives, expected);
    // Nothing about the machine that built it.
    let zipped = html.split_once("id=\"wasm\">").unwrap().1.split_once('<').unwrap().0;
    let zipped = base64::engine::general_purpose::STANDARD.decode(zipped).unwrap();
    let mut code = Vec::new();
    flate2::read::GzDecoder::new(zipped.as_slice()).read_to_end(&mut code).unwrap();
    let folders = [env!("CARGO_MANIFEST_DIR").to_owned(), env::var("HOME").unwrap() + "/"];
    for folder in folders {
        assert!(!code.windows(folder.len()).any(|bytes| bytes == folder.as_bytes()), "{folder}");
    }
    for attribute in [" src=", " srcset=", "@import", "url("] {
        assert!(!html.contains(attribute), "{attribute}");
    }
}

#[test]
fn each_page_of_a_rule_links_to_its_example() {
    for rule in RULES {
        let text = fs::read_to_string(format!("docs/rules/{}.md", rule.id)).unwrap();
        let link = format!("](../playground/playground.html#{})", rule.id);
        assert!(text.contains(&link), "{}", rule.id);
    }
}
