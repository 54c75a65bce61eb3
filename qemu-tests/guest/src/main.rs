//! Runs as a container in a host under test. In: what to look at, one word for each. Out: one line for each fact,
//! `fact NAME VALUE`, on standard output.
//!
//! It judges nothing: what a fact must be stands in the case. Words are done in order, so that one may see what the one before
//! it did. A word is a fact's name, or a name, a colon and what to look at (`file:/etc/motd`); [`WORDS`] lists them.

mod call;
mod facts;
mod mounts;
mod network;
mod try_it;

use std::io::Write;
use std::process::ExitCode;

/// What looks at something: gives facts, name and value.
type Look = fn(&str) -> Vec<(String, String)>;

/// Every word, and what it looks at.
const WORDS: [(&str, Look); 37] = [
    ("args", facts::args),
    ("call", call::call),
    ("caps", facts::capabilities),
    ("cgroup", facts::cgroup),
    ("cwd", facts::cwd),
    ("env", facts::env),
    ("groups", facts::groups),
    ("hostname", facts::hostname),
    ("idmaps", facts::id_maps),
    ("ids", facts::ids),
    ("nnp", facts::no_new_privileges),
    ("ns", facts::namespaces),
    ("ns-save", facts::save_namespaces),
    ("oom", facts::oom_score_adj),
    ("owner", facts::owner),
    ("pids", facts::processes),
    ("rlimits", facts::rlimits),
    ("seccomp", facts::seccomp),
    ("sysctl", facts::sysctl),
    ("mount", mounts::mount),
    ("link", network::link),
    ("links", network::links),
    ("eat", try_it::eat),
    ("orphan", call::orphan),
    ("packet", network::packet),
    ("file", try_it::file),
    ("list", try_it::list),
    ("mknod", try_it::mknod),
    ("mount-tmpfs", try_it::mount_tmpfs),
    ("open", try_it::open),
    ("same-ns", try_it::same_namespace),
    ("signal-init", call::signal_init),
    ("stdout", try_it::stdout),
    ("stop-init", call::stop_init),
    ("wait", try_it::wait),
    ("write", try_it::write),
    ("zombies", facts::zombies),
];

fn main() -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    if std::env::args().len() < 2 {
        say("words", "none");
    }
    for word in std::env::args().skip(1) {
        let (name, what) = word.split_once(':').unwrap_or((&word, ""));
        match (name, WORDS.iter().find(|(known, _)| *known == name)) {
            ("exit", _) => code = ExitCode::from(what.parse::<u8>().unwrap_or(1)),
            ("stay", _) => stay(),
            (_, Some((_, look))) => look(what).iter().for_each(|(name, value)| say(name, value)),
            (_, None) => {
                say("unknown-word", &word);
                code = ExitCode::from(2);
            }
        }
    }
    code
}

/// Print one fact, in one call, so that no other line gets into it.
fn say(name: &str, value: &str) {
    let line = format!("fact {name} {}\n", value.trim_end().replace('\n', "|"));
    // Whoever reads the facts misses one that could not be written.
    let _ = std::io::stdout().write_all(line.as_bytes());
}

/// One fact.
fn one(name: impl Into<String>, value: impl Into<String>) -> Vec<(String, String)> {
    vec![(name.into(), value.into())]
}

/// What went well, or the kernel's name for what did not.
fn outcome<T>(done: Result<T, std::io::Error>) -> String {
    match done {
        Ok(_) => "allowed".to_owned(),
        Err(error) => match error.raw_os_error() {
            Some(1) => "EPERM".to_owned(),
            Some(2) => "ENOENT".to_owned(),
            Some(6) => "ENXIO".to_owned(),
            Some(11) => "EAGAIN".to_owned(),
            Some(13) => "EACCES".to_owned(),
            Some(14) => "EFAULT".to_owned(),
            Some(19) => "ENODEV".to_owned(),
            Some(22) => "EINVAL".to_owned(),
            Some(30) => "EROFS".to_owned(),
            Some(38) => "ENOSYS".to_owned(),
            _ => error.to_string(),
        },
    }
}

/// Stay until somebody kills this process.
fn stay() {
    loop {
        std::thread::sleep(std::time::Duration::from_secs(3600));
    }
}
