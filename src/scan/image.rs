//! Image references: `[registry/]repository[:tag][@digest]`.

/// The repository of a reference, with the registry that a short one means; none where it does not parse.
pub fn repository(reference: &str) -> Option<String> {
    let (named, digest) = match reference.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (reference, None),
    };
    // A colon after the last slash begins a tag; one before it a port.
    let (path, tag) = match named.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (named, None),
    };
    let is_sound = digest.is_none_or(is_digest) && tag.is_none_or(is_tag);
    let (registry, path) = match path.split_once('/') {
        Some((registry, path)) if registry.contains(['.', ':']) || registry == "localhost" => (registry, path),
        _ => ("docker.io", path),
    };
    if !is_sound || !is_registry(registry) || !path.split('/').all(is_component) {
        return None;
    }
    // Docker Hub's short forms mean the same image.
    Some(match registry {
        "docker.io" | "index.docker.io" if !path.contains('/') => format!("docker.io/library/{path}"),
        "index.docker.io" => format!("docker.io/{path}"),
        _ => format!("{registry}/{path}"),
    })
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
    use super::repository;

    #[test]
    fn references_are_cut_to_their_repository() {
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for (reference, expected) in [
            ("nginx", "docker.io/library/nginx"),
            ("docker.io/nginx:1.27", "docker.io/library/nginx"),
            ("index.docker.io/team/app", "docker.io/team/app"),
            ("registry.example.com:5000/team/app:v1", "registry.example.com:5000/team/app"),
            ("localhost/app", "localhost/app"),
            (&format!("ghcr.io/team/app:v1@{digest}"), "ghcr.io/team/app"),
            (&format!("ghcr.io/team/app@{digest}"), "ghcr.io/team/app"),
        ] {
            assert_eq!(repository(reference).as_deref(), Some(expected), "{reference}");
        }
        for wrong in
            ["", "Nginx", "a b", "https://ghcr.io/app", "app:", "app@sha256:1", "ghcr.io/", "/app", "app:ta g", "-app"]
        {
            assert_eq!(repository(wrong), None, "{wrong}");
        }
    }
}
