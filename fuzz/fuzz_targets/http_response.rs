#![no_main]

#[path = "../../tests/network/hostile_input/entry/mod.rs"]
#[allow(dead_code, unused_imports, reason = "each target uses its part")]
mod entry;

libfuzzer_sys::fuzz_target!(|input: &[u8]| entry::http_response(input));
