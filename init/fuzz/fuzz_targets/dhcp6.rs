//! A conversation with a DHCPv6 server that says anything: each part of the input is a wait, a type and options, made to fit the
//! client's question as far as needed to be read at all.
#![no_main]

use std::time::Duration;

use hullkit_init::network::dhcp6::{Client, Output};
use libfuzzer_sys::fuzz_target;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

fuzz_target!(|input: (Vec<(u16, bool, Vec<u8>)>, u64)| {
    let (talk, seed) = input;
    let mut client = Client::new(MAC, seed, Duration::ZERO);
    let (mut now, mut xid, mut bound) = (Duration::ZERO, [0; 3], false);
    for (wait, advertise, options) in talk {
        now += Duration::from_secs(wait.into());
        for output in client.tick(now) {
            note(&output, &mut xid, &mut bound);
        }
        let mut reply = vec![if advertise { 2 } else { 7 }];
        reply.extend(xid);
        // The client's identifier, and a server's.
        reply.extend([0, 1, 0, 10, 0, 3, 0, 1]);
        reply.extend(MAC);
        reply.extend([0, 2, 0, 3, 1, 2, 3]);
        reply.extend(options);
        for output in client.receive(&reply, now) {
            note(&output, &mut xid, &mut bound);
        }
        assert!(client.due().is_some() || bound);
    }
});

fn note(output: &Output, xid: &mut [u8; 3], bound: &mut bool) {
    match output {
        Output::Bound(_) => *bound = true,
        Output::Lost(_) => assert!(std::mem::take(bound), "a lease was lost that never was"),
        Output::Send(message) => xid.copy_from_slice(&message[1..4]),
    }
}
