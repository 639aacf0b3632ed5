//! Why a PEM file of certificates or a key cannot be used.

use time::OffsetDateTime;

use crate::scan::json::printable;
use crate::scan::time::format;

/// The most characters that a message shows of a certificate or of a library's error: four lines of a terminal. The names and
/// usages of a certificate can be as long as its file.
const SHOWN_MAX_CHARS: usize = 320;

/// Each message continues a sentence that begins with `the file `, and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    #[error("is empty: a PEM file is required")]
    Empty,
    #[error("contains no certificate: a PEM file with -----BEGIN CERTIFICATE----- is required")]
    NoCertificate,
    #[error("contains a certificate that cannot be parsed: {}", shown(.0))]
    BadCertificate(String),
    #[error("has an error on line {line}: put each -----BEGIN and each -----END on a line of its own")]
    JoinedBlocks { line: usize },
    #[error("has an error on line {line}: the block has no matching -----END line")]
    UnendedBlock { line: usize },
    #[error("has an error on line {line}: the -----END line has no matching -----BEGIN line")]
    UnbegunBlock { line: usize },
    #[error("has a {label} on line {line}, which is not supported: convert it to a CERTIFICATE with openssl")]
    OtherCertificate { line: usize, label: &'static str },
    #[error(
        "contains a certificate with the critical extension {}, which clients do not support: use a certificate \
         without it",
        shown(.0)
    )]
    CriticalExtension(String),
    #[error(
        "contains a certificate that is not for servers: its extendedKeyUsage is {}; add serverAuth, or omit \
         extendedKeyUsage",
        shown(.0)
    )]
    NotForServers(String),
    #[error("does not begin with the certificate of the key: {ORDER}")]
    Order,
    #[error(
        "contains the certificate of {:?}, which is not a CA: use the CA that signs the clients' certificates",
        shown(.0)
    )]
    NoCa(String),
    #[error(
        "contains a certificate without a host: add the name that clients use to its subjectAltName; for a Service \
         this is NAME.NAMESPACE.svc"
    )]
    NoHost,
    #[error(
        "contains a certificate that is not valid before {}, and the time is now {}: correct the clock, or use a \
         certificate that is valid",
        time(.not_before), time(.now)
    )]
    NotYetValid { not_before: OffsetDateTime, now: OffsetDateTime },
    #[error(
        "contains a certificate that expired at {}, and the time is now {}: renew it, or correct the clock",
        time(.not_after), time(.now)
    )]
    Expired { not_after: OffsetDateTime, now: OffsetDateTime },
    #[error(
        "contains no private key: a PEM file with an unencrypted PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY is \
         required"
    )]
    NoKey,
    #[error(
        "contains an encrypted private key, which is not supported: decrypt it with openssl pkey -in FILE -out NEW"
    )]
    Encrypted,
    #[error(
        "contains a private key that cannot be used: {}; supported keys are RSA of 2048 bits or more, ECDSA on P-256 \
         or P-384, and Ed25519",
        shown(.0)
    )]
    BadKey(String),
    #[error("is not the key of the first certificate: use the key that belongs to it, and {ORDER}")]
    OtherKey,
}

const ORDER: &str = "put the server's own certificate first, then its chain";

/// Returns the beginning of a text from a file.
pub fn shown(text: &str) -> String {
    printable(text, SHOWN_MAX_CHARS)
}

fn time(time: &OffsetDateTime) -> String {
    format(*time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_shows_only_the_beginning_of_a_long_text() {
        let text = || "a\n".repeat(5_000);
        for error in [
            TlsFileError::BadCertificate(text()),
            TlsFileError::CriticalExtension(text()),
            TlsFileError::NotForServers(text()),
            TlsFileError::NoCa(text()),
            TlsFileError::BadKey(text()),
        ] {
            let message = error.to_string();
            assert!(message.contains('…') && message.len() < 600 && !message.contains('\n'), "{message}");
        }
    }
}
