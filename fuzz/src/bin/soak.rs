//! Runs a fuzz target on the stable toolchain: `soak TARGET SECONDS [SEED]`.
//!
//! Mutates the target's seeds and the files in `corpus/TARGET`, keeps inputs whose answer is new, and looks for panics,
//! for single inputs that take longer than ten seconds, and for ones that allocate out of proportion. Offending inputs
//! go to `artifacts/TARGET`. Should the process die outright, `artifacts/TARGET/current` is the input it died of.
//! `soak TARGET FILE...` runs the target on files instead.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use mynah_fuzz::{Mutator, TARGETS, Target};

/// Longer runs of one input count as hangs.
const SLOWEST: Duration = Duration::from_secs(10);
/// What an input may make the program hold at once: this many times its size, plus something for small ones.
const MEMORY_FACTOR: usize = 256;
// Audio containers: their reader sets aside up to 4 MiB for a chunk before it knows how much of it is there.
const MEMORY_BASE: usize = 8 << 20;
/// Inputs kept beyond the seeds.
const CORPUS_LIMIT: usize = 4096;

/// Counts live bytes and their peak.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grown(by: usize) {
    PEAK.fetch_max(LIVE.fetch_add(by, Relaxed) + by, Relaxed);
}

// SAFETY: every call is passed on to the system allocator unchanged; only the sizes are counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: the caller's promises about `layout` are the ones `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grown(size);
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: `pointer` came from `System` through this allocator, with this layout.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The number of the running input, for the watchdog.
static EXECUTION: AtomicU64 = AtomicU64::new(0);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let target = arguments.first().and_then(|name| TARGETS.iter().find(|target| target.name == *name));
    let (Some(target), Some(second)) = (target, arguments.get(1)) else {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!("usage: soak TARGET SECONDS [SEED] | soak TARGET FILE...\ntargets: {}", names.join(" "));
        return ExitCode::from(2);
    };
    let Ok(seconds) = second.parse() else { return replay(target, &arguments[1..]) };
    let seed = arguments.get(2).and_then(|seed| seed.parse().ok()).unwrap_or(1);
    match soak(target, Duration::from_secs(seconds), seed) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}

fn replay(target: &Target, files: &[String]) -> ExitCode {
    for file in files {
        match fs::read(file) {
            Ok(bytes) => println!("{file}: answer {:x}", (target.run)(&bytes)),
            Err(error) => {
                eprintln!("{file}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Runs until the time is up; the number of offending inputs.
fn soak(target: &Target, time: Duration, seed: u64) -> std::io::Result<usize> {
    let artifacts = PathBuf::from("artifacts").join(target.name);
    fs::create_dir_all(&artifacts)?;
    let current_path = artifacts.join("current");
    let mut current = File::create(&current_path)?;
    let mut corpus = (target.seeds)();
    if let Ok(folder) = fs::read_dir(Path::new("corpus").join(target.name)) {
        corpus.extend(folder.filter_map(|entry| fs::read(entry.ok()?.path()).ok()));
    }
    let seeds = corpus.len();
    let mut answers: HashSet<u64> = HashSet::new();
    let mut mutator = Mutator::new(seed, target.dictionary);
    std::panic::set_hook(Box::new(|_| {}));
    watch(current_path.clone());
    let (start, mut shown) = (Instant::now(), Instant::now());
    let (mut executions, mut crashes, mut largest, mut replaced) = (0u64, 0usize, 0usize, 0usize);
    let mut kinds: HashSet<String> = HashSet::new();
    while start.elapsed() < time {
        // The seeds themselves come first.
        let untouched = corpus.get(executions as usize).filter(|_| executions < seeds as u64).cloned();
        let input = untouched.unwrap_or_else(|| mutator.next(&corpus));
        current.rewind()?;
        current.write_all(&input)?;
        current.set_len(input.len() as u64)?;
        EXECUTION.fetch_add(1, Relaxed);
        executions += 1;
        let before = LIVE.load(Relaxed);
        PEAK.store(before, Relaxed);
        let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(&input)));
        let taken = PEAK.load(Relaxed).saturating_sub(before);
        largest = largest.max(taken);
        let fault = match &outcome {
            Err(panic) => Some(format!("panic: {}", message(panic.as_ref()))),
            Ok(_) if taken > MEMORY_BASE + MEMORY_FACTOR * input.len() => {
                Some(format!("allocation: {taken} bytes for {} of input", input.len()))
            }
            Ok(_) => None,
        };
        if let Some(fault) = fault {
            crashes += 1;
            // One artifact for each kind: the same bug is found thousands of times.
            let kind: String = fault.chars().filter(|c| !c.is_ascii_digit()).take(80).collect();
            if kinds.insert(kind) {
                let path = artifacts.join(format!("crash-{seed}-{executions}"));
                fs::write(&path, &input)?;
                println!("{}: {fault}", path.display());
            }
        } else if let Ok(answer) = outcome
            && answers.insert(answer)
        {
            if corpus.len() < seeds + CORPUS_LIMIT {
                corpus.push(input);
            } else {
                corpus[seeds + replaced % CORPUS_LIMIT] = input;
                replaced += 1;
            }
        }
        if shown.elapsed() > Duration::from_secs(60) {
            shown = Instant::now();
            report(executions, start.elapsed(), crashes, answers.len(), largest);
        }
    }
    report(executions, start.elapsed(), crashes, answers.len(), largest);
    fs::remove_file(current_path)?;
    Ok(crashes)
}

/// Ends the process when one input runs too long: a hang cannot be caught, only reported.
fn watch(current: PathBuf) {
    std::thread::spawn(move || {
        let mut last = (EXECUTION.load(Relaxed), Instant::now());
        loop {
            std::thread::sleep(Duration::from_millis(500));
            let now = EXECUTION.load(Relaxed);
            if now != last.0 {
                last = (now, Instant::now());
            } else if last.1.elapsed() > SLOWEST {
                println!("timeout: input {now} runs longer than {SLOWEST:?}; it is {}", current.display());
                std::process::exit(1);
            }
        }
    });
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("(no message)")
}

fn report(executions: u64, time: Duration, crashes: usize, answers: usize, largest: usize) {
    let rate = executions as f64 / time.as_secs_f64().max(1e-9);
    let seconds = time.as_secs();
    println!(
        "{seconds} s: {executions} execs ({rate:.0}/s), {crashes} crashes, {answers} answers, peak {largest} B"
    );
}
