//! Why a PEM file of certificates or a key cannot be used.

use time::OffsetDateTime;

use crate::scan::time::format;

/// Each message reads on from `the file `, and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    #[error("is empty: a PEM file is needed")]
    Empty,
    #[error("holds no certificate: give a PEM file with -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    #[error("holds a certificate that does not parse: {0}")]
    BadCertificate(String),
    #[error(
        "has in line {line} a -----BEGIN or an -----END and something beside it: each block needs a first and a last line of \
         its own"
    )]
    JoinedBlocks { line: usize },
    #[error("has in line {line} a block that does not end: its -----END line is missing")]
    UnendedBlock { line: usize },
    #[error("has in line {line} an -----END that ends nothing: its -----BEGIN line is missing")]
    UnbegunBlock { line: usize },
    #[error("has in line {line} a {label}, which is not read: make it a CERTIFICATE with openssl")]
    OtherCertificate { line: usize, label: &'static str },
    #[error("holds a certificate with the critical extension {0}, which no client knows: make one without it")]
    CriticalExtension(String),
    #[error(
        "holds a certificate that is not for servers: its extendedKeyUsage is {0}; add serverAuth, or leave it out"
    )]
    NotForServers(String),
    #[error("does not begin with the certificate of the key: {ORDER}")]
    Order,
    #[error("holds the certificate of {0:?}, which is no CA: give that of the CA that has signed the clients'")]
    NoCa(String),
    #[error(
        "holds a certificate that is for no host: make one with the name that clients ask for in its subjectAltName, for a \
         Service NAME.NAMESPACE.svc"
    )]
    NoHost,
    #[error(
        "holds a certificate that is not valid before {}, and now it is {}: set the clock right, or give one that is valid",
        time(.not_before), time(.now)
    )]
    NotYetValid { not_before: OffsetDateTime, now: OffsetDateTime },
    #[error(
        "holds a certificate that expired at {}, and now it is {}: renew it, or set the clock right",
        time(.not_after), time(.now)
    )]
    Expired { not_after: OffsetDateTime, now: OffsetDateTime },
    #[error(
        "holds no private key: a PEM file with PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY is needed, not encrypted"
    )]
    NoKey,
    #[error("holds an encrypted private key, which is not supported: decrypt it with openssl pkey -in FILE -out NEW")]
    Encrypted,
    #[error(
        "holds a private key that cannot be used: {0}: RSA of 2048 bits or more, ECDSA on P-256 or P-384, or Ed25519 is \
         needed"
    )]
    BadKey(String),
    #[error("is not the key of the first certificate: give the one that is, and {ORDER}")]
    OtherKey,
}

const ORDER: &str = "put the server's own certificate first, then its chain";

fn time(time: &OffsetDateTime) -> String {
    format(*time).unwrap_or_default()
}
