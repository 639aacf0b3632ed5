pub mod admission;
#[cfg(feature = "server")]
pub mod cli;
pub mod law;
pub mod scan;
