//! How many threads to start when nobody said.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// One thread for each physical core this process may run on, within the quota of its control group.
///
/// Two hardware threads of a core share the units that matrix products keep busy, and slow cores of a mixed
/// processor (big.LITTLE) would be waited for, so neither is counted.
pub(crate) fn default_threads() -> usize {
    // The standard library already looks at the affinity mask and the control group's quota.
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    physical_cores(Path::new("/sys/devices/system/cpu")).map_or(allowed, |cores| allowed.min(cores)).max(1)
}

/// Fast physical cores by the kernel's tables; `None` where there are none.
fn physical_cores(root: &Path) -> Option<usize> {
    let online = fs::read_to_string(root.join("online")).ok()?;
    let capacity = |cpu: usize| {
        let text = fs::read_to_string(root.join(format!("cpu{cpu}/cpu_capacity"))).ok()?;
        text.trim().parse::<u32>().ok()
    };
    let cpus = parse_list(&online);
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

    #[test]
    fn lists_are_read() {
        assert_eq!(parse_list("0-3,8,10-11\n"), [0, 1, 2, 3, 8, 10, 11]);
        assert_eq!(parse_list("0\n"), [0]);
        assert_eq!(parse_list("x,5-,0-99999999999,2"), [2]);
    }

    #[test]
    fn there_is_always_a_thread() {
        assert!(default_threads() >= 1);
        assert_eq!(physical_cores(Path::new("/nowhere")), None);
    }
}
