pub mod admission;
#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "server")]
pub mod server;
