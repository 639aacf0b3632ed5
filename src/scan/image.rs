//! Image references: `[registry/]repository[:tag][@digest]`.

/// Docker Hub, the registry of references without a registry, and its aliases.
pub const DOCKER_HUB: [&str; 4] = ["docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"];

/// The parts of a reference that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageReference<'a> {
    /// Compared case-insensitively. Every alias of Docker Hub is replaced by `docker.io`.
    registry: &'a str,
    /// Without the `library/` of Docker Hub's own images.
    path: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> ImageReference<'a> {
    /// Parses a reference. Returns `None` if the text is not a reference.
    pub fn parse(reference: &'a str) -> Option<Self> {
        let (named, digest) = match reference.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (reference, None),
        };
        // A colon after the last slash begins a tag; a colon before it begins a port.
        let (name, tag) = match named.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (named, None),
        };
        let (registry, path) = match name.split_once('/') {
            Some((registry, path)) if is_host(registry) => (registry, path),
            _ => (DOCKER_HUB[0], name),
        };
        let is_valid = digest.is_none_or(is_digest)
            && tag.is_none_or(is_tag)
            && is_registry(registry)
            && path.split('/').all(is_component);
        if !is_valid {
            return None;
        }
        if !DOCKER_HUB.iter().any(|name| registry.eq_ignore_ascii_case(name)) {
            return Some(ImageReference { registry, path, tag, digest });
        }
        let path = path.strip_prefix("library/").filter(|path| !path.contains('/')).unwrap_or(path);
        Some(ImageReference { registry: DOCKER_HUB[0], path, tag, digest })
    }

    /// Whether both name the same repository.
    pub fn is_same_repository(&self, other: &Self) -> bool {
        self.registry.eq_ignore_ascii_case(other.registry) && self.path == other.path
    }

    /// Whether both have a digest of the same algorithm, and the digests differ.
    pub fn has_other_digest(&self, other: &Self) -> bool {
        let split = |digest: Option<&'a str>| digest.and_then(|digest| digest.split_once(':'));
        let mine = split(self.digest);
        other.digest.and_then(|digest| digest.split_once(':')).is_some_and(|(algorithm, hex)| {
            mine.is_some_and(|(mine, my_hex)| mine == algorithm && !my_hex.eq_ignore_ascii_case(hex))
        })
    }

    /// Whether both may name the same image of a repository. A tag and a digest do not contradict each other.
    pub fn is_same_version(&self, other: &Self) -> bool {
        match (self.tag, self.digest, other.tag, other.digest) {
            (mine, None, theirs, None) => mine.unwrap_or(DEFAULT_TAG) == theirs.unwrap_or(DEFAULT_TAG),
            (Some(mine), _, Some(theirs), _) if mine != theirs => false,
            (_, Some(mine), _, Some(theirs)) => mine.eq_ignore_ascii_case(theirs),
            _ => true,
        }
    }
}

/// The tag of a reference without tag and digest.
const DEFAULT_TAG: &str = "latest";

/// Whether the first part of a name is a host rather than a part of the path.
fn is_host(part: &str) -> bool {
    part.contains(['.', ':']) || part.contains(|c: char| c.is_ascii_uppercase()) || part == "localhost"
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        !algorithm.is_empty() && hex.len() >= 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

fn is_tag(tag: &str) -> bool {
    (1..=128).contains(&tag.len())
        && tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && tag.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

fn is_registry(registry: &str) -> bool {
    !registry.is_empty() && registry.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c))
}

fn is_component(component: &str) -> bool {
    let is_edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    component.starts_with(is_edge)
        && component.ends_with(is_edge)
        && component.chars().all(|c| is_edge(c) || "._-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::ImageReference;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const OTHER_DIGEST: &str = "sha256:0000c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn repositories_are_compared_as_registries_name_them() {
        for (one, other, is_same) in [
            ("nginx", "docker.io/library/nginx", true),
            ("nginx:1.27", "docker.io/nginx", true),
            ("team/app", "index.docker.io/team/app:v1", true),
            ("registry-1.docker.io/library/nginx", "registry.hub.docker.com/nginx", true),
            ("library/team/app", "team/app", false),
            ("ghcr.io/library/app", "ghcr.io/app", false),
            ("registry.example.com:5000/team/app:v1", "registry.example.com:5000/team/app", true),
            ("registry.example.com:5000/team/app", "registry.example.com/team/app", false),
            ("MYHOST/app", "myhost/app", false),
            ("MYHOST/app:v1", "MyHost/app", true),
            ("GHCR.IO/team/app", "ghcr.io/team/app", true),
            ("localhost/app", "app", false),
            ("[::1]:5000/app", "[::1]:5000/app:v1", true),
            (&format!("ghcr.io/team/app:v1@{DIGEST}"), "ghcr.io/team/app", true),
            ("ghcr.io/team/app", "ghcr.io/team/other", false),
        ] {
            let [one, other] = [one, other].map(|reference| ImageReference::parse(reference).unwrap());
            assert_eq!(one.is_same_repository(&other), is_same, "{one:?} {other:?}");
        }
    }

    #[test]
    fn versions_differ_only_if_both_have_a_tag_or_a_digest() {
        let digest = |name: &str| format!("{name}@{DIGEST}");
        let other_digest = |name: &str| format!("{name}@{OTHER_DIGEST}");
        let upper = format!("app@{}", DIGEST.to_uppercase().replace("SHA256", "sha256"));
        let longer = format!("app@sha512:{}", "0".repeat(128));
        for (one, other, is_same_version, has_other_digest) in [
            ("app:v1", "app:v1", true, false),
            ("app:v1", "app:v2", false, false),
            ("app", "app:latest", true, false),
            ("app", "app:v1", false, false),
            ("app:v1", &digest("app"), true, false),
            ("app", &digest("app"), true, false),
            ("app:v1", &digest("app:v2"), false, false),
            (&digest("app"), &digest("app:v1"), true, false),
            (&digest("app"), &upper, true, false),
            (&digest("app"), &other_digest("app"), false, true),
            (&digest("app:v1"), &other_digest("app:v1"), false, true),
            (&digest("app"), &longer, false, false),
        ] {
            let [one, other] = [one, other].map(|reference| ImageReference::parse(reference).unwrap());
            for (one, other) in [(&one, &other), (&other, &one)] {
                assert_eq!(one.is_same_version(other), is_same_version, "{one:?} {other:?}");
                assert_eq!(one.has_other_digest(other), has_other_digest, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn invalid_references_are_rejected() {
        for wrong in [
            "",
            "Nginx",
            "a b",
            "https://ghcr.io/app",
            "app:",
            "app@sha256:1",
            "ghcr.io/",
            "/app",
            "app:ta g",
            "-app",
            "app@",
            "host/App",
            "a//b",
        ] {
            assert_eq!(ImageReference::parse(wrong), None, "{wrong}");
        }
    }
}
