//! Brings rows of `x` into the order in which a register tile reads them.

/// Writes rows of `k` elements as `[k][height]`, rows that are missing as zeros.
pub(crate) fn pack_rows<'a, R>(rows: R, k: usize, height: usize, out: &mut [f32])
where
    R: ExactSizeIterator<Item = &'a [f32]> + Clone,
{
    /// Terms written before the next row is looked at: the piece of `out` stays in the first-level cache.
    const STRETCH: usize = 64;
    let found = rows.len();
    for k0 in (0..k).step_by(STRETCH) {
        let end = k.min(k0 + STRETCH);
        let out = &mut out[k0 * height..end * height];
        for (r, row) in rows.clone().enumerate() {
            for (out, &x) in out.chunks_exact_mut(height).zip(&row[k0..end]) {
                out[r] = x;
            }
        }
        for r in found..height {
            out.chunks_exact_mut(height).for_each(|out| out[r] = 0.0);
        }
    }
    drop(rows);
}

#[cfg(test)]
mod tests {
    use super::pack_rows;

    #[test]
    fn rows_are_interleaved_and_padded() {
        let k = 100;
        let x: Vec<f32> = (0..3 * k).map(|i| i as f32).collect();
        let mut out = vec![-1.0; k * 4];
        pack_rows(x.chunks(k), k, 4, &mut out);
        for (i, four) in out.chunks(4).enumerate() {
            assert_eq!(four, [i as f32, (k + i) as f32, (2 * k + i) as f32, 0.0]);
        }
    }
}
