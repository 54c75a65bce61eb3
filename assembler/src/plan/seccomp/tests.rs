use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use super::program::{ALLOW, ANY_BIT, AUDIT, Check, END, ENOSYS, EPERM, EQUAL, FROM, JUMP, LOAD, Verdict};
use super::*;

/// Run a program as the kernel would. In: how it is called, the call's number, its first argument.
fn run(words: &[u64], audit: u32, number: u32, argument: u64) -> u32 {
    let low = |number: u64| u32::try_from(number & 0xffff_ffff).unwrap();
    let (mut accumulator, mut at) = (0, 0_usize);
    loop {
        let word = words[at];
        let (code, constant) = (u16::try_from(word & 0xffff).unwrap(), low(word >> 32));
        let jump = |holds: bool| usize::try_from(word >> if holds { 16 } else { 24 } & 0xff).unwrap();
        at += 1;
        match code {
            LOAD => {
                accumulator = match constant {
                    0 => number,
                    AUDIT => audit,
                    16 => low(argument),
                    20 => low(argument >> 32),
                    other => panic!("offset {other} is not looked at"),
                }
            }
            JUMP => at += usize::try_from(constant).unwrap(),
            EQUAL => at += jump(accumulator == constant),
            FROM => at += jump(accumulator >= constant),
            ANY_BIT => at += jump(accumulator & constant != 0),
            // Only the judge's: greater, and a mask.
            0x25 => at += jump(accumulator > constant),
            0x54 => accumulator &= constant,
            END => return constant,
            other => panic!("{other:#x} is no instruction used here"),
        }
    }
}

fn held(capabilities: &str) -> Vec<String> {
    capabilities.split_ascii_whitespace().map(str::to_owned).collect()
}

fn number(arch: Arch, way: usize, name: &str) -> u32 {
    abis(arch)[way].numbers.iter().find(|(known, _)| *known == name).unwrap().1
}

#[test]
fn a_call_is_made_refused_or_unknown_on_every_machine() {
    for arch in Arch::ALL {
        for (way, abi) in abis(arch).iter().enumerate() {
            let plain = filter(arch, &[]).0;
            let admin = filter(arch, &held("CAP_SYS_ADMIN")).0;
            let ask = |name, argument| {
                let number = number(arch, way, name);
                (run(&plain, abi.audit, number, argument), run(&admin, abi.audit, number, argument))
            };
            for (name, argument, want) in [
                ("read", 0, (ALLOW, ALLOW)),
                ("keyctl", 0, (EPERM, EPERM)),
                ("mount", 0, (EPERM, ALLOW)),
                ("bpf", 0, (EPERM, ALLOW)),
                ("clone", 0x11, (ALLOW, ALLOW)),
                ("clone", 0x1000_0011, (EPERM, ALLOW)),
                ("clone", 0xffff_ffff_0000_0011, (ALLOW, ALLOW)),
                ("clone3", 0, (ENOSYS, ALLOW)),
                ("socket", 37, (ALLOW, ALLOW)),
                ("socket", 38, (EPERM, EPERM)),
                ("socket", 39, (ALLOW, ALLOW)),
                ("socket", 40, (EPERM, EPERM)),
                ("socket", 0xffff_ffff_0000_0028, (EPERM, EPERM)),
                ("socket", 41, (ALLOW, ALLOW)),
                ("personality", 8, (ALLOW, ALLOW)),
                ("personality", 9, (EPERM, EPERM)),
                ("personality", 0x4_0000, (EPERM, EPERM)),
                ("personality", u64::MAX, (ALLOW, ALLOW)),
            ] {
                assert_eq!(ask(name, argument), want, "{name} {argument:#x}, {arch:?} {way}");
            }
            for unknown in [1_000, 0x4000_0000, 0x4000_0001, u32::MAX] {
                assert_eq!(run(&plain, abi.audit, unknown, 0), ENOSYS, "{unknown}");
            }
            // Called as on another machine.
            assert_eq!(run(&plain, 0x8000_0016, number(arch, way, "read"), 0), ENOSYS);
        }
    }
}

/// Calls that no container makes, whatever its capabilities: of keys, of whole machines, and those that are long gone.
const NEVER: &str = "_sysctl add_key afs_syscall bdflush create_module file_getattr file_setattr ftime get_kernel_syms getpmsg gtty idle
    io_uring_enter io_uring_register io_uring_setup kexec_file_load kexec_load keyctl lock migrate_pages move_pages mpx nfsservctl nice
    oldfstat oldlstat oldolduname oldstat olduname open_tree_attr pciconfig_iobase pciconfig_read pciconfig_write pivot_root prof profil
    putpmsg query_module r#break readdir request_key security sgetmask sigaction signal sigpending sigsuspend ssetmask stty swapoff swapon
    sysfs tuxcall ulimit uprobe uselib userfaultfd ustat vm86 vm86old vserver";

#[test]
fn no_call_is_refused_for_its_name() {
    let never: Vec<&str> = NEVER.split_ascii_whitespace().collect();
    let all = crate::plan::spec::capabilities::ALL.map(str::to_owned);
    for abi in Arch::ALL.into_iter().flat_map(abis) {
        let table = table(&abi, &all);
        let refused = abi.numbers.iter().filter(|(_, number)| table[number] == Verdict::NotPermitted);
        let strange: Vec<&str> = refused.map(|(name, _)| *name).filter(|name| !never.contains(name)).collect();
        assert_eq!(strange, [""; 0], "{:#x}", abi.audit);
    }
}

#[test]
fn a_program_is_small() {
    for arch in Arch::ALL {
        let words = filter(arch, &held("CAP_SYS_ADMIN CAP_SYS_TIME")).0.len();
        assert!(words < 500, "{arch:?}: {words}");
    }
}

/// The same list as seccompiler compiles it: allowed or not permitted.
fn judge(arch: Arch, table: &Table) -> Vec<u64> {
    let condition =
        |operation, value| SeccompCondition::new(0, SeccompCmpArgLen::Dword, operation, u64::from(value)).unwrap();
    let rules = |check: &Check| match check {
        Check::Without(bits) => {
            vec![SeccompRule::new(vec![condition(SeccompCmpOp::MaskedEq(u64::from(*bits)), 0)]).unwrap()]
        }
        Check::In(ranges) => ranges
            .iter()
            .map(|(first, last)| {
                SeccompRule::new(vec![condition(SeccompCmpOp::Ge, *first), condition(SeccompCmpOp::Le, *last)]).unwrap()
            })
            .collect(),
    };
    let calls: BTreeMap<i64, Vec<SeccompRule>> = table
        .iter()
        .filter_map(|(number, verdict)| match verdict {
            Verdict::Allowed => Some((i64::from(*number), Vec::new())),
            Verdict::If(check) => Some((i64::from(*number), rules(check))),
            _ => None,
        })
        .collect();
    let target = if arch == Arch::Amd64 { TargetArch::x86_64 } else { TargetArch::aarch64 };
    let filter = SeccompFilter::new(calls, SeccompAction::Errno(1), SeccompAction::Allow, target).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    let word = |one: &seccompiler::sock_filter| {
        u64::from(one.code) | u64::from(one.jt) << 16 | u64::from(one.jf) << 24 | u64::from(one.k) << 32
    };
    program.iter().map(word).collect()
}

#[test]
fn seccompiler_allows_the_same_calls() {
    let arguments = [0, 1, 8, 17, 37, 38, 39, 40, 41, 0x2_0000, 0x2_0008, 0x1000_0000, 0x7e02_0000, 0xffff_ffff];
    for arch in Arch::ALL {
        for capabilities in ["", "CAP_SYS_ADMIN", "CAP_SYS_TIME CAP_BPF"] {
            let (held, abi) = (held(capabilities), &abis(arch)[0]);
            let (ours, theirs) = (filter(arch, &held).0, judge(arch, &table(abi, &held)));
            for number in 0..600 {
                for argument in arguments {
                    let allowed = [&ours, &theirs].map(|words| run(words, abi.audit, number, argument) == ALLOW);
                    assert_eq!(allowed[0], allowed[1], "{number} {argument:#x}, {arch:?} {capabilities}");
                }
            }
        }
    }
}

proptest::proptest! {
    #[test]
    fn a_search_gives_the_verdict_of_the_table(
        table in proptest::collection::btree_map(0_u32..2_000, 0_usize..5, 0..400), number in 0_u32..2_100, argument: u64,
    ) {
        const KINDS: [Verdict; 5] = [
            Verdict::Allowed, Verdict::NotPermitted, Verdict::NotImplemented, Verdict::If(Check::Without(1)),
            Verdict::If(Check::In(&[(0, 7), (9, 9), (0x8000_0000, u32::MAX)])),
        ];
        let table: Table = table.into_iter().map(|(number, kind)| (number, KINDS[kind])).collect();
        let low = argument & 0xffff_ffff;
        let want = match table.get(&number).copied().unwrap_or(Verdict::NotImplemented) {
            Verdict::Allowed => ALLOW,
            Verdict::NotPermitted => EPERM,
            Verdict::NotImplemented => ENOSYS,
            Verdict::If(Check::Without(_)) => if low & 1 == 0 { ALLOW } else { EPERM },
            Verdict::If(Check::In(_)) => if low <= 7 || low == 9 || low >= 0x8000_0000 { ALLOW } else { EPERM },
        };
        let words = program::compile(&[(7, Table::new()), (5, table)]);
        proptest::prop_assert_eq!(run(&words, 5, number, argument), want);
        proptest::prop_assert_eq!(run(&words, 7, number, argument), ENOSYS);
    }
}
