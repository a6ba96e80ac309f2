//! Gives libFuzzer's bytes to `bottlec_fuzz::manifest`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bottlec_fuzz::manifest::run(bytes));
