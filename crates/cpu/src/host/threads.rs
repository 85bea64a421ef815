//! How many threads to start when nobody said.

#[cfg(any(test, not(target_os = "macos")))]
use std::collections::BTreeSet;
#[cfg(any(test, not(target_os = "macos")))]
use std::fs;
#[cfg(any(test, not(target_os = "macos")))]
use std::path::Path;

/// One thread for each physical core this process may run on, within the quota of its control group.
///
/// Two hardware threads of a core share the units that matrix products keep busy, and slow cores of a mixed
/// processor (big.LITTLE) would be waited for, so neither is counted.
pub(crate) fn default_threads() -> usize {
    // The standard library already looks at the affinity mask and the control group's quota (v1 and v2, a fraction of
    // a processor cut off: a thread that is throttled would be waited for).
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    fast_cores().map_or(allowed, |cores| allowed.min(cores)).max(1)
}

/// Fast physical cores this process may run on, where the system tells.
#[cfg(not(target_os = "macos"))]
fn fast_cores() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    physical_cores(Path::new("/sys/devices/system/cpu"), affinity(&status).as_ref())
}

/// Performance cores: the first of the kernel's levels.
#[cfg(target_os = "macos")]
fn fast_cores() -> Option<usize> {
    use std::ffi::{c_char, c_int, c_void};
    unsafe extern "C" {
        fn sysctlbyname(
            name: *const c_char,
            old: *mut c_void,
            old_len: *mut usize,
            new: *mut c_void,
            new_len: usize,
        ) -> c_int;
    }
    let read = |name: &std::ffi::CStr| {
        let (mut count, mut len): (c_int, usize) = (0, size_of::<c_int>());
        // SAFETY: the name is a C string, and the value is written to an integer of the length given.
        let result = unsafe {
            sysctlbyname(
                name.as_ptr(),
                std::ptr::from_mut(&mut count).cast(),
                &mut len,
                std::ptr::null_mut(),
                0,
            )
        };
        (result == 0 && len == size_of::<c_int>()).then_some(count)
    };
    // Intel Macs have one level, under its plain name.
    let count = read(c"hw.perflevel0.physicalcpu").or_else(|| read(c"hw.physicalcpu"))?;
    usize::try_from(count).ok().filter(|&count| count > 0)
}

/// The processors that the affinity mask allows, by the kernel's account of this process.
#[cfg(any(test, not(target_os = "macos")))]
fn affinity(status: &str) -> Option<BTreeSet<usize>> {
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let cpus: BTreeSet<usize> = parse_list(list).into_iter().collect();
    (!cpus.is_empty()).then_some(cpus)
}

/// Fast physical cores among the allowed processors by the kernel's tables; `None` where there are none.
#[cfg(any(test, not(target_os = "macos")))]
fn physical_cores(root: &Path, allowed: Option<&BTreeSet<usize>>) -> Option<usize> {
    let online = fs::read_to_string(root.join("online")).ok()?;
    let capacity = |cpu: usize| {
        let text = fs::read_to_string(root.join(format!("cpu{cpu}/cpu_capacity"))).ok()?;
        text.trim().parse::<u32>().ok()
    };
    let is_allowed = |cpu: &usize| allowed.is_none_or(|cpus| cpus.contains(cpu));
    let cpus: Vec<usize> = parse_list(&online).into_iter().filter(is_allowed).collect();
    let fastest = cpus.iter().filter_map(|&cpu| capacity(cpu)).max();
    let is_fast = |cpu: usize| match (capacity(cpu), fastest) {
        (Some(own), Some(fastest)) => own >= fastest / 2,
        _ => true,
    };
    let cores: BTreeSet<String> = cpus
        .iter()
        .filter(|&&cpu| is_fast(cpu))
        .map(|cpu| {
            let siblings = root.join(format!("cpu{cpu}/topology/thread_siblings_list"));
            fs::read_to_string(siblings).unwrap_or_else(|_| cpu.to_string())
        })
        .collect();
    (!cores.is_empty()).then_some(cores.len())
}

/// Reads the kernel's list format, for example `0-3,8,10-11`; parts that make no sense are skipped.
#[cfg(any(test, not(target_os = "macos")))]
fn parse_list(text: &str) -> Vec<usize> {
    /// More processors than any kernel is built for.
    const LIMIT: usize = 1 << 16;
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        (last < LIMIT).then_some(first..=last)
    };
    text.trim().split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    /// A made-up `/sys/devices/system/cpu`, removed with the guard.
    struct Machine(PathBuf);

    impl Machine {
        /// Processors with their siblings and, on mixed machines, their capacity.
        fn new(name: &str, online: &str, cpus: &[(&str, Option<u32>)]) -> Self {
            let root = std::env::temp_dir().join(format!("mynah-cpu-{}-{name}", std::process::id()));
            for (cpu, (siblings, capacity)) in cpus.iter().enumerate() {
                let place = root.join(format!("cpu{cpu}/topology"));
                fs::create_dir_all(&place).unwrap();
                fs::write(place.join("thread_siblings_list"), format!("{siblings}\n")).unwrap();
                if let Some(capacity) = capacity {
                    fs::write(root.join(format!("cpu{cpu}/cpu_capacity")), format!("{capacity}\n")).unwrap();
                }
            }
            fs::write(root.join("online"), format!("{online}\n")).unwrap();
            Self(root)
        }

        fn cores(&self, allowed: Option<&[usize]>) -> Option<usize> {
            physical_cores(&self.0, allowed.map(|cpus| cpus.iter().copied().collect()).as_ref())
        }
    }

    impl Drop for Machine {
        fn drop(&mut self) {
            let _left_behind = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn lists_are_read() {
        assert_eq!(parse_list("0-3,8,10-11\n"), [0, 1, 2, 3, 8, 10, 11]);
        assert_eq!(parse_list("0\n"), [0]);
        assert_eq!(parse_list("x,5-,0-99999999999,2"), [2]);
    }

    #[test]
    fn hardware_threads_of_a_core_count_once() {
        let both = [("0,4", None), ("1,5", None), ("2,6", None), ("3,7", None)];
        let machine = Machine::new("smt", "0-7", &[both, both].concat());
        assert_eq!(machine.cores(None), Some(4));
        assert_eq!(machine.cores(Some(&[0, 4])), Some(1), "one core's two threads");
        assert_eq!(machine.cores(Some(&[0, 1, 5])), Some(2));
        assert_eq!(machine.cores(Some(&[99])), None);
    }

    #[test]
    fn slow_cores_count_only_among_themselves() {
        let little = |cpu| (cpu, Some(446));
        let big = |cpu| (cpu, Some(1024));
        let cpus = [little("0"), little("1"), little("2"), little("3"), big("4"), big("5"), ("6", Some(700))];
        let machine = Machine::new("mixed", "0-6", &cpus);
        assert_eq!(machine.cores(None), Some(3));
        assert_eq!(machine.cores(Some(&[0, 1, 4])), Some(1));
        assert_eq!(machine.cores(Some(&[0, 1, 2])), Some(3), "slow cores are better than none");
    }

    #[test]
    fn processors_that_are_off_do_not_count() {
        let machine = Machine::new("off", "0,2-3", &[("0", None), ("1", None), ("2", None), ("3", None)]);
        assert_eq!(machine.cores(None), Some(3));
    }

    #[test]
    fn the_affinity_mask_is_found_in_the_status() {
        let status = "Name:\tmynah\nCpus_allowed:\tff\nCpus_allowed_list:\t0-2,7\nMems_allowed:\t1\n";
        assert_eq!(affinity(status), Some([0, 1, 2, 7].into()));
        assert_eq!(affinity("Name:\tmynah\n"), None);
    }

    #[test]
    fn there_is_always_a_thread() {
        assert!(default_threads() >= 1);
        assert_eq!(physical_cores(Path::new("/nowhere"), None), None);
    }
}
