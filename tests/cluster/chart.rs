//! Tests of the Helm chart, with the real Helm.

mod lifecycle;
mod names;
mod rendered;
mod switches;
mod values;

use std::path::{Path, PathBuf};

use crate::controlplane::ClusterError;

type ChartTest = fn() -> Result<(), ClusterError>;

pub const TESTS: &[(&str, ChartTest)] = &[
    ("the-chart-has-no-findings-of-lint", rendered::lint_finds_nothing),
    ("the-chart-renders-the-objects-of-the-manifests", rendered::objects_are_those_of_the_manifests),
    ("the-chart-rejects-bad-values-by-their-paths", values::bad_values_are_rejected),
    ("the-chart-has-an-effect-of-each-value", switches::each_value_can_be_applied),
    ("the-chart-can-have-any-name-and-labels", names::any_name_and_labels_can_be_applied),
    ("the-chart-can-be-upgraded-without-a-lost-write", lifecycle::no_write_is_lost),
];

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/chart")
}
