//! The pages that are generated from the tables of the code. `generate docs` writes them; `explain` and `rules` print
//! some.

mod config;
mod decides;
#[cfg(feature = "cluster")]
mod doctor;
mod lifecycle;
mod phase_conditions;
mod policies;
pub mod rules;
mod schemas;
mod svg;

pub use config::EXAMPLE_CONFIG;

use crate::engine::Rule;

/// A generated file.
pub struct Page {
    /// The path below `docs/`.
    pub path: String,
    pub text: String,
}

/// Returns every generated file.
pub fn pages(rules: &[Rule]) -> Vec<Page> {
    let mut pages = rules::pages(rules);
    pages.push(decides::page(rules));
    pages.push(lifecycle::page());
    pages.push(phase_conditions::page(rules));
    pages.push(policies::page(rules));
    pages.extend(config::pages());
    pages.extend(schemas::pages());
    #[cfg(feature = "cluster")]
    pages.push(doctor::page());
    pages
}
