//! The kernel command line. In: its text. Out: [`Options`]. Pure.

use crate::contract::OnFailure;
use crate::root::wanted::Wanted;

/// Longest command line that is looked at, in bytes; the kernels of both architectures stop at 2048.
const LONGEST: usize = 64 << 10;

/// The words of the kernel command line that are ours: those that start with `hullkit.`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// `hullkit.on_failure=poweroff|reboot|halt|shell`; the contract's if absent.
    pub on_failure: Option<OnFailure>,
    /// The kernel was told what follows a panic of its own: `panic=`.
    pub panic: bool,
    /// `hullkit.root=UUID=…|LABEL=…|PARTUUID=…|PARTLABEL=…|/dev/…|file:/…|http://…|https://…`: where the root is; the contract's
    /// UUID if absent.
    pub root: Option<Wanted>,
    /// `hullkit.root_sha256=HEX`: the digest of a root that is fetched.
    pub root_sha256: Option<String>,
    /// `hullkit.root_timeout=SECONDS`: how long the root is waited for.
    pub root_timeout: Option<u32>,
    /// Words of ours that mean nothing, to be named on the console.
    pub unknown: Vec<String>,
}

/// Read the command line; the last of several equal words holds, and words of others are passed over.
#[must_use]
pub fn parse(text: &str) -> Options {
    let mut options = Options::default();
    let end = text.floor_char_boundary(LONGEST);
    // After `--` the words belong to init, which the kernel passes as arguments; none are ours.
    for word in text[..end].split_ascii_whitespace().take_while(|word| *word != "--") {
        options.panic |= word.starts_with("panic=");
        let Some(own) = word.strip_prefix("hullkit.") else { continue };
        match own {
            "on_failure=poweroff" => options.on_failure = Some(OnFailure::PowerOff),
            "on_failure=reboot" => options.on_failure = Some(OnFailure::Reboot),
            "on_failure=halt" => options.on_failure = Some(OnFailure::Halt),
            "on_failure=shell" => options.on_failure = Some(OnFailure::Shell),
            _ => {
                let root = own.strip_prefix("root=").and_then(Wanted::parse);
                let digest = own.strip_prefix("root_sha256=").filter(|text| is_digest(text));
                let timeout = own.strip_prefix("root_timeout=").and_then(|text| text.parse().ok());
                if (&root, digest, timeout) == (&None, None, None) {
                    options.unknown.push(word.to_owned());
                }
                options.root = root.or(options.root);
                options.root_sha256 = digest.map(str::to_owned).or(options.root_sha256);
                options.root_timeout = timeout.or(options.root_timeout);
            }
        }
    }
    options
}

/// Tell whether this is a SHA-256 in hexadecimal.
fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_holds() {
        let options = parse("quiet hullkit.on_failure=shell console=ttyS0 hullkit.on_failure=halt\n");
        assert_eq!(options, Options { on_failure: Some(OnFailure::Halt), ..Options::default() });
    }

    #[test]
    fn a_root_is_named_and_waited_for() {
        let options = parse("hullkit.root=/dev/vda hullkit.root_timeout=5 hullkit.root=LABEL=data root=/dev/sda1");
        assert_eq!((options.root, options.root_timeout), (Some(Wanted::Label("data".to_owned())), Some(5)));
        let unknown = parse("hullkit.root=vda hullkit.root_timeout=-1").unknown;
        assert_eq!(unknown, ["hullkit.root=vda", "hullkit.root_timeout=-1"]);
    }

    #[test]
    fn a_root_on_the_network_has_a_digest() {
        let digest = "0f".repeat(32);
        let options = parse(&format!("hullkit.root=http://10.0.2.2/r.img?a=b hullkit.root_sha256={digest}"));
        assert_eq!(options.root, Some(Wanted::Web("http://10.0.2.2/r.img?a=b".to_owned())));
        assert_eq!(options.root_sha256, Some(digest));
        assert_eq!(parse("hullkit.root_sha256=0f").unknown, ["hullkit.root_sha256=0f"]);
    }

    #[test]
    fn an_unknown_word_of_ours_is_kept_for_the_console() {
        assert_eq!(parse("hullkit.on_failure=explode").unknown, ["hullkit.on_failure=explode"]);
        assert_eq!(parse("hullkit").unknown, [""; 0]);
    }

    #[test]
    fn a_word_of_the_kernels_about_panics_is_seen() {
        assert!(parse("quiet panic=-1").panic && !parse("oops=panic -- panic=1").panic);
    }

    #[test]
    fn words_after_the_dashes_are_not_ours() {
        assert_eq!(parse("ro -- hullkit.on_failure=reboot"), Options::default());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = parse(&text);
        }
    }
}
