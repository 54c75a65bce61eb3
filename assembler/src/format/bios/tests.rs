use std::mem::{offset_of, size_of};

use zerocopy::{FromBytes, IntoBytes};

use super::BiosError;
use super::kernel::{HEAD, Kernel};
use super::layout::{
    BOOT_CODE, CD_CODE, CD_SECTOR, CMDLINE_MOST, HEADER, Packet, Run, SETUP_HEADER, STAGE_MOST, SetupHeader, Work,
};
use super::write::{Boot, Load, cd, disk};
use crate::digest::Digest;

/// A header like those of Debian's kernels.
fn header() -> SetupHeader {
    let mut header = SetupHeader::read_from_bytes(&[0; size_of::<SetupHeader>()]).unwrap();
    header.setup_sects = 39;
    header.syssize = (10 << 16).into();
    header.header = *HEADER;
    header.version = 0x020f.into();
    header.loadflags = 1;
    header.initrd_addr_max = 0x7fff_ffff.into();
    header.kernel_alignment = 0x20_0000.into();
    header.relocatable_kernel = 1;
    header.cmdline_size = 2047.into();
    header.pref_address = 0x100_0000.into();
    header.init_size = 0x337_8000.into();
    header
}

fn read(header: &SetupHeader) -> Result<Kernel, BiosError> {
    let mut bytes = vec![0; SETUP_HEADER];
    bytes.extend_from_slice(header.as_bytes());
    assert_eq!(bytes.len(), HEAD);
    Kernel::read(&bytes)
}

/// Refuse a header that one field was changed in.
fn refused(change: impl FnOnce(&mut SetupHeader)) -> String {
    let mut header = header();
    change(&mut header);
    read(&header).unwrap_err().to_string()
}

/// A kernel, and its length.
fn kernel() -> (Kernel, u64) {
    let kernel = read(&header()).unwrap();
    (kernel, kernel.len())
}

const MIB: u64 = 1 << 20;

/// Make both loaders for a kernel that lies at 1 MiB and an initrd at 64 MiB.
fn both(initrd: u64, cmdline: &str) -> Result<(super::write::Disk, Vec<u8>), BiosError> {
    let (kernel, len) = kernel();
    let kernel_at = [Load { offset: MIB, len }];
    let initrd_at = [Load { offset: 64 * MIB, len: initrd }];
    let boot = Boot { kernel: &kernel, kernel_at: &kernel_at, initrd_at: &initrd_at, cmdline };
    Ok((disk(&boot, 34)?, cd(&boot, 40)?))
}

#[test]
fn a_kernel_says_what_it_needs() {
    let (kernel, len) = kernel();
    assert_eq!(len, 40 * 512 + 10 * MIB);
    assert_eq!((kernel.preferred, kernel.needs, kernel.initrd_end), (0x100_0000, 0x337_8000, 0x8000_0000));
    assert_eq!((kernel.cmdline_most(), kernel.initrd_most()), (2047, 0x8000_0000 - 0x437_8000));
    // Without a wish it lies at 1 MiB or above, on its alignment; setup sectors are 4 if none are stated.
    let mut header = header();
    header.pref_address = 0.into();
    header.setup_sects = 0;
    header.cmdline_size = u32::MAX.into();
    let kernel = read(&header).unwrap();
    assert_eq!((kernel.preferred, kernel.setup, kernel.cmdline_most()), (0x20_0000, 5 * 512, CMDLINE_MOST - 1));
}

#[test]
fn kernels_that_cannot_boot_are_refused() {
    let cases = [
        (refused(|header| header.header = *b"HdrX"), "not a Linux kernel for x86: no `HdrS` at byte 514"),
        (
            refused(|header| header.version = 0x0205.into()),
            "the kernel speaks boot protocol 2.05; to boot from a BIOS takes 2.10 (Linux 2.6.31) or newer",
        ),
        (
            refused(|header| header.loadflags = 0),
            "the kernel is a zImage, which cannot be loaded above 1 MiB; make it a bzImage",
        ),
        (
            refused(|header| header.relocatable_kernel = 0),
            "the kernel was built without CONFIG_RELOCATABLE, so it cannot be placed where a BIOS leaves memory free",
        ),
        (refused(|header| header.setup_sects = 64), "the kernel's header is damaged: its setup takes more than 32 KiB"),
        (
            refused(|header| header.kernel_alignment = 3.into()),
            "the kernel's header is damaged: its alignment is not a power of two of at least 4096",
        ),
        (
            refused(|header| header.pref_address = (1 << 32).into()),
            "the kernel needs memory up to byte 4348936192, which does not lie below 4 GiB",
        ),
        (
            refused(|header| header.syssize = u32::MAX.into()),
            "the kernel needs memory up to byte 68736253936, which does not lie below 4 GiB",
        ),
    ];
    for (found, wanted) in cases {
        assert_eq!(found, wanted);
    }
}

#[test]
fn no_bytes_make_the_reader_panic() {
    let mut bytes = vec![0; SETUP_HEADER];
    bytes.extend_from_slice(header().as_bytes());
    for len in 0..HEAD {
        assert!(matches!(Kernel::read(&bytes[..len]), Err(BiosError::NotKernel)), "{len}");
    }
    for at in SETUP_HEADER..HEAD {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[at] = value;
            let _ = Kernel::read(&bytes);
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let (kernel, len) = kernel();
    let boot = |at: &[Load]| {
        disk(&Boot { kernel: &kernel, kernel_at: at, initrd_at: &[], cmdline: "" }, 34).unwrap_err().to_string()
    };
    let cut = boot(&[Load { offset: MIB, len: len - 1 }]);
    assert_eq!(cut, "the kernel is cut off: 10506239 bytes of 10506240");
    let large = boot(&[Load { offset: MIB, len: 1 << 40 }]);
    assert_eq!(large, "the kernel needs memory up to byte 1099528384512, which does not lie below 4 GiB");
    let pieces = boot(&vec![Load { offset: MIB, len: 6000 }; 2000]);
    assert!(pieces.starts_with("the boot loader takes "), "{pieces}");
    assert!(pieces.ends_with(" bytes, of at most 32768: kernel and initrd lie in 2001 pieces"), "{pieces}");

    let error = |initrd, cmdline: &str| both(initrd, cmdline).unwrap_err().to_string();
    assert_eq!(error(1, &"x".repeat(2048)), "the command line has 2048 bytes; this kernel and loader take 2047");
    assert_eq!(error(1, "quiet\0rw"), "the command line has a zero at byte 5");
    let most = kernel.initrd_most();
    both(most, &"x".repeat(2047)).unwrap();
    for len in [most + 1, u64::from(u32::MAX), 5 << 30, u64::MAX] {
        let wanted = format!("the initrd has {len} bytes; from a BIOS this kernel takes at most {most}");
        assert_eq!(error(len, ""), wanted);
    }
}

/// Give the runs that stand before the first one of length 0, from `at` on.
fn list(stage: &[u8], at: usize) -> Vec<(u64, u16, u32)> {
    let runs = stage[at..].chunks_exact(size_of::<Run>()).map(|bytes| Run::read_from_bytes(bytes).unwrap());
    runs.take_while(|run| run.len != 0).map(|run| (run.lba.get(), run.skip.get(), run.len.get())).collect()
}

#[test]
fn pieces_become_runs_of_sectors() {
    let (kernel, len) = kernel();
    // The setup ends in the second piece; the initrd lies behind 2 TiB, is longer than a run may be and starts anywhere.
    let kernel_at = [Load { offset: 512, len: 600 }, Load { offset: 8192, len: len - 600 }];
    let initrd_at = [Load { offset: (1 << 42) + 513, len: (1 << 30) + 5 }];
    let boot = Boot { kernel: &kernel, kernel_at: &kernel_at, initrd_at: &initrd_at, cmdline: "" };
    let setup = 20480 - 600;
    let rest = u32::try_from(10 * MIB).unwrap();
    let (on_disk, on_cd) = (disk(&boot, 34).unwrap().second_stage, cd(&boot, 40).unwrap());
    let find = |stage: &[u8], first: Run| stage.windows(16).position(|bytes| bytes == first.as_bytes()).unwrap();

    let at = find(&on_disk, Run { lba: 1.into(), len: 600.into(), ..Run::default() });
    let setup_512 = [(1, 0, 600), (16, 0, setup)];
    assert_eq!(list(&on_disk, at), setup_512);
    let last = (8192 + u64::from(setup)) / 512;
    assert_eq!(list(&on_disk, at + 3 * 16), [(last, u16::try_from(setup % 512).unwrap(), rest)]);
    let far = (1 << 33) + 1;
    assert_eq!(list(&on_disk, at + 5 * 16), [(far, 1, 1 << 30), (far + (1 << 21), 1, 5)]);

    let at = find(&on_cd, Run { skip: 512.into(), len: 600.into(), ..Run::default() });
    assert_eq!(list(&on_cd, at), [(0, 512, 600), (4, 0, setup)]);
    let place = 8192 + u64::from(setup);
    assert_eq!(list(&on_cd, at + 3 * 16), [(place / 2048, u16::try_from(place % 2048).unwrap(), rest)]);
    let far = 1 << 31;
    assert_eq!(list(&on_cd, at + 5 * 16), [(far, 513, 1 << 30), (far + (1 << 19), 513, 5)]);
}

#[test]
fn boot_code_loads_the_whole_second_stage() {
    let (on_disk, on_cd) = both(5_000_000, "console=ttyS0").unwrap();
    let packet = |bytes: &[u8]| Packet::read_from_bytes(&bytes[0x100..0x110]).unwrap();
    let found = packet(&on_disk.boot_code);
    assert_eq!(usize::from(found.count.get()) * 512, on_disk.second_stage.len());
    assert_eq!((found.lba.get(), found.offset.get(), found.segment.get()), (34, 0x8000, 0));
    assert!(on_disk.second_stage.len() <= STAGE_MOST);
    assert_eq!(on_disk.boot_code.len(), BOOT_CODE);

    let found = packet(&on_cd);
    assert_eq!((usize::from(found.count.get()) + 1) * usize::from(CD_SECTOR), on_cd.len());
    assert_eq!((found.lba.get(), found.offset.get(), found.segment.get()), (41, 0x8400, 0));
    for stage in [&on_disk.second_stage[..], &on_cd[CD_CODE..]] {
        assert_eq!(&stage[offset_of!(Work, magic)..][..4], b"HULL");
    }
}

#[test]
fn messages_say_how_much_memory_is_needed() {
    let says = |initrd, text: &str| {
        let (disk, cd) = both(initrd, "").unwrap();
        [disk.second_stage, cd].iter().all(|bytes| bytes.windows(text.len()).any(|found| found == text.as_bytes()))
    };
    assert!(says(5_000_000, "not enough memory: 74 MiB needed"));
    assert!(says(1 << 30, "not enough memory: 1093 MiB needed"));
    assert!(says(0, "not enough memory: 69 MiB needed"));
}

/// The digests change with every change of an instruction: boot it on every bus before pinning the new ones.
#[test]
fn equal_input_gives_equal_bytes() {
    let (on_disk, on_cd) = both(5_000_000, "console=ttyS0").unwrap();
    let found = [&on_disk.boot_code[..], &on_disk.second_stage, &on_cd].map(|bytes| Digest::of(bytes).short());
    assert_eq!(found, ["181e19e0b6dc", "ecc7e948840c", "2f70856e9016"]);
    assert_eq!(both(5_000_000, "console=ttyS0").unwrap(), (on_disk, on_cd));
}
