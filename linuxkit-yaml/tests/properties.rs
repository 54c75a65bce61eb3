//! What holds for every input: no panic, printing loses nothing, merging is associative.

use linuxkit_yaml::{LintOptions, Manifest, from_yaml, lint, merge, parse, parse_label, print};
use proptest::prelude::*;
use serde_json::Value;

use crate::grow::Generator;

mod grow;

fn read(text: &str) -> Manifest {
    parse(text, "case").unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn manifest() -> impl Strategy<Value = Manifest> {
    any::<[u8; 32]>().prop_map(|seed| read(&Generator::new(seed).manifest().to_string()))
}

/// Text that is nearly YAML: its words and signs in any order.
fn nearly_yaml() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "kernel",
        "services",
        "- ",
        "name",
        "image",
        ": ",
        "\n",
        "\n  ",
        "\n    ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "&a ",
        "*a",
        "<<",
        "!!str ",
        "!x ",
        "|\n",
        ">\n",
        "'",
        "\"",
        "#",
        "---\n",
        "...\n",
        "? ",
        "~",
        "0644",
        "1.0",
        "yes",
        "\t",
        "%YAML 1.2\n",
        "é",
        "\u{feff}",
        "\r\n",
        "network",
        "files",
    ]);
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

proptest! {
    // A seed says nothing once the schema has changed.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn printed_manifest_parses_to_itself(manifest in manifest()) {
        let text = print(&manifest);
        prop_assert_eq!(&read(&text), &manifest, "{}", text);
        prop_assert_eq!(print(&read(&text)), text);
    }

    #[test]
    fn defaults_written_out_parse_to_themselves_and_stay(manifest in manifest()) {
        let full = manifest.clone().with_defaults();
        prop_assert_eq!(&read(&print(&full)), &full);
        prop_assert_eq!(&full.clone().with_defaults(), &full);
        prop_assert_eq!(full.builtin_init(), manifest.builtin_init());
        let names = |manifest: &Manifest| manifest.images().map(|(image, _)| image.clone()).collect::<Vec<_>>();
        prop_assert_eq!(names(&full), names(&manifest));
    }

    #[test]
    fn linting_never_panics_and_keeps_the_order_of_the_text(manifest in manifest(), portable: bool, replace_init: bool) {
        let found = lint(&manifest, LintOptions { portable, replace_init });
        let places: Vec<(u32, u32)> = found.iter().map(|one| (one.line(), one.column())).collect();
        prop_assert!(places.is_sorted(), "{:?}", places);
    }

    #[test]
    fn merging_is_associative(a in manifest(), b in manifest(), c in manifest()) {
        let left = merge([a.clone(), b.clone()]).and_then(|ab| merge([ab, c.clone()]));
        let right = merge([b.clone(), c.clone()]).and_then(|bc| merge([a.clone(), bc]));
        let once = merge([a, b, c]);
        prop_assert_eq!(left.as_ref().ok(), right.as_ref().ok());
        prop_assert_eq!(left.as_ref().ok(), once.as_ref().ok());
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in any::<Vec<u8>>()) {
        if let Err(error) = parse(&bytes, "case") {
            prop_assert!(!error.diagnostics.is_empty());
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in nearly_yaml()) {
        if let Err(error) = parse(&text, "case") {
            prop_assert!(error.to_string().starts_with("case"));
        }
        let _ = parse_label(&text, "image");
        let _ = from_yaml::<Value>(&text, "case");
    }

    #[test]
    fn no_damage_to_a_manifest_makes_the_parser_panic(seed in any::<[u8; 32]>(), at in any::<prop::sample::Index>(), word in nearly_yaml()) {
        let mut text = print(&read(&Generator::new(seed).manifest().to_string()));
        let starts: Vec<usize> = text.char_indices().map(|(offset, _)| offset).chain([text.len()]).collect();
        text.insert_str(*at.get(&starts), &word);
        let _ = parse(&text, "case");
    }
}
