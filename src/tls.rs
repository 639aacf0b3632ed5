//! Certificates: PEM, parsing, verification, the CAs and certificates that the program creates, and files that are
//! reloaded when they change.

pub mod bundle;
pub mod ca;
pub mod certificate;
pub mod client_auth;
pub mod development;
pub mod error;
pub mod files;
pub mod key_pair;
pub mod pem;
pub mod server_config;
mod usage;
pub mod verify;

pub use certificate::CertificateInfo;
pub use error::TlsFileError;
