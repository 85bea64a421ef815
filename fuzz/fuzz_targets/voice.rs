//! libFuzzer's entry point.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    mynah_fuzz::voice::run(bytes);
});
