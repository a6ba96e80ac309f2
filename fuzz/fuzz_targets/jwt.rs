//! Gives libFuzzer's bytes to `bottlec_fuzz::jwt`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bottlec_fuzz::jwt::run(bytes));
