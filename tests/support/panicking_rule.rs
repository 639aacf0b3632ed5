//! A rule that panics in its check and in its mutation.

use scan_admission::engine::{Cel, Change, Findings, Part, Patch, Rule};

pub const PANICS: Rule = Rule {
    id: "panics",
    title: "",
    checks: "",
    why: "",
    breaks: "",
    repair: "",
    part: Part::Status,
    check: |_: &Change<'_>, _: &mut Findings<'_>| panic!("on purpose"),
    mutate: Some(|_: &Change<'_>, _: &mut Patch| panic!("on purpose")),
    cel: Cel::Never("an expression in CEL does not panic"),
    examples: &[],
};
