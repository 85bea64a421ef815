//! Arguments out of range: an error must come back, not a crash and not an answer.

use super::decoder::Causal;
use super::experts::{self, Experts};
use super::transducer::{Clip, TDT, Walk, with_number};
use super::vocoder::Full;
use super::{Cases, layout, sequence, transducer};
use crate::case::{Expect, OpCase};
use crate::elements::Elements;
use mynah_graph::{Activation, ExpertGateUp, ExpertWeights, RouterScore};
use mynah_tensor::DType;

pub(super) fn cases() -> Cases {
    let mut all = Vec::new();
    for id in [3, -1, i32::MIN, i32::MAX] {
        let case = layout::gather(&format!("id{id}"), [3, 17], DType::F32, &[2])?;
        all.push(with_ints(&case, 0, &[0, id]));
    }
    for length in [6, -1, i32::MIN, i32::MAX] {
        let case = sequence::mask_rows("too-long", &[2, 5, 3], &[5, 0])?;
        all.push(with_ints(&case, 1, &[5, length]));
        let attention = super::attention::Attention {
            time: 5,
            heads: 1,
            head_width: 8,
            lengths: &[5, 5],
            window: None,
            spare: 0,
            sharpness: 1.0,
        };
        all.push(with_ints(&attention.case("too-long")?, 4, &[5, length]));
        let lengths = &[5, 5];
        let full = Full { queries: 5, keys: 5, heads: 1, width: 8, lengths, sharpness: 1.0 };
        all.push(with_ints(&full.case("too-long")?, 3, &[5, length]));
        let cross = Full { queries: 2, ..full };
        all.push(with_ints(&cross.case("too-long")?, 3, &[5, length]));
    }
    for rows in [[1, 4], [1, -1], [i32::MAX, 0], [2, 2]] {
        let case = sequence::state_scatter("bad-rows", 4, &[5], &[0, 1])?;
        all.push(with_ints(&case, 1, &rows));
    }
    for rows in [[1, 4], [i32::MIN, 0]] {
        let case = sequence::state_gather("bad-rows", 4, &[5], &[0, 1])?;
        all.push(with_ints(&case, 0, &rows));
    }
    let delta = super::delta::Delta {
        key_heads: 1,
        heads: 2,
        size: 4,
        time: 3,
        batch: 2,
        per_channel: false,
        snapshots: 2,
        sequences: vec![[0, 3, 0], [1, 3, 0]],
    };
    for bad in [[2, 3, 0], [-1, 3, 0], [1, 4, 0], [1, 3, 2], [1, i32::MIN, 0], [0, 3, 0]] {
        all.push(with_ints(&delta.case("bad-sequence")?, 5, &[[0, 3, 0], bad].concat()));
    }
    all.extend(decoders()?);
    all.extend(transducers()?);
    all.extend(routed()?);
    for at in [6, -1, i64::MIN, i64::MAX] {
        all.push(with_slot(&sequence::state_append("bad-slot", 9, &[3], 4, 0)?, at));
    }
    for start in [15, -1, i64::MIN, i64::MAX] {
        all.push(with_slot(&layout::slice("bad-slot", &[5, 17], 1, 0, 3, true)?, start));
    }
    let case = layout::gather("missing-input", [3, 17], DType::F32, &[2])?;
    let mut arguments = case.arguments.clone();
    arguments.inputs.clear();
    all.push(refused(case.with_arguments(arguments), "none"));
    let case = layout::gather("short-input", [3, 17], DType::F32, &[2])?;
    all.push(with_ints(&case, 0, &[0]));
    Ok(all)
}

/// Sequences that can't be, and pages that aren't there or are written by two.
fn decoders() -> Cases {
    let mut all = Vec::new();
    let conv = super::decoder::causal_conv("bad", [3, 5, 4], 2, None, &[[0, 3, 0], [1, 3, 1]])?;
    for bad in [[2, 3, 0], [-1, 3, 0], [1, 4, 0], [1, 3, 2], [1, i32::MIN, 0], [0, 3, 0]] {
        all.push(with_ints(&conv, 1, &[[0, 3, 0], bad].concat()));
    }
    let attention =
        Causal { listed: 3, sequences: vec![[2, 3], [4, 1]], ..Causal::one([2, 1], 8, 2, [0, 3]) };
    let attention = attention.case("bad")?;
    for bad in [[4, 3], [-1, 1], [7, 0], [0, 4], [5, -1], [i32::MAX, 1], [4, i32::MIN], [6, 1]] {
        all.push(with_ints(&attention, 3, &[[2, 3], bad].concat()));
    }
    // Seven rows; the sequences need three pages each.
    for pages in
        [[6, 5, 7, 3, 2, 1], [-1, 5, 4, 3, 2, 1], [6, 5, 4, 3, 2, 4], [6, 5, 4, 6, 5, 1], [6, 5, 5, 3, 2, 1]]
    {
        all.push(with_ints(&attention, 4, &pages));
    }
    Ok(all)
}

/// Experts that aren't there.
fn routed() -> Cases {
    let layer =
        Experts { tokens: [1, 2], experts: 3, used: 2, terms: 5, rows: 4, dtype: DType::F32, uneven: false };
    let silu = ExpertGateUp { activation: Activation::Silu, limit: None, fused: false };
    let weights = ExpertWeights { score: RouterScore::Softmax, normalise: None, scale: 1.0 };
    let mut all = Vec::new();
    for ids in [[0, 1, 3, 2], [0, -1, 2, 1], [0, 1, 2, i32::MIN], [i32::MAX, 1, 2, 0]] {
        all.push(with_ints(&layer.gate_up("bad", silu, &[])?, 1, &ids));
        all.push(with_ints(&layer.down("bad", &[])?, 1, &ids));
        all.push(with_ints(&experts::weights("bad", &[2, 3], 2, weights)?, 1, &ids));
    }
    Ok(all)
}

/// Cursors that are none, and rows that aren't there.
fn transducers() -> Cases {
    let mut all = Vec::new();
    let numbers = transducer::state_numbers("bad", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2, &[0, 2])?;
    for rows in [[1, 3], [1, -1], [i32::MAX, 0]] {
        all.push(with_ints(&numbers, 0, &rows));
    }
    for bad in [0.5, 16_777_216.0, -16_777_216.0, f32::INFINITY] {
        all.push(refused(with_number(&numbers, 0, [2, 1], bad), &bad.to_string()));
    }
    let step = transducer::lstm_step("bad-rows", 3, 5, &[[0, 1], [1, 1]])?;
    for rows in [[1, 3], [-1, 0], [2, 2]] {
        all.push(with_ints(&step, 1, &rows));
    }
    let clips = [Clip::new(0, 3), Clip::new(2, 3)];
    let join = transducer::join("bad", [3, 5, 2], &clips)?;
    let walk = Walk { clips: &clips, ahead: 2, blank: 5, durations: &TDT, entries: 2, ties: false };
    let walk = walk.case("bad")?;
    for rows in [[1, 3], [-1, 0]] {
        all.push(with_ints(&join, 1, &rows));
        all.push(with_ints(&walk, 1, &rows));
    }
    all.push(with_ints(&walk, 1, &[2, 2]));
    // Row 1 is in use; one past the last frame there is, and what no index can be.
    for (column, bad) in [(1, 4.0), (1, -1.0), (0, -1.0), (0, 0.5), (1, f32::NAN), (0, 1e9)] {
        let tag = format!("{column}-{bad}");
        all.push(refused(with_number(&join, 1, [1, column], bad), &tag));
    }
    for (column, bad) in
        [(0, -1.0), (1, 0.5), (2, -3.0), (5, 16_777_216.0), (5, f32::NAN), (0, f32::INFINITY)]
    {
        let tag = format!("{column}-{bad}");
        all.push(refused(with_number(&walk, 0, [2, column], bad), &tag));
    }
    Ok(all)
}

fn with_ints(case: &OpCase, input: usize, values: &[i32]) -> OpCase {
    let mut arguments = case.arguments.clone();
    arguments.inputs[input] = Elements::I32(values.to_vec());
    refused(case.with_arguments(arguments), &format!("{values:?}"))
}

fn with_slot(case: &OpCase, value: i64) -> OpCase {
    let mut arguments = case.arguments.clone();
    arguments.slots[0] = value;
    refused(case.with_arguments(arguments), &value.to_string())
}

fn refused(mut case: OpCase, tag: &str) -> OpCase {
    case.name = format!("{}/refused{tag}", case.name);
    case.expect = Expect::Refusal;
    case
}
