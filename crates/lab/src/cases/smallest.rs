//! Every op on as little as there can be: one element, or two where one would always give zero.

use super::attention::Attention;
use super::delta::Delta;
use super::elementwise::glu;
use super::layout::{gather, reshape};
use super::norm::{batch_norm_scale, norm, softmax};
use super::product::Product;
use super::sequence::{lstm_cell, mask_rows, state_append, state_gather, state_scatter};
use super::{Cases, WEIGHT_TYPES};
use crate::bounds::Bounds;
use crate::case::Fill;
use mynah_graph::{Epilogue, Op};
use mynah_tensor::DType;

const TAG: &str = "one-element";

pub(super) fn cases() -> Cases {
    let (f32, normal) = (DType::F32, Fill::Normal(1.0));
    let attention =
        Attention { time: 1, heads: 1, head_width: 1, lengths: &[1], window: None, spare: 0, sharpness: 1.0 };
    let all_of_it = Epilogue { bias: true, residual: true, ..Epilogue::default() };
    let mut all = vec![
        norm(Op::LayerNorm { eps: 1e-5 }, TAG, &[1, 1], f32, normal, Bounds::ROW)?,
        norm(Op::RmsNorm { eps: 1e-6 }, TAG, &[1, 1], f32, normal, Bounds::ROW)?,
        norm(Op::BatchNorm { eps: 1e-5 }, TAG, &[1, 1], f32, normal, Bounds::ROW)?,
        batch_norm_scale(TAG, 1)?,
        softmax(Op::Softmax, TAG, &[1, 1], normal)?,
        softmax(Op::LogSoftmax, "two-elements", &[1, 2], normal)?,
        glu("pair-alone", &[2], normal)?,
        gather(TAG, [1, 1], f32, &[1])?,
        reshape(TAG, &[1], &[1, 1])?,
        mask_rows(TAG, &[1, 1], &[1])?,
        lstm_cell(TAG, 1, 1, normal)?,
        state_gather(TAG, 1, &[1], &[0])?,
        state_scatter(TAG, 1, &[1], &[0])?,
        state_append(TAG, 1, &[1], 1, 0)?,
        attention.case(TAG)?,
        Delta::of(1, 1, 1, 1).case(TAG)?,
        Product { x: &[1, 1], rows: 1, dtype: f32, epilogue: all_of_it, fill: normal }.case(TAG)?,
    ];
    // One block, or one element of a type without blocks.
    for dtype in WEIGHT_TYPES {
        let x = [1, dtype.block_len()];
        all.push(
            Product { x: &x, rows: 1, dtype, epilogue: Epilogue::default(), fill: normal }
                .case("one-block")?,
        );
    }
    Ok(all)
}
