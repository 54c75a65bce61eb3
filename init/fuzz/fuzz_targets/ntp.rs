//! Answers of time servers, and what is done about the clock: any bytes, and any offsets and delays.
#![no_main]

use hullkit_init::network::ntp::{Discipline, message};
use libfuzzer_sys::fuzz_target;

const BUILT: u64 = 1_492_533_000;

fuzz_target!(|input: (Vec<u8>, u64, Vec<(i64, i64)>)| {
    let (mut bytes, cookie, said) = input;
    // Made to fit the question, so that the rest is read at all.
    if let Some(origin) = bytes.get_mut(24..32) {
        origin.copy_from_slice(&cookie.to_be_bytes());
    }
    if let Ok(answer) = message::read(&bytes, cookie, BUILT) {
        assert!(answer.got >= i128::from(BUILT) * message::SECOND && answer.sent >= answer.got);
    }
    let mut clock = Discipline::default();
    for (offset, delay) in said {
        clock.take(offset.into(), delay.into());
        assert!(clock.pause(3).as_secs() <= 2048);
    }
});
