//! What the loader says, on the screen and on the first serial port.

use iced_x86::code_asm::*;

use super::Emit;

/// Port of the first serial line.
const COM1: u32 = 0x3f8;
/// Its registers: line control, interrupts, divisor (low and high, while line control says so), modem control, line status.
const LINE: u32 = COM1 + 3;
const INTERRUPTS: u32 = COM1 + 1;
const MODEM: u32 = COM1 + 4;
const STATUS: u32 = COM1 + 5;

/// Set the first serial port to 115200 bits per second, 8 data bits, no parity. Changes `ax`.
pub(super) fn serial(a: &mut CodeAssembler) -> Emit {
    // Divisor latch, divisor 1, latch off and 8N1, no interrupts, DTR and RTS.
    let values = [(LINE, 0x80), (COM1, 1), (INTERRUPTS, 0), (LINE, 3), (INTERRUPTS, 0), (MODEM, 3)];
    a.push(dx)?;
    for (port, value) in values {
        a.mov(dx, port)?;
        a.mov(al, value)?;
        a.out(dx, al)?;
    }
    a.pop(dx)
}

/// Routine: write the text at `si`, which ends with a zero. Changes nothing.
///
/// All of it to the screen first: a firmware whose screen is that serial port then says it twice, and readably.
pub(super) fn print(a: &mut CodeAssembler, mut name: CodeLabel) -> Emit {
    let [mut screen, mut line, mut letter, mut wait, mut done] = [(); 5].map(|()| a.create_label());
    a.set_label(&mut name)?;
    a.pushad()?;
    a.mov(di, si)?;
    a.set_label(&mut screen)?;
    a.lodsb()?;
    a.test(al, al)?;
    a.jz(line)?;
    a.pushad()?;
    a.mov(ah, 0x0e)?;
    a.mov(bx, 7)?;
    a.int(0x10)?;
    a.popad()?;
    a.jmp(screen)?;
    a.set_label(&mut line)?;
    a.mov(si, di)?;
    a.set_label(&mut letter)?;
    a.lodsb()?;
    a.test(al, al)?;
    a.jz(done)?;
    a.mov(ah, al)?;
    // Bounded: where there is no such port, there may be no answer.
    a.mov(dx, STATUS)?;
    a.xor(cx, cx)?;
    a.set_label(&mut wait)?;
    a.in_(al, dx)?;
    a.test(al, 0x20)?;
    a.loope(wait)?;
    a.mov(dx, COM1)?;
    a.mov(al, ah)?;
    a.out(dx, al)?;
    a.jmp(letter)?;
    a.set_label(&mut done)?;
    a.popad()?;
    a.ret()
}

/// Routine: write the text at `si` and stop. Does not return.
pub(super) fn fail(a: &mut CodeAssembler, mut name: CodeLabel, print: CodeLabel) -> Emit {
    let mut stop = a.create_label();
    a.set_label(&mut name)?;
    a.call(print)?;
    a.set_label(&mut stop)?;
    a.hlt()?;
    a.jmp(stop)
}

/// Routine: put the upper `cx` hex digits of `eax` at `di`. Leaves `di` behind them. Changes `eax` and `cx`.
pub(super) fn hex(a: &mut CodeAssembler, mut name: CodeLabel) -> Emit {
    let mut decimal = a.create_label();
    a.set_label(&mut name)?;
    a.rol(eax, 4)?;
    a.push(ax)?;
    a.and(al, 0x0f)?;
    a.add(al, i32::from(b'0'))?;
    a.cmp(al, i32::from(b'9'))?;
    a.jbe(decimal)?;
    a.add(al, i32::from(b'A' - b'9' - 1))?;
    a.set_label(&mut decimal)?;
    a.mov(byte_ptr(di), al)?;
    a.inc(di)?;
    a.pop(ax)?;
    a.loop_(name)?;
    a.ret()
}
