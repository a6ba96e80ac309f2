//! Gives libFuzzer's bytes to `bottlec_fuzz::path`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bottlec_fuzz::path::run(bytes));
