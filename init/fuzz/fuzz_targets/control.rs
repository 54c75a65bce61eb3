//! Any bytes are a call, an answer or an error; what is one survives being written and read again.
#![no_main]

use hullkit_init::control::protocol::{Answer, Call, to_line};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(call) = serde_json::from_slice::<Call>(bytes) {
        assert_eq!(serde_json::from_slice::<Call>(&to_line(&call)).ok(), Some(call));
    }
    if let Ok(answer) = serde_json::from_slice::<Answer>(bytes) {
        assert_eq!(serde_json::from_slice::<Answer>(&to_line(&answer)).ok(), Some(answer));
    }
});
