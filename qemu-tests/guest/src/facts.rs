//! What the kernel says of this process, without trying anything.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::one;

type Facts = Vec<(String, String)>;

/// Namespaces that are compared with the host's.
const NAMESPACES: [&str; 7] = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];

/// A line of `/proc/self/status`, its words separated by one space.
fn status(key: &str) -> String {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(crate) fn args(_: &str) -> Facts {
    one("args", std::env::args().collect::<Vec<_>>().join(" "))
}

pub(crate) fn capabilities(_: &str) -> Facts {
    ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(|set| (set.to_owned(), status(set))).to_vec()
}

pub(crate) fn no_new_privileges(_: &str) -> Facts {
    one("NoNewPrivs", status("NoNewPrivs"))
}

/// 2 is a program that decides over system calls; and how many there are.
pub(crate) fn seccomp(_: &str) -> Facts {
    one("Seccomp", format!("{} {}", status("Seccomp"), status("Seccomp_filters")))
}

pub(crate) fn ids(_: &str) -> Facts {
    vec![("uid".into(), status("Uid")), ("gid".into(), status("Gid"))]
}

pub(crate) fn groups(_: &str) -> Facts {
    one("groups", status("Groups"))
}

pub(crate) fn cwd(_: &str) -> Facts {
    one("cwd", std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default())
}

pub(crate) fn env(name: &str) -> Facts {
    let value = std::env::var_os(name).map_or("absent".into(), |value| value.to_string_lossy().into_owned());
    one(format!("env.{name}"), value)
}

pub(crate) fn hostname(_: &str) -> Facts {
    one("hostname", rustix::system::uname().nodename().to_string_lossy())
}

pub(crate) fn oom_score_adj(_: &str) -> Facts {
    one("oom_score_adj", fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default())
}

/// One fact for each limit: the word before its first number, then soft and hard.
pub(crate) fn rlimits(_: &str) -> Facts {
    let text = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let rows = text.lines().skip(1).filter_map(|line| {
        let (name, rest) = (line.get(..26)?.trim(), line.get(26..)?);
        let mut words = rest.split_whitespace();
        let (soft, hard) = (words.next()?, words.next()?);
        Some((format!("rlimit.{}", name.trim_start_matches("Max ").replace(' ', "-")), format!("{soft} {hard}")))
    });
    rows.collect()
}

/// A file of this process's own cgroup.
pub(crate) fn cgroup(file: &str) -> Facts {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default().to_owned();
    if file.is_empty() {
        return one("cgroup", own);
    }
    let text = fs::read_to_string(format!("/sys/fs/cgroup{own}/{file}"));
    one(format!("cgroup.{file}"), text.unwrap_or_else(|error| error.to_string()))
}

/// A kernel parameter by its dotted name.
pub(crate) fn sysctl(name: &str) -> Facts {
    let text = fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/")));
    let text = text.unwrap_or_else(|error| error.to_string());
    one(format!("sysctl.{name}"), text.split_whitespace().collect::<Vec<_>>().join(" "))
}

pub(crate) fn id_maps(_: &str) -> Facts {
    let read = |name: &str| {
        let text = fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        (name.to_owned(), rows.collect::<Vec<_>>().join(","))
    };
    vec![read("uid_map"), read("gid_map")]
}

/// Owner, group and mode of a path, of the link itself if it is one.
pub(crate) fn owner(path: &str) -> Facts {
    let text = match fs::symlink_metadata(path) {
        Ok(found) => format!("{}:{} {:o}", found.uid(), found.gid(), found.permissions().mode() & 0o7777),
        Err(error) => error.to_string(),
    };
    one(format!("owner.{path}"), text)
}

/// How many processes can be seen.
pub(crate) fn processes(_: &str) -> Facts {
    #[expect(clippy::disallowed_methods, reason = "only counted")]
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok());
    let others = numbers.count() > 1;
    vec![("pid".into(), std::process::id().to_string()), ("sees-others".into(), others.to_string())]
}

fn inode(process: &str, name: &str) -> String {
    let link = fs::read_link(format!("/proc/{process}/ns/{name}"));
    link.map(|link| link.display().to_string()).unwrap_or_default()
}

/// Write down the namespaces of process 1 as it is seen here; for a container that shares the host's processes.
pub(crate) fn save_namespaces(path: &str) -> Facts {
    let text: String = NAMESPACES.iter().map(|name| format!("{}\n", inode("1", name))).collect();
    one("ns-saved", crate::outcome(fs::write(path, text)))
}

/// Tell of each namespace whether it is one of those written down.
pub(crate) fn namespaces(path: &str) -> Facts {
    let host = fs::read_to_string(path).unwrap_or_default();
    let tell = |name: &&str| {
        let own = inode("self", name);
        let whose = if host.lines().any(|line| line == own) { "host" } else { "own" };
        (format!("ns.{name}"), whose.to_owned())
    };
    NAMESPACES.iter().map(tell).collect()
}

/// Dead processes that nobody has reaped, once there are none or five seconds are over.
pub(crate) fn zombies(_: &str) -> Facts {
    let dead = || {
        #[expect(clippy::disallowed_methods, reason = "only counted")]
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let states = entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
        // The state follows the name, which is in brackets and may hold any other character.
        states.filter(|stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'))).count()
    };
    let mut count = dead();
    for _ in 0..50 {
        if count == 0 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        count = dead();
    }
    one("zombies", count.to_string())
}
