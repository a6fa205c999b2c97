#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| transcoding_fuzz::json_to_wire(data));
