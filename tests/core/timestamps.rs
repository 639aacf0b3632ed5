//! Tests of times by RULES §2: RFC 3339 with an upper-case `T` and `Z` or an offset, as far as Go's `time.Parse`
//! accepts it.
//!
//! `tests/fixtures/times.txt` has the results of Go for some thousand texts: each text as a JSON string, with the Unix
//! time that Go reads, or `-`. UPDATE=1 rewrites the file and needs Go.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::{env, fs, thread};

use scan_admission::scan::time;
use serde_json::json;

use crate::findings::found;
use crate::support::reviews::{review, scan};

const FIXTURE: &str = "tests/fixtures/times.txt";

const PLAIN: &str = "2026-11-20T08:01:00Z";
/// A time with a fraction, an offset and a leap day.
const FULL: &str = "2024-02-29T23:59:59.25+05:30";

/// Returns every text, as JSON.
fn texts() -> BTreeSet<String> {
    let mut texts = [dates(), clocks(), fractions(), offsets(), damaged(PLAIN), damaged(FULL), others()].concat();
    texts.iter_mut().for_each(|text| *text = json!(text).to_string());
    texts.into_iter().collect()
}

/// Returns times with valid and invalid dates: years, months, days of the month and leap days.
fn dates() -> Vec<String> {
    let years = ["0000", "0001", "1600", "1900", "1969", "1970", "2000", "2024", "2026", "2100", "9999"];
    let mut dates = Vec::new();
    for year in years.into_iter().chain(["0", "26", "026", "02026", "10000", "-001", "+2026", "-2026"]) {
        for month in 0..=13 {
            let days: &[u8] = if years.contains(&year) { &[0, 1, 28, 29, 30, 31, 32] } else { &[1] };
            dates.extend(days.iter().map(|day| format!("{year}-{month:02}-{day:02}T00:00:00Z")));
        }
    }
    dates
}

/// Returns times with valid and invalid hours, minutes and seconds, and with leap seconds on valid and invalid dates.
fn clocks() -> Vec<String> {
    let mut clocks = Vec::new();
    for hour in ["00", "09", "12", "23", "24", "25", "99", "8", "008", "-1", "+8", " 8", "0x"] {
        for minute in ["00", "59", "60", "99", "1", "001"] {
            for second in ["00", "59", "60", "61", "99", "1", "000"] {
                clocks.push(format!("2026-11-20T{hour}:{minute}:{second}Z"));
            }
        }
    }
    let leap = [
        "2016-12-31T23:59:60",
        "2015-06-30T23:59:60",
        "1990-12-31T15:59:60",
        "2026-12-31T23:59:60",
        "2026-06-30T23:59:60",
        "2026-07-01T05:29:60",
    ];
    for time in leap {
        for rest in ["Z", ".5Z", ".999999999Z", ",5Z", "-08:00", "+00:00", "-00:00", "+05:30", ".0+01:00"] {
            clocks.push(format!("{time}{rest}"));
        }
    }
    clocks
}

fn fractions() -> Vec<String> {
    let mut fractions: Vec<String> = [
        "",
        ".",
        ".0",
        ".5",
        ".000000001",
        ".123456789",
        ".1234567899",
        ".0000000009",
        ".999999999999",
        ",",
        ",0",
        ",5",
        ",123456789",
        ".5.5",
        ".5,5",
        ",5.5",
        "..5",
        ". 5",
        ".5 ",
        ".-5",
        ".+5",
        ".5e3",
        ".x",
        ".0x1",
        ".٥",
        "·5",
        ":5",
        ";5",
        " .5",
        "5",
        ".5_0",
    ]
    .map(str::to_owned)
    .into();
    fractions.extend([18, 19, 20, 39, 40, 100, 1000].map(|digits| format!(".{}", "1".repeat(digits))));
    let zones = ["Z", "z", "", "+00:00", "-07:00", "+24:00", "+0100"];
    let zoned = |fraction: &String| zones.map(|zone| format!("2026-11-20T08:01:00{fraction}{zone}"));
    fractions.iter().flat_map(zoned).collect()
}

fn offsets() -> Vec<String> {
    let mut offsets: Vec<String> = [
        "",
        "z",
        "ZZ",
        "Z ",
        " Z",
        "Z+00:00",
        "+00:00Z",
        "UTC",
        "GMT",
        "+UTC",
        " +0000",
        " UTC",
        "[UTC]",
        "Z[Europe/Paris]",
        "+",
        "-",
        "+0",
        "+01",
        "+1:00",
        "+01:0",
        "+0100",
        "+01:000",
        "+001:00",
        "+01:00:00",
        "+01:00:60",
        "+01.00",
        "+01-00",
        "+ 1:00",
        "+01: 0",
        "+-1:00",
        "+01:-1",
        "++1:00",
        "+0x:00",
        "−01:00",
        "±00:00",
        "+１0:00",
        " +01:00",
        "+01:00 ",
        "+01:00+01:00",
        "+01:00Z",
        "a",
        "A",
        "J",
        "Zulu",
    ]
    .map(str::to_owned)
    .into();
    for sign in ["+", "-", ""] {
        for hour in ["00", "01", "12", "14", "19", "22", "23", "24", "25", "30", "99"] {
            offsets.extend(["00", "01", "30", "59", "60", "61", "99"].map(|minute| format!("{sign}{hour}:{minute}")));
        }
    }
    let times = ["2026-11-20T08:01:00", "0000-01-01T00:00:00", "9999-12-31T23:59:59"];
    offsets.iter().flat_map(|offset| times.map(|time| format!("{time}{offset}"))).collect()
}

/// Returns the time with one character replaced, removed or added, and every prefix and suffix of it.
fn damaged(time: &str) -> Vec<String> {
    let characters = [
        ' ', '\t', '\n', '\0', '0', '3', '6', '9', '-', '+', ':', '.', ',', '/', 'T', 't', 'Z', 'z', '_', 'a', 'é',
        '０', '٣', '\u{a0}', '\u{200b}', '\u{feff}',
    ];
    let mut damaged = vec![time.to_owned(), format!("{time}{time}"), format!("\"{time}\""), time.to_lowercase()];
    for at in 0..=time.len() {
        let (before, after) = time.split_at(at);
        damaged.extend([before.to_owned(), after.to_owned()]);
        damaged.extend(characters.map(|character| format!("{before}{character}{after}")));
        if !after.is_empty() {
            damaged.push(format!("{before}{}", &after[1..]));
            damaged.extend(characters.map(|character| format!("{before}{character}{}", &after[1..])));
        }
    }
    damaged
}

/// Returns times in other formats.
fn others() -> Vec<String> {
    [
        "now",
        "null",
        "0",
        "1763625660",
        "1763625660.5",
        "1.7e9",
        "2026",
        "2026-11",
        "2026-11-20",
        "08:01:00Z",
        "20261120T080100Z",
        "2026-11-20T080100Z",
        "20261120T08:01:00Z",
        "2026-11-20T08Z",
        "2026-11-20T08:01Z",
        "2026-W47-5T08:01:00Z",
        "2026-324T08:01:00Z",
        "2026-11-20 08:01:00 +0000 UTC",
        "2026-11-20 08:01:00Z",
        "2026-11-20 08:01:00",
        "2026/11/20T08:01:00Z",
        "11/20/2026 8:01 AM",
        "20-11-2026T08:01:00Z",
        "Fri, 20 Nov 2026 08:01:00 GMT",
        "Fri Nov 20 08:01:00 2026",
        "2026-11-20T08:01:00 AM",
        "PT8H1M",
        "2026-11-20T08:01:00Z/2026-11-20T08:02:00Z",
        "+002026-11-20T08:01:00Z",
        "2026-11-20T24:00:00Z",
        "2026-11-20T24:00:01Z",
        "2026-11-20T08:01:00.Z",
        "２０２６-11-20T08:01:00Z",
        "2026‐11‐20T08:01:00Z",
        "2026-11-20T08:01:00Z\r\n",
        "Nov 20 2026",
        "2026-1-20T08:01:00Z",
        "2026-11-2T08:01:00Z",
        "2026-1-2T8:1:0Z",
        "2026-11- 2T08:01:00Z",
        "2026-Nov-20T08:01:00Z",
        "0001-01-01T00:00:00Z",
        "0000-00-00T00:00:00Z",
        "9999-99-99T99:99:99Z",
    ]
    .map(str::to_owned)
    .into()
}

/// Returns the lines of the fixture: a text as JSON, and the time that Go reads.
fn fixture() -> Vec<(String, String)> {
    let text = fs::read_to_string(FIXTURE).unwrap();
    let lines = text.lines().map(|line| line.split_once('\t').unwrap());
    lines.map(|(text, read)| (text.to_owned(), read.to_owned())).collect()
}

/// Whether the text has the shape of RFC 3339 §5.6 `date-time`, in upper case. Go decides which numbers a date and a
/// time may have. The numbers of an offset are checked here, since Go accepts more than the RFC's `time-hour` and
/// `time-minute`.
fn is_rfc_3339(text: &str) -> bool {
    let shape = |text: &str| text.replace(|character: char| character.is_ascii_digit(), "0");
    let Some((date_time, rest)) = text.split_at_checked(PLAIN.len() - 1) else { return false };
    let zone = match rest.strip_prefix('.') {
        Some(rest) => rest.trim_start_matches(|character: char| character.is_ascii_digit()),
        None => rest,
    };
    let is_fraction = rest.len() == zone.len() || rest.len() > zone.len() + ".".len();
    let is_zone = match shape(zone).as_str() {
        "Z" => true,
        "+00:00" | "-00:00" => &zone[1..3] < "24" && &zone[4..6] < "60",
        _ => false,
    };
    shape(date_time) == "0000-00-00T00:00:00" && is_fraction && is_zone
}

/// Returns the time that our parser reads, in the notation of the fixture.
fn read(text: &str) -> String {
    match time::parse(text) {
        None => "-".to_owned(),
        Some(time) if time.nanosecond() == 0 => time.unix_timestamp().to_string(),
        Some(time) => format!("{}.{:09}", time.unix_timestamp(), time.nanosecond()),
    }
}

#[test]
fn a_time_is_accepted_where_rfc_3339_and_go_accept_it() {
    let (mut differ, mut both, mut go_alone) = (Vec::new(), 0, 0);
    for (json, go) in fixture() {
        let text: String = serde_json::from_str(&json).unwrap();
        let expected = if is_rfc_3339(&text) { go.as_str() } else { "-" };
        if read(&text) != expected {
            differ.push(format!("{json}: {} instead of {expected}", read(&text)));
        }
        both += usize::from(expected != "-");
        go_alone += usize::from(expected != go);
    }
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
    assert!(both > 700 && go_alone > 50, "{both} are times for both, {go_alone} only for Go");
}

#[test]
fn a_malformed_time_is_denied_in_every_time_field() {
    for (text, is_time) in [
        (PLAIN, true),
        (FULL, true),
        ("2016-12-31T23:59:60Z", false),
        ("2016-12-31T23:59:60.5+00:00", false),
        ("2026-11-20T8:01:00Z", false),
        ("2026-11-20T08:01:00,5Z", false),
        ("2026-11-20T08:01:00+24:00", false),
        ("2026-11-20T08:01:00+23:60", false),
        ("2026-11-20t08:01:00z", false),
    ] {
        let entry = json!({"type": "example.com/Signed", "status": "True", "reason": "R", "lastTransitionTime": text});
        let object = scan(&json!({"status": {"scannedAt": text, "conditions": [entry]}}).to_string());
        let found = found(&review(&object, None));
        for (rule, path) in [
            ("condition-fields", "status.conditions[example.com/Signed].lastTransitionTime"),
            ("scanned-at", "status.scannedAt"),
        ] {
            assert_eq!(found.has_denied(rule, path), !is_time, "{text} at {path}");
        }
    }
}

#[test]
fn the_fixture_matches_what_go_reads() {
    let texts = texts();
    assert!(texts.len() > 3000, "only {} texts", texts.len());
    let go = env::var_os("GO").unwrap_or_else(|| "go".into());
    if Command::new(&go).arg("version").output().is_err() {
        assert!(env::var_os("CI").is_none(), "Go was not found: install Go 1.26 or newer");
        eprintln!("skipped: Go was not found, so {FIXTURE} was not compared with it");
        assert!(fixture().iter().map(|line| &line.0).eq(&texts));
        return;
    }
    let mut child = Command::new(&go)
        .current_dir("tests/controlplane")
        .args(["run", "-trimpath", "-buildvcs=false", "./times"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let lines: String = texts.iter().map(|text| format!("{text}\n")).collect();
    let writer = thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{}", output.status);
    let read = String::from_utf8(output.stdout).unwrap();
    if env::var_os("UPDATE").is_some() {
        fs::write(FIXTURE, &read).unwrap();
    }
    assert!(
        fs::read_to_string(FIXTURE).unwrap_or_default() == read,
        "{FIXTURE} differs from the times that Go reads: UPDATE=1 rewrites it"
    );
}
