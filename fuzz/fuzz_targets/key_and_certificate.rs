#![no_main]

#[path = "../../tests/network/hostile_input/entry.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|input: &[u8]| entry::key_and_certificate(input));
