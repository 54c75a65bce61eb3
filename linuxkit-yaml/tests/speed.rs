//! Texts made to cost time: each is answered, and soon.

use std::time::{Duration, Instant};

use linuxkit_yaml::{LintOptions, lint, parse, print};

/// Repeat `line`, `N` in it replaced by a number, up to 512 kB behind `head`.
fn lines(head: &str, line: &str) -> String {
    let mut text = head.to_owned();
    let mut number = 0_u32;
    while text.len() < 512 << 10 {
        text += &line.replace('N', &number.to_string());
        number += 1;
    }
    text
}

#[test]
fn no_text_keeps_the_parser_busy() {
    let half = 512 << 10;
    let bomb: String =
        (1..12).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(","))).collect();
    let deep: String = (0..900).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    let texts = [
        ("nested lists", "[".repeat(half)),
        ("nested mappings", "{a: ".repeat(half / 4)),
        ("nested blocks", deep),
        ("anchors", lines("init:\n", "- &aN x\n")),
        ("anchors and aliases", lines("init:\n", "- &aN x:1\n- *aN\n")),
        ("alias bomb", format!("a0: &a0 [x,x,x,x,x,x,x,x,x]\n{bomb}")),
        ("merge keys", lines("a: &a {x: 1, y: 2, z: 3}\n", "bN: {<<: *a}\n")),
        ("long line", format!("init: [{}]", "a:1, ".repeat(half / 5))),
        ("long path", format!("init: [a]\nfiles: [{{path: \"{}\", contents: x}}]", "a/".repeat(half / 2))),
        ("unknown keys", lines("", "kN: 1\n")),
        ("wrong services", lines("services:\n", "- {name: aN, image: B, comand: [1]}\n")),
        ("one name", lines("services:\n", "- {name: a, image: b}\n")),
        ("one file", lines("init: [a]\nfiles:\n", "- {path: a/b/c, contents: x}\n")),
        ("missing volumes", lines("services:\n- name: a\n  image: b\n  binds:\n", "  - w:/x\n")),
        ("network rules", lines("network:\n", "  eN: {dhcp: true}\n")),
    ];
    for (name, text) in texts {
        let start = Instant::now();
        match parse(&text, "case") {
            Ok(manifest) => {
                let _ = (lint(&manifest, LintOptions { portable: true, replace_init: false }), print(&manifest));
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        // Without optimisation, on a busy machine: twenty times what is promised for a release; a square would take minutes.
        assert!(start.elapsed() < Duration::from_secs(20), "{name}: {:?}", start.elapsed());
    }
}
