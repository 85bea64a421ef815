//! Brings rows of `x` into the order in which a register tile reads them.

/// The tallest tile and the widest panel there is.
const MOST: usize = 32;

/// Writes rows of `k` elements as `[k][height]`, rows that are missing as zeros. At most 32 rows are taken.
pub(crate) fn pack_rows<'a, R>(rows: R, k: usize, height: usize, out: &mut [f32])
where
    R: Iterator<Item = &'a [f32]>,
{
    let mut all: [&[f32]; MOST] = [&[]; MOST];
    let mut found = 0;
    for (slot, row) in all.iter_mut().zip(rows) {
        *slot = &row[..k];
        found += 1;
    }
    let out = &mut out[..k * height];
    assert!(found <= height, "{found} rows for a tile of {height}");
    if found >= 4 {
        // The last four rows may overlap those before: that is cheaper than a way for every remainder.
        for first in (0..found - 3).step_by(4).chain([found - 4]) {
            pack_columns([all[first], all[first + 1], all[first + 2], all[first + 3]], first, height, out);
        }
    } else {
        for (r, row) in all[..found].iter().enumerate() {
            out.iter_mut().skip(r).step_by(height).zip(*row).for_each(|(out, &x)| *out = x);
        }
    }
    for r in found..height {
        out.iter_mut().skip(r).step_by(height).for_each(|out| *out = 0.0);
    }
}

/// Writes four rows of one length as columns `r .. r + 4` of `[k][height]`: squares of four by four are turned in registers, so that
/// four elements go with one store.
pub(crate) fn pack_columns(rows: [&[f32]; 4], r: usize, height: usize, out: &mut [f32]) {
    let k = rows[0].len();
    assert!(rows.iter().all(|row| row.len() == k) && r + 4 <= height && out.len() >= k * height);
    let mut i = 0;
    while i + 4 <= k {
        // SAFETY: elements i .. i + 4 of each row exist, and their places were checked above.
        unsafe {
            let a = rows[0].as_ptr().add(i).cast::<[f32; 4]>().read_unaligned();
            let b = rows[1].as_ptr().add(i).cast::<[f32; 4]>().read_unaligned();
            let c = rows[2].as_ptr().add(i).cast::<[f32; 4]>().read_unaligned();
            let d = rows[3].as_ptr().add(i).cast::<[f32; 4]>().read_unaligned();
            let to = out.as_mut_ptr().add(i * height + r);
            to.cast::<[f32; 4]>().write_unaligned([a[0], b[0], c[0], d[0]]);
            to.add(height).cast::<[f32; 4]>().write_unaligned([a[1], b[1], c[1], d[1]]);
            to.add(2 * height).cast::<[f32; 4]>().write_unaligned([a[2], b[2], c[2], d[2]]);
            to.add(3 * height).cast::<[f32; 4]>().write_unaligned([a[3], b[3], c[3], d[3]]);
        }
        i += 4;
    }
    while i < k {
        for (j, row) in rows.iter().enumerate() {
            out[i * height + r + j] = row[i];
        }
        i += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::pack_rows;

    #[test]
    fn rows_are_interleaved_and_padded() {
        for (rows, height) in [(1, 1), (3, 4), (4, 4), (5, 6), (14, 14), (13, 14), (31, 32), (2, 32)] {
            for k in [1, 3, 4, 101] {
                let x: Vec<f32> = (1..=rows * k).map(|i| i as f32).collect();
                let mut out = vec![-1.0; k * height];
                pack_rows(x.chunks(k), k, height, &mut out);
                for (i, &found) in out.iter().enumerate() {
                    let (r, term) = (i % height, i / height);
                    assert_eq!(
                        found,
                        if r < rows { x[r * k + term] } else { 0.0 },
                        "{rows} of {height}, {k}"
                    );
                }
            }
        }
    }
}
