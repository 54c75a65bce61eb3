//! Any output, cut anywhere, gives the same lines as in one piece, and the ring stays within its bound.
#![no_main]

use hullkit_init::logs::{LONGEST_LINE, RING, Ring, Stream};

libfuzzer_sys::fuzz_target!(|input: (Vec<u8>, u16)| {
    let (bytes, cut) = input;
    let cut = usize::from(cut).min(bytes.len());
    let (mut whole, mut parts) = (Vec::new(), Vec::new());
    let mut ring = Ring::default();
    ring.push(0, Stream::Out, &bytes, |line| whole.push(line.text.clone()));
    let mut other = Ring::default();
    for part in [&bytes[..cut], &bytes[cut..]] {
        other.push(0, Stream::Out, part, |line| parts.push(line.text.clone()));
    }
    assert_eq!(whole, parts);
    assert!(whole.iter().all(|line| line.len() <= LONGEST_LINE));
    assert!(ring.lines().map(|line| line.text.len()).sum::<usize>() <= RING);
});
