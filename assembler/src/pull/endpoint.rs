//! Where a registry is reached: itself, or a mirror in front of it.

use std::net::IpAddr;
use std::str::FromStr;

use linuxkit_yaml::RegistryReference;
use oci_client::Reference;

/// A registry to ask before the real one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Which registry it mirrors; every one if absent.
    registry: Option<String>,
    endpoint: Endpoint,
}

/// Why a text names no mirror.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a mirror: want `[REGISTRY=]http://HOST[:PORT]` or `https://`")]
pub struct MirrorError(String);

/// One host to ask.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Endpoint {
    /// Host and optional port.
    pub(super) host: String,
    /// Put before the repository, with a slash at its end; empty for none.
    prefix: String,
    /// What it speaks.
    pub(super) scheme: Scheme,
}

/// What a host speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scheme {
    /// TLS.
    Https,
    /// Plain HTTP.
    Http,
    /// TLS if it answers that, plain HTTP if not: hosts on the loopback.
    Either,
}

impl FromStr for Mirror {
    type Err = MirrorError;
    fn from_str(text: &str) -> Result<Self, MirrorError> {
        let refuse = || MirrorError(text.chars().take(200).collect());
        let (registry, url) = match text.split_once('=') {
            Some((registry, url)) => (Some(plain_name(registry).to_owned()), url),
            None => (None, text),
        };
        let (scheme, rest) = match url.split_once("://") {
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(("https", rest)) => (Scheme::Https, rest),
            _ => return Err(refuse()),
        };
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = path.trim_matches('/');
        let legal = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
        if host.is_empty() || !host.chars().all(legal) || !path.chars().all(|c| legal(c) || c == '/') {
            return Err(refuse());
        }
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        Ok(Self { registry, endpoint: Endpoint { host: host.to_owned(), prefix, scheme } })
    }
}

/// Give the one name of Docker's registry, which has three.
fn plain_name(registry: &str) -> &str {
    match registry {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        other => other,
    }
}

impl Endpoint {
    /// List the hosts to ask for a registry's images: its mirrors in the order given, then itself.
    pub(super) fn list(registry: &str, mirrors: &[Mirror], insecure: &[String]) -> Vec<Self> {
        let mirrored = |mirror: &&Mirror| mirror.registry.as_deref().is_none_or(|of| of == plain_name(registry));
        let mut endpoints: Vec<Self> = mirrors.iter().filter(mirrored).map(|mirror| mirror.endpoint.clone()).collect();
        endpoints.push(Self { host: registry.to_owned(), prefix: String::new(), scheme: scheme(registry, insecure) });
        endpoints
    }

    /// Name an image of this host by tag.
    pub(super) fn by_tag(&self, name: &RegistryReference, tag: &str) -> Reference {
        Reference::with_tag(self.host.clone(), self.repository(name), tag.to_owned())
    }

    /// Name an image of this host by digest.
    pub(super) fn by_digest(&self, name: &RegistryReference, digest: &str) -> Reference {
        Reference::with_digest(self.host.clone(), self.repository(name), digest.to_owned())
    }

    fn repository(&self, name: &RegistryReference) -> String {
        format!("{}{}", self.prefix, name.repository)
    }
}

/// Decide what a registry speaks.
fn scheme(registry: &str, insecure: &[String]) -> Scheme {
    let host = host_name(registry);
    if insecure.iter().any(|named| named == registry || named == host) {
        Scheme::Http
    } else if is_loopback(host) {
        Scheme::Either
    } else {
        Scheme::Https
    }
}

/// Cut the port, and the brackets of an IPv6 address, off.
fn host_name(registry: &str) -> &str {
    match registry.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(address, _)| address),
        None => registry.rsplit_once(':').map_or(registry, |(host, _)| host),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schemes(registry: &str, mirrors: &[&str]) -> Vec<(String, Scheme)> {
        let mirrors: Vec<Mirror> = mirrors.iter().map(|text| text.parse().unwrap()).collect();
        let insecure = ["plain.example".to_owned(), "odd.example:81".to_owned()];
        Endpoint::list(registry, &mirrors, &insecure).into_iter().map(|it| (it.host, it.scheme)).collect()
    }

    #[test]
    fn only_the_loopback_and_the_named_may_go_without_tls() {
        for (registry, want) in [
            ("docker.io", Scheme::Https),
            ("localhost:5000", Scheme::Either),
            ("127.0.0.9:5000", Scheme::Either),
            ("[::1]:5000", Scheme::Either),
            ("localhost.example:5000", Scheme::Https),
            ("127.0.0.1.example", Scheme::Https),
            ("plain.example", Scheme::Http),
            ("plain.example:5000", Scheme::Http),
            ("odd.example:81", Scheme::Http),
            ("odd.example:82", Scheme::Https),
        ] {
            assert_eq!(schemes(registry, &[]), [(registry.to_owned(), want)], "{registry}");
        }
    }

    #[test]
    fn mirrors_come_first_and_only_for_their_registry() {
        let mirrors =
            ["registry-1.docker.io=https://hub.example/cache/", "http://all.example:80", "quay.io=http://q.example"];
        let hosts: Vec<String> = schemes("docker.io", &mirrors).into_iter().map(|it| it.0).collect();
        assert_eq!(hosts, ["hub.example", "all.example:80", "docker.io"]);
    }

    #[test]
    fn a_mirrors_path_stands_before_the_repository() {
        let mirror: Mirror = "https://hub.example/cache/".parse().unwrap();
        let name = match "busybox:1".parse().unwrap() {
            linuxkit_yaml::Reference::Registry(name) => name,
            other => panic!("{other}"),
        };
        let image = mirror.endpoint.by_tag(&name, "1");
        assert_eq!((image.registry(), image.repository()), ("hub.example", "cache/library/busybox"));
    }

    #[test]
    fn a_mirror_without_scheme_or_with_a_login_is_refused() {
        for text in ["hub.example", "ftp://hub.example", "https://", "https://u:p@hub.example", "https://h/?x"] {
            assert!(text.parse::<Mirror>().is_err(), "{text}");
        }
    }
}
