//! Gives libFuzzer's bytes to `bottlec_fuzz::host`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bottlec_fuzz::host::run(bytes));
