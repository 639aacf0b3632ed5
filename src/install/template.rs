//! The templates of manifests, from which both the kustomize base and the Helm chart are made.
//!
//! A template is YAML with two additions. `{{name}}`, without spaces, is a value of the code. The lines `#base`, `#chart` and
//! `#end` delimit sections: what follows `#base` is left out of the chart, what follows `#chart` is left out of the base,
//! and `#end` returns to the lines of both. Sections of the chart are Helm's templates.

/// What is made from a template.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TemplateTarget {
    Kustomize,
    Chart,
}

/// The names of objects. In the chart they are chosen by its user: YAML would read the namespace `2026` as a number.
const NAMES: [&str; 5] = ["name", "namespace", "configuration", "image", "priority_class"];

/// TemplateValues by their names in templates.
pub type TemplateValues = Vec<(&'static str, String)>;

/// Returns the template with the sections of the target, and with each `{{name}}` replaced.
pub fn filled(template: &str, target: TemplateTarget, values: &TemplateValues) -> String {
    let mut text = String::new();
    let mut section = None;
    for line in template.lines() {
        match line {
            "#base" => section = Some(TemplateTarget::Kustomize),
            "#chart" => section = Some(TemplateTarget::Chart),
            "#end" => section = None,
            _ if section.is_some_and(|section| section != target) => {}
            // Prometheus has templates too, which are no templates of Helm.
            _ if section.is_none() && target == TemplateTarget::Chart => {
                text += &indented(&quoted(&line.replace("{{ $", "{{`{{ $`}}")), values);
            }
            _ if target == TemplateTarget::Chart => text += &indented(&quoted(line), values),
            _ => text += &indented(line, values),
        }
    }
    text
}

/// Returns the line with quotes around a name that is a whole value.
fn quoted(line: &str) -> String {
    NAMES.iter().fold(line.to_owned(), |line, name| {
        let name = format!("{{{{{name}}}}}");
        let line = line.replace(&format!("[{name}]"), &format!("[\"{name}\"]"));
        match line.strip_suffix(&format!(": {name}")) {
            Some(start) => format!("{start}: \"{name}\""),
            None => line,
        }
    })
}

/// Returns the line with its values. A value of several lines gets the indentation of its first line.
fn indented(line: &str, values: &TemplateValues) -> String {
    let indentation = &line[..line.len() - line.trim_start().len()];
    let replaced = |line: String, (name, value): &(&str, String)| {
        line.replace(&format!("{{{{{name}}}}}"), &value.replace('\n', &format!("\n{indentation}")))
    };
    let line = values.iter().fold(line.to_owned(), replaced);
    format!("{line}\n")
}
