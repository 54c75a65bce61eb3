//! A conversation with a DHCP server that says anything: each part of the input is a wait and a reply, made to fit the client's
//! question as far as needed to be read at all.
#![no_main]

use std::time::Duration;

use hullkit_init::network::dhcp::{Client, Output};
use libfuzzer_sys::fuzz_target;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

fuzz_target!(|input: (Vec<(u16, Vec<u8>)>, u64)| {
    let (talk, seed) = input;
    let mut client = Client::new(MAC, None, seed, Duration::ZERO);
    let (mut now, mut xid, mut bound) = (Duration::ZERO, [0; 4], false);
    for (wait, options) in talk {
        now += Duration::from_secs(wait.into());
        let mut reply = vec![0; 240];
        reply[..3].copy_from_slice(&[2, 1, 6]);
        reply[16..20].copy_from_slice(&[10, 0, 0, 9]);
        reply[28..34].copy_from_slice(&MAC);
        reply[236..240].copy_from_slice(&[99, 130, 83, 99]);
        reply.extend(options);
        for output in client.tick(now) {
            note(&output, &mut xid, &mut bound);
        }
        reply[4..8].copy_from_slice(&xid);
        for output in client.receive(&reply, now) {
            note(&output, &mut xid, &mut bound);
        }
        assert!(client.due().is_some() || bound);
    }
});

fn note(output: &Output, xid: &mut [u8; 4], bound: &mut bool) {
    match output {
        Output::Bound(_) => *bound = true,
        Output::Lost(_) => assert!(std::mem::take(bound), "a lease was lost that never was"),
        Output::Broadcast(_, message) | Output::Unicast(_, _, message) => xid.copy_from_slice(&message[4..8]),
    }
}
