//! Tests of the text that `--fix` writes, in every layout.

use scan_admission::offline::Judge;
use scan_admission::offline::fix::Fixer;
use scan_admission::offline::input::Input;

use super::HEAD;
use crate::support::review_context::now;

/// Returns the text of a file after the fixes, and the messages about what was left.
fn fix(file: &str) -> (String, Vec<String>) {
    let judge = Judge { now: now(), settings: Default::default() };
    let fixed = Fixer::new(&judge, None, true).fix(&Input::File("scans.yaml".into()), file.as_bytes());
    assert!(fixed.errors.is_empty(), "{:?}: {file}", fixed.errors);
    let left = fixed.left.iter().map(|left| format!("{}:{} {left}", left.position.line, left.position.column));
    (fixed.contents.map_or_else(|| file.to_owned(), |contents| String::from_utf8(contents).unwrap()), left.collect())
}

#[track_caller]
fn becomes(file: &str, expected: &str) {
    assert_eq!(fix(file), (expected.to_owned(), Vec::new()), "{file}");
}

const COUNTS: &str = "critical: 1, high: 0, medium: 0, low: 0, unknown: 0";

/// The counts as lines with an indentation of four.
fn lines(rest: &str) -> String {
    format!("{HEAD}status:\n  cveCount:\n    {}\n{rest}", COUNTS.replace(", ", "\n    "))
}

#[test]
fn a_value_is_replaced_where_it_is() {
    for (old, new) in [
        ("    total: 4 # c\n", "    total: 1 # c\n"),
        ("    \"total\" :  4\t# c\n", "    \"total\" :  1\t# c\n"),
        ("    total: '4'\n", "    total: 1\n"),
        ("    total:\n      4\n", "    total:\n      1\n"),
        ("    total: # c\n      4\n", "    total: # c\n      1\n"),
        ("    total: |- # c\n      4\n\n  phase: Pending\n", "    total: 1\n\n  phase: Pending\n"),
        ("    total: {a: 1} # c\n", "    total: 1 # c\n"),
        ("    total: [\n      1 ]\n", "    total: 1\n"),
        ("    total:\n      a: 1\n      b: 2\n  phase: Pending\n", "    total: 1\n  phase: Pending\n"),
        ("    total: # c\n      a: 1\n      b: 2 # d\n", "    total: # c\n      1 # d\n"),
        ("    total:\n    - 1\n    - 2\n", "    total: 1\n"),
        ("    total: # c\n    - 1\n", "    total: # c\n      1\n"),
        ("    total: !!seq # c\n    - 1\n", "    total: # c\n      1\n"),
        ("    total: &t # c\n    - 1\n", "    total: &t # c\n      1\n"),
        ("    total: !!map # c\n      a: 1\n", "    total: # c\n      1\n"),
        ("    ? total\n    : 4 # c\n", "    ? total\n    : 1 # c\n"),
        ("    ? total\n", "    ? total\n    : 1\n"),
        ("    ? total # c\n  phase: Pending\n", "    ? total\n    : 1 # c\n  phase: Pending\n"),
        ("    total: !!str 4 # c\n", "    total: 1 # c\n"),
        ("    total: &t 4 # c\n", "    total: &t 1 # c\n"),
        ("    total: !!str &t 4 # c\n", "    total: &t 1 # c\n"),
        ("    total:\n", "    total: 1\n"),
        ("    total: # c\n", "    total: 1 # c\n"),
        ("    total: &t\n", "    total: &t 1\n"),
        ("    total: ~", "    total: 1"),
        ("    total: 3\n    total: 4 # c\n", "    total: 3\n    total: 1 # c\n"),
    ] {
        becomes(&lines(old), &lines(new));
        becomes(&lines(old).replace('\n', "\r\n"), &lines(new).replace('\n', "\r\n"));
    }
}

#[test]
fn a_text_keeps_its_quotes_and_a_time_has_double_quotes() {
    let condition = |reason: &str, time: &str| {
        format!(
            "{HEAD}status:\n  phase: Scanning\n  conditions:\n  - type: Scanning\n    status: 'True'\n{reason}    message: The scan job is running\n{time}"
        )
    };
    for (reason, expected) in [
        ("    reason: '' # c\n", "    reason: 'JobStarted' # c\n"),
        ("    reason: \"\"\n", "    reason: \"JobStarted\"\n"),
        ("    reason: null\n", "    reason: JobStarted\n"),
        ("    reason:\n", "    reason: JobStarted\n"),
        ("    reason: |\n", "    reason: JobStarted\n"),
        ("    \"reason\": ~\n", "    \"reason\": \"JobStarted\"\n"),
        ("", "    reason: JobStarted\n"),
    ] {
        let time = "    lastTransitionTime: 2026-11-20T08:01:00Z\n";
        becomes(&condition(reason, time), &condition(expected, time));
    }
    let now = "    lastTransitionTime: \"2026-11-24T12:00:00Z\"\n";
    becomes(&condition("    reason: JobStarted\n", ""), &condition("    reason: JobStarted\n", now));
}

#[test]
fn a_member_is_inserted_as_a_line_beside_its_siblings() {
    for (old, new) in [
        (
            "  cveCount:\n    low: 1 # low\n\n    # end\n",
            "  cveCount:\n    critical: 0\n    high: 0\n    medium: 0\n    low: 1 # low\n    unknown: 0\n    total: 1\n\n    # end\n",
        ),
        (
            "  CVECount:\n      HIGH: 2\n      LOW: 1",
            "  CVECount:\n      CRITICAL: 0\n      HIGH: 2\n      MEDIUM: 0\n      LOW: 1\n      UNKNOWN: 0\n      CVETOTAL: 3",
        ),
        (
            "  conditions:\n  -   lastTransitionTime: 2026-11-20T08:01:00Z\n      # c\n      type: Succeeded # d\n      reason: Error\n      message: |+\n        no\n\n      status: 'False'\n",
            "  phase: Error\n  conditions:\n  -   lastTransitionTime: 2026-11-20T08:01:00Z\n      # c\n      type: Succeeded # d\n      reason: Error\n      message: |+\n        no\n\n      status: 'False'\n",
        ),
        // A line after it would end the text of the last member.
        (
            "  conditions:\n  - type: Succeeded\n    status: 'True'\n    reason: JobFinished\n    message: |\n      done",
            "  phase: Completed\n  conditions:\n  - type: Succeeded\n    status: 'True'\n    reason: JobFinished\n    lastTransitionTime: \"2026-11-24T12:00:00Z\"\n    message: |\n      done",
        ),
        (
            "  phase: Completed\n  conditions:\n  - {type: Succeeded, status: 'True', reason: JobFinished, message: done, lastTransitionTime: 2026-11-20T08:01:00Z} # c\n  scannedBy: {scanner: {name: a, version: b}}\n  # end\n",
            "  phase: Completed\n  conditions:\n  - {type: Succeeded, status: 'True', reason: JobFinished, message: done, lastTransitionTime: 2026-11-20T08:01:00Z} # c\n  scannedBy: {scanner: {name: a, version: b}}\n  scannedAt: \"2026-11-20T08:01:00Z\"\n  # end\n",
        ),
    ] {
        let file = |status: &str| format!("{HEAD}status:\n{status}");
        // Where there is no scannedAt, it is filled in too; that is another case.
        let (fixed, _) = fix(&file(old));
        let fixed = if new.contains("scannedAt") {
            fixed
        } else {
            fixed.lines().filter(|line| !line.contains("scannedAt")).map(|line| format!("{line}\n")).collect()
        };
        assert_eq!(fixed.trim_end_matches('\n'), file(new).trim_end_matches('\n'), "{old}");
        assert_eq!(fix(&file(old).replace('\n', "\r\n")).0.replace("\r\n", "\n"), fix(&file(old)).0);
    }
}

#[test]
fn a_member_is_inserted_before_the_properties_of_a_key() {
    for (old, new) in [
        (
            "    &k low: 1\n",
            "    critical: 0\n    high: 0\n    medium: 0\n    &k low: 1\n    unknown: 0\n    total: 1\n",
        ),
        (
            "    !!str low: 1 # c\n",
            "    critical: 0\n    high: 0\n    medium: 0\n    !!str low: 1 # c\n    unknown: 0\n    total: 1\n",
        ),
        (
            "    ? low\n    : 1\n",
            "    critical: 0\n    high: 0\n    medium: 0\n    ? low\n    : 1\n    unknown: 0\n    total: 1\n",
        ),
        (
            "    ? high\n    low: 1\n",
            "    critical: 0\n    ? high\n    : 0\n    medium: 0\n    low: 1\n    unknown: 0\n    total: 1\n",
        ),
    ] {
        let file = |counts: &str| format!("{HEAD}status:\n  phase: Pending\n  cveCount:\n{counts}");
        becomes(&file(old), &file(new));
        becomes(&file(old).replace('\n', "\r\n"), &file(new).replace('\n', "\r\n"));
    }
    let phase = |phase: &str| {
        format!(
            "{HEAD}status:\n{phase}  &k conditions:\n  - {{type: Scanning, status: 'True', reason: JobStarted, message: m, lastTransitionTime: 2026-11-20T08:01:00Z}}\n"
        )
    };
    becomes(&phase(""), &phase("  phase: Scanning\n"));
}

/// The empty lines at the end of such a text are part of it.
#[test]
fn a_member_is_inserted_after_a_text_that_keeps_empty_lines() {
    let file = |message: &str, time: &str, rest: &str| {
        format!(
            "{HEAD}status:\n  phase: Scanning\n  conditions:\n  - type: Scanning\n    status: 'True'\n    reason: JobStarted\n    message: {message}{time}{rest}"
        )
    };
    let time = "    lastTransitionTime: \"2026-11-24T12:00:00Z\"\n";
    for message in ["|+\n      x\n\n", "|+ # c\n\n", ">+\n      x\n      \n\n", "|+\n\n  \n"] {
        let other =
            "  - {type: Other, status: 'True', reason: r, message: m, lastTransitionTime: 2026-11-20T08:01:00Z}\n";
        for rest in ["    observedGeneration: 1\n", other, "# c\n", "  scannedBy: {}\n"] {
            becomes(&file(message, "", rest), &file(message, time, rest));
        }
    }
    // The last line is part of the text, although it has no line end: kubectl adds one.
    let end =
        |time: &str| file("", "", "").replace("    message: ", &format!("{time}    message: |+\n      x\n      "));
    becomes(&end(""), &end(time));
}

/// The entries of such a list are mappings without braces.
#[test]
fn a_write_that_would_be_misread_is_left_alone() {
    let scan =
        |name: &str, status: &str| format!("{}status:\n{status}", HEAD.replace("name: a", &format!("name: {name}")));
    let item = |scan: String| format!("- {}\n", scan.trim_end().replace('\n', "\n  "));
    let good =
        |total: u32| format!("  cveCount: {{critical: 1, high: 0, medium: 0, low: 0, unknown: 0, total: {total}}}\n");
    let odd = |total: u32| format!("{}  conditions: [type: Scanning]\n", good(total));
    let list = |total: u32| {
        let scans = [scan("a", &good(total)), scan("b", &odd(total)), scan("c", &good(total))];
        format!("apiVersion: v1\nkind: List\nitems:\n{}", scans.map(item).concat())
    };
    let (fixed, left) = fix(&list(5));
    assert_eq!(fixed, list(1));
    let message = "16:18 b status.conditions[Scanning].lastTransitionTime: not fixed: the edited document would not be read as intended; fix it by hand";
    assert_eq!(left, [message]);
}

#[test]
fn a_member_is_inserted_in_flow_style_with_a_comma() {
    for (old, new) in [
        ("{low: 1, unknown: 2}", "{critical: 0, high: 0, medium: 0, low: 1, unknown: 2, total: 3}"),
        ("{ low: 1,unknown: 2 }", "{ critical: 0,high: 0,medium: 0,low: 1,unknown: 2,total: 3 }"),
        ("{\"low\":1,\"unknown\":2}", "{\"critical\":0,\"high\":0,\"medium\":0,\"low\":1,\"unknown\":2,\"total\":3}"),
        ("{'low': 1}", "{'critical': 0, 'high': 0, 'medium': 0, 'low': 1, 'unknown': 0, 'total': 1}"),
        (
            "{\n    low: 1, # low\n    unknown: 2, # unknown\n  } # end",
            "{\n    critical: 0,\n    high: 0,\n    medium: 0,\n    low: 1, # low\n    unknown: 2, # unknown\n    total: 3,\n  } # end",
        ),
        (
            "{\n    low: 1,\n    unknown: 2\n  }",
            "{\n    critical: 0,\n    high: 0,\n    medium: 0,\n    low: 1,\n    unknown: 2,\n    total: 3\n  }",
        ),
        // A comma after a comment would be part of it.
        (
            "{\n    low: 1,\n    unknown: 2 # unknown\n  }",
            "{\n    critical: 0,\n    high: 0,\n    medium: 0,\n    low: 1,\n    total: 3,\n    unknown: 2 # unknown\n  }",
        ),
        ("{low: 1, total: , x: y}", "{critical: 0, high: 0, medium: 0, low: 1, unknown: 0, total: 1 , x: y}"),
        ("{&k low: 1, unknown: 0, total: 1}", "{critical: 0, high: 0, medium: 0, &k low: 1, unknown: 0, total: 1}"),
        ("{&k !!str low: 1}", "{critical: 0, high: 0, medium: 0, &k !!str low: 1, unknown: 0, total: 1}"),
        ("{? low : 1}", "{critical : 0, high : 0, medium : 0, ? low : 1, unknown : 0, total : 1}"),
        // An empty value is right after its key or its colon, not on the next line.
        ("{low: 1, total\n  }", "{critical: 0, high: 0, medium: 0, low: 1, unknown: 0, total: 1\n  }"),
        (
            "{low: 1, \"total\"\n  , x: y}",
            "{critical: 0, high: 0, medium: 0, low: 1, unknown: 0, \"total\": 1\n  , x: y}",
        ),
        ("{low: 1, total:\n  }", "{critical: 0, high: 0, medium: 0, low: 1, unknown: 0, total: 1\n  }"),
        ("{low: 1, unknown:  # c\n  }", "{critical: 0, high: 0, medium: 0, low: 1, unknown: 0 , total: 1  # c\n  }"),
        ("{low: 1, x:  # c\n  }", "{critical: 0, high: 0, medium: 0, low: 1, unknown: 0, total: 1, x:  # c\n  }"),
        ("{low: 1, unknown: ~, total}", "{critical: 0, high: 0, medium: 0, low: 1, unknown: 0, total: 1}"),
        (
            "{\n    <<: {low: 1}, # c\n  }",
            "{\n    <<: {low: 1}, # c\n   critical: 0, high: 0, medium: 0, unknown: 0, total: 1,}",
        ),
    ] {
        let file = |counts: &str| format!("{HEAD}status:\n  phase: Pending\n  cveCount: {counts}\n");
        becomes(&file(old), &file(new));
        becomes(&file(old).replace('\n', "\r\n"), &file(new).replace('\n', "\r\n"));
    }
}

#[test]
fn json_keeps_its_layout() {
    let scan = |counts: &str| {
        format!(
            r#"{{"apiVersion":"scanning.apps.tanzu.vmware.com/v1beta1","kind":"SourceScan","metadata":{{"name":"a"}},"status":{{"cveCount":{counts}}}}}"#
        )
    };
    for (old, new) in [
        (r#"{"low":1,"high":2}"#, r#"{"low":1,"unknown":0,"total":3,"critical":0,"high":2,"medium":0}"#),
        (r#"{"low": 1}"#, r#"{"critical": 0, "high": 0, "medium": 0, "low": 1, "unknown": 0, "total": 1}"#),
        (
            "{\n\t\"low\" : 1,\n\t\"total\" : \"4\"\n}",
            "{\n\t\"critical\" : 0,\n\t\"high\" : 0,\n\t\"medium\" : 0,\n\t\"low\" : 1,\n\t\"unknown\" : 0,\n\t\"total\" : 1\n}",
        ),
        (
            r#"{"low":1,"total":3,"total":null}"#,
            r#"{"critical":0,"high":0,"medium":0,"low":1,"unknown":0,"total":3,"total":1}"#,
        ),
    ] {
        // A mutation does not need a spec, and the next value of the stream stays as it is.
        becomes(&format!("{} {{}}\n", scan(old)), &format!("{} {{}}\n", scan(new)));
    }
}

#[test]
fn what_others_share_is_left() {
    let shared = "not fixed: other values share it through an anchor, an alias or a merge key; write the value out, or fix it by hand";
    for (status, place) in [
        ("  x: &x {critical: 1, high: 0, medium: 0, low: 0, unknown: 0, total: 4}\n  cveCount: *x\n", "6:63"),
        ("  cveCount: &x {critical: 1, high: 0, medium: 0, low: 0, unknown: 0, total: 4}\n  x: *x\n", "6:70"),
        ("  x: &x {total: 4}\n  cveCount: {<<: *x, critical: 1, high: 0, medium: 0, low: 0, unknown: 0}\n", "6:10"),
        ("  x: &x 4\n  cveCount: {critical: 1, high: 0, medium: 0, low: 0, unknown: 0, total: *x}\n", "7:67"),
        ("  cveCount: {critical: 1, high: 0, medium: 0, low: 0, unknown: 0, total: &x 4}\n  x: *x\n", "6:67"),
    ] {
        let file = format!("{HEAD}status:\n{status}");
        let (fixed, left) = fix(&file);
        assert_eq!(fixed, file);
        let message = format!("status.cveCount.total: {shared}");
        assert!(left.len() == 1 && left[0].ends_with(&message), "{left:?}");
        assert!(left[0].starts_with(&format!("{place} ")), "{left:?} {status}");
    }
}
