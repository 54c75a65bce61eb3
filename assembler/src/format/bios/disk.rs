//! From the disk to where the bytes are to be.

use std::mem::offset_of;

use iced_x86::code_asm::*;

use super::Emit;
use super::layout::{BOUNCE_SEGMENT, Packet, Run, Work};
use super::second::{Labels, STATUS, Texts, work};

/// How often a sector may fail.
pub(super) const TRIES: u8 = 3;

/// Routine: load the runs at `bx` to `edi`. Leaves `edi` behind the last byte. Changes all.
///
/// In: `sector`, its bytes, a power of two.
pub(super) fn load(a: &mut CodeAssembler, labels: &Labels, texts: &Texts, sector: u16) -> Emit {
    let [mut next, mut chunk, mut some, mut whole, mut quiet, mut done] = [(); 6].map(|()| a.create_label());
    let mut name = labels.load;
    let shift = sector.trailing_zeros();
    let (lba, count) = (packet(offset_of!(Packet, lba)), packet(offset_of!(Packet, count)));
    let countdown = word_ptr(work(offset_of!(Work, countdown)));

    a.set_label(&mut name)?;
    a.mov(cx, word_ptr(work(offset_of!(Work, dots))))?;
    a.mov(countdown, cx)?;
    a.set_label(&mut next)?;
    a.mov(ebp, dword_ptr(bx + offset_of!(Run, len)))?;
    a.test(ebp, ebp)?;
    a.jz(done)?;
    a.mov(eax, dword_ptr(bx))?;
    a.mov(dword_ptr(lba), eax)?;
    a.mov(eax, dword_ptr(bx + 4))?;
    a.mov(dword_ptr(lba + 4), eax)?;
    a.movzx(edx, word_ptr(bx + offset_of!(Run, skip)))?;

    // As many sectors as hold the rest of the run, or as may be read at once.
    a.set_label(&mut chunk)?;
    a.lea(eax, ptr(ebp + edx + (i32::from(sector) - 1)))?;
    a.shr(eax, shift)?;
    a.movzx(ecx, word_ptr(work(offset_of!(Work, most))))?;
    a.cmp(eax, ecx)?;
    a.jbe(some)?;
    a.mov(eax, ecx)?;
    a.set_label(&mut some)?;
    a.mov(word_ptr(count), ax)?;
    a.call(labels.read)?;
    a.jc(chunk)?;
    a.add(dword_ptr(lba), eax)?;
    a.adc(dword_ptr(lba + 4), 0)?;
    a.shl(eax, shift)?;
    a.sub(eax, edx)?;
    a.cmp(eax, ebp)?;
    a.jbe(whole)?;
    a.mov(eax, ebp)?;
    a.set_label(&mut whole)?;
    a.sub(ebp, eax)?;
    a.mov(ecx, eax)?;
    a.lea(esi, ptr(edx + (i32::from(BOUNCE_SEGMENT) << 4)))?;
    a.call(labels.copy)?;
    a.xor(edx, edx)?;

    a.dec(countdown)?;
    a.jnz(quiet)?;
    a.mov(cx, word_ptr(work(offset_of!(Work, dots))))?;
    a.mov(countdown, cx)?;
    a.mov(si, texts.dot)?;
    a.call(labels.print)?;
    a.set_label(&mut quiet)?;
    a.test(ebp, ebp)?;
    a.jnz(chunk)?;
    a.add(bx, 16)?;
    a.jmp(next)?;
    a.set_label(&mut done)?;
    a.ret()
}

/// Routine: read what the packet says. Sets the carry flag if that failed and is to be tried with fewer sectors.
/// Stops if one sector fails too often. Changes nothing.
pub(super) fn read(a: &mut CodeAssembler, labels: &Labels, texts: &Texts) -> Emit {
    let [mut failed, mut single, mut hopeless, mut large] = [(); 4].map(|()| a.create_label());
    let (drive, tries) = (byte_ptr(work(offset_of!(Work, drive))), byte_ptr(work(offset_of!(Work, tries))));
    let most = word_ptr(work(offset_of!(Work, most)));
    let lba = packet(offset_of!(Packet, lba));
    let mut name = labels.read;

    a.set_label(&mut name)?;
    a.pushad()?;
    a.mov(si, packet(0))?;
    a.mov(dl, drive)?;
    a.mov(ah, 0x42)?;
    a.int(0x13)?;
    a.jc(failed)?;
    a.mov(tries, u32::from(TRIES))?;
    a.popad()?;
    a.clc()?;
    a.ret()?;

    a.set_label(&mut failed)?;
    a.mov(byte_ptr(work(offset_of!(Work, status)) + 1), ah)?;
    a.mov(dl, drive)?;
    a.xor(ah, ah)?;
    a.int(0x13)?;
    a.popad()?;
    a.cmp(most, 1)?;
    a.jbe(single)?;
    a.shr(most, 1)?;
    a.stc()?;
    a.ret()?;
    a.set_label(&mut single)?;
    a.dec(tries)?;
    a.jz(hopeless)?;
    a.stc()?;
    a.ret()?;

    a.set_label(&mut hopeless)?;
    a.mov(si, texts.unread)?;
    a.call(labels.print)?;
    a.mov(di, texts.digits)?;
    for half in [lba + 4, lba] {
        a.mov(eax, dword_ptr(half))?;
        a.mov(cx, 8)?;
        a.call(labels.hex)?;
    }
    a.add(di, u32::try_from(STATUS.len()).unwrap_or_default())?;
    a.mov(eax, dword_ptr(work(offset_of!(Work, status)) - 2))?;
    a.mov(cx, 2)?;
    a.call(labels.hex)?;
    a.mov(si, texts.digits)?;
    a.cmp(dword_ptr(lba + 4), 0)?;
    a.jne(large)?;
    a.add(si, 8)?;
    a.set_label(&mut large)?;
    a.jmp(labels.fail)
}

/// Routine: copy `ecx` bytes from `esi` to `edi`, addresses in 4 GiB. Leaves `edi` behind them. Changes `eax`, `ecx`, `edx`, `esi`.
pub(super) fn copy(a: &mut CodeAssembler, labels: &Labels) -> Emit {
    let [mut protected, mut real] = [(); 2].map(|()| a.create_label());
    let mut name = labels.copy;
    a.set_label(&mut name)?;
    // Every call of the firmware may set the segments' limits back to 64 KiB, and so may an interrupt: none happens in here.
    a.cli()?;
    a.lgdt(word_ptr(work(offset_of!(Work, gdt_limit))))?;
    a.mov(eax, cr0)?;
    a.or(al, 1)?;
    a.mov(cr0, eax)?;
    a.jmp(protected)?;
    a.set_label(&mut protected)?;
    a.mov(dx, 8)?;
    a.mov(ds, dx)?;
    a.mov(es, dx)?;
    a.and(al, 0xfe)?;
    a.mov(cr0, eax)?;
    a.jmp(real)?;
    a.set_label(&mut real)?;
    a.xor(dx, dx)?;
    a.mov(ds, dx)?;
    a.mov(es, dx)?;
    a.cld()?;
    a.mov(edx, ecx)?;
    a.shr(ecx, 2)?;
    a.db(&[0x67, 0x66, 0xf3, 0xa5])?; // rep movsd, with edi and esi
    a.mov(ecx, edx)?;
    a.and(ecx, 3)?;
    a.db(&[0x67, 0xf3, 0xa4])?; // rep movsb, with edi and esi
    a.sti()?;
    a.ret()
}

/// Give the address of a field of the packet.
fn packet(offset: usize) -> u32 {
    work(offset_of!(Work, packet) + offset)
}
