#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| transcoding_fuzz::route(data));
