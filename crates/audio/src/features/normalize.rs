//! Normalisation of log-mel frames over a clip.

/// Added to the standard deviation, outside the root.
const STD_GUARD: f64 = 1e-5;

/// Brings each column of the first `valid` rows of `data` (`[rows, n_mels]`) to zero mean and unit standard deviation
/// (unbiased; of a single row it is undefined and taken as 0). In f64, where the order of a sum does not show.
pub(super) fn per_feature(data: &mut [f32], n_mels: usize, valid: usize) {
    let rows = &mut data[..valid * n_mels];
    let mut means = vec![0f64; n_mels];
    for row in rows.chunks_exact(n_mels) {
        for (sum, &x) in means.iter_mut().zip(row) {
            *sum += f64::from(x);
        }
    }
    for mean in &mut means {
        *mean /= valid as f64;
    }
    let mut scales = vec![0f64; n_mels];
    for row in rows.chunks_exact(n_mels) {
        for ((square, mean), &x) in scales.iter_mut().zip(&means).zip(row) {
            *square += (f64::from(x) - mean).powi(2);
        }
    }
    for scale in &mut scales {
        let std = (*scale / (valid as f64 - 1.0)).sqrt();
        *scale = if std.is_nan() { 0.0 } else { std } + STD_GUARD;
    }
    for row in rows.chunks_exact_mut(n_mels) {
        for ((x, mean), scale) in row.iter_mut().zip(&means).zip(&scales) {
            *x = ((f64::from(*x) - mean) / scale) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_unbiased_deviation() {
        let mut data = vec![1.0, 10.0, 3.0, 10.0, 5.0, 10.0, 99.0, 99.0];
        per_feature(&mut data, 2, 3);
        // Deviation of 1, 3, 5 is 2 with n - 1 in the denominator.
        let expected = (2.0 / (2.0 + 1e-5f64)) as f32;
        assert_eq!(data, [-expected, 0.0, 0.0, 0.0, expected, 0.0, 99.0, 99.0]);
    }

    #[test]
    fn one_row_becomes_zero() {
        let mut data = vec![4.0, -7.0];
        per_feature(&mut data, 2, 1);
        assert_eq!(data, [0.0, 0.0]);
    }
}
