//! The code that loads kernel and initrd and starts the kernel.

use std::mem::{offset_of, size_of};

use iced_x86::code_asm::*;
use zerocopy::IntoBytes;

use super::kernel::Kernel;
use super::layout::{
    BOUNCE_SEGMENT, CAN_USE_HEAP, HEADER, HEAP_END, MAGIC, Packet, Run, SETUP_SEGMENT, STAGE, STAGE_MOST, SetupHeader,
    Work, header,
};
use super::{BiosError, Emit, disk, memory, text};

/// Dots that are printed for one file, at most.
const DOTS: u64 = 32;
/// Most sectors that one read may ask for.
///
/// Source: EDD 3.0, 3.2: 127.
const READ_MOST: u16 = 127;
/// What stands between a sector and what the drive said of it.
pub(super) const STATUS: &str = ", status ";

/// What a second stage is for.
#[derive(Debug)]
pub(super) struct Second<'a> {
    pub(super) kernel: &'a Kernel,
    /// Bytes of a sector, a power of two.
    pub(super) sector: u16,
    pub(super) setup: Vec<Run>,
    pub(super) rest: Vec<Run>,
    pub(super) initrd: Vec<Run>,
    /// Bytes of the initrd.
    pub(super) initrd_len: u32,
    pub(super) cmdline: &'a [u8],
}

/// Where routines start.
#[derive(Debug)]
pub(super) struct Labels {
    pub(super) print: CodeLabel,
    pub(super) hex: CodeLabel,
    pub(super) fail: CodeLabel,
    pub(super) a20_is_open: CodeLabel,
    pub(super) keyboard: CodeLabel,
    pub(super) is_memory: CodeLabel,
    pub(super) end_here: CodeLabel,
    pub(super) no_memory: CodeLabel,
    pub(super) load: CodeLabel,
    pub(super) read: CodeLabel,
    pub(super) copy: CodeLabel,
}

/// Addresses of messages.
#[derive(Debug)]
pub(super) struct Texts {
    pub(super) kernel: u32,
    pub(super) initrd: u32,
    pub(super) dot: u32,
    pub(super) end: u32,
    pub(super) unread: u32,
    /// Sixteen digits of a sector, [`STATUS`] and two of a status, which the code puts there.
    pub(super) digits: u32,
    pub(super) a20: u32,
    pub(super) map: u32,
    pub(super) memory: u32,
    pub(super) moved: u32,
}

/// Addresses of lists and of the command line.
#[derive(Debug)]
struct Tables {
    setup: u32,
    rest: u32,
    initrd: u32,
    cmdline: u32,
}

/// Give the address of a field of [`Work`].
pub(super) fn work(offset: usize) -> u32 {
    address(offset)
}

/// Give the address of a byte of the stage. One that is behind the most bytes there may be is never used: see [`Second::bytes`].
fn address(offset: usize) -> u32 {
    u32::from(STAGE) + u32::try_from(offset).unwrap_or(u32::MAX / 2)
}

/// What stands between [`Work`] and the code.
#[derive(Debug)]
struct Constants(Vec<u8>);

impl Constants {
    fn add(&mut self, bytes: &[u8]) -> u32 {
        let at = address(self.0.len());
        self.0.extend_from_slice(bytes);
        at
    }

    fn text(&mut self, text: &str) -> u32 {
        let at = self.add(text.as_bytes());
        self.0.push(0);
        at
    }

    fn runs(&mut self, runs: &[Run]) -> u32 {
        let at = self.add(runs.as_bytes());
        self.add(Run::default().as_bytes());
        at
    }
}

impl Second<'_> {
    /// Make the stage, not padded.
    ///
    /// # Errors
    ///
    /// - [`BiosError::Pieces`]: it takes more than its place in memory.
    /// - [`BiosError::Assemble`]: never, unless these files are wrong.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, BiosError> {
        let mut constants = Constants(vec![0; size_of::<Work>()]);
        let texts = Texts {
            kernel: constants.text("Loading kernel"),
            initrd: constants.text("\r\nLoading initrd"),
            dot: constants.text("."),
            end: constants.text("\r\n"),
            unread: constants.text("\r\nread error at sector "),
            digits: constants.text(&format!("{:016}{STATUS}{:02}\r\n", 0, 0)),
            a20: constants.text("address line 20 is locked\r\n"),
            map: constants.text("the firmware does not list its memory\r\n"),
            memory: constants.text(&format!("not enough memory: {} MiB needed\r\n", self.mebibytes())),
            moved: constants.text("\r\nthe kernel is not where it was when this disk was made\r\n"),
        };
        let tables = Tables {
            setup: constants.runs(&self.setup),
            rest: constants.runs(&self.rest),
            initrd: constants.runs(&self.initrd),
            cmdline: constants.add(self.cmdline),
        };
        constants.add(&[0]);
        let mut bytes = constants.0;
        bytes.resize(bytes.len().next_multiple_of(16), 0);
        let start = bytes.len();
        let too_large = |size| BiosError::Pieces {
            size,
            most: STAGE_MOST,
            pieces: self.setup.len() + self.rest.len() + self.initrd.len(),
        };
        if start > STAGE_MOST {
            return Err(too_large(start));
        }
        bytes.extend_from_slice(&self.code(&texts, &tables, start)?);
        if bytes.len() > STAGE_MOST {
            return Err(too_large(bytes.len()));
        }
        let work = self.work(start);
        bytes.splice(..size_of::<Work>(), work.as_bytes().iter().copied());
        Ok(bytes)
    }

    /// Say what the stage works with, at its start.
    fn work(&self, start: usize) -> Work {
        let [low, high, ..] = u32::try_from(start - 3).unwrap_or_default().to_le_bytes();
        let most = (0x1_0000 / u32::from(self.sector) - 1).min(READ_MOST.into());
        Work {
            jump: [0xe9, low, high, 0x90],
            magic: MAGIC.into(),
            tries: disk::TRIES,
            most: u16::try_from(most).unwrap_or(READ_MOST).into(),
            packet: Packet { size: 16, segment: BOUNCE_SEGMENT.into(), ..Packet::default() },
            // A segment of data that can be written, base 0, 2^20 pages.
            gdt: [0.into(), 0x00cf_9200_0000_ffff.into()],
            gdt_limit: 15.into(),
            gdt_base: address(offset_of!(Work, gdt)).into(),
            ..Work::default()
        }
    }

    /// Give the memory that kernel and initrd take, from address 0 on, in MiB. The firmware keeps some for itself, at the top.
    fn mebibytes(&self) -> u64 {
        (self.kernel.end() + u64::from(self.initrd_len)).div_ceil(1 << 20) + 1
    }

    /// Give the number of reads for one dot.
    fn dots(&self, len: u64) -> u16 {
        let reads = len.div_ceil(0x1_0000 - u64::from(self.sector));
        u16::try_from(reads.div_ceil(DOTS)).unwrap_or(u16::MAX).max(1)
    }

    fn code(&self, texts: &Texts, tables: &Tables, start: usize) -> Result<Vec<u8>, BiosError> {
        let mut a = CodeAssembler::new(16)?;
        let a = &mut a;
        let labels = Labels {
            print: a.create_label(),
            hex: a.create_label(),
            fail: a.create_label(),
            a20_is_open: a.create_label(),
            keyboard: a.create_label(),
            is_memory: a.create_label(),
            end_here: a.create_label(),
            no_memory: a.create_label(),
            load: a.create_label(),
            read: a.create_label(),
            copy: a.create_label(),
        };
        a.mov(byte_ptr(work(offset_of!(Work, drive))), dl)?;
        memory::a20(a, &labels, texts)?;
        memory::map(a, &labels, texts)?;
        memory::place(a, &labels, texts, self.kernel, self.initrd_len)?;
        self.files(a, &labels, texts, tables)?;
        self.header(a, &labels, tables)?;
        enter(a)?;

        text::print(a, labels.print)?;
        text::hex(a, labels.hex)?;
        text::fail(a, labels.fail, labels.print)?;
        memory::a20_is_open(a, &labels)?;
        memory::keyboard(a, &labels)?;
        memory::is_memory(a, &labels)?;
        memory::end_here(a, &labels, self.kernel, self.initrd_len)?;
        disk::load(a, &labels, texts, self.sector)?;
        disk::read(a, &labels, texts)?;
        disk::copy(a, &labels)?;
        Ok(a.assemble(u64::from(address(start)))?)
    }

    /// Load the files.
    fn files(&self, a: &mut CodeAssembler, labels: &Labels, texts: &Texts, tables: &Tables) -> Emit {
        let dots = work(offset_of!(Work, dots));
        let magic = dword_ptr(field(offset_of!(SetupHeader, header))).es();
        a.mov(si, texts.kernel)?;
        a.call(labels.print)?;
        a.mov(word_ptr(dots), u32::from(self.dots(self.kernel.rest)))?;
        a.mov(bx, tables.setup)?;
        a.mov(edi, u32::from(SETUP_SEGMENT) << 4)?;
        a.call(labels.load)?;
        a.push(u32::from(SETUP_SEGMENT).cast_signed())?;
        a.pop(es)?;
        a.cmp(magic, u32::from_le_bytes(*HEADER).cast_signed())?;
        a.mov(si, texts.moved)?;
        a.jne(labels.fail)?;
        a.mov(bx, tables.rest)?;
        a.mov(edi, dword_ptr(work(offset_of!(Work, kernel))))?;
        a.call(labels.load)?;
        if self.initrd_len > 0 {
            a.mov(si, texts.initrd)?;
            a.call(labels.print)?;
            a.mov(word_ptr(dots), u32::from(self.dots(self.initrd_len.into())))?;
            a.mov(bx, tables.initrd)?;
            a.mov(edi, dword_ptr(work(offset_of!(Work, initrd))))?;
            a.call(labels.load)?;
        }
        a.mov(si, texts.end)?;
        a.call(labels.print)
    }

    /// Tell the kernel where everything is.
    fn header(&self, a: &mut CodeAssembler, labels: &Labels, tables: &Tables) -> Emit {
        let cmdline = (u32::from(SETUP_SEGMENT) << 4) + u32::from(HEAP_END);
        a.mov(esi, tables.cmdline)?;
        a.mov(edi, cmdline)?;
        a.mov(ecx, u32::try_from(self.cmdline.len() + 1).unwrap_or_default())?;
        a.call(labels.copy)?;

        a.mov(ax, u32::from(SETUP_SEGMENT))?;
        a.mov(es, ax)?;
        // Nobody has given this loader a number.
        a.mov(byte_ptr(field(offset_of!(SetupHeader, type_of_loader))).es(), 0xff)?;
        a.or(byte_ptr(field(offset_of!(SetupHeader, loadflags))).es(), u32::from(CAN_USE_HEAP))?;
        a.mov(word_ptr(field(offset_of!(SetupHeader, heap_end_ptr))).es(), u32::from(HEAP_END - 0x200))?;
        a.mov(dword_ptr(field(offset_of!(SetupHeader, cmd_line_ptr))).es(), cmdline)?;
        a.mov(eax, dword_ptr(work(offset_of!(Work, kernel))))?;
        a.mov(dword_ptr(field(offset_of!(SetupHeader, code32_start))).es(), eax)?;
        a.mov(eax, dword_ptr(work(offset_of!(Work, initrd))))?;
        a.mov(dword_ptr(field(offset_of!(SetupHeader, ramdisk_image))).es(), eax)?;
        a.mov(dword_ptr(field(offset_of!(SetupHeader, ramdisk_size))).es(), self.initrd_len)
    }
}

/// Enter the kernel's setup, behind its first sector.
fn enter(a: &mut CodeAssembler) -> Emit {
    a.cli()?;
    a.mov(ax, u32::from(SETUP_SEGMENT))?;
    for segment in [ds, es, fs, gs, ss] {
        a.mov(segment, ax)?;
    }
    a.mov(sp, u32::from(HEAP_END))?;
    a.push(u32::from(SETUP_SEGMENT + 0x20).cast_signed())?;
    a.push(0)?;
    a.retf()
}

/// Give the place in [`SETUP_SEGMENT`] of a field of the kernel's header.
fn field(offset: usize) -> u32 {
    u32::try_from(header(offset)).unwrap_or_default()
}
