//! Writes nodes as YAML: block and flow style, comments, quotes, anchors, tags, block scalars, repeated keys.

use super::{Generator, Node};

impl Generator {
    pub(super) fn yaml_stream(&mut self, documents: &[Node]) -> String {
        let mut out = String::new();
        for (index, document) in documents.iter().enumerate() {
            if index > 0 || self.chance(20) {
                if self.chance(20) {
                    let comment = self.comment();
                    out += &format!("{comment}\n");
                }
                out += "---\n";
            }
            if self.chance(20) {
                let comment = self.comment();
                out += &format!("{comment}\n\n");
            }
            if self.chance(12) {
                let flow = self.flow(document, 0);
                out += &flow;
                out += "\n";
            } else if let Node::Map(members) = document {
                self.block_map(&mut out, members, 0);
            }
        }
        if self.chance(15) {
            out.truncate(out.trim_end_matches('\n').len());
        }
        if self.chance(15) { out.replace('\n', "\r\n") } else { out }
    }

    fn comment(&mut self) -> String {
        let number = self.number();
        let rest = self.pick(&["", ": {x", " é | 'y\" ", ": > - x, y", "\t&a *b"]);
        format!("# c{number}{rest}")
    }

    /// Nothing, or a comment at the end of a line.
    fn tail(&mut self) -> String {
        match self.rng.u32(0..20) {
            0 | 1 => format!(" {}", self.comment()),
            2 => format!("\t{}", self.comment()),
            3 => "  ".to_owned(),
            _ => String::new(),
        }
    }

    fn key(&mut self, key: &str) -> String {
        match self.rng.u32(0..20) {
            _ if key == "<<" => key.to_owned(),
            0 => format!("\"{key}\""),
            1 => format!("'{key}'"),
            2 => format!("{key} "),
            _ => key.to_owned(),
        }
    }

    /// Nothing, or a tag or an anchor of a key.
    fn key_properties(&mut self, key: &str) -> String {
        match self.rng.u32(0..40) {
            _ if key == "<<" => String::new(),
            0 => format!("&k{} ", self.number()),
            1 => "!!str ".to_owned(),
            2 => format!("&k{} !!str ", self.number()),
            _ => String::new(),
        }
    }

    /// Writes the members, the first one without indentation.
    fn block_map(&mut self, out: &mut String, members: &[(String, Node)], indent: usize) {
        if members.is_empty() {
            *out += "{}\n";
            return;
        }
        let spaces = " ".repeat(indent);
        for (index, (key, value)) in members.iter().enumerate() {
            if index > 0 {
                match self.rng.u32(0..25) {
                    0 => *out += &format!("{spaces}{}\n", self.comment()),
                    1 => *out += &format!("{}\n", self.comment()),
                    2 => *out += "\n",
                    3 if key != "<<" && members[index - 1].0 != "<<" => {
                        let junk = self.pick(&["1", "{x: [1]}", "'x'", "|\n   x"]);
                        let junk = junk.replace("\n", &format!("\n{spaces}"));
                        *out += &format!("{spaces}{key}: {junk}\n");
                    }
                    _ => {}
                }
                *out += &spaces;
            }
            let properties = self.key_properties(key);
            let is_explicit = key != "<<" && self.chance(3);
            if is_explicit {
                *out += &format!("? {properties}{}{}\n", self.key(key), self.tail());
                if matches!(value, Node::Plain(text) if text.is_empty()) && self.chance(50) {
                    continue;
                }
                *out += &spaces;
            } else {
                *out += &format!("{properties}{}", self.key(key));
            }
            *out += ":";
            let after_colon = out.len();
            self.block_value(out, value, indent, false);
            if is_explicit && out[after_colon..].starts_with('\t') {
                // kubectl has an error for a tab after the colon of such a key.
                out.replace_range(after_colon..=after_colon, " ");
            }
        }
    }

    /// Writes a value after a colon or a dash.
    fn block_value(&mut self, out: &mut String, node: &Node, indent: usize, is_entry: bool) {
        let (mut properties, mut node) = (String::new(), node);
        if let Node::Anchored(name, inner) = node {
            properties = format!(" &{name}");
            node = inner;
        } else if self.chance(3) && !matches!(node, Node::Plain(text) if text.starts_with('*')) {
            properties = format!(" &u{}", self.number());
        }
        let is_empty = matches!(node, Node::Map(members) if members.is_empty())
            || matches!(node, Node::List(entries) if entries.is_empty());
        match node {
            Node::Text(text) => {
                let scalar = self.block_scalar(text, indent);
                *out += &format!("{properties}{scalar}\n");
            }
            Node::Plain(text) => {
                if text.parse::<i64>().is_ok() && self.chance(3) {
                    properties += " !!int";
                }
                let tail = self.tail();
                let space = if text.is_empty() { "" } else { " " };
                *out += &format!("{properties}{space}{text}{tail}\n");
            }
            _ if is_empty || self.chance(12) => {
                let flow = self.flow(node, indent + 1);
                let tail = self.tail();
                *out += &format!("{properties} {flow}{tail}\n");
            }
            Node::Map(members) if is_entry && properties.is_empty() && self.chance(80) => {
                let gap = self.rng.usize(1..=3);
                *out += &" ".repeat(gap);
                self.block_map(out, members, indent + 1 + gap);
            }
            Node::Map(members) => {
                properties += self.pick(&["", "", "", "", "", "", "", " !!map"]);
                let inner = self.open_block(out, &properties, indent, 1);
                self.block_map(out, members, inner);
            }
            Node::List(entries) => {
                properties += self.pick(&["", "", "", "", "", "", "", " !!seq"]);
                let inner = self.open_block(out, &properties, indent, usize::from(is_entry));
                for (index, entry) in entries.iter().enumerate() {
                    if index > 0 {
                        if self.chance(5) {
                            *out += &format!("{}{}\n", " ".repeat(inner), self.comment());
                        }
                        *out += &" ".repeat(inner);
                    }
                    *out += "-";
                    self.block_value(out, entry, inner, true);
                }
            }
            Node::Anchored(..) => unreachable!("anchors are not nested"),
        }
    }

    /// Ends the line of a key, and returns the indentation of the lines below it, the first of which is begun.
    fn open_block(&mut self, out: &mut String, properties: &str, indent: usize, least: usize) -> usize {
        // kubectl has an error for a tab after a dash.
        let tail = self.tail().replace('\t', "  ");
        *out += &format!("{properties}{tail}\n");
        let inner = indent + self.rng.usize(least..=4);
        if self.chance(8) {
            *out += &format!("{}{}\n", " ".repeat(inner), self.comment());
        }
        *out += &" ".repeat(inner);
        inner
    }

    fn block_scalar(&mut self, text: &str, indent: usize) -> String {
        let is_block = !text.starts_with([' ', '\t']) && !text.is_empty();
        let keeps = text == "\n" || text.ends_with("\n\n");
        let spaces = " ".repeat(indent + self.rng.usize(1..=3));
        match self.rng.u32(0..12) {
            0..=5 if keeps => {
                let lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
                let lines = lines.map(|line| {
                    let spaces = if line.is_empty() {
                        self.pick(&[String::new(), " ".to_owned(), spaces.clone()])
                    } else {
                        spaces.clone()
                    };
                    format!("\n{spaces}{line}")
                });
                let lines: String = lines.collect();
                format!(" |+{}{lines}", self.tail())
            }
            0 if is_block && !keeps => {
                let chomp = if text.ends_with('\n') { "" } else { "-" };
                let tail = self.tail();
                let lines: String =
                    text.trim_end_matches('\n').split('\n').map(|line| format!("\n{spaces}{line}")).collect();
                format!(" |{chomp}{tail}{lines}")
            }
            1 if is_block && !text.contains('\n') => {
                let folded: Vec<&str> = text.split(' ').collect();
                let lines: String = folded.iter().map(|line| format!("\n{spaces}{line}")).collect();
                format!(" >-{lines}")
            }
            2 if text.is_empty() => format!(" |-{}", self.tail()),
            3 => format!(" !!str {}{}", self.quoted(text), self.tail()),
            _ => format!(" {}{}", self.flow_scalar(text), self.tail()),
        }
    }

    fn flow_scalar(&mut self, text: &str) -> String {
        let is_safe = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "-./ ".contains(c) || c == ':')
                && !text.contains(": ")
                && !["True", "False", "no"].contains(&text)
        };
        if is_safe(text) && self.chance(60) { text.to_owned() } else { self.quoted(text) }
    }

    fn quoted(&mut self, text: &str) -> String {
        if self.chance(50) && !text.contains('\n') {
            return format!("'{}'", text.replace('\'', "''"));
        }
        serde_json::to_string(text).unwrap()
    }

    /// Writes a node in flow style, on one line or on several with at least this indentation.
    fn flow(&mut self, node: &Node, indent: usize) -> String {
        let (brackets, entries): (_, Vec<String>) = match node {
            Node::Text(text) => return self.flow_scalar(text),
            // Before a comma, an empty value needs a space.
            Node::Plain(text) if text.is_empty() => return " ".to_owned(),
            Node::Plain(text) => return text.clone(),
            Node::Anchored(name, node) => return format!("&{name} {}", self.flow(node, indent)),
            Node::List(entries) => ("[]", entries.iter().map(|entry| self.flow(entry, indent + 2)).collect()),
            Node::Map(members) => {
                let quotes = self.chance(20);
                let members = members.iter().map(|(key, value)| {
                    let explicit = if key != "<<" && self.chance(2) { "? " } else { "" };
                    let properties = self.key_properties(key);
                    let key = if quotes && key != "<<" { format!("\"{key}\"") } else { key.clone() };
                    if matches!(value, Node::Plain(text) if text.is_empty()) && self.chance(50) {
                        let end =
                            self.pick(&["", "", " ", "\n"]).replace('\n', &format!("\n{}", " ".repeat(indent + 1)));
                        return format!("{explicit}{properties}{key}{end}");
                    }
                    format!("{explicit}{properties}{key}: {}", self.flow(value, indent + 2))
                });
                ("{}", members.collect())
            }
        };
        let (open, close) = brackets.split_at(1);
        if entries.is_empty() {
            return brackets.to_owned();
        }
        if self.chance(70) {
            let (space, comma) = (self.pick(&["", "", " "]), self.pick(&[", ", ", ", ",  ", " , "]));
            let trailing = self.pick(&["", "", "", ","]);
            return format!("{open}{space}{}{trailing}{space}{close}", entries.join(comma));
        }
        let spaces = " ".repeat(indent + self.rng.usize(1..=3));
        let count = entries.len();
        let has_trailing = self.chance(50);
        let lines = entries.into_iter().enumerate().map(|(index, entry)| {
            let comma = if index + 1 < count || has_trailing { "," } else { "" };
            let tail = self.tail();
            format!("{spaces}{entry}{comma}{tail}\n")
        });
        let lines: String = lines.collect();
        format!("{open}\n{lines}{}{close}", " ".repeat(indent))
    }
}
