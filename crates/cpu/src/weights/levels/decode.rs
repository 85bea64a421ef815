//! Decodes records: to floats, for products that don't quantise `x`, or to records with a byte for each level, for products
//! of so many rows that the unpacking is better done once.

use super::Record;
use crate::simd::{Simd, dispatch};
use crate::weights::LevelFormat;

/// The most lanes a panel has, and words of four levels a group has.
const MOST: usize = 32 * 8 * 4;

dispatch! {
    /// Decodes records to `[k][lane]` floats.
    pub(super) fn decode(format: LevelFormat, records: &[u8], out: &mut [f32]) = decode_body;
    /// Copies records into ones of [`LevelFormat::unpacked`].
    pub(super) fn unpack_records(format: LevelFormat, records: &[u8], out: &mut [u8]) = unpack_body;
}

#[inline(always)]
unsafe fn unpack_body<S: Simd>(_: S, format: LevelFormat, records: &[u8], out: &mut [u8]) {
    let width = 2 * S::LANES;
    let (from, to) = (Record::of(format, width), Record::of(format.unpacked(), width));
    for (record, out) in records.chunks_exact(from.bytes).zip(out.chunks_exact_mut(to.bytes)) {
        out[..to.levels].copy_from_slice(&record[..from.levels]);
        let groups = record[from.levels..].chunks_exact(from.group);
        for (group, out) in groups.zip(out[to.levels..].chunks_exact_mut(to.group)) {
            unpack(format, group, from.low, 4 * width, out);
        }
    }
}

#[inline(always)]
unsafe fn decode_body<S: Simd>(s: S, format: LevelFormat, records: &[u8], out: &mut [f32]) {
    let width = 2 * S::LANES;
    let (record, group_out) = (Record::of(format, width), format.group * width);
    assert!(4 * width * format.group / 4 <= MOST && out.len() * record.bytes >= records.len() * group_out);
    let zero = s.splat(f32::from(format.zero));
    let mut words = [0u8; MOST];
    for (bytes, out) in
        records.chunks_exact(record.bytes).zip(out.chunks_exact_mut(format.groups * group_out))
    {
        let (head, levels) = bytes.split_at(record.levels);
        for (g, out) in out.chunks_exact_mut(group_out).enumerate() {
            unpack(format, &levels[g * record.group..][..record.group], record.low, 4 * width, &mut words);
            for first in [0, S::LANES] {
                // SAFETY: a record's head has these lanes, `words` and `out` a group of them.
                unsafe {
                    let half = |at: usize| head[at..].as_ptr().cast::<u16>().add(first);
                    let (mut scale, mut min) = (s.load_f16(half(0)), s.zero());
                    if format.mins {
                        min = s.load_f16(half(record.dmin));
                    }
                    if format.groups > 1 {
                        let sub = |at: usize| head[at + g * width + first..].as_ptr();
                        scale = s.mul(scale, s.load_i8(sub(record.sub)));
                        if format.mins {
                            min = s.mul(min, s.load_i8(sub(record.submin)));
                        }
                    }
                    let mut quad = 0;
                    while quad < format.group / 4 {
                        let from = words.as_ptr().add(4 * (quad * width + first));
                        let to = out.as_mut_ptr().add(4 * quad * width + first);
                        four(s, from, [zero, scale, min], format.mins, to);
                        quad += 1;
                    }
                }
            }
        }
    }
}

/// A group's levels as bytes, `[quad][lane][4]`, a quad of `bytes` bytes.
#[inline(always)]
fn unpack(format: LevelFormat, group: &[u8], low: usize, bytes: usize, out: &mut [u8]) {
    let (low, high) = group.split_at(low);
    if format.bits == 8 {
        out[..low.len()].copy_from_slice(low);
        return;
    }
    for (pair, out) in low.chunks_exact(bytes).zip(out.chunks_exact_mut(2 * bytes)) {
        let (first, second) = out.split_at_mut(bytes);
        first.iter_mut().zip(pair).for_each(
            #[inline(always)]
            |(out, &byte)| *out = byte & 15,
        );
        second.iter_mut().zip(pair).for_each(
            #[inline(always)]
            |(out, &byte)| *out = byte >> 4,
        );
    }
    let (wide, quads) = (format.bits - 4, format.group / 4);
    if wide > 0 {
        let mask = (1u8 << wide) - 1;
        for (quad, out) in out.chunks_exact_mut(bytes).take(quads).enumerate() {
            let shift = (4 + quad * wide) % 8;
            out.iter_mut().zip(high).for_each(
                #[inline(always)]
                |(out, &byte)| *out |= ((byte >> shift) & mask) << 4,
            );
        }
    }
}

/// Decodes four terms of a vector of lanes.
#[inline(always)]
unsafe fn four<S: Simd>(s: S, words: *const u8, [zero, scale, min]: [S::F; 3], mins: bool, out: *mut f32) {
    let width = 2 * S::LANES;
    // SAFETY: passed on to the caller. The shifts are those of the four bytes.
    unsafe {
        let (a, b) = (s.load_bits::<0>(words, 255), s.load_bits::<8>(words, 255));
        let (c, d) = (s.load_bits::<16>(words, 255), s.load_bits::<24>(words, 255));
        let (a, b) = (s.mul(s.sub(a, zero), scale), s.mul(s.sub(b, zero), scale));
        let (c, d) = (s.mul(s.sub(c, zero), scale), s.mul(s.sub(d, zero), scale));
        if mins {
            s.store(out, s.sub(a, min));
            s.store(out.add(width), s.sub(b, min));
            s.store(out.add(2 * width), s.sub(c, min));
            s.store(out.add(3 * width), s.sub(d, min));
        } else {
            s.store(out, a);
            s.store(out.add(width), b);
            s.store(out.add(2 * width), c);
            s.store(out.add(3 * width), d);
        }
    }
}
