//! Parses addresses to listen on or to connect to, including the forms of Go and Docker: `:8443` and `localhost:8443`.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};

/// Why a text is not an address. Each message shows a valid address.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error("the port is missing: use 127.0.0.1:8443, localhost:8443, [::1]:8443, or :8443 for all addresses")]
    NoPort,
    #[error("must have neither scheme nor path, such as localhost:8443")]
    Url,
    #[error("{0:?} is not a port from 0 to 65535; use HOST:PORT, such as localhost:8443")]
    Port(String),
    #[error("an IPv6 address must be in brackets, such as [::1]:8443")]
    NoBrackets,
    #[error("the host {host:?} cannot be resolved: {error}")]
    Unresolved { host: String, error: io::Error },
    #[error("the host {0:?} has no address")]
    NoAddress(String),
}

/// Parses an address to listen on. Without a host, it stands for all addresses of the machine. A host name is resolved
/// once.
pub fn parse_listen(text: &str) -> Result<SocketAddr, AddressError> {
    parse(text, Ipv6Addr::UNSPECIFIED.into())
}

/// Parses an address to connect to. Without a host, it is the loopback address.
#[cfg(feature = "cluster")]
pub fn parse_connect(text: &str) -> Result<SocketAddr, AddressError> {
    parse(text, std::net::Ipv4Addr::LOCALHOST.into())
}

fn parse(text: &str, without_host: IpAddr) -> Result<SocketAddr, AddressError> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if text.contains('/') {
        return Err(AddressError::Url);
    }
    let (host, port) = text.rsplit_once(':').ok_or(AddressError::NoPort)?;
    // `[::1]` without a port was split within the brackets.
    if port.ends_with(']') || text.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()) {
        return Err(if text.starts_with('[') { AddressError::NoPort } else { AddressError::NoBrackets });
    }
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|_| is_number).ok_or_else(|| AddressError::Port(port.to_owned()))?;
    if host.is_empty() {
        return Ok((without_host, port).into());
    }
    if host.contains(':') {
        return Err(AddressError::NoBrackets);
    }
    let resolved = (host, port).to_socket_addrs();
    let resolved = resolved.map_err(|error| AddressError::Unresolved { host: host.to_owned(), error })?;
    // IPv4 first: a machine may resolve localhost to ::1 and have no IPv6.
    resolved.min_by_key(SocketAddr::is_ipv6).ok_or_else(|| AddressError::NoAddress(host.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_parse_in_the_forms_of_go_and_docker() {
        for (text, address) in [
            ("127.0.0.1:8443", "127.0.0.1:8443"),
            ("[::1]:8443", "[::1]:8443"),
            (":8443", "[::]:8443"),
            (":0", "[::]:0"),
            ("localhost:8443", "127.0.0.1:8443"),
        ] {
            assert_eq!(parse_listen(text).unwrap(), address.parse().unwrap(), "{text}");
        }
        #[cfg(feature = "cluster")]
        assert_eq!(parse_connect(":9443").unwrap(), "127.0.0.1:9443".parse().unwrap());
    }

    #[test]
    fn errors_show_a_valid_address() {
        for (text, right) in [
            ("8443", "localhost:8443"),
            ("localhost", "localhost:8443"),
            ("", ":8443 for all"),
            ("localhost:", "0 to 65535"),
            ("localhost:https", "0 to 65535"),
            ("localhost:+8443", "0 to 65535"),
            (":99999", "0 to 65535"),
            ("::1", "[::1]:8443"),
            ("::1:8443", "[::1]:8443"),
            ("[::1]", ":8443 for all"),
            ("https://localhost:8443", "neither scheme nor path"),
            ("nobody.invalid:8443", "cannot be resolved"),
        ] {
            let error = parse_listen(text).unwrap_err().to_string();
            assert!(error.contains(right), "{text}: {error}");
        }
    }
}
