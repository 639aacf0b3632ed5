//! `spelling-conflict`: the two spellings of a field have the same value.

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Rule, VALUE_MAX_CHARS};
use crate::rules::cel;
use crate::scan::{Count, CveCount, Field, Json, Member, Spelling, Status};

pub const RULE: Rule = Rule {
    id: "spelling-conflict",
    title: "The two spellings of a field have the same value.",
    checks: "These are two spellings of one field: `cveCount` and `CVECount`, each of their keys (`critical` and `CRITICAL`, \
             …, `total` and `CVETOTAL`), and `metadataUrl` and `metadataURL`. Two spellings with different values are an \
             error. Two spellings with the same value are a warning.",
    why: "The controller and the vendor's documentation spell these fields differently, and each reader uses only one of the \
             spellings.",
    breaks: "Two readers of the same status see different values.",
    repair: "Write only one spelling. The spelling of the controller, `cveCount` and `metadataUrl`, is the one that most \
             readers know.",
    part: Part::Status,
    check,
    mutate: None,
    cel: Cel::Exact(cel::spelling::conflict),
    examples: &[
        Example {
            title: "one spelling of each",
            old: None,
            new: r#"{"status": {"CVECount": {"LOW": 1, "CVETOTAL": 1}, "metadataUrl": "https://store.example.com/1"}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "two containers that differ",
            old: None,
            new: r#"{"status": {"cveCount": {"low": 1, "total": 1}, "CVECount": {"LOW": 2, "CVETOTAL": 2}}}"#,
            expect: Expectation::Denies("status.CVECount"),
        },
        Example {
            title: "two containers with the same counts",
            old: None,
            new: r#"{"status": {"cveCount": {"low": 1, "total": 1}, "CVECount": {"LOW": 1, "CVETOTAL": 1}}}"#,
            expect: Expectation::Warns("status.CVECount"),
        },
        Example {
            title: "two keys of one container that differ",
            old: None,
            new: r#"{"status": {"cveCount": {"low": 1, "LOW": 2}}}"#,
            expect: Expectation::Denies("status.cveCount.LOW"),
        },
        Example {
            title: "two URLs that differ",
            old: None,
            new: r#"{"status": {"metadataUrl": "https://store.example.com/1", "metadataURL": "https://store.example.com/2"}}"#,
            expect: Expectation::Denies("status.metadataURL"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    containers(status, findings);
    for container in Spelling::BOTH {
        for count in Count::ALL {
            if let Some(counts) = status.cve_count.get(container).present() {
                keys(container, count, counts, findings);
            }
        }
    }
    let [wire, documented] = Spelling::BOTH.map(|spelling| status.metadata_url.get(spelling));
    if wire.string() != Member::Absent && documented.string() != Member::Absent {
        let [wire_field, documented_field] = Spelling::BOTH.map(Field::MetadataUrl);
        compare(wire == documented, documented_field, wire_field, Some([wire, documented]), findings);
    }
}

fn containers<'a>(status: &Status<'a>, findings: &mut Findings<'a>) {
    let is_equal = match (&status.cve_count.wire, &status.cve_count.documented) {
        (Member::Absent, _) | (_, Member::Absent) => return,
        (Member::Present(wire), Member::Present(documented)) => is_equal(wire, documented),
        (wire, documented) => wire == documented,
    };
    let [wire, documented] = Spelling::BOTH.map(Field::CveCount);
    compare(is_equal, documented, wire, None, findings);
}

fn keys<'a>(container: Spelling, count: Count, counts: &CveCount<'a>, findings: &mut Findings<'a>) {
    if counts.spellings(count).count() < 2 {
        return;
    }
    let [wire, documented] = Spelling::BOTH.map(|key| counts.get(count, key));
    let [wire_field, documented_field] = Spelling::BOTH.map(|key| Field::Count { container, count, key });
    compare(wire == documented, documented_field, wire_field, Some([wire, documented]), findings);
}

/// Compares two spellings. `values` are the values of the wire and of the documented field; the message about two containers
/// shows no values.
fn compare<'a>(
    is_equal: bool,
    documented: Field<'a>,
    wire: Field<'a>,
    values: Option<[&Json<'a>; 2]>,
    findings: &mut Findings<'a>,
) {
    if is_equal {
        let error = FieldError::forbidden(format_args!("must not repeat {wire} in another spelling; keep {wire}"));
        findings.warning(documented, error);
        return;
    }
    let error = match values {
        Some([wire_value, value]) => {
            let wire_value = wire_value.quoted(VALUE_MAX_CHARS);
            let detail = format!("must not differ from {wire}, which is {wire_value}; keep one of the two");
            FieldError::invalid(value, detail)
        }
        None => {
            FieldError::forbidden(format_args!("must not differ from {wire}; keep one of the two, preferably {wire}"))
        }
    };
    findings.error(documented, error).reads.push(wire);
}

/// Reports whether two containers have the same values, whatever the spelling of their keys. If the reader did not keep all
/// members, only the number of the others is compared.
fn is_equal(wire: &CveCount<'_>, documented: &CveCount<'_>) -> bool {
    let is_same = |count| match (wire.count(count), documented.count(count)) {
        (Member::WrongType(_), _) | (_, Member::WrongType(_)) => wire.is_same_count(count, documented),
        (one, other) => one == other,
    };
    let has = |counts: &CveCount<'_>, (key, value): (&str, &Json<'_>)| {
        let is_same_key =
            |other: &str| other.chars().flat_map(char::to_lowercase).eq(key.chars().flat_map(char::to_lowercase));
        counts.others().any(|(other, found)| is_same_key(other) && found == value)
    };
    Count::ALL.into_iter().all(is_same)
        && wire.more_others() == documented.more_others()
        && (wire.more_others() > 0
            || wire.others().all(|other| has(documented, other)) && documented.others().all(|other| has(wire, other)))
}
