//! Compares the committed pages with those generated from the code. Run `UPDATE=1 cargo test --test cli
//! generated_pages` to write them again.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use scan_admission::docs;
use scan_admission::engine::Expectation;
use scan_admission::rules::RULES;
use scan_admission::rules::tables::phases::MEANINGS;
use scan_admission::scan::Phase;

#[test]
fn the_committed_pages_are_the_generated_ones() {
    let folder = Path::new("docs");
    let is_update = std::env::var_os("UPDATE").is_some();
    let pages = docs::pages(RULES);
    for page in &pages {
        let path = folder.join(&page.path);
        if is_update {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &page.text).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == page.text,
            "{} differs from the generated page: run UPDATE=1 cargo test --test cli generated_pages",
            path.display()
        );
    }
    let generated: BTreeSet<_> = pages.iter().map(|page| folder.join(&page.path)).collect();
    for file in fs::read_dir(folder.join("rules")).unwrap() {
        let path = file.unwrap().path();
        assert!(generated.contains(&path), "{} belongs to no rule: remove it", path.display());
    }
}

#[test]
fn every_example_is_json_and_every_text_is_a_sentence() {
    for rule in RULES {
        for text in [rule.title, rule.checks, rule.why, rule.breaks, rule.repair] {
            assert!(text.ends_with('.') && !text.contains("  "), "{}: {text}", rule.id);
        }
        for example in rule.examples {
            let patch = if let Expectation::Mutates(patch) = example.expect { Some(patch) } else { None };
            for json in [Some(example.new), example.old, patch].into_iter().flatten() {
                serde_json::from_str::<serde_json::Value>(json)
                    .unwrap_or_else(|error| panic!("{}: {error}: {json}", rule.id));
            }
        }
    }
}

#[test]
fn the_glossary_has_the_meanings_of_the_phases() {
    let glossary = fs::read_to_string("docs/glossary.md").unwrap();
    let table = glossary.split_once("\n| phase | meaning |\n|---|---|\n").unwrap().1.split_once("\n\n").unwrap().0;
    let rows: Vec<String> = MEANINGS.iter().map(|row| format!("| {} | {} |", row.phase.name(), row.meaning)).collect();
    assert_eq!(table.lines().collect::<Vec<_>>(), rows);
    assert_eq!(MEANINGS.iter().map(|row| row.phase).collect::<Vec<_>>(), Phase::ALL);
}

/// CONTRIBUTING.md shows an existing rule as its example.
#[test]
fn the_rule_in_contributing_is_the_one_in_the_source() {
    let guide = fs::read_to_string("CONTRIBUTING.md").unwrap();
    let shown: String = guide
        .lines()
        .skip_while(|line| *line != "+++ b/src/rules/scan_template.rs")
        .skip(1)
        .take_while(|line| line.starts_with('+'))
        .map(|line| format!("{}\n", &line[1..]))
        .collect();
    assert_eq!(shown, fs::read_to_string("src/rules/scan_template.rs").unwrap());
}

/// The statuses that fit each phase at best, from the rules' specification: `✓` fits, `!` is a warning, `✕` is an error. Each
/// column has the statuses True, False, Unknown if the condition may have it, and absent.
const FITS: &str = "
    Pending    ✕!✓  !!✓  !!!✓  !!!✓  ✓✓✓✓
    Scanning   ✓✓!  ✓✓✓  ✓✓✓✓  ✓✓✓✓  ✓✓✓✓
    Completed  ✕✓✓  ✓✕✕  ✓✕✕✕  ✓✕✕✓  ✓✓✓✓
    Failed     ✕✓✓  ✓✕✕  ✕✓✕✕  ✕✓✕✕  ✓✓✓✓
    Error      ✕✓✓  ✓✓✓  ✓✓✓✓  ✓✓✓✓  ✓✓✓✓";

#[test]
fn the_picture_of_the_phases_shows_which_conditions_fit() {
    let picture = fs::read_to_string("docs/phases.svg").unwrap();
    let signs = |text: &str| text.chars().filter(|c| "✓!✕".contains(*c)).collect::<String>();
    let row = |row: &str| {
        let name = row.split_once("data-phase=\"").unwrap().1.split_once('"').unwrap().0;
        let columns: Vec<String> =
            row.split("<g data-condition=").skip(1).map(|it| signs(it.split("\n</g>").next().unwrap())).collect();
        [vec![name.to_owned()], columns].concat()
    };
    let shown: Vec<_> = picture.split("<g class=\"row\"").skip(1).map(row).collect();
    let expected: Vec<Vec<String>> =
        FITS.trim().lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect();
    assert_eq!(shown, expected);
}

/// A write that skips a run is a warning of `phase-jump`: from Pending or Error to Completed or Failed, and between these two.
#[test]
fn the_picture_of_the_lifecycle_shows_all_changes_that_skip_no_run() {
    let picture = fs::read_to_string("docs/lifecycle.svg").unwrap();
    let arrows = |class: &str| picture.matches(&format!("<g class=\"{class}\" data-from=")).count();
    assert_eq!((arrows("edge"), arrows("edge jump")), (14, 6));
    for (from, to) in [("Pending", "Completed"), ("Error", "Failed"), ("Completed", "Failed"), ("Failed", "Completed")]
    {
        assert!(
            picture.contains(&format!("<g class=\"edge jump\" data-from=\"{from}\" data-to=\"{to}\">")),
            "{from} {to}"
        );
    }
    assert!(picture.contains("<g class=\"edge\" data-from=\"Failed\" data-to=\"Error\">"));
    assert!(
        picture
            .contains("Pending becomes Scanning or Error. Scanning becomes Pending or Completed or Failed or Error.")
    );
}
