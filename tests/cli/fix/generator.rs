//! Generates streams of manifests with scans: what they say and how they are written are chosen at random.

mod json;
mod yaml;

use fastrand::Rng;
use serde_json::Value;

/// A value of a manifest, before it is written as YAML or JSON.
#[derive(Clone)]
pub enum Node {
    Text(String),
    /// A scalar that is written like this: a number, a null, a boolean or an alias.
    Plain(String),
    Map(Vec<(String, Node)>),
    List(Vec<Node>),
    Anchored(String, Box<Node>),
}

/// A stream of documents.
pub struct Stream {
    pub text: String,
    pub documents: usize,
    /// The scans by name, each with the JSON Pointer of a part of it that is shared and that a fix has to leave.
    pub shared: Vec<(String, String)>,
}

pub struct Generator {
    rng: Rng,
    count: usize,
    is_json: bool,
    shared: Vec<(String, String)>,
}

const SEVERITIES: [&str; 5] = ["critical", "high", "medium", "low", "unknown"];

fn text(text: &str) -> Node {
    Node::Text(text.to_owned())
}

fn plain(text: impl ToString) -> Node {
    Node::Plain(text.to_string())
}

fn map<const N: usize>(members: [(&str, Node); N]) -> Node {
    Node::Map(members.map(|(key, value)| (key.to_owned(), value)).into())
}

/// The node of a JSON value.
pub fn node(value: &Value) -> Node {
    match value {
        Value::String(string) => text(string),
        Value::Array(entries) => Node::List(entries.iter().map(node).collect()),
        Value::Object(members) => Node::Map(members.iter().map(|(key, value)| (key.clone(), node(value))).collect()),
        scalar => plain(scalar),
    }
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        Generator { rng: Rng::with_seed(seed), count: 0, is_json: false, shared: Vec::new() }
    }

    /// Returns a stream of one to three documents.
    pub fn stream(&mut self) -> Stream {
        self.is_json = self.chance(25);
        self.shared.clear();
        let documents: Vec<Node> = (0..self.rng.usize(1..=3)).map(|_| self.document()).collect();
        let text = self.write(&documents);
        Stream { text, documents: documents.len(), shared: std::mem::take(&mut self.shared) }
    }

    /// Writes the documents as a stream, as JSON in a quarter of the cases.
    pub fn write(&mut self, documents: &[Node]) -> String {
        if self.is_json { self.json_stream(documents) } else { self.yaml_stream(documents) }
    }

    /// Writes a document in a style of a random choice.
    pub fn write_one(&mut self, document: &Node) -> String {
        self.is_json = self.chance(25);
        self.write(std::slice::from_ref(document))
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.u32(0..100) < percent
    }

    fn number(&mut self) -> usize {
        self.count += 1;
        self.count
    }

    fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.rng.usize(0..choices.len())].clone()
    }

    fn document(&mut self) -> Node {
        match self.rng.u32(0..10) {
            0 => map([
                ("apiVersion", text("v1")),
                ("kind", text("ConfigMap")),
                ("metadata", map([("name", text("other"))])),
                ("data", map([("scan.yaml", text("kind: SourceScan\nstatus:\n  cveCount: {total: 1}\n"))])),
            ]),
            1 | 2 => {
                let is_typed = self.chance(40);
                let (version, kind) = if is_typed {
                    ("scanning.apps.tanzu.vmware.com/v1beta1", "SourceScanList")
                } else {
                    ("v1", "List")
                };
                let items = (0..self.rng.usize(1..4)).map(|_| self.scan(is_typed)).collect();
                map([("apiVersion", text(version)), ("items", Node::List(items)), ("kind", text(kind))])
            }
            _ => self.scan(false),
        }
    }

    fn scan(&mut self, is_in_typed_list: bool) -> Node {
        let name = format!("scan-{}", self.number());
        let mut members = Vec::new();
        if !is_in_typed_list {
            members.push(("apiVersion".to_owned(), text("scanning.apps.tanzu.vmware.com/v1beta1")));
            members.push(("kind".to_owned(), text("SourceScan")));
        }
        let mut metadata = vec![("name".to_owned(), text(&name)), ("generation".to_owned(), plain(1))];
        if self.chance(30) {
            let note = self.pick(&["it's \"so\"", "a\tb", "é: {x} # y", "two\nlines", "- \u{1F600}", "no"]);
            metadata.push(("annotations".to_owned(), map([("example.com/note", text(note))])));
        }
        members.push(("metadata".to_owned(), Node::Map(metadata)));
        let mut spec = vec![
            ("blob".to_owned(), map([("url", text("https://example.com/code.tar.gz"))])),
            ("scanTemplate".to_owned(), text("template")),
        ];
        if self.chance(50) {
            spec.push(("scanPolicy".to_owned(), text("policy")));
        }
        members.push(("spec".to_owned(), Node::Map(spec)));
        let shares = !self.is_json && !is_in_typed_list && self.chance(12);
        let anchors = shares.then(|| format!("s{}", self.number()));
        if let Some(anchor) = &anchors {
            let counts = map([("critical", plain(2)), ("total", plain(9))]);
            let condition = map([("type", text("SendingResults")), ("status", text("True"))]);
            members.push((
                "shared".to_owned(),
                map([
                    ("counts", Node::Anchored(format!("{anchor}n"), Box::new(counts))),
                    ("condition", Node::Anchored(format!("{anchor}c"), Box::new(condition))),
                ]),
            ));
        }
        members.push(("status".to_owned(), self.status(&name, anchors.as_deref())));
        Node::Map(members)
    }

    fn status(&mut self, name: &str, anchor: Option<&str>) -> Node {
        let mut members = Vec::new();
        if self.chance(50) {
            let phase = self.pick(&["Pending", "Scanning", "Completed", "Failed", "Error", "Complete"]);
            let absent = self.absent();
            let phase = if self.chance(30) { absent } else { text(phase) };
            members.push(("phase".to_owned(), phase));
        }
        if self.chance(85) {
            members.push(("conditions".to_owned(), self.conditions(name, anchor)));
        }
        if self.chance(85) {
            let key = if self.chance(80) || anchor.is_some() { "cveCount" } else { "CVECount" };
            let counts = self.counts(name, key == "CVECount", anchor);
            members.push((key.to_owned(), counts));
        }
        if self.chance(30) {
            members.push(("scannedBy".to_owned(), map([("scanner", map([("name", text("Grype"))]))])));
        }
        if self.chance(30) {
            let absent = self.absent();
            let at = self.pick(&[absent, text("2026-11-20T08:04:00Z")]);
            members.push(("scannedAt".to_owned(), at));
        }
        if self.chance(30) {
            members.push(("observedGeneration".to_owned(), plain(1)));
        }
        if self.chance(20) {
            self.rng.shuffle(&mut members);
        }
        Node::Map(members)
    }

    /// A value that counts as absent.
    fn absent(&mut self) -> Node {
        let choices = [text(""), plain("null"), plain("~"), plain("")];
        self.pick(&choices)
    }

    fn counts(&mut self, name: &str, is_documented: bool, anchor: Option<&str>) -> Node {
        let mut members = Vec::new();
        if let Some(anchor) = anchor {
            let pointers = match self.rng.u32(0..3) {
                0 => {
                    self.shared.push((name.to_owned(), "/status/cveCount".to_owned()));
                    return plain(format!("*{anchor}n"));
                }
                1 => {
                    members.push(("<<".to_owned(), plain(format!("*{anchor}n"))));
                    ["/status/cveCount/critical", "/status/cveCount/total"].as_slice()
                }
                _ => &[],
            };
            self.shared.extend(pointers.iter().map(|pointer| (name.to_owned(), (*pointer).to_owned())));
        }
        let is_merged = !members.is_empty();
        for severity in SEVERITIES.into_iter().filter(|severity| !is_merged || *severity != "critical") {
            if self.chance(60) {
                let written = ["0", "1", "22", "0x1F", "1_000", "010", "+7"];
                let count = self.pick(&written);
                members.push((severity.to_owned(), plain(if self.is_json { "4" } else { count })));
            } else if self.chance(15) {
                let absent = self.absent();
                members.push((severity.to_owned(), if let Node::Text(_) = absent { plain("null") } else { absent }));
            }
        }
        if self.chance(50) && !is_merged {
            let total = match self.rng.u32(0..8) {
                0 => text("5"),
                1 => map([("a", plain(1)), ("b", Node::List(vec![plain(2)]))]),
                2 => Node::List(vec![plain(1), map([("x", plain(2))])]),
                3 => plain("1.5"),
                4 => plain("true"),
                5 => plain("null"),
                _ => plain(23),
            };
            let at = self.rng.usize(0..=members.len());
            members.insert(at, ("total".to_owned(), total));
        }
        if self.chance(10) {
            self.rng.shuffle(&mut members[usize::from(is_merged)..]);
        }
        if is_documented {
            for (key, _) in &mut members {
                *key = if key == "total" { "CVETOTAL".to_owned() } else { key.to_uppercase() };
            }
        }
        Node::Map(members)
    }

    fn conditions(&mut self, name: &str, anchor: Option<&str>) -> Node {
        let mut entries = Vec::new();
        for kind in ["Scanning", "Succeeded", "SendingResults", "PolicySucceeded", "example.com/Signed"] {
            if self.chance(if kind == "example.com/Signed" { 10 } else { 60 }) {
                entries.push(self.condition(kind));
            }
        }
        if let Some(anchor) = anchor
            && self.chance(50)
        {
            entries.retain(|entry| !matches!(entry, Node::Map(members) if matches!(&members[0].1, Node::Text(kind) if kind == "SendingResults")));
            let at = self.rng.usize(0..=entries.len());
            self.shared.push((name.to_owned(), format!("/status/conditions/{at}")));
            entries.insert(at, plain(format!("*{anchor}c")));
        }
        Node::List(entries)
    }

    fn condition(&mut self, kind: &str) -> Node {
        let status = self.pick(&["True", "False", "Unknown"]);
        let mut members = vec![("type".to_owned(), text(kind)), ("status".to_owned(), text(status))];
        let reason = match (kind, status) {
            ("Scanning", "True") => "JobStarted",
            ("PolicySucceeded", "True") => "EvaluationPassed",
            ("PolicySucceeded", "False") => "EvaluationFailed",
            ("Scanning", _) | ("Succeeded", "True") => "JobFinished",
            _ => "Error",
        };
        let message = self.pick(&[
            "",
            "The scan job is running",
            "it's: {odd} # \"here\"",
            "a\tb",
            "two\nlines\n",
            "two\nlines\n\n",
            "\n",
        ]);
        let time = self.pick(&["2026-11-20T08:01:00Z", "2026-11-20T08:03:00Z", "2026-11-20T08:04:00+01:00"]);
        for (key, value) in [("reason", reason), ("message", message), ("lastTransitionTime", time)] {
            let absent = self.absent();
            match self.rng.u32(0..10) {
                0..=3 => members.push((key.to_owned(), text(value))),
                4 => members.push((key.to_owned(), absent)),
                5 if key == "lastTransitionTime" => members.push((key.to_owned(), plain(time))),
                _ => {}
            }
        }
        if self.chance(10) {
            self.rng.shuffle(&mut members);
        }
        Node::Map(members)
    }
}
