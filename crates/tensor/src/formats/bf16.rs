//! BF16: the upper half of an IEEE single.
//!
//! ```text
//! byte  0                1
//!      [e m m m m m m m  s e e e e e e e]   1 sign, 8 exponent, 7 mantissa bits, little-endian
//! ```

/// Bytes of one element.
pub const BYTES: usize = 2;

/// Widens a row, exactly. Stops at the shorter of the two slices.
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    for (pair, out) in bytes.chunks_exact(BYTES).zip(out) {
        *out = f32::from_bits(u32::from(u16::from_le_bytes([pair[0], pair[1]])) << 16);
    }
}

/// Rounds a row to nearest even; a NaN stays one and becomes quiet. Stops at the shorter of the two slices.
pub fn encode(values: &[f32], out: &mut [u8]) {
    for (value, pair) in values.iter().zip(out.chunks_exact_mut(BYTES)) {
        let bits = value.to_bits();
        let upper = if value.is_nan() {
            (bits >> 16) as u16 | 0x40
        } else {
            // Adding just under half of the dropped unit, or exactly half when the kept part is odd, rounds to even.
            // The largest finite values carry into the exponent and become infinite, as they should.
            ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16
        };
        pair.copy_from_slice(&upper.to_le_bytes());
    }
}
