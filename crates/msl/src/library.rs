//! Loads compiled kernels and launches them.

use crate::cpp::THREAD;
use libloading::Library;
use libloading::os::unix;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::Path;
use std::sync::Arc;

/// In which order a threadgroup's threads take turns between the points where they meet.
///
/// A kernel whose result depends on it lacks a barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// First to last.
    Forward,
    /// Last to first.
    Backward,
}

/// A binding, laid out as `metal_cpu::Slot`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) data: *mut c_void,
    pub(crate) bytes: u64,
}

/// Laid out as `metal_cpu::Launch`.
#[repr(C)]
struct RawLaunch {
    slots: *const Slot,
    slot_count: u32,
    lanes: u32,
    groups: [u32; 3],
    threads: [u32; 3],
    threadgroup_bytes: u32,
    backward: u32,
    message: *mut c_char,
    message_bytes: u64,
}

type Body = unsafe extern "C" fn(*const c_void);
type LaunchFn = unsafe extern "C" fn(*const RawLaunch, Body) -> c_int;

/// The machine that runs threads.
#[derive(Debug)]
pub(crate) struct Runtime {
    launch: LaunchFn,
    _library: unix::Library,
}

/// A kernel in memory.
#[derive(Debug)]
pub(crate) struct Kernel {
    body: Body,
    runtime: Arc<Runtime>,
    // Dropped before the runtime it refers to.
    _library: Library,
}

/// Sizes of a launch.
pub(crate) struct Sizes {
    pub(crate) lanes: u32,
    pub(crate) groups: [u32; 3],
    pub(crate) threads: [u32; 3],
    pub(crate) threadgroup_bytes: u32,
    pub(crate) order: Order,
}

impl Runtime {
    pub(crate) fn load(path: &Path) -> Result<Self, libloading::Error> {
        // SAFETY: the object is runtime.cpp of this crate, which does nothing when it is loaded; its function has the
        // type it is given here.
        unsafe {
            // Global, because kernels find its functions by name.
            let library = unix::Library::open(Some(path), unix::RTLD_NOW | unix::RTLD_GLOBAL)?;
            let launch: LaunchFn = *library.get(b"metal_cpu_launch\0")?;
            Ok(Self { launch, _library: library })
        }
    }
}

impl Kernel {
    pub(crate) fn load(runtime: &Arc<Runtime>, path: &Path) -> Result<Self, libloading::Error> {
        // SAFETY: the object was compiled from a kernel with no code that runs at loading; the function has the type that
        // `cpp` writes, a reference being a pointer.
        unsafe {
            let library = Library::new(path)?;
            let body: Body = *library.get(THREAD.as_bytes())?;
            Ok(Self { body, runtime: Arc::clone(runtime), _library: library })
        }
    }

    /// Runs all threadgroups.
    ///
    /// # Errors
    /// What a thread did wrong: it left the others waiting, met them elsewhere, or reached outside of its bindings.
    ///
    /// # Safety
    /// Each slot's memory is valid for its length while this runs, to be written too unless the kernel declares it
    /// read-only, and aligned to 16 bytes; no one else writes to it, or reads what the kernel may write.
    pub(crate) unsafe fn launch(&self, slots: &[Slot], sizes: &Sizes) -> Result<(), String> {
        let mut message = [0_u8; 512];
        let launch = RawLaunch {
            slots: slots.as_ptr(),
            slot_count: slots.len() as u32,
            lanes: sizes.lanes,
            groups: sizes.groups,
            threads: sizes.threads,
            threadgroup_bytes: sizes.threadgroup_bytes,
            backward: u32::from(sizes.order == Order::Backward),
            message: message.as_mut_ptr().cast(),
            message_bytes: message.len() as u64,
        };
        // SAFETY: `launch` has the layout that runtime.h declares and lives until the call returns. Kernels check every
        // index against the slots' lengths, which by this function's contract are those of valid memory; fibers run on
        // stacks of their own with a guard page each and end before the call does.
        let outcome = unsafe { (self.runtime.launch)(&raw const launch, self.body) };
        if outcome == 0 {
            return Ok(());
        }
        let said = CStr::from_bytes_until_nul(&message).unwrap_or(c"");
        Err(said.to_string_lossy().into_owned())
    }
}
