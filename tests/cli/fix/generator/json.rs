//! Writes nodes as JSON in several layouts.

use serde_json::json;

use super::{Generator, Node};

/// A layout: `indent` is `None` on one line.
struct Layout {
    indent: Option<&'static str>,
    comma: &'static str,
    colon: &'static str,
    line_end: &'static str,
}

impl Generator {
    pub(super) fn json_stream(&mut self, documents: &[Node]) -> String {
        let indent = self.pick(&[None, Some("  "), Some("    "), Some("\t"), Some("")]);
        let layout = Layout {
            indent,
            comma: if indent.is_some() { "," } else { self.pick(&[",", ", ", " , "]) },
            colon: self.pick(&[":", ": ", " : "]),
            line_end: self.pick(&["\n", "\n", "\r\n"]),
        };
        let written: Vec<String> = documents.iter().map(|node| self.json(node, &layout, 0)).collect();
        let mut stream = written.join(if layout.indent.is_some() || self.chance(50) { layout.line_end } else { "" });
        stream += self.pick(&["", layout.line_end]);
        stream
    }

    fn json(&mut self, node: &Node, layout: &Layout, depth: usize) -> String {
        match node {
            Node::Text(text) => json!(text).to_string(),
            Node::Plain(text) if text.parse::<f64>().is_ok() || text == "true" => text.clone(),
            Node::Plain(_) => "null".to_owned(),
            Node::Anchored(_, node) => self.json(node, layout, depth),
            Node::List(entries) => {
                let entries: Vec<String> = entries.iter().map(|entry| self.json(entry, layout, depth + 1)).collect();
                brackets('[', entries, ']', layout, depth)
            }
            Node::Map(members) => {
                let mut written = Vec::new();
                for (key, value) in members {
                    if self.chance(3) {
                        written.push(format!("\"{key}\"{}[0]", layout.colon));
                    }
                    let key = if self.chance(3) {
                        format!("\\u{:04x}{}", u32::from(key.as_bytes()[0]), &key[1..])
                    } else {
                        key.clone()
                    };
                    written.push(format!("\"{key}\"{}{}", layout.colon, self.json(value, layout, depth + 1)));
                }
                brackets('{', written, '}', layout, depth)
            }
        }
    }
}

fn brackets(open: char, entries: Vec<String>, close: char, layout: &Layout, depth: usize) -> String {
    let Some(indent) = layout.indent.filter(|_| !entries.is_empty()) else {
        return format!("{open}{}{close}", entries.join(layout.comma));
    };
    let line = |depth| format!("{}{}", layout.line_end, indent.repeat(depth));
    let inner = entries.join(&format!("{}{}", layout.comma, line(depth + 1)));
    format!("{open}{}{inner}{}{close}", line(depth + 1), line(depth))
}
