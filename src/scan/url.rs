//! Checks that URLs are absolute, http or https, and have a host; and compares them.

/// Whether `text` is an absolute http(s) URL with a host. Nothing else is checked, so that no working URL is denied.
pub fn is_http(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let is_scheme = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    is_scheme && has_host(host_and_port) && !text.contains(|c: char| c.is_control() || c == ' ')
}

/// Whether two URLs are the same. The scheme and the host are compared case-insensitively, as clients do.
pub fn is_same(one: &str, other: &str) -> bool {
    // Nearly all are, and splitting takes ten times as long as comparing.
    if one == other {
        return true;
    }
    let split = |url| {
        let (scheme, rest) = str::split_once(url, "://")?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        Some((scheme, host, user, path))
    };
    match (split(one), split(other)) {
        (Some((scheme, host, user, path)), Some(other)) => {
            scheme.eq_ignore_ascii_case(other.0)
                && host.eq_ignore_ascii_case(other.1)
                && (user, path) == (other.2, other.3)
        }
        _ => false,
    }
}

fn has_host(host_and_port: &str) -> bool {
    let (host, port) = match host_and_port.strip_prefix('[') {
        Some(literal) => match literal.split_once(']') {
            Some((host, "")) => (host, ""),
            Some((host, port)) if port.starts_with(':') => (host, &port[1..]),
            _ => return false,
        },
        None => host_and_port.split_once(':').unwrap_or((host_and_port, "")),
    };
    !host.is_empty() && (port.is_empty() || port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::{is_http, is_same};

    #[test]
    fn schemes_and_hosts_are_compared_case_insensitively() {
        for (one, other, same) in [
            ("https://example.com/a", "HTTPS://Example.COM/a", true),
            ("https://example.com", "https://EXAMPLE.com", true),
            ("https://user@example.com/a", "https://User@example.com/a", false),
            ("https://example.com/a", "https://example.com/A", false),
            ("https://example.com?A", "https://EXAMPLE.com?a", false),
            ("http://example.com/a", "https://example.com/a", false),
            ("git@example.com:a", "git@Example.com:a", false),
            ("a", "a", true),
        ] {
            assert_eq!(is_same(one, other), same, "{one} {other}");
        }
    }

    #[test]
    fn only_http_urls_with_a_host_are_accepted() {
        for right in [
            "http://a",
            "https://store.example.com:8443/api/sources?digest=1#x",
            "HTTPS://user:pass@host/",
            "http://[::1]:8080/a",
            "http://[fe80::1]",
            "http://source-controller.flux-system.svc.cluster.local./gitrepository/dev.tar.gz",
            "https://host:/path",
            "https://b\u{fc}cher.example/",
        ] {
            assert!(is_http(right), "{right}");
        }
        for wrong in [
            "",
            "http",
            "http:/",
            "http://",
            "http:///path",
            "https://:8443/",
            "//host/path",
            "/path",
            "ftp://host/",
            "host/path",
            "http://host:port/",
            "http://host:65536/",
            "http://[::1",
            "http://[::1]x/",
            "http://user@/",
            "http://a b/",
            "http://a/\n",
            "mailto:a@b",
            "http://?q",
            "http://[]/",
        ] {
            assert!(!is_http(wrong), "{wrong}");
        }
    }
}
