//! What memory there is, and what goes where.

use std::mem::offset_of;

use iced_x86::code_asm::*;

use super::Emit;
use super::kernel::Kernel;
use super::layout::{MAP, MAP_ENTRY, MAP_MOST, MEMORY_END, PAGE, Work};
use super::second::{Labels, Texts, work};

/// What the firmware is asked with, and answers.
const SMAP: i32 = 0x534d_4150;
/// Steps in which a place for the kernel is searched, in bytes, at least.
const STEP: u32 = 0x10_0000;
/// Type of an entry that is memory.
const USABLE: i32 = 1;

/// Make addresses above 1 MiB reachable, or stop. Changes all.
pub(super) fn a20(a: &mut CodeAssembler, labels: &Labels, texts: &Texts) -> Emit {
    let mut open = a.create_label();
    a.call(labels.a20_is_open)?;
    a.jne(open)?;
    // The firmware knows its board.
    a.mov(ax, 0x2401)?;
    a.int(0x15)?;
    a.call(labels.a20_is_open)?;
    a.jne(open)?;
    // Bit 0 of this port resets the machine.
    a.in_(al, 0x92)?;
    a.or(al, 2)?;
    a.and(al, 0xfe)?;
    a.out(0x92, al)?;
    a.call(labels.a20_is_open)?;
    a.jne(open)?;
    // The keyboard controller: write its output port.
    for (port, value) in [(0x64, 0xd1), (0x60, 0xdf)] {
        a.call(labels.keyboard)?;
        a.mov(al, value)?;
        a.out(port, al)?;
    }
    a.call(labels.keyboard)?;
    a.call(labels.a20_is_open)?;
    a.mov(si, texts.a20)?;
    a.je(labels.fail)?;
    a.set_label(&mut open)?;
    a.nop()
}

/// Routine: tell, by the zero flag being clear, whether an address and the one 1 MiB above it differ. Waits for that a while.
/// Changes `ax` and `cx`.
pub(super) fn a20_is_open(a: &mut CodeAssembler, labels: &Labels) -> Emit {
    let [mut again, mut name] = [a.create_label(), labels.a20_is_open];
    let (low, high) = (word_ptr(MAP), word_ptr(MAP + 0x10).es());
    a.set_label(&mut name)?;
    a.push(es)?;
    a.mov(ax, 0xffff)?;
    a.mov(es, ax)?;
    a.xor(cx, cx)?;
    a.set_label(&mut again)?;
    a.mov(low, cx)?;
    a.mov(ax, cx)?;
    a.not(ax)?;
    a.mov(high, ax)?;
    a.out(0x80, al)?; // takes about a microsecond
    a.cmp(low, cx)?;
    // Ends when they differ, which is when the lower one kept what was written to it.
    a.loopne(again)?;
    a.mov(ax, low)?;
    a.cmp(ax, high)?;
    a.pop(es)?;
    a.ret()
}

/// Routine: wait until the keyboard controller takes a byte. Changes `al` and `cx`.
pub(super) fn keyboard(a: &mut CodeAssembler, labels: &Labels) -> Emit {
    let [mut wait, mut name] = [a.create_label(), labels.keyboard];
    a.set_label(&mut name)?;
    a.xor(cx, cx)?;
    a.set_label(&mut wait)?;
    a.in_(al, 0x64)?;
    a.test(al, 2)?;
    a.loopne(wait)?;
    a.ret()
}

/// Ask the firmware for its memory map, and keep what lies below 4 GiB. Stops if there is none. Changes all.
pub(super) fn map(a: &mut CodeAssembler, labels: &Labels, texts: &Texts) -> Emit {
    let [mut ask, mut skip, mut clip, mut low, mut end] = [(); 5].map(|()| a.create_label());
    let entry = |at: usize| dword_ptr(work(offset_of!(Work, entry) + 4 * at));
    a.mov(bp, u32::from(MAP))?;
    a.xor(ebx, ebx)?;
    a.set_label(&mut ask)?;
    a.push(bp)?;
    a.mov(eax, 0xe820)?;
    a.mov(edx, SMAP)?;
    a.mov(ecx, 20)?;
    a.mov(di, work(offset_of!(Work, entry)))?;
    a.int(0x15)?;
    a.pop(bp)?;
    a.jc(end)?;
    a.cmp(eax, SMAP)?;
    a.jne(end)?;
    a.cld()?;
    a.cmp(entry(1), 0)?;
    a.jne(skip)?;
    a.mov(eax, entry(0))?;
    a.mov(edx, entry(2))?;
    a.mov(ecx, entry(3))?;
    a.add(edx, eax)?;
    a.adc(ecx, 0)?;
    a.jnz(clip)?;
    a.cmp(edx, MEMORY_END.cast_signed())?;
    a.jbe(low)?;
    a.set_label(&mut clip)?;
    a.mov(edx, MEMORY_END)?;
    a.set_label(&mut low)?;
    a.cmp(eax, edx)?;
    a.jae(skip)?;
    a.mov(dword_ptr(bp), eax)?;
    a.mov(dword_ptr(bp + 4), edx)?;
    a.mov(eax, entry(4))?;
    a.mov(dword_ptr(bp + 8), eax)?;
    a.add(bp, u32::from(MAP_ENTRY))?;
    a.set_label(&mut skip)?;
    a.test(ebx, ebx)?;
    a.jz(end)?;
    a.cmp(bp, u32::from(MAP + MAP_ENTRY * MAP_MOST))?;
    a.jb(ask)?;
    a.set_label(&mut end)?;
    a.mov(word_ptr(work(offset_of!(Work, map_end))), bp)?;
    a.mov(si, texts.map)?;
    a.cmp(bp, u32::from(MAP))?;
    a.je(labels.fail)
}

/// Routine: set the carry flag unless all bytes from `eax` on, up to `edx`, are memory. Changes `ecx` and `si`.
///
/// Entries may overlap and touch: what one says is not memory is none, and neighbours count as one.
pub(super) fn is_memory(a: &mut CodeAssembler, labels: &Labels) -> Emit {
    let [mut apart, mut clear, mut grow, mut find, mut other, mut good] = [(); 6].map(|()| a.create_label());
    let [mut bad, mut name] = [a.create_label(), labels.is_memory];
    let end = word_ptr(work(offset_of!(Work, map_end)));
    let entry_len = u32::from(MAP_ENTRY);
    a.set_label(&mut name)?;
    a.mov(si, u32::from(MAP))?;
    a.set_label(&mut clear)?;
    a.cmp(dword_ptr(si + 8), USABLE)?;
    a.je(apart)?;
    a.cmp(dword_ptr(si), edx)?;
    a.jae(apart)?;
    a.cmp(dword_ptr(si + 4), eax)?;
    a.ja(bad)?;
    a.set_label(&mut apart)?;
    a.add(si, entry_len)?;
    a.cmp(si, end)?;
    a.jb(clear)?;

    a.mov(ecx, eax)?;
    a.set_label(&mut grow)?;
    a.cmp(ecx, edx)?;
    a.jae(good)?;
    a.mov(si, u32::from(MAP))?;
    a.set_label(&mut find)?;
    a.cmp(si, end)?;
    a.jae(bad)?;
    a.cmp(dword_ptr(si + 8), USABLE)?;
    a.jne(other)?;
    a.cmp(dword_ptr(si), ecx)?;
    a.ja(other)?;
    a.cmp(dword_ptr(si + 4), ecx)?;
    a.jbe(other)?;
    a.mov(ecx, dword_ptr(si + 4))?;
    a.jmp(grow)?;
    a.set_label(&mut other)?;
    a.add(si, entry_len)?;
    a.jmp(find)?;
    a.set_label(&mut good)?;
    a.clc()?;
    a.ret()?;
    a.set_label(&mut bad)?;
    a.stc()?;
    a.ret()
}

/// Find the lowest place for the kernel and the highest for the initrd. Stops if there is none. Changes all.
pub(super) fn place(a: &mut CodeAssembler, labels: &Labels, texts: &Texts, kernel: &Kernel, size: u32) -> Emit {
    let [mut next, mut found, mut ends, mut done] = [(); 4].map(|()| a.create_label());
    let none = labels.no_memory;
    a.mov(eax, kernel.preferred)?;
    a.set_label(&mut next)?;
    a.mov(edx, eax)?;
    a.add(edx, kernel.needs.cast_signed())?;
    a.jc(none)?;
    a.call(labels.is_memory)?;
    a.jnc(found)?;
    a.add(eax, kernel.alignment.max(STEP).cast_signed())?;
    a.jnc(next)?;
    a.jmp(none)?;
    a.set_label(&mut found)?;
    a.mov(dword_ptr(work(offset_of!(Work, kernel))), eax)?;
    a.mov(dword_ptr(work(offset_of!(Work, kernel_end))), edx)?;

    if size == 0 {
        a.jmp(done)?;
    }
    // Where the kernel's limit ends, or where something starts or ends.
    a.mov(edx, kernel.initrd_end)?;
    a.call(labels.end_here)?;
    a.mov(bx, u32::from(MAP))?;
    a.set_label(&mut ends)?;
    for field in [0, 4] {
        a.mov(edx, dword_ptr(bx + field))?;
        a.call(labels.end_here)?;
    }
    a.add(bx, u32::from(MAP_ENTRY))?;
    a.cmp(bx, word_ptr(work(offset_of!(Work, map_end))))?;
    a.jb(ends)?;
    a.cmp(dword_ptr(work(offset_of!(Work, initrd))), 0)?;
    a.jne(done)?;
    let mut none = none;
    a.set_label(&mut none)?;
    a.mov(si, texts.memory)?;
    a.jmp(labels.fail)?;
    a.set_label(&mut done)?;
    a.nop()
}

/// Routine: keep the place of an initrd that ends at `edx` or up to a page before, if it is one and the highest so far.
/// Changes `eax`, `ecx`, `edx` and `si`.
pub(super) fn end_here(a: &mut CodeAssembler, labels: &Labels, kernel: &Kernel, size: u32) -> Emit {
    let [mut no, mut name] = [a.create_label(), labels.end_here];
    let best = dword_ptr(work(offset_of!(Work, initrd)));
    a.set_label(&mut name)?;
    a.cmp(edx, kernel.initrd_end.cast_signed())?;
    a.ja(no)?;
    a.mov(eax, edx)?;
    a.sub(eax, size.cast_signed())?;
    a.jb(no)?;
    a.and(eax, (!(PAGE - 1)).cast_signed())?;
    a.cmp(eax, dword_ptr(work(offset_of!(Work, kernel_end))))?;
    a.jb(no)?;
    a.cmp(eax, best)?;
    a.jbe(no)?;
    a.mov(edx, eax)?;
    a.add(edx, size.cast_signed())?;
    a.call(labels.is_memory)?;
    a.jc(no)?;
    a.mov(best, eax)?;
    a.set_label(&mut no)?;
    a.ret()
}
