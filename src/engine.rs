//! The engine: it runs rules on a change, decides what is done about their findings, and applies their mutations. The
//! rules themselves are in [`rules`](crate::rules).

pub mod cel;
pub mod change;
mod comparison;
mod field_error;
pub mod finding;
pub mod mode;
pub mod mutate;
pub mod nearest;
pub mod patch;
mod ratchet;
pub mod rule;
pub mod validate;

pub use cel::{Cel, Row, View};
pub use change::Change;
pub use comparison::FILLED;
pub use field_error::{CauseReason, FieldError, VALUE_MAX_CHARS, quoted_list};
pub use finding::{Action, Downgrade, Finding, Findings, Severity};
pub use mode::{Mode, Modes, RuleMode};
pub use mutate::{Mutated, PatchOperation, mutate};
pub use patch::Patch;
pub use rule::{Example, Expectation, Part, Rule};
pub use validate::validate;
