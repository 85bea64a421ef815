//! What the system says about this process's memory.

/// The most memory this process has had at once, in bytes, where the system tells (`VmHWM` of Linux).
pub(crate) fn peak() -> Option<u64> {
    status("VmHWM:")
}

/// Forgets the peak so far, so that [`peak`] tells of what comes after, and gives free memory back to the system first.
/// Where the system can't, [`peak`] goes on telling of the whole process.
pub(crate) fn forget_peak() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: asks the allocator to return what is free already.
    unsafe {
        libc::malloc_trim(0);
    }
    // Linux: 5 sets `VmHWM` to what is resident now. A refusal leaves the larger figure.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn status(key: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_peak_can_be_forgotten() {
        const BIG: usize = 256 << 20;
        drop(std::hint::black_box(vec![1u8; BIG]));
        let before = peak().unwrap();
        forget_peak();
        assert!(before >= BIG as u64 && peak().unwrap() < before);
    }
}
