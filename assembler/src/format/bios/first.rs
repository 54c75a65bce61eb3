//! The first code that runs: it loads the second stage and jumps to it.

use std::mem::offset_of;

use iced_x86::code_asm::*;
use zerocopy::IntoBytes;

use super::layout::{BOOT, MAGIC, Packet, STAGE, Work};
use super::{BiosError, Emit, second, text};

/// Where what the code works with starts.
const DATA: u16 = 0x100;
/// How often a read is tried.
const TRIES: u32 = 3;

/// What the first stage is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct First {
    /// First sector to load.
    pub(super) lba: u64,
    /// Sectors to load.
    pub(super) count: u16,
    /// Where to, an address in the first 64 KiB.
    pub(super) to: u16,
    /// Whether it starts from a hard disk, not from a CD.
    pub(super) disk: bool,
    /// Most bytes it may take.
    pub(super) most: usize,
}

impl First {
    /// Make the code.
    ///
    /// # Errors
    ///
    /// - [`BiosError::Code`], [`BiosError::Assemble`]: never, unless this file is wrong.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, BiosError> {
        let packet = Packet {
            size: 16,
            reserved: 0,
            count: self.count.into(),
            offset: self.to.into(),
            segment: 0.into(),
            lba: self.lba.into(),
        };
        let mut data = packet.as_bytes().to_vec();
        let mut text = |text: &str| {
            let at = BOOT + DATA + u16::try_from(data.len()).unwrap_or(u16::MAX);
            data.extend_from_slice(text.as_bytes());
            data.push(0);
            u32::from(at)
        };
        let unread = text(&format!("\r\nread error at sector {:08X}\r\n", self.lba));
        let stranger = text("\r\nthe second stage is not where it was\r\n");
        let edd = if self.disk { text("\r\nthe firmware does not read by sector number (EDD)\r\n") } else { 0 };

        let mut bytes = self.code([unread, stranger, edd])?;
        if bytes.len() > usize::from(DATA) {
            return Err(BiosError::Code { size: bytes.len(), most: usize::from(DATA) });
        }
        bytes.resize(usize::from(DATA), 0);
        bytes.extend_from_slice(&data);
        if bytes.len() > self.most {
            return Err(BiosError::Code { size: bytes.len(), most: self.most });
        }
        bytes.resize(self.most, 0);
        Ok(bytes)
    }

    fn code(&self, [unread, stranger, edd]: [u32; 3]) -> Result<Vec<u8>, BiosError> {
        let mut a = CodeAssembler::new(16)?;
        let a = &mut a;
        let [print, fail] = [(); 2].map(|()| a.create_label());
        let packet = BOOT + DATA;

        // Some firmwares start at 07c0:0000: from here on, every segment is 0.
        let [low, high] = (BOOT + 5).to_le_bytes();
        a.db(&[0xea, low, high, 0, 0])?;
        a.cli()?;
        a.xor(ax, ax)?;
        a.mov(ds, ax)?;
        a.mov(es, ax)?;
        a.mov(ss, ax)?;
        a.mov(sp, u32::from(BOOT))?;
        a.sti()?;
        a.cld()?;
        text::serial(a)?;
        if self.disk {
            edd_is_there(a, fail, edd)?;
        }
        let mut again = a.create_label();
        let loaded = &mut a.create_label();
        a.mov(cx, TRIES)?;
        a.set_label(&mut again)?;
        a.push(cx)?;
        a.push(dx)?;
        // A firmware that fails writes here how much it read.
        a.mov(word_ptr(packet + 2), u32::from(self.count))?;
        a.mov(si, u32::from(packet))?;
        a.mov(ah, 0x42)?;
        a.int(0x13)?;
        a.pop(dx)?;
        a.pop(cx)?;
        a.jnc(*loaded)?;
        a.push(cx)?;
        a.push(dx)?;
        a.xor(ah, ah)?;
        a.int(0x13)?;
        a.pop(dx)?;
        a.pop(cx)?;
        a.loop_(again)?;
        a.mov(si, unread)?;
        a.jmp(fail)?;

        a.set_label(loaded)?;
        a.mov(si, stranger)?;
        a.cmp(dword_ptr(second::work(offset_of!(Work, magic))), MAGIC.cast_signed())?;
        a.jne(fail)?;
        a.jmp(u64::from(STAGE))?;

        text::print(a, print)?;
        text::fail(a, fail, print)?;
        Ok(a.assemble(u64::from(BOOT))?)
    }
}

/// Ask for reads by sector number, and stop if there are none. Changes `ax`, `bx`, `cx` and `si`.
fn edd_is_there(a: &mut CodeAssembler, fail: CodeLabel, message: u32) -> Emit {
    let mut numbered = a.create_label();
    // A few firmwares leave rubbish here; a boot sector of a hard disk was read from a hard disk.
    a.test(dl, 0x80)?;
    a.jnz(numbered)?;
    a.mov(dl, 0x80)?;
    a.set_label(&mut numbered)?;
    a.push(dx)?;
    a.mov(ah, 0x41)?;
    a.mov(bx, 0x55aa)?;
    a.int(0x13)?;
    a.pop(dx)?;
    a.mov(si, message)?;
    a.jc(fail)?;
    a.cmp(bx, 0xaa55)?;
    a.jne(fail)?;
    a.test(cl, 1)?;
    a.jz(fail)
}
