//! Pages that are made from the tables of the code: what `generate docs` writes, and `explain` and `rules` print.

mod config;
mod decides;
#[cfg(feature = "cluster")]
mod doctor;
mod examples;
pub mod rules;

pub use config::EXAMPLE_CONFIG;

use crate::engine::Rule;

/// A generated file.
pub struct Page {
    /// Below `docs/`.
    pub path: String,
    pub text: String,
}

/// Every generated file.
pub fn pages(rules: &[Rule]) -> Vec<Page> {
    let mut pages = rules::pages(rules);
    pages.push(decides::page(rules));
    pages.extend(config::pages());
    #[cfg(feature = "cluster")]
    pages.push(doctor::page());
    pages
}
