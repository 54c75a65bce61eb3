//! Any bytes are a contract or an error; what is a contract survives being written and read again.
#![no_main]

use hullkit_init::early::contract::parse;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(contract) = parse(bytes) {
        let text = serde_json::to_vec(&contract).expect("a contract is JSON");
        assert_eq!(parse(&text).ok(), Some(contract));
    }
});
