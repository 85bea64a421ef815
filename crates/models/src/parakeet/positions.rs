//! The sinusoidal table of relative positions (Vaswani et al. 2017; Dai et al. 2019), as NeMo's
//! `RelPositionalEncoding` computes it in f32: sine on even columns, cosine on odd ones, base 10000.

use crate::parakeet::encoder::EncoderDims;

/// The table an encoder graph of these dimensions takes as its input `positions`, row-major `[rows, d_model]`.
pub fn position_table(dims: &EncoderDims, d_model: usize) -> Vec<f32> {
    let (first, rows) = dims.positions();
    table(first, rows, d_model)
}

/// Rows for the offsets `first, first − 1, …`, row-major `[rows, d_model]`.
pub(crate) fn table(first: i64, rows: usize, d_model: usize) -> Vec<f32> {
    let step = -(10_000f64.ln() / d_model as f64) as f32;
    let frequencies: Vec<f32> = (0..d_model.div_ceil(2)).map(|i| ((2 * i) as f32 * step).exp()).collect();
    let mut out = Vec::with_capacity(rows * d_model);
    for row in 0..rows {
        let offset = (first - row as i64) as f32;
        for column in 0..d_model {
            let angle = offset * frequencies[column / 2];
            out.push(if column % 2 == 0 { angle.sin() } else { angle.cos() });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn the_row_of_offset_zero_is_zero_and_one() {
        assert_eq!(table(0, 1, 4), [0.0, 1.0, 0.0, 1.0]);
    }

    #[test]
    fn rows_go_from_past_to_future() {
        let t = table(1, 3, 4);
        assert!((t[0] - 1f32.sin()).abs() < 1e-6 && (t[8] + 1f32.sin()).abs() < 1e-6);
        assert!((t[2] - 0.01f32.sin()).abs() < 1e-6);
    }
}
