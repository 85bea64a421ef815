//! libFuzzer's entry point.
#![no_main]

libfuzzer_sys::fuzz_target!(
    // The codec library's panics are caught and become errors; libFuzzer's own hook would end the process at the panic
    // itself. Uncaught ones still do, when they reach libFuzzer.
    init: std::panic::set_hook(Box::new(|panic| eprintln!("{panic}"))),
    |bytes: &[u8]| {
        mynah_fuzz::audio::run(bytes);
    }
);
