//! Numbers as people read them.

/// Bytes in the unit that leaves one to three digits before the point.
pub(crate) fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{count} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

/// Seconds as `9.4 s`, `2:05` or `1:02:05`.
pub(crate) fn seconds(value: f64) -> String {
    let value = if value.is_finite() { value.max(0.0) } else { 0.0 };
    if value < 59.95 {
        return format!("{value:.1} s");
    }
    let whole = value.round() as u64;
    let (h, m, s) = (whole / 3600, whole / 60 % 60, whole % 60);
    if h > 0 { format!("{h}:{m:02}:{s:02}") } else { format!("{m}:{s:02}") }
}

/// How much faster than the audio itself, with three digits that mean something.
pub(crate) fn speed(audio: f64, wall: f64) -> String {
    let factor = audio / wall.max(1e-9);
    if factor < 100.0 { format!("{factor:.1} × realtime") } else { format!("{factor:.0} × realtime") }
}

/// `1 file`, `2 files`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(12_582_912), "12.0 MiB");
        assert_eq!(seconds(9.44), "9.4 s");
        assert_eq!(seconds(59.97), "1:00");
        assert_eq!(seconds(3725.0), "1:02:05");
        assert_eq!(seconds(f64::NAN), "0.0 s");
        assert_eq!(speed(11.0, 0.5), "22.0 × realtime");
        assert_eq!(speed(1000.0, 1.0), "1000 × realtime");
        assert_eq!(count(1, "file", "files"), "1 file");
        assert_eq!(count(0, "file", "files"), "0 files");
    }
}
