//! Gives libFuzzer's bytes to `bottlec_fuzz::login`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bottlec_fuzz::login::run(bytes));
