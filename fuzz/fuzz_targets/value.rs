//! Gives libFuzzer's bytes to `bottlec_fuzz::value`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bottlec_fuzz::value::run(bytes));
