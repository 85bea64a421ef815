//! Ctrl-C: the command ends with 130 and leaves no half-written file.
//!
//! Files of transcripts are written at once under a lock that the handler takes before it exits. Converting a model
//! writes for minutes; there the handler only raises a flag, and the work unwinds at its next sign of progress, which
//! removes the temporary file.

use crate::exit::Exit;
use anyhow::Context as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

static WRITING: Mutex<()> = Mutex::new(());
static CANCELLABLE: AtomicBool = AtomicBool::new(false);
static CANCELLED: AtomicBool = AtomicBool::new(false);

/// What unwinds cancelled work.
struct Cancelled;

/// Installs the handler.
///
/// # Errors
/// When the system has no signals to give.
pub(crate) fn install() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        // Someone who asks twice wants out now.
        if CANCELLABLE.load(SeqCst) && !CANCELLED.swap(true, SeqCst) {
            return;
        }
        let _guard = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        std::process::exit(Exit::Interrupted as i32);
    })
    .context("can't listen for Ctrl-C")
}

/// Runs a short piece of writing that Ctrl-C waits for.
pub(crate) fn unbroken<T>(write: impl FnOnce() -> T) -> T {
    let _guard = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    write()
}

/// Runs long work that calls [`check`] now and then. `None` when it was interrupted.
pub(crate) fn cancellable<T>(work: impl FnOnce() -> T) -> Option<T> {
    CANCELLABLE.store(true, SeqCst);
    let result = catch_unwind(AssertUnwindSafe(work));
    CANCELLABLE.store(false, SeqCst);
    match result {
        Ok(value) => Some(value),
        Err(payload) if payload.is::<Cancelled>() => None,
        Err(payload) => resume_unwind(payload),
    }
}

/// Runs work that asks now and then whether Ctrl-C was pressed, and then ends by itself; the command goes on. Pressed again before
/// that, it ends the command.
pub(crate) fn interruptible<T>(work: impl FnOnce(&dyn Fn() -> bool) -> T) -> T {
    CANCELLED.store(false, SeqCst);
    CANCELLABLE.store(true, SeqCst);
    let result = work(&|| CANCELLED.load(SeqCst));
    CANCELLABLE.store(false, SeqCst);
    CANCELLED.store(false, SeqCst);
    result
}

/// Whether Ctrl-C was pressed in work that is still to end.
#[cfg(feature = "playback")]
pub(crate) fn pressed() -> bool {
    CANCELLED.load(SeqCst)
}

/// Unwinds to [`cancellable`] if Ctrl-C was pressed. No panic message is printed.
pub(crate) fn check() {
    if CANCELLED.load(SeqCst) {
        resume_unwind(Box::new(Cancelled));
    }
}
