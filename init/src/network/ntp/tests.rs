use proptest::prelude::*;

use super::discipline::{Discipline, Verdict};
use super::message::{Answer, Refusal, SECOND, SIZE, read, request};
use super::*;

/// 2017-04-18.
const BUILT: u64 = 1_492_533_000;
/// 2026-11-27, in seconds since 1900.
const NOW: u32 = 4_004_812_800;
const COOKIE: u64 = 0x0123_4567_89ab_cdef;

/// What an honest server says.
fn good() -> [u8; SIZE] {
    let mut bytes = request(0);
    (bytes[0], bytes[1]) = (4 << 3 | 4, 2);
    bytes[24..32].copy_from_slice(&COOKIE.to_be_bytes());
    for at in [32, 40] {
        bytes[at..at + 4].copy_from_slice(&NOW.to_be_bytes());
    }
    bytes
}

fn damaged(change: impl FnOnce(&mut [u8; SIZE])) -> Result<Answer, Refusal> {
    let mut bytes = good();
    change(&mut bytes);
    read(&bytes, COOKIE, BUILT)
}

#[test]
fn honest_answer_is_read() {
    let at = i128::from(i64::from(NOW) - 2_208_988_800) * SECOND;
    assert_eq!(read(&good(), COOKIE, BUILT), Ok(Answer { got: at, sent: at }));
    let half = damaged(|bytes| bytes[44] = 0x80).unwrap();
    assert_eq!(half.sent - half.got, SECOND / 2);
    // With an authenticator that nobody asked for.
    read(&[&good()[..], &[7; 20]].concat(), COOKIE, BUILT).unwrap();
}

#[test]
fn answer_to_nobodys_question_is_passed_over() {
    assert_eq!(read(&good(), COOKIE + 1, BUILT), Err(Refusal::Foreign));
    assert_eq!(read(&good()[..SIZE - 1], COOKIE, BUILT), Err(Refusal::Foreign));
    assert_eq!(read(&[], COOKIE, BUILT), Err(Refusal::Foreign));
    // A question, a broadcast, a version that does not exist.
    for first in [4 << 3 | 3, 4 << 3 | 5, 7 << 3 | 4] {
        assert_eq!(damaged(|bytes| bytes[0] = first), Err(Refusal::Foreign), "{first:#x}");
    }
    // A kiss of death for somebody else's question stops nobody.
    assert_eq!(read(&damage_to_kiss(b"DENY"), COOKIE + 1, BUILT), Err(Refusal::Foreign));
}

fn damage_to_kiss(code: &[u8; 4]) -> [u8; SIZE] {
    let mut bytes = good();
    bytes[1] = 0;
    bytes[12..16].copy_from_slice(code);
    bytes
}

#[test]
fn server_that_does_not_know_the_time_is_not_believed() {
    assert_eq!(read(&damage_to_kiss(b"RATE"), COOKIE, BUILT), Err(Refusal::Kiss(*b"RATE")));
    assert_eq!(damaged(|bytes| bytes[0] |= 3 << 6), Err(Refusal::Useless), "it says so");
    assert_eq!(damaged(|bytes| bytes[1] = 16), Err(Refusal::Useless), "too far from a clock");
    assert_eq!(damaged(|bytes| bytes[9] = 6), Err(Refusal::Useless), "six seconds of dispersion");
    assert_eq!(damaged(|bytes| bytes[40..48].fill(0)), Err(Refusal::Useless), "no transmit time");
    assert_eq!(damaged(|bytes| bytes[32..40].fill(0)), Err(Refusal::Useless), "no receive time");
    assert_eq!(damaged(|bytes| bytes[35] += 1), Err(Refusal::Useless), "an answer before its question");
    let built = u64::from(NOW) - 2_208_988_800 + 1;
    assert_eq!(read(&good(), COOKIE, built), Err(Refusal::BeforeBuild));
}

#[test]
fn era_that_begins_in_2036_is_understood() {
    // 2036-02-07T06:28:17Z, one second into it.
    let later =
        damaged(|bytes| [32, 40].iter().for_each(|at| bytes[*at..*at + 4].copy_from_slice(&1_u32.to_be_bytes())));
    assert_eq!(later.unwrap().sent, 2_085_978_497 * SECOND);
}

#[test]
fn first_answer_sets_the_clock_however_far_off_and_later_ones_move_it() {
    let mut clock = Discipline::default();
    let years = 60 * 365 * 86_400 * SECOND;
    assert_eq!(clock.take(years, 1), Verdict::Step(i64::try_from(years).unwrap()));
    assert_eq!(clock.pause(1).as_secs(), 64);
    assert_eq!(clock.take(5_000_000, 1), Verdict::Slew(5_000_000, 6));
    assert_eq!(clock.pause(1).as_secs(), 128);
    for _ in 0..9 {
        clock.take(-1, 1);
    }
    assert_eq!(clock.pause(1).as_secs(), 2048);
    assert_eq!(clock.take(-500_000_000, 1), Verdict::Step(-500_000_000));
    assert_eq!(clock.pause(1).as_secs(), 64);
}

#[test]
fn leap_of_a_clock_that_was_right_has_to_be_said_again_and_again() {
    let mut clock = Discipline::default();
    clock.take(0, 1);
    let leap = 7_200 * SECOND;
    for said in [leap, leap + 1, leap, 3 * leap, leap, leap, leap] {
        assert_eq!(clock.take(said, 1), Verdict::Doubt);
    }
    assert_eq!(clock.take(leap, 1), Verdict::Step(7_200_000_000_000));
}

#[test]
fn answer_that_was_long_under_way_is_not_taken() {
    let mut clock = Discipline::default();
    for delay in [-1, 4 * SECOND, i128::MAX] {
        assert_eq!(clock.take(SECOND, delay), Verdict::Doubt);
    }
    assert_eq!(clock.take(i128::from(i64::MAX) + 1, 1), Verdict::Doubt);
    // Nor does it bear out another.
    clock.take(0, 1);
    let leap = 7_200 * SECOND;
    for delay in [1, 4 * SECOND, 4 * SECOND, 1, 4 * SECOND] {
        assert_eq!(clock.take(leap, delay), Verdict::Doubt);
    }
}

#[test]
fn silent_servers_are_asked_in_turn_and_then_ever_later() {
    let mut clock = Discipline::default();
    let waits: Vec<u64> = std::iter::repeat_with(|| {
        clock.fail();
        clock.pause(2).as_secs()
    })
    .take(18)
    .collect();
    assert_eq!(waits, [0, 1, 1, 2, 2, 4, 4, 8, 8, 16, 16, 32, 32, 64, 64, 64, 64, 64]);
    clock.slow_down();
    assert!(clock.pause(2).as_secs() >= 128);
    clock.take(0, 1);
    assert!(clock.pause(2).as_secs() >= 128, "what a server asked for stays");
}

#[test]
fn offset_is_that_of_the_middle_of_the_way() {
    let answer = Answer { got: 1_010, sent: 1_020 };
    assert_eq!(measure(0, 30, answer), (1_000, 20));
}

proptest! {
    #[test]
    fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..80), cookie: u64, built: u64) {
        let _ = read(&bytes, cookie, built);
    }

    #[test]
    fn what_is_believed_is_not_before_the_build(seconds: u32, fraction: u32, built in 0u64..1 << 32) {
        let read = damaged_with(seconds, fraction, built);
        if let Ok(answer) = read {
            prop_assert!(answer.sent >= i128::from(built) * SECOND);
        }
    }

    #[test]
    fn no_offset_breaks_the_discipline(said in proptest::collection::vec((any::<i64>(), any::<i64>()), 0..50)) {
        let mut clock = Discipline::default();
        for (offset, delay) in said {
            clock.take(offset.into(), delay.into());
            prop_assert!(clock.pause(3).as_secs() <= 2048);
        }
    }
}

fn damaged_with(seconds: u32, fraction: u32, built: u64) -> Result<Answer, Refusal> {
    let mut bytes = good();
    for at in [32, 40] {
        bytes[at..at + 4].copy_from_slice(&seconds.to_be_bytes());
        bytes[at + 4..at + 8].copy_from_slice(&fraction.to_be_bytes());
    }
    read(&bytes, COOKIE, built)
}
