//! Patterns over paths inside an image.

/// Tell whether `text` matches `pattern`.
///
/// In: `?` stands for one character and `*` for any number, neither for a `/`; `**` stands for any number of characters,
/// `/` included; `/**` at the end also matches the folder itself. A leading `/` means nothing on either side.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern = pattern.trim_start_matches('/');
    let text = text.trim_start_matches('/');
    let folder = pattern.strip_suffix("/**").is_some_and(|folder| walk(folder.as_bytes(), text.as_bytes()));
    folder || walk(pattern.as_bytes(), text.as_bytes())
}

/// Match by remembering the last star of each kind: linear in `text` for one star, quadratic at worst, never exponential.
fn walk(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on when the bytes differ: behind a star, with that star taking one character more.
    let mut star: Option<(usize, usize)> = None;
    let mut deep: Option<(usize, usize)> = None;
    while t < text.len() || p < pattern.len() {
        match (pattern.get(p), text.get(t)) {
            (Some(b'*'), _) if pattern.get(p + 1) == Some(&b'*') => {
                p += 2;
                (deep, star) = (Some((p, t)), None);
                continue;
            }
            (Some(b'*'), _) => {
                p += 1;
                star = Some((p, t));
                continue;
            }
            (Some(b'?'), Some(byte)) if *byte != b'/' => (p, t) = (p + 1, t + 1),
            (Some(want), Some(got)) if want == got => (p, t) = (p + 1, t + 1),
            _ => match (star, deep) {
                (Some((behind, at)), _) if text.get(at).is_some_and(|byte| *byte != b'/') => {
                    star = Some((behind, at + 1));
                    (p, t) = (behind, at + 1);
                }
                (_, Some((behind, at))) if at < text.len() => {
                    (deep, star) = (Some((behind, at + 1)), None);
                    (p, t) = (behind, at + 1);
                }
                _ => return false,
            },
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_described() {
        for (pattern, text, want) in [
            ("lib*", "libc.so", true),
            ("lib*", "glibc.so", false),
            ("*c.so*", "libc.so.6", true),
            ("/usr/share/man/**", "usr/share/man/man1/a.1.gz", true),
            ("/usr/share/man/**", "usr/share/man", true),
            ("/usr/share/man/*", "usr/share/man/man1/a.1.gz", false),
            ("usr/lib/*/gconv/**", "usr/lib/x86_64-linux-gnu/gconv/A.so", true),
            ("usr/lib/*/gconv/**", "usr/lib/a/b/gconv/A.so", false),
            ("usr/**/*.so", "usr/lib/a/b.so", true),
            ("usr/**/*.so", "usr/lib/a/b.so.1", false),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("", "", true),
            ("", "a", false),
            ("**", "a/b", true),
        ] {
            assert_eq!(matches(pattern, text), want, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_ends_soon() {
        assert!(!matches(&"*a".repeat(200), &"a".repeat(20_000).replace("aa", "ab")));
    }
}
