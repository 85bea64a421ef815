//! What the tests share: the suite, a backend, all cores.

#![allow(
    dead_code,
    clippy::print_stderr,
    reason = "each test binary uses a part of it, and says so when it tests nothing"
)]

use mynah_lab::{CaseResult, OpCase, cases, generated};
use mynah_msl::{Arithmetic, CompilerError, MslBackend};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};

/// All cases, or those of `MYNAH_GPU_OP`.
pub(crate) static SUITE: LazyLock<Vec<OpCase>> = LazyLock::new(|| {
    let mut all = cases().unwrap();
    all.extend(generated(7, 300).unwrap());
    if let Ok(op) = std::env::var("MYNAH_GPU_OP") {
        all.retain(|case| case.op == op);
    }
    all
});

/// A backend, or nothing where there is no clang.
pub(crate) fn backend(arithmetic: Arithmetic) -> Option<MslBackend> {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("msl");
    match MslBackend::new(&cache, arithmetic) {
        Ok(backend) => Some(backend),
        Err(CompilerError::Missing) => {
            assert!(
                std::env::var_os("MYNAH_REQUIRE_MSL").is_none_or(|v| v != "1"),
                "{}",
                CompilerError::Missing
            );
            eprintln!("NOTHING WAS TESTED: {}", CompilerError::Missing);
            None
        }
        Err(e) => panic!("{e}"),
    }
}

/// The results of all cases, in order, each core taking the next.
pub(crate) fn on_all_cores(cases: &[OpCase], run: impl Fn(&OpCase) -> CaseResult + Sync) -> Vec<CaseResult> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(case) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            cases.get(index).map(|case| (index, case))
        } {
            let result = run(case.1);
            done.lock().unwrap().push((case.0, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
