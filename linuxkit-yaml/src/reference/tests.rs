use super::{Algorithm, Reference};

fn parsed(text: &str) -> Reference {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn canonical_text_parses_to_the_same_reference() {
    let digest = format!("a/b:c@sha512:{}", "0123456789abcdef".repeat(8));
    for text in ["redis", "a/b:1", "localhost/a", "[::1]:80/a", &digest, "oci:d:t", "docker-archive:f", "rootfs:/"] {
        let reference = parsed(text);
        assert_eq!(parsed(&reference.to_string()), reference, "{text}");
        assert_eq!(reference.text(), text);
    }
}

#[test]
fn tag_is_latest_only_if_nothing_else_is_said() {
    let pinned = format!("a@sha256:{}", "0".repeat(64));
    let tagged = format!("a:1@sha256:{}", "0".repeat(64));
    for (text, tag) in [("a", Some("latest")), ("a:1", Some("1")), (&pinned, None), (&tagged, Some("1"))] {
        let Reference::Registry(reference) = parsed(text) else { panic!("{text} is in a registry") };
        assert_eq!(reference.tag_or_latest(), tag, "{text}");
    }
}

#[test]
fn digest_keeps_algorithm_and_digits() {
    let Reference::Registry(reference) = parsed(&format!("a@sha256:{}", "0a".repeat(32))) else { panic!() };
    let digest = reference.digest.expect("a digest");
    assert_eq!((digest.algorithm, digest.hex.len()), (Algorithm::Sha256, Algorithm::Sha256.digits()));
}

#[test]
fn part_of_a_path_has_single_separators() {
    for (part, right) in [
        ("a", true),
        ("a.b", true),
        ("a_b", true),
        ("a__b", true),
        ("a---b", true),
        ("a..b", false),
        ("a___b", false),
        ("a._b", false),
        ("-a", false),
        ("a-", false),
        ("A", false),
        ("", false),
        ("a b", false),
        ("é", false),
    ] {
        assert_eq!(super::is_path_part(part), right, "{part}");
    }
}
