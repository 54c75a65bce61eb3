//! Who died of too little memory. In: what the kernel counts for a cgroup, before and after. Out: [`Shortage`]. Pure.

/// What a cgroup has seen so far.
///
/// # Source
///
/// Linux, `Documentation/admin-guide/cgroup-v2.rst`, `memory.events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Events {
    /// How often an allocation failed at its own limit.
    at_limit: u64,
    /// How many of its processes were killed.
    killed: u64,
}

/// Whose memory was too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// The container's, whose limit is so many bytes.
    Limit(i64),
    /// The host's, or that of a cgroup around the container's.
    Host,
}

impl Events {
    /// Read the kernel's text; what it lacks has not happened.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let count = |key| counter(text, key).unwrap_or(0);
        Self { at_limit: count("oom"), killed: count("oom_kill") }
    }

    /// Tell whether processes were killed since `before`, and for whose memory. In: the container's limit in bytes, if it has one.
    #[must_use]
    pub fn since(self, before: Self, limit: Option<i64>) -> Option<Shortage> {
        let own = limit.filter(|_| self.at_limit > before.at_limit);
        (self.killed > before.killed).then(|| own.map_or(Shortage::Host, Shortage::Limit))
    }
}

/// The number behind a word at the start of a line, as the files of a cgroup have it.
#[must_use]
pub fn counter(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

impl std::fmt::Display for Shortage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Limit(bytes) if bytes % (1 << 20) == 0 => {
                write!(f, "out of memory (its limit is {} MiB)", bytes >> 20)
            }
            Self::Limit(bytes) if bytes % (1 << 10) == 0 => {
                write!(f, "out of memory (its limit is {} KiB)", bytes >> 10)
            }
            Self::Limit(bytes) => write!(f, "out of memory (its limit is {bytes} bytes)"),
            Self::Host => f.write_str("out of memory (the host has no more)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_whole_name() {
        let text = "low 0\noom 3\noom_kill 2\noom_group_kill x\n";
        assert_eq!(counter(text, "oom_kill"), Some(2));
        assert_eq!(counter(text, "oom"), Some(3));
        assert_eq!(counter(text, "oom_group_kill"), None);
        assert_eq!(counter(text, "kill"), None);
    }

    #[test]
    fn a_kill_is_blamed_on_the_limit_that_was_reached() {
        let parse =
            |at_limit, killed| Events::parse(&format!("low 0\nhigh 7\nmax 9\noom {at_limit}\noom_kill {killed}\n"));
        let limit = Some(64 << 20);
        for (before, after, limit, want) in [
            (parse(0, 0), parse(1, 1), limit, Some("out of memory (its limit is 64 MiB)")),
            (parse(0, 0), parse(1, 1), Some(66 << 10), Some("out of memory (its limit is 66 KiB)")),
            (parse(0, 0), parse(1, 1), Some(5000), Some("out of memory (its limit is 5000 bytes)")),
            (parse(1, 1), parse(1, 2), limit, Some("out of memory (the host has no more)")),
            (parse(0, 0), parse(1, 1), None, Some("out of memory (the host has no more)")),
            (parse(1, 1), parse(2, 1), limit, None),
            (parse(2, 2), parse(2, 2), limit, None),
            (parse(2, 2), Events::parse(""), limit, None),
        ] {
            assert_eq!(after.since(before, limit).map(|shortage| shortage.to_string()).as_deref(), want);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = Events::parse(&text).since(Events::default(), None);
        }
    }
}
