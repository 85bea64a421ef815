//! Rounds rows of floats to bfloat16 and lays them out as pairs of consecutive terms, for tiles that multiply pairs.

use super::SimdLevel;

/// Proof that the machine multiplies pairs of bfloat16 and that its level was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bf16(());

impl Bf16 {
    /// The proof, where the level has the instructions.
    pub(crate) fn of(level: SimdLevel) -> Option<Self> {
        match level {
            SimdLevel::Avx512 { bf16: true, .. } if cfg!(target_arch = "x86_64") => Some(Self(())),
            _ => None,
        }
    }

    /// Writes rows of `k` elements as `[k / 2 rounded up][height]` pairs, terms and rows that are missing as zeros. A
    /// pair holds its first term in the lower half. The first `height` rows are taken.
    pub(crate) fn pack_rows<'a>(
        self,
        mut rows: impl Iterator<Item = &'a [f32]>,
        k: usize,
        height: usize,
        out: &mut [f32],
    ) {
        let out = &mut out[..k.div_ceil(2) * height];
        for first in (0..height).step_by(4) {
            let mut four = [None; 4];
            let lanes = four.len().min(height - first);
            for slot in &mut four[..lanes] {
                *slot = rows.next().map(|row| &row[..k]);
            }
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `self` proves the features; the rows are k long and the places within `out`.
            unsafe {
                x86::four_rows(four, k, out.get_mut(first..).unwrap_or(&mut []), height, lanes);
            }
            // Elsewhere nobody has a proof.
            #[cfg(not(target_arch = "x86_64"))]
            let _ = (four, &out);
        }
    }

    /// Writes four rows of one length as columns `r .. r + 4` of `[k / 2 rounded up][height]` pairs.
    pub(crate) fn pack_columns(self, rows: [&[f32]; 4], r: usize, height: usize, out: &mut [f32]) {
        let k = rows[0].len();
        let out = &mut out[..k.div_ceil(2) * height];
        assert!(rows.iter().all(|row| row.len() == k) && r + 4 <= height);
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `self` proves the features; the rows are k long and the places within `out`.
        unsafe {
            x86::four_rows(rows.map(Some), k, out.get_mut(r..).unwrap_or(&mut []), height, 4);
        }
        // Elsewhere nobody has a proof.
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (rows, &out);
    }

    /// Writes the pairs of two rows' elements, a missing second row as zeros.
    pub(crate) fn pair_rows(self, first: &[f32], second: Option<&[f32]>, out: &mut [f32]) {
        let n = first.len();
        let (second, out) = (second.map(|row| &row[..n]), &mut out[..n]);
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `self` proves the features; all slices are n long.
        unsafe {
            x86::two_rows(first, second, out);
        }
        // Elsewhere nobody has a proof.
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (second, out);
    }

    /// What [`Bf16::pack_rows`] wrote, as floats: `[pair][width]` to `[term][width]`.
    pub(crate) fn unpack(pairs: &[f32], width: usize, out: &mut [f32]) {
        for (pairs, out) in pairs.chunks_exact(width).zip(out.chunks_mut(2 * width)) {
            let (first, second) = out.split_at_mut(width);
            for (x, pair) in first.iter_mut().zip(pairs) {
                *x = f32::from_bits(pair.to_bits() << 16);
            }
            for (x, pair) in second.iter_mut().zip(pairs) {
                *x = f32::from_bits(pair.to_bits() & 0xffff_0000);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// Four rows as columns `0 .. lanes` of `[pair][height]`, turned in registers.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]
    pub(super) unsafe fn four_rows(
        rows: [Option<&[f32]>; 4],
        k: usize,
        out: &mut [f32],
        height: usize,
        lanes: usize,
    ) {
        // Halves of four vectors hold the columns of eight pairs.
        let turn = |rows: [__m256i; 4]| {
            let [a, b, c, d] = rows;
            let (ab_low, ab_high) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
            let (cd_low, cd_high) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
            [
                _mm256_unpacklo_epi64(ab_low, cd_low),
                _mm256_unpackhi_epi64(ab_low, cd_low),
                _mm256_unpacklo_epi64(ab_high, cd_high),
                _mm256_unpackhi_epi64(ab_high, cd_high),
            ]
        };
        let mut i = 0;
        // SAFETY: reads terms that exist and writes the pairs of these terms.
        unsafe {
            if let ([Some(a), Some(b), Some(c), Some(d)], 4) = (rows, lanes) {
                let [a, b, c, d] = [a.as_ptr(), b.as_ptr(), c.as_ptr(), d.as_ptr()];
                while i + 16 <= k {
                    let round = |row: *const f32| words(_mm512_loadu_ps(row.add(i)));
                    let columns = turn([round(a), round(b), round(c), round(d)]);
                    let to = out.as_mut_ptr().add(i / 2 * height);
                    for (pair, column) in columns.into_iter().enumerate() {
                        let (near, far) = (to.add(pair * height), to.add((pair + 4) * height));
                        _mm_storeu_si128(near.cast(), _mm256_castsi256_si128(column));
                        _mm_storeu_si128(far.cast(), _mm256_extracti128_si256::<1>(column));
                    }
                    i += 16;
                }
            }
            let stored = (1u8 << lanes) - 1;
            while i < k {
                let terms = (k - i).min(16);
                let present = ((1u32 << terms) - 1) as u16;
                let round = |row: Option<&[f32]>| match row {
                    Some(row) => words(_mm512_maskz_loadu_ps(present, row.as_ptr().add(i))),
                    None => _mm256_setzero_si256(),
                };
                let columns = turn(rows.map(round));
                let to = out.as_mut_ptr().add(i / 2 * height);
                for pair in 0..terms.div_ceil(2) {
                    let column = columns[pair % 4];
                    let half = if pair < 4 {
                        _mm256_castsi256_si128(column)
                    } else {
                        _mm256_extracti128_si256::<1>(column)
                    };
                    _mm_mask_storeu_epi32(to.add(pair * height).cast(), stored, half);
                }
                i += 16;
            }
        }
    }

    /// The elements of two rows side by side.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]
    pub(super) unsafe fn two_rows(first: &[f32], second: Option<&[f32]>, out: &mut [f32]) {
        let n = first.len();
        let mut i = 0;
        while i < n {
            let present = ((1u32 << (n - i).min(16)) - 1) as u16;
            // SAFETY: the mask keeps loads and the store within the n elements of each.
            unsafe {
                let widen = |row: &[f32]| {
                    _mm512_cvtepu16_epi32(words(_mm512_maskz_loadu_ps(present, row.as_ptr().add(i))))
                };
                let low = widen(first);
                let high = second.map_or(_mm512_setzero_si512(), |row| _mm512_slli_epi32::<16>(widen(row)));
                let to = out.as_mut_ptr().add(i);
                _mm512_mask_storeu_epi32(to.cast(), present, _mm512_or_si512(low, high));
            }
            i += 16;
        }
    }

    /// Sixteen floats rounded to bfloat16, ties to even.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn words(v: __m512) -> __m256i {
        // SAFETY: both are 256 bits of which any are a value.
        unsafe { std::mem::transmute(_mm512_cvtneps_pbh(v)) }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use half::bf16;
    use mynah_tensor::Rng;

    fn machine() -> Option<Bf16> {
        SimdLevel::available().into_iter().find_map(Bf16::of)
    }

    fn rounded(x: f32) -> f32 {
        bf16::from_f32(x).to_f32()
    }

    #[test]
    fn rows_become_columns_of_rounded_pairs() {
        let Some(machine) = machine() else { return };
        for (rows, height) in [(1, 1), (2, 3), (3, 4), (4, 4), (5, 6), (13, 14), (14, 14), (31, 32)] {
            for k in [1, 2, 7, 16, 17, 100] {
                let mut x = vec![0.0; rows * k];
                Rng::new(k as u64).fill_normal(&mut x, 3.0);
                let pairs = k.div_ceil(2);
                let (mut packed, mut out) = (vec![7.0; pairs * height], vec![7.0; 2 * pairs * height]);
                machine.pack_rows(x.chunks(k), k, height, &mut packed);
                Bf16::unpack(&packed, height, &mut out);
                for (i, &found) in out.iter().enumerate() {
                    let (term, r) = (i / height, i % height);
                    let wanted = if r < rows && term < k { rounded(x[r * k + term]) } else { 0.0 };
                    assert_eq!(found, wanted, "{rows} rows of {height}, term {term} of {k}");
                }
            }
        }
    }

    #[test]
    fn two_rows_lie_side_by_side() {
        let Some(machine) = machine() else { return };
        for n in [1, 16, 37] {
            let mut x = vec![0.0; 2 * n];
            Rng::new(9).fill_normal(&mut x, 1.0);
            let (first, second) = x.split_at(n);
            for second in [Some(second), None] {
                let (mut pairs, mut out) = (vec![7.0; n], vec![7.0; 2 * n]);
                machine.pair_rows(first, second, &mut pairs);
                Bf16::unpack(&pairs, n, &mut out);
                for (i, &found) in out[..n].iter().enumerate() {
                    assert_eq!(found, rounded(first[i]));
                    assert_eq!(out[n + i], second.map_or(0.0, |row| rounded(row[i])));
                }
            }
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        let Some(machine) = machine() else { return };
        let x = [f32::NAN, f32::INFINITY, f32::MAX, -0.0, f32::from_bits(0x7f80_0001)];
        let (mut pairs, mut out) = ([0.0; 3], [0.0; 6]);
        machine.pack_rows([&x[..]].into_iter(), 5, 1, &mut pairs);
        Bf16::unpack(&pairs, 1, &mut out);
        assert!(out[0].is_nan() && out[4].is_nan());
        assert_eq!(out[1..4], [f32::INFINITY, f32::INFINITY, 0.0]);
        assert!(out[3].is_sign_negative());
    }
}
