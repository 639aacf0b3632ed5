//! The most expensive bodies to judge, each as large as a body may be.

use scan_admission::admission::BODY_MAX_BYTES;

/// A body and the name of its contents.
pub struct WorstBody {
    pub name: String,
    pub text: String,
}

/// Returns all of the worst bodies.
pub fn all() -> Vec<WorstBody> {
    let mut bodies = Vec::new();
    strings(&mut bodies);
    conditions(&mut bodies);
    others(&mut bodies);
    bodies
}

/// The bytes of a body that are left for contents, without the review around them.
const CONTENT_BYTES: usize = BODY_MAX_BYTES - 2048;

/// Returns the review of a status update; `more` is added to the request after the objects.
fn review(object: &str, old: &str, more: &str) -> String {
    let object = format!(r#"{{"metadata":{{"generation":1}},"spec":{{"scanPolicy":"p"}},{object}}}"#);
    let old = format!(r#"{{"metadata":{{"generation":1}},"spec":{{"scanPolicy":"p"}},{old}}}"#);
    let text = format!(
        r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"5cbd55ed","kind":{{"group":"scanning.apps.tanzu.vmware.com","version":"v1beta1","kind":"SourceScan"}},"subResource":"status","operation":"UPDATE","object":{object},"oldObject":{old}{more}}}}}"#
    );
    assert!(text.len() <= BODY_MAX_BYTES, "{}", text.len());
    text
}

/// Returns the review of an update with the same status in both objects.
fn both(status: &str) -> String {
    let status = format!(r#""status":{{{status}}}"#);
    review(&status, &status, "")
}

/// Returns as many pieces as fit in `bytes`, separated by commas.
fn list(piece: impl Fn(usize) -> String, bytes: usize) -> String {
    let count = bytes / (piece(999_999).len() + 1);
    (0..count).map(piece).collect::<Vec<_>>().join(",")
}

fn strings(bodies: &mut Vec<WorstBody>) {
    let half = CONTENT_BYTES / 2;
    let mut push = |name: &str, text| bodies.push(WorstBody { name: name.to_owned(), text });
    for (name, piece) in [("plain", "n"), ("escaped", r"\n"), ("escaped as \\u", r"\u00e9")] {
        let string = |bytes: usize| piece.repeat(bytes / piece.len());
        let condition = |member: &str| {
            let mut entry = serde_json::json!({"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "m", "lastTransitionTime": "2026-11-20T08:01:00Z"});
            entry[member] = "@".into();
            both(&format!(
                r#""phase":"Completed","conditions":[{}]"#,
                entry.to_string().replace('@', &string(half - 200))
            ))
        };
        push(&format!("a {name} type"), condition("type"));
        push(&format!("a {name} message"), condition("message"));
        push(&format!("a {name} reason"), condition("reason"));
        push(&format!("a {name} time"), condition("lastTransitionTime"));
        let each = string(half / 8);
        push(
            &format!("{name} strings everywhere"),
            both(&format!(
                r#""phase":"{each}","scannedAt":"{each}","metadataUrl":"http://{each}","metadataURL":"http://{each}","artifact":{{"blob":{{"url":"http://{each}"}}}},"compliantArtifact":{{"blob":{{"url":"http://{each}"}},"registry":{{"image":"a/{each}"}}}}"#
            )),
        );
        let image = string(half / 2 - 200);
        push(
            &format!("{name} images"),
            both(&format!(
                r#""phase":"Completed","artifact":{{"registry":{{"image":"{image}"}}}},"compliantArtifact":{{"registry":{{"image":"{image}"}}}}"#
            )),
        );
        let user = format!(r#","name":"{each}","namespace":"{each}","userInfo":{{"username":"{each}"}}"#);
        push(&format!("{name} names"), review(r#""status":{}"#, r#""status":{}"#, &user));
    }
    let keys = list(|_| r#""\u0061":1"#.to_owned(), half - 200);
    push("escaped keys", both(&keys));
}

/// Adds lists of conditions in three lengths: the longest that a body allows, 20,000 entries, which is the longest list
/// that is judged (`ENTRIES_MAX`), and 1,000 entries.
fn conditions(bodies: &mut Vec<WorstBody>) {
    let sound = |number: usize, kind: &str| {
        format!(
            r#"{{"type":"{kind}{number:06}","status":"True","reason":"R","lastTransitionTime":"2026-11-20T08:01:00Z"}}"#
        )
    };
    let due = |number: usize| format!(r#"{{"type":"T{number}","status":"True"}}"#);
    type Entry<'e> = (&'static str, &'e dyn Fn(usize) -> String);
    let entries: [Entry<'_>; 13] = [
        ("conditions", &|number| sound(number, "T")),
        ("escaped conditions", &|number| sound(number, r"\u0054").replace('R', r"\u0052")),
        ("malformed conditions", &|number| sound(number, "T").replace("True", "No")),
        ("conditions without a type", &|number| sound(number, "T").replace("type", "kind")),
        ("conditions of one type", &|_| sound(1, "T")),
        ("conditions, each twice", &|number| sound(number / 2, "T")),
        ("conditions that are empty", &|_| "{}".to_owned()),
        ("conditions that are numbers", &|_| "7".to_owned()),
        ("conditions that are null", &|_| "null".to_owned()),
        ("conditions without a time", &due),
        ("conditions without a type or a time", &|number| format!(r#"{{"status":"{number}"}}"#)),
        ("conditions of one type without a time", &|_| r#"{"type":"Scanning","status":"True"}"#.to_owned()),
        ("conditions, two of which contradict the phase", &|number| match number {
            0 => r#"{"type":"Scanning","status":"True"}"#.to_owned(),
            1 => r#"{"type":"Succeeded","status":"False"}"#.to_owned(),
            _ => due(number),
        }),
    ];
    let counts = r#""cveCount":{"low":1,"total":7},"CVECount":{"LOW":1}"#;
    for (name, entry) in entries {
        let many = list(entry, CONTENT_BYTES / 2 - 200);
        let few = |count| (0..count).map(entry).collect::<Vec<_>>().join(",");
        let status = |list: &str| format!(r#""phase":"Completed",{counts},"conditions":[{list}]"#);
        for (list, of) in [(many, "8 MiB"), (few(20_000), "20,000"), (few(1_000), "1,000")] {
            let old = format!(r#""status":{{{}}}"#, status(&list));
            let changed = old.replacen("Completed", "Failed", 1);
            let mut push = |how: &str, text| bodies.push(WorstBody { name: format!("{of} {name}{how}"), text });
            push(", unchanged", review(&old, &old, ""));
            push(", changed", review(&changed, &old, ""));
            push(", new", review(&old, r#""status":{}"#, ""));
        }
    }
}

fn others(bodies: &mut Vec<WorstBody>) {
    let half = CONTENT_BYTES / 2;
    let mut push = |name: &str, text| bodies.push(WorstBody { name: name.to_owned(), text });
    let counts = list(|number| format!(r#""{number}":1"#), half / 2 - 100);
    push("cveCounts with 800,000 members", both(&format!(r#""cveCount":{{{counts}}},"CVECount":{{{counts}}}"#)));
    let digits = "9".repeat(half - 200);
    push("a count of many digits", both(&format!(r#""cveCount":{{"low":{digits}}}"#)));
    let deep = |bytes: usize| format!("{}{}", "[".repeat(bytes / 2), "]".repeat(bytes / 2));
    push("deep nesting", both(&format!(r#""x":{}"#, deep(half - 200))));
    push("deep nesting in a count", both(&format!(r#""cveCount":{{"low":{}}}"#, deep(half - 200))));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(half / 6 - 100), "}".repeat(half / 6 - 100));
    push("deep objects", both(&format!(r#""cveCount":{{"low":{objects}}}"#)));
    push("a status of the wrong type", {
        let status = format!(r#""status":[{}]"#, list(|_| "0".to_owned(), half - 200));
        review(&status, &status.replacen('0', "1", 1), "")
    });
    push("wrong types that differ", {
        let wrong = list(|_| "0".to_owned(), half / 4);
        let status = |first: &str| {
            format!(
                r#""status":{{"phase":[{first},{wrong}],"cveCount":[{first},{wrong}],"artifact":[{first},{wrong}]}}"#
            )
        };
        review(&status("1"), &status("2"), "")
    });
    push("statuses that come again and again", {
        let again = list(|_| r#""status":{"conditions":[{}],"cveCount":{"low":1}}"#.to_owned(), half - 100);
        review(&again, &again, "")
    });
    push("conditions that come again and again", both(&list(|_| r#""conditions":[{}]"#.to_owned(), half - 100)));
    push("conditions that are each tried to be filled in", {
        let message = "\u{e9}".repeat(32_700);
        let entry = |number: usize| {
            let (kind, more) = [
                ("Scanning", r#""lastTransitionTime":"2026-11-20T08:01:00Z""#),
                ("Succeeded", r#""lastTransitionTime":"2026-11-20T08:01:00Z""#),
                ("PolicySucceeded", r#""lastTransitionTime":"2026-11-20T08:01:00Z""#),
                ("SendingResults", r#""reason":"Sent""#),
            ][number % 4];
            format!(r#"{{"type":"{kind}","status":"True","message":"{message}",{more}}}"#)
        };
        both(&format!(r#""phase":"Completed","conditions":[{}]"#, list(entry, half - 200)))
    });
    push("managedFields that differ", {
        let fields = |of: &str| {
            let entries = list(|number| format!(r#"{{"a":"{}{of}"}}"#, number % 7), half - 200);
            format!(r#""metadata":{{"managedFields":[{entries}]}},"status":{{}}"#)
        };
        review(&fields("a"), &fields("b"), "")
    });
    push("groups of a user", {
        let groups = list(|_| r#""g""#.to_owned(), CONTENT_BYTES - 100);
        review(r#""status":{}"#, r#""status":{}"#, &format!(r#","userInfo":{{"username":"u","groups":[{groups}]}}"#))
    });
    push("no end", {
        let mut text = both(&format!(r#""x":[{}]"#, list(|_| "0".to_owned(), half - 200)));
        text.pop();
        text
    });
}
