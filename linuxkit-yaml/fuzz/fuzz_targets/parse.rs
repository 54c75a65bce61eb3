//! No bytes make the parser panic, and what it accepts survives being printed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use linuxkit_yaml::test::parse_test;
use linuxkit_yaml::{LintOptions, from_yaml, lint, merge, parse, parse_label, print};

fuzz_target!(|bytes: &[u8]| {
    match parse(bytes, "fuzz") {
        Ok(manifest) => {
            let text = print(&manifest);
            let again = parse(&text, "print").unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(manifest, again, "{text}");
            for (portable, replace_init) in [(false, false), (true, true)] {
                let _ = lint(&manifest, LintOptions { portable, replace_init });
            }
            let full = manifest.clone().with_defaults();
            assert_eq!(full.clone().with_defaults(), full, "{text}");
            let _ = merge([manifest, again]);
        }
        Err(error) => {
            assert!(!error.diagnostics.is_empty());
            let _ = error.to_string();
        }
    }
    if let Err(error) = parse_test(bytes, "fuzz") {
        assert!(!error.diagnostics.is_empty());
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = parse_label(text, "fuzz");
        let _ = from_yaml::<serde_json::Value>(text, "fuzz");
    }
});
