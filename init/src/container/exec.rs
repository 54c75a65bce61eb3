//! A further program in a container that runs: in its cgroup and namespaces, as its user, with its rights.
//!
//! libcontainer can do so as well, but leaves the program in the host's user namespace if the container has one of its own.

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use libcontainer::capabilities;
use libcontainer::syscall::syscall::create_syscall;
use oci_spec::runtime::{LinuxNamespaceType, Process, Spec};
use rustix::process::{Gid, Pid, Uid, WaitOptions, waitpid};
use rustix::thread::ThreadNameSpaceType;

use super::program;
use crate::contract::{Container, Filter};
use crate::sys;

/// Exit code of a program that could not be run (POSIX, `sh`).
const NOT_RUN: i32 = 127;

/// Run a program for somebody: the whole life of a helper process.
///
/// In: `filter`, what decides over its system calls; `process`, the container's first one; `broken`, what already failed while the
/// helper was set up. Out: an exit code for PID 1.
pub fn exec(
    container: &Container,
    filter: Option<&Filter>,
    process: (u32, &OwnedFd),
    words: &[String],
    broken: Option<io::Error>,
) -> i32 {
    let result = match broken {
        None => run(&container.spec, filter, process, words),
        Some(cause) => Err(cause),
    };
    result.unwrap_or_else(|cause| {
        let _ = writeln!(io::stderr(), "could not reach into the container: {cause}");
        NOT_RUN
    })
}

/// Run a program to its end.
///
/// In: `filter`, what decides over its system calls; `pid` and `target`, the container's first process; `words`, program and arguments, not empty. Out: its exit code, or 128 and the
/// number of the signal that killed it. This process is in the container's namespaces afterwards.
pub(super) fn run(
    spec: &Spec,
    filter: Option<&Filter>,
    (pid, target): (u32, &OwnedFd),
    words: &[String],
) -> io::Result<i32> {
    let process = spec.process().clone().unwrap_or_default();
    join_cgroup(pid)?;
    if let Some(score) = process.oom_score_adj() {
        fs::write("/proc/self/oom_score_adj", score.to_string())?;
    }
    // The limits may be higher than the container's own rights allow.
    for limit in process.rlimits().iter().flatten() {
        create_syscall().set_rlimit(limit).map_err(io::Error::other)?;
    }
    rustix::thread::move_into_thread_name_spaces(target.as_fd(), namespaces(spec))?;
    // A namespace of processes is one for the children of who joins it.
    match sys::fork()? {
        Some(child) => wait(child),
        None => {
            let cause = match restrict(&process, filter) {
                Ok(()) => command(&process, words).exec(),
                Err(cause) => cause,
            };
            let program = words.first().map(String::as_str).unwrap_or_default();
            let _ = writeln!(io::stderr(), "could not run `{program}`: {cause}");
            sys::leave(NOT_RUN)
        }
    }
}

/// Go where the container's process is, which need not be where it was put.
fn join_cgroup(pid: u32) -> io::Result<()> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
    fs::write(format!("/sys/fs/cgroup{path}/cgroup.procs"), "0")
}

/// The namespaces that the container does not simply share with the host.
fn namespaces(spec: &Spec) -> ThreadNameSpaceType {
    let list = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_ref()).into_iter().flatten();
    let flag = |kind| match kind {
        LinuxNamespaceType::Mount => ThreadNameSpaceType::MOUNT,
        LinuxNamespaceType::Cgroup => ThreadNameSpaceType::CONTROL_GROUP,
        LinuxNamespaceType::Uts => ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME,
        LinuxNamespaceType::Ipc => ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION,
        LinuxNamespaceType::User => ThreadNameSpaceType::USER,
        LinuxNamespaceType::Pid => ThreadNameSpaceType::PROCESS_ID,
        LinuxNamespaceType::Network => ThreadNameSpaceType::NETWORK,
        LinuxNamespaceType::Time => ThreadNameSpaceType::TIME,
    };
    list.map(|one| flag(one.typ())).collect()
}

fn wait(child: u32) -> io::Result<i32> {
    let child = i32::try_from(child).ok().and_then(Pid::from_raw);
    loop {
        let Some((_, status)) = rustix::io::retry_on_intr(|| waitpid(child, WaitOptions::empty()))? else { continue };
        if let Some(code) = status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal)) {
            return Ok(code);
        }
    }
}

/// Become the container's user, and give up what it may not do. The order matters: each step needs rights that later ones take.
fn restrict(process: &Process, filter: Option<&Filter>) -> io::Result<()> {
    let user = process.user();
    let groups: Vec<Gid> = user.additional_gids().iter().flatten().map(|group| Gid::from_raw(*group)).collect();
    rustix::thread::set_keep_capabilities(true)?;
    rustix::thread::set_thread_groups(&groups)?;
    let (uid, gid) = (Uid::from_raw(user.uid()), Gid::from_raw(user.gid()));
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    let syscall = create_syscall();
    // What a change of user has switched off, to be able to drop it.
    capabilities::reset_effective(syscall.as_ref()).map_err(io::Error::other)?;
    rustix::thread::set_keep_capabilities(false)?;
    if process.no_new_privileges() == Some(true) {
        rustix::thread::set_no_new_privs(true)?;
    }
    program::give_up(process.capabilities().as_ref(), filter)
}

fn command(process: &Process, words: &[String]) -> Command {
    let (program, arguments) = words.split_first().map_or(("", words), |(first, rest)| (first.as_str(), rest));
    let variables = process.env().iter().flatten().filter_map(|variable| variable.split_once('='));
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(variables).current_dir(process.cwd());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gets_the_containers_environment_and_no_other() {
        let text = r#"{"ociVersion":"1.2.1","process":{"cwd":"/","user":{"uid":0,"gid":0},"args":["x"],"env":["A=b=c","PATH=/bin"]}}"#;
        let spec: Spec = serde_json::from_str(text).unwrap();
        let words = ["env".to_owned()];
        let output = command(spec.process().as_ref().unwrap(), &words).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "A=b=c\nPATH=/bin\n");
    }

    #[test]
    #[expect(clippy::zombie_processes, reason = "waited for by number")]
    fn a_child_gives_its_code_or_its_signal() {
        for (code, want) in [(0, 0), (7, 7)] {
            let child = Command::new("/bin/sh").args(["-c", &format!("exit {code}")]).spawn().unwrap();
            assert_eq!(wait(child.id()).unwrap(), want);
        }
        let child = Command::new("/bin/sh").args(["-c", "kill -9 $$"]).spawn().unwrap();
        assert_eq!(wait(child.id()).unwrap(), 137);
    }

    #[test]
    fn the_namespaces_that_are_joined_are_the_configurations() {
        let text = r#"{"ociVersion":"1.2.1","linux":{"namespaces":[{"type":"mount"},{"type":"network","path":"/x"}]}}"#;
        let spec: Spec = serde_json::from_str(text).unwrap();
        assert_eq!(namespaces(&spec), ThreadNameSpaceType::MOUNT | ThreadNameSpaceType::NETWORK);
    }
}
