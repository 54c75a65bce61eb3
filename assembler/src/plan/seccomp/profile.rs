//! Docker's list of system calls, as of its profile for Linux 6.13: names, and what they depend on.
//!
//! # Source
//!
//! The defaults of Docker Engine, github.com/moby/profiles, `seccomp/default.json`, June 2026; what is for other machines than ours is
//! left out, and so is what depends on kernels older than those that Hullkit boots on.

use std::collections::BTreeMap;

use super::program::{Check, Verdict};

/// Calls that every container may make.
const ALWAYS: &str = "
    _llseek _newselect accept accept4 access adjtimex alarm arch_prctl arm_fadvise64_64 arm_sync_file_range bind
    breakpoint brk cacheflush cachestat capget capset chdir chmod chown chown32 clock_adjtime clock_adjtime64 clock_getres
    clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect
    copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2
    epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64
    fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr
    flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64
    futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake futimesat get_robust_list get_thread_area getcpu
    getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer
    getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit
    getrusage getsid getsockname getsockopt gettid gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch
    inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64
    io_setup io_submit ioctl ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset
    landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listmount listxattr listxattrat llistxattr
    lremovexattr lseek lsetxattr lstat lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir
    mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 modify_ldt mprotect mq_getsetattr mq_notify mq_open
    mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv
    msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat open openat openat2 pause pidfd_open
    pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2
    prlimit64 process_mrelease process_vm_readv process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 pwritev
    pwritev2 read readahead readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages
    removexattr removexattrat rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending
    rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo
    sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
    sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler
    sched_yield seccomp select semctl semget semop semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg
    sendto set_robust_list set_thread_area set_tid_address set_tls setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32
    setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32
    setreuid setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown
    sigaltstack signalfd signalfd4 sigprocmask sigreturn socketcall socketpair splice stat stat64 statfs statfs64
    statmount statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete
    timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
    timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink
    unlinkat uretprobe utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev
";

/// Calls that a container may make if it has this capability.
const WITH: [(&str, &str); 14] = [
    ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
    (
        "CAP_SYS_ADMIN",
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules \
         lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd \
         setdomainname sethostname setns syslog umount umount2 unshare",
    ),
    ("CAP_SYS_BOOT", "reboot"),
    ("CAP_SYS_CHROOT", "chroot"),
    ("CAP_SYS_MODULE", "delete_module finit_module init_module"),
    ("CAP_SYS_PACCT", "acct"),
    ("CAP_SYS_PTRACE", "kcmp pidfd_getfd process_madvise"),
    ("CAP_SYS_RAWIO", "ioperm iopl"),
    ("CAP_SYS_TIME", "clock_settime clock_settime64 settimeofday stime"),
    ("CAP_SYS_TTY_CONFIG", "vhangup"),
    ("CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    ("CAP_SYSLOG", "syslog"),
    ("CAP_BPF", "bpf"),
    ("CAP_PERFMON", "perf_event_open"),
];

/// Calls of which the first argument decides. The kernel looks at its lower half alone.
const BY_ARGUMENT: [(&str, Check); 3] = [
    // Every family but the kernel's ciphers (AF_ALG, 38) and the machine's hypervisor (AF_VSOCK, 40).
    ("socket", Check::In(&[(0, 37), (39, 39), (41, u32::MAX)])),
    // The usual one, PER_LINUX32, both also without random addresses; the last asks.
    ("personality", Check::In(&[(0, 0), (8, 8), (0x2_0000, 0x2_0000), (0x2_0008, 0x2_0008), (u32::MAX, u32::MAX)])),
    // No new namespaces: mount, cgroup, UTS, IPC, user, process, network.
    ("clone", Check::Without(0x7e02_0000)),
];

/// What becomes of calls that are not simply refused, for a container that holds these capabilities.
pub(super) fn allowed(held: &[String]) -> BTreeMap<&'static str, Verdict> {
    let holds = |name: &str| held.iter().any(|one| one == name);
    let mut verdicts: BTreeMap<&str, Verdict> = BY_ARGUMENT.map(|(name, check)| (name, Verdict::If(check))).into();
    // Its arguments lie in memory, where a filter cannot look; without it programs use `clone`.
    verdicts.insert("clone3", Verdict::NotImplemented);
    let calls = WITH.iter().filter(|(capability, _)| holds(capability)).map(|(_, names)| *names);
    for name in calls.chain([ALWAYS]).flat_map(str::split_ascii_whitespace) {
        verdicts.insert(name, Verdict::Allowed);
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::spec::capabilities::ALL;

    #[test]
    fn every_name_is_a_call_of_some_machine_and_every_capability_one() {
        let abis = crate::platform::Arch::ALL.into_iter().flat_map(super::super::abis);
        let known: Vec<&str> = abis.flat_map(|abi| abi.numbers).map(|(name, _)| name).collect();
        let everything = ALL.map(str::to_owned);
        for name in allowed(&everything).keys() {
            assert!(known.contains(name), "{name}");
        }
        for (capability, _) in WITH {
            assert!(ALL.contains(&capability), "{capability}");
        }
    }

    #[test]
    fn a_capability_allows_what_it_is_for() {
        let none = allowed(&[]);
        let admin = allowed(&["CAP_SYS_ADMIN".to_owned()]);
        for name in ["mount", "unshare", "bpf", "setns"] {
            assert_eq!((none.get(name), admin.get(name)), (None, Some(&Verdict::Allowed)), "{name}");
        }
        assert_eq!((none["clone3"], admin["clone3"]), (Verdict::NotImplemented, Verdict::Allowed));
        assert_eq!((none["clone"], admin["clone"]), (Verdict::If(Check::Without(0x7e02_0000)), Verdict::Allowed));
        for name in ["keyctl", "add_key", "kexec_load", "userfaultfd", "io_uring_setup"] {
            assert_eq!((none.get(name), admin.get(name)), (None, None), "{name}");
        }
    }
}
