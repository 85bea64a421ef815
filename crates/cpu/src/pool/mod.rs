//! A pool of persistent workers that runs the tasks of one kernel at a time.
//!
//! Kernels come microseconds apart, so workers that run out of tasks spin for a bounded while before they park: as long
//! as a program runs ([`Pool::enter`]), and a little longer for the next one, because a decoder's host loop between two
//! short programs is over before a parked thread is awake. The calling thread takes part instead of waiting. Tasks are
//! claimed one by one from a counter: when another process takes a core, the rest of the tasks go to the threads that
//! still run. Which thread runs a task can't be seen in the results, because tasks write disjoint memory and never
//! combine across tasks.
//!
//! A worker joins a job by a compare-and-swap on `gate` and leaves by a subtraction; the caller closes the gate when
//! no task is left unclaimed and returns when the last joined worker has left. A worker that slept through the job
//! finds the gate closed and nobody waits for it.

mod gate;
#[cfg(test)]
mod tests;

use gate::Gate;
use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a worker spins for the next job while no program runs, and a caller for the last worker. Longer than a host
/// loop's step, short enough to cost nothing that another process could measure. A caller that parks also leaves its
/// core to a worker that lost its own to another process.
const SPIN: Duration = Duration::from_micros(100);
/// How long a worker spins while a program runs: longer than a kernel that only the caller works on.
const SPIN_RUNNING: Duration = Duration::from_millis(1);

/// How long a spinning thread keeps its core to itself. After that whoever else wants the core gets it: on a machine with
/// more work than cores that is likely the very thread that is waited for.
const POLITE: Duration = Duration::from_micros(10);

/// A kernel's task panicked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a task panicked: {message}")]
pub(crate) struct Panicked {
    /// What the panic said.
    pub(crate) message: String,
}

/// What a task is told: its number, and the number of the thread that runs it (below [`Pool::threads`]), by which
/// it may own a piece of scratch memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    /// Number of the task.
    pub(crate) index: usize,
    /// Number of the thread, the same for no two tasks at one time within one job.
    pub(crate) thread: usize,
}

type Job<'a> = dyn Fn(Task) + Sync + 'a;

/// A value on cache lines of its own: what one thread writes all the time must not be fetched again by those that wait
/// for something else. Two lines, because processors fetch them in pairs.
#[repr(align(128))]
struct Apart<T>(T);

/// What workers share with the caller.
struct Shared {
    gate: Apart<Gate>,
    /// The next task to claim.
    next: Apart<AtomicUsize>,
    /// The job behind an open gate.
    job: UnsafeCell<Option<*const Job<'static>>>,
    tasks: AtomicUsize,
    /// Programs that run.
    running: AtomicUsize,
    panic: Mutex<Option<Panicked>>,
    sleepers: AtomicUsize,
    sleep: Mutex<()>,
    wake: Condvar,
    done: Mutex<()>,
    finished: Condvar,
    stop: AtomicBool,
}

// SAFETY: `job` is written by the caller while the gate is closed and nobody is inside, and read by workers inside.
unsafe impl Sync for Shared {}
// SAFETY: as above; the pointer is only followed while the job it points to is borrowed by `Pool::run`.
unsafe impl Send for Shared {}

/// The pool; dropping it ends the workers.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    /// Held by the caller whose job runs.
    turn: Mutex<()>,
    workers: Vec<JoinHandle<()>>,
}

impl Pool {
    /// A pool of `threads` threads, the caller's among them. Threads the system refuses are done without.
    pub(crate) fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared {
            gate: Apart(Gate::new()),
            next: Apart(AtomicUsize::new(0)),
            job: UnsafeCell::new(None),
            tasks: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            panic: Mutex::new(None),
            sleepers: AtomicUsize::new(0),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
            done: Mutex::new(()),
            finished: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let start = |number: usize| {
            let shared = Arc::clone(&shared);
            let name = format!("mynah-cpu-{number}");
            std::thread::Builder::new().name(name).spawn(move || shared.work(number))
        };
        let workers = (1..threads).map_while(|number| start(number).ok()).collect();
        Self { shared, turn: Mutex::new(()), workers }
    }

    /// Threads that take part in a job.
    pub(crate) fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Keeps the workers awake between the jobs of a program, until the guard is dropped.
    pub(crate) fn enter(&self) -> Running<'_> {
        self.shared.running.fetch_add(1, Ordering::Relaxed);
        Running { running: &self.shared.running }
    }

    /// Runs `job` for every task and returns when all are done.
    ///
    /// While the pool is busy with another caller's job (or with the job this call is made from), the tasks run on
    /// the calling thread alone: the same results, and no way to wait for oneself.
    ///
    /// # Errors
    /// When a task panicked; the others may then not have run.
    pub(crate) fn run(&self, tasks: usize, job: &Job<'_>) -> Result<(), Panicked> {
        if tasks == 0 {
            return Ok(());
        }
        let turn = match self.turn.try_lock() {
            Ok(turn) => Some(turn),
            Err(TryLockError::Poisoned(turn)) => Some(turn.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        match turn {
            Some(_turn) if tasks > 1 && !self.workers.is_empty() => self.run_together(tasks, job),
            _ => guarded(|| (0..tasks).for_each(|index| job(Task { index, thread: 0 }))),
        }
    }

    /// Runs `job` for every range of at most `chunk` out of `0..n`.
    ///
    /// # Errors
    /// As [`Pool::run`].
    pub(crate) fn run_chunks(
        &self,
        n: usize,
        chunk: usize,
        job: &(dyn Fn(std::ops::Range<usize>) + Sync),
    ) -> Result<(), Panicked> {
        let chunk = chunk.max(1);
        self.run(n.div_ceil(chunk), &|task| {
            let first = task.index * chunk;
            job(first..n.min(first + chunk));
        })
    }

    /// The caller holds `turn`.
    fn run_together(&self, tasks: usize, job: &Job<'_>) -> Result<(), Panicked> {
        let shared = &*self.shared;
        // SAFETY: the gate is closed and empty, so nobody reads the job. The lifetime ends with this call, and so
        // does every worker's stay behind the gate.
        unsafe { *shared.job.get() = Some(std::mem::transmute::<&Job<'_>, *const Job<'static>>(job)) };
        shared.tasks.store(tasks, Ordering::Relaxed);
        shared.next.0.store(0, Ordering::Relaxed);
        shared.gate.0.open();
        // Ordered after opening: a worker that counted itself as sleeper before this load is woken, one that does so
        // later sees the open gate.
        if shared.sleepers.load(Ordering::SeqCst) > 0 {
            drop(lock(&shared.sleep));
            shared.wake.notify_all();
        }
        shared.claim(job, 0);
        shared.gate.0.close();
        shared.wait_until_empty();
        // SAFETY: the gate is closed and empty again.
        unsafe { *shared.job.get() = None };
        lock(&shared.panic).take().map_or(Ok(()), Err)
    }
}

/// A program that runs.
pub(crate) struct Running<'a> {
    running: &'a AtomicUsize,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        drop(lock(&self.shared.sleep));
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            // A worker catches its tasks' panics, so it always ends well.
            let _ended = worker.join();
        }
    }
}

impl Shared {
    /// A worker's life.
    fn work(&self, number: usize) {
        let mut seen = 0;
        while let Some(epoch) = self.wait_for_job(seen) {
            seen = epoch;
            if !self.gate.0.enter(epoch) {
                continue;
            }
            // SAFETY: inside the gate the job is set, and its borrow lasts until this worker has left.
            if let Some(job) = unsafe { *self.job.get() } {
                // SAFETY: as above.
                self.claim(unsafe { &*job }, number);
            }
            if self.gate.0.leave() {
                drop(lock(&self.done));
                self.finished.notify_all();
            }
        }
    }

    /// Spins, then sleeps, until a job newer than `seen` is open; `None` when the pool ends.
    fn wait_for_job(&self, seen: u64) -> Option<u64> {
        let is_running = || self.running.load(Ordering::Relaxed) > 0;
        if let Some(found) = spin(|| self.look(seen), is_running) {
            return found;
        }
        let mut sleeping = lock(&self.sleep);
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let found = loop {
            if let Some(found) = self.look(seen) {
                break found;
            }
            sleeping = self.wake.wait(sleeping).unwrap_or_else(PoisonError::into_inner);
        };
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
        found
    }

    /// `Some(None)` when the pool ends, `Some(epoch)` of a new open job, or nothing yet.
    fn look(&self, seen: u64) -> Option<Option<u64>> {
        if self.stop.load(Ordering::SeqCst) {
            return Some(None);
        }
        self.gate.0.open_epoch().filter(|&epoch| epoch != seen).map(Some)
    }

    /// Runs tasks until none is left; a panic stops the others from being claimed.
    fn claim(&self, job: &Job<'_>, thread: usize) {
        let tasks = self.tasks.load(Ordering::Relaxed);
        let result = guarded(|| {
            loop {
                let index = self.next.0.fetch_add(1, Ordering::Relaxed);
                if index >= tasks {
                    break;
                }
                job(Task { index, thread });
            }
        });
        if let Err(panicked) = result {
            self.next.0.store(tasks, Ordering::Relaxed);
            lock(&self.panic).get_or_insert(panicked);
        }
    }

    fn wait_until_empty(&self) {
        if spin(|| self.gate.0.is_empty().then_some(()), || false).is_some() {
            return;
        }
        let mut waiting = lock(&self.done);
        while !self.gate.0.is_empty() {
            waiting = self.finished.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Asks `ready` again and again: for at most [`SPIN_RUNNING`], and no longer than [`SPIN`] after `is_running` held.
fn spin<R>(mut ready: impl FnMut() -> Option<R>, is_running: impl Fn() -> bool) -> Option<R> {
    let start = Instant::now();
    let mut quiet = start;
    loop {
        for _ in 0..32 {
            if let Some(found) = ready() {
                return Some(found);
            }
            std::hint::spin_loop();
        }
        let now = Instant::now();
        if is_running() {
            quiet = now;
        }
        if now - start > POLITE {
            std::thread::yield_now();
        }
        if now - start > SPIN_RUNNING || now - quiet > SPIN {
            return None;
        }
    }
}

fn guarded(run: impl FnOnce()) -> Result<(), Panicked> {
    // Memory a panicking task leaves half written is arena memory, which the failed run gives up anyway.
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| Panicked { message: message(&*payload) })
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

/// The locks here guard no data that a panic could leave broken.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
