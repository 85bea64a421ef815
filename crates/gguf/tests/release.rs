//! Giving pages back: alone in its process, because it looks at the process's memory.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use mynah_gguf::{GgufFile, GgufWriter};
use mynah_tensor::DType;

/// Resident bytes of the process that belong to files.
fn resident_file_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssFile:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn released_weights_leave_memory_and_come_back() {
    const LEN: usize = 32 << 20;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.gguf");
    let mut writer = GgufWriter::new();
    for (name, byte) in [("a", 1), ("b", 2)] {
        writer.tensor(name, DType::I8, &[LEN], move |out| out.write_all(&vec![byte; LEN])).unwrap();
    }
    writer.write_file(&path).unwrap();

    let file = GgufFile::open(&path).unwrap();
    let sum = |name| {
        let data = file.data(file.tensor(name).unwrap()).unwrap();
        data.iter().map(|&byte| usize::from(byte)).sum::<usize>()
    };
    let before = resident_file_bytes();
    assert_eq!((sum("a"), sum("b")), (LEN, 2 * LEN));
    let loaded = resident_file_bytes();
    assert!(loaded >= before + LEN, "reading maps the pages: {before} then {loaded}");
    file.release_pages(file.tensor("a").unwrap());
    let released = resident_file_bytes();
    assert!(released + LEN / 2 <= loaded, "releasing unmaps them: {loaded} then {released}");
    assert_eq!((sum("a"), sum("b")), (LEN, 2 * LEN));
}
