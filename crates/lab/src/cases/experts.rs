//! Routed experts: what routers choose and weigh, and what the chosen experts compute, for loads even and uneven.

use super::stored::{self, Field};
use super::{Cases, WEIGHT_TYPES, by};
use crate::bounds::Bounds;
use crate::case::{CaseBuilder, Fill, OpCase};
use crate::error::LabError;
use mynah_graph::{Activation, ExpertChoice, ExpertGateUp, ExpertWeights, Op, RouterScore, ValueId};
use mynah_tensor::{DType, Rng, Shape};

/// Logits of a router.
#[derive(Clone, Copy)]
pub(super) enum Logits {
    Apart,
    /// Four values only, so most are equal to others.
    Ties,
}

fn logits(b: &mut CaseBuilder, dims: &[usize], kind: Logits) -> ValueId {
    match kind {
        Logits::Apart => b.input("logits", dims, Fill::Normal(2.0)),
        Logits::Ties => {
            let values = (0..dims.iter().product()).map(|_| b.rng.below(4) as f32 - 1.0).collect();
            b.floats("logits", dims, values)
        }
    }
}

pub(super) fn choice(
    tag: &str,
    dims: &[usize],
    kind: Logits,
    choice: ExpertChoice,
) -> Result<OpCase, LabError> {
    let ExpertChoice { used, score, bias } = choice;
    let detail = format!("{tag}/{}/{used}/{}{}", by(dims), score.name(), if bias { "+bias" } else { "" });
    let mut b = CaseBuilder::new("expert_choice", &detail);
    let mut operands = vec![logits(&mut b, dims, kind)];
    if bias {
        let experts = dims.last().copied().unwrap_or(1);
        operands.push(b.weight("bias", &[experts], DType::F32, Fill::Normal(0.3)));
    }
    let y = b.op(Op::ExpertChoice(choice), &operands);
    b.finish(&[y], Bounds::MOVED)
}

pub(super) fn weights(
    tag: &str,
    dims: &[usize],
    used: usize,
    weights: ExpertWeights,
) -> Result<OpCase, LabError> {
    let ExpertWeights { score, normalise, scale } = weights;
    let least = normalise.map_or(String::new(), |least| format!("/from{least}"));
    let detail = format!("{tag}/{}/{used}/{}x{scale}{least}", by(dims), score.name());
    let mut b = CaseBuilder::new("expert_weights", &detail);
    let (experts, tokens) = (dims.last().copied().unwrap_or(1), dims.iter().rev().skip(1).product());
    let logits = logits(&mut b, dims, Logits::Apart);
    let ids = ids(&mut b.rng, tokens, experts, used, false);
    let ids = b.ints("ids", &with_last(dims, used), &ids);
    let y = b.op(Op::ExpertWeights(weights), &[logits, ids]);
    b.finish(&[y], Bounds::EXPONENTIAL)
}

fn with_last(dims: &[usize], last: usize) -> Vec<usize> {
    dims.iter().rev().skip(1).rev().copied().chain([last]).collect()
}

/// Different experts for each token. Uneven: all want the first, and nobody the last, where there are enough.
fn ids(rng: &mut Rng, tokens: usize, experts: usize, used: usize, uneven: bool) -> Vec<i32> {
    let mut all = Vec::new();
    let there = if uneven && used < experts { experts - 1 } else { experts };
    for _ in 0..tokens {
        let mut order: Vec<i32> = (0..there as i32).collect();
        for i in (1..there).rev() {
            order.swap(i, rng.below(i + 1));
        }
        if uneven && let Some(first) = order.iter().position(|&id| id == 0) {
            order.swap(first, used / 2);
        }
        all.extend(&order[..used]);
    }
    all
}

/// One layer of experts.
#[derive(Clone, Copy)]
pub(super) struct Experts {
    /// Leading dimensions.
    pub(super) tokens: [usize; 2],
    pub(super) experts: usize,
    pub(super) used: usize,
    /// Terms and results of each expert's product.
    pub(super) terms: usize,
    pub(super) rows: usize,
    pub(super) dtype: DType,
    pub(super) uneven: bool,
}

const SILU: ExpertGateUp = ExpertGateUp { activation: Activation::Silu, limit: None, fused: false };

impl Experts {
    fn detail(&self, tag: &str) -> String {
        let Self { tokens: [batch, time], experts, used, terms, rows, dtype, uneven } = *self;
        let load = if uneven { "/uneven" } else { "" };
        format!("{tag}/{batch}x{time}x{terms}*{rows}/{used}of{experts}/{dtype}{load}")
    }

    fn ids(&self, b: &mut CaseBuilder) -> ValueId {
        let Self { tokens: [batch, time], experts, used, .. } = *self;
        let drawn = ids(&mut b.rng, batch * time, experts, used, self.uneven);
        b.ints("ids", &[batch, time, used], &drawn)
    }

    fn stack(
        &self,
        b: &mut CaseBuilder,
        name: &str,
        rows: usize,
        fields: &[Field],
    ) -> Result<ValueId, LabError> {
        let dims = [self.experts, rows, self.terms];
        if !fields.is_empty() {
            return stored::weight(b, name, Shape::from(dims), self.dtype, fields);
        }
        let deviation = 1.0 / (self.terms as f32).sqrt();
        Ok(b.weight(name, &dims, self.dtype, Fill::Normal(deviation)))
    }

    pub(super) fn gate_up(&self, tag: &str, op: ExpertGateUp, fields: &[Field]) -> Result<OpCase, LabError> {
        let limit = op.limit.map_or(String::new(), |limit| format!("/limit{limit}"));
        let fused = if op.fused { "/fused" } else { "" };
        let detail = format!("{}/{}{limit}{fused}", self.detail(tag), op.activation.name());
        let mut b = CaseBuilder::new("expert_gate_up", &detail);
        let [batch, time] = self.tokens;
        // Drawn blocks are large, and a gate far below zero lets nothing through.
        let x = Fill::Normal(if fields.is_empty() { 1.0 } else { 0.1 });
        let x = b.input("x", &[batch, time, self.terms], x);
        let mut operands = vec![x, self.ids(&mut b)];
        if op.fused {
            operands.push(self.stack(&mut b, "gate_up", 2 * self.rows, fields)?);
        } else {
            operands.push(self.stack(&mut b, "gate", self.rows, fields)?);
            operands.push(self.stack(&mut b, "up", self.rows, fields)?);
        }
        let y = b.op(Op::ExpertGateUp(op), &operands);
        // Two products, and what the activation makes of the error of one.
        let product = Bounds::product(self.dtype);
        b.finish(&[y], Bounds { fast: 4.0 * product.fast, ..product })
    }

    pub(super) fn down(&self, tag: &str, fields: &[Field]) -> Result<OpCase, LabError> {
        let mut b = CaseBuilder::new("expert_down", &self.detail(tag));
        let [batch, time] = self.tokens;
        let h = b.input("h", &[batch, time, self.used, self.terms], Fill::Normal(1.0));
        let ids = self.ids(&mut b);
        let weights = b.input("weights", &[batch, time, self.used], Fill::Within(0.1, 1.0));
        let down = self.stack(&mut b, "down", self.rows, fields)?;
        let y = b.op(Op::ExpertDown, &[h, ids, weights, down]);
        b.finish(&[y], Bounds::product(self.dtype))
    }
}

/// A layer of a real model's widths, with fewer experts than that has.
pub(super) fn real() -> Cases {
    let mut all = Vec::new();
    for time in [1, 64] {
        let layer = Experts {
            tokens: [1, time],
            experts: 16,
            used: 8,
            terms: 2048,
            rows: 512,
            dtype: DType::Q4K,
            uneven: false,
        };
        all.push(layer.gate_up("qwen3.5-35b", SILU, &[])?);
        all.push(Experts { terms: 512, rows: 2048, ..layer }.down("qwen3.5-35b", &[])?);
    }
    Ok(all)
}

pub(super) fn cases() -> Cases {
    use RouterScore::{Sigmoid, Softmax, SqrtSoftplus};
    let plain = |used, score| ExpertChoice { used, score, bias: false };
    let biased = |used, score| ExpertChoice { used, score, bias: true };
    let qwen = ExpertWeights { score: Softmax, normalise: Some(0.0), scale: 1.0 };
    let deepseek = ExpertWeights { score: SqrtSoftplus, normalise: Some(6.103_515_6e-5), scale: 1.5 };
    let mut all = vec![
        choice("two-experts", &[1, 2], Logits::Apart, plain(1, Softmax))?,
        choice("qwen3.5-35b", &[1, 9, 256], Logits::Apart, plain(8, Softmax))?,
        choice("qwen3-next", &[1, 512], Logits::Apart, plain(10, Softmax))?,
        choice("deepseek4", &[1, 9, 256], Logits::Apart, biased(6, SqrtSoftplus))?,
        choice("deepseek3", &[3, 64], Logits::Apart, biased(8, Sigmoid))?,
        choice("softmax-bias", &[2, 3, 17], Logits::Apart, biased(4, Softmax))?,
        choice("ties", &[70, 33], Logits::Ties, plain(5, Softmax))?,
        choice("ties", &[7, 33], Logits::Ties, plain(33, Sigmoid))?,
        choice("many", &[300, 64], Logits::Apart, plain(4, Softmax))?,
        weights("one-element", &[1, 3], 1, ExpertWeights { normalise: None, ..qwen })?,
        weights("qwen3.5-35b", &[1, 9, 256], 8, qwen)?,
        weights("qwen3-next", &[1, 512], 10, qwen)?,
        weights("deepseek4", &[1, 9, 256], 6, deepseek)?,
        weights(
            "deepseek3",
            &[3, 64],
            8,
            ExpertWeights { score: Sigmoid, normalise: Some(1e-20), scale: 2.5 },
        )?,
        weights("not-normalised", &[2, 3, 17], 4, ExpertWeights { normalise: None, ..qwen })?,
        weights("small-sums", &[5, 33], 2, ExpertWeights { normalise: Some(0.5), ..qwen })?,
        weights("many", &[300, 64], 4, qwen)?,
    ];
    let layer = Experts {
        tokens: [1, 1],
        experts: 6,
        used: 2,
        terms: 256,
        rows: 40,
        dtype: DType::F32,
        uneven: false,
    };
    let types = WEIGHT_TYPES.iter().map(|&dtype| (dtype, &[][..])).chain(stored::TYPES);
    for (dtype, fields) in types {
        let tag = if fields.is_empty() { "rows" } else { "stored" };
        for tokens in [[1, 1], [2, 1], [1, 8], [4, 16]] {
            let layer = Experts { tokens, dtype, uneven: tokens == [4, 16], ..layer };
            all.push(layer.gate_up(tag, SILU, fields)?);
            all.push(layer.down(tag, fields)?);
        }
        all.push(Experts { dtype, tokens: [1, 3], ..layer }.gate_up(
            tag,
            ExpertGateUp { fused: true, ..SILU },
            fields,
        )?);
    }
    let (q4, limited) = (DType::Q4K, ExpertGateUp { limit: Some(0.5), ..SILU });
    let odd =
        Experts { tokens: [3, 5], experts: 5, used: 3, terms: 33, rows: 17, dtype: DType::F32, uneven: true };
    let one =
        Experts { tokens: [1, 1], experts: 1, used: 1, terms: 1, rows: 1, dtype: DType::F32, uneven: false };
    all.extend([
        one.gate_up("one-element", SILU, &[])?,
        one.down("one-element", &[])?,
        odd.gate_up("odd", SILU, &[])?,
        odd.gate_up("odd", ExpertGateUp { fused: true, ..limited }, &[])?,
        odd.down("odd", &[])?,
        layer.gate_up("limited", limited, &[])?,
        Experts { tokens: [1, 9], dtype: q4, ..layer }.gate_up("limited", limited, &[])?,
        Experts { tokens: [1, 7], ..layer }.gate_up(
            "relu",
            ExpertGateUp { activation: Activation::Relu, ..SILU },
            &[],
        )?,
        // Matrices that are a whole number of panels, alone and in pairs.
        Experts { tokens: [1, 5], rows: 64, ..layer }.gate_up("whole", SILU, &[])?,
        Experts { tokens: [1, 5], rows: 64, dtype: q4, ..layer }.gate_up("whole", limited, &[])?,
        Experts { tokens: [2, 9], rows: 64, dtype: DType::BF16, ..layer }.gate_up(
            "whole",
            ExpertGateUp { fused: true, ..SILU },
            &[],
        )?,
        Experts { tokens: [2, 9], rows: 64, dtype: DType::Q8_0, ..layer }.gate_up(
            "whole",
            ExpertGateUp { fused: true, ..SILU },
            &[],
        )?,
        Experts { tokens: [1, 5], rows: 96, dtype: DType::Q6K, ..layer }.down("whole", &[])?,
        Experts { tokens: [3, 11], rows: 32, uneven: true, ..layer }.down("whole", &[])?,
        // Everybody wants everyone.
        Experts { tokens: [1, 11], experts: 3, used: 3, ..layer }.gate_up("all", SILU, &[])?,
        Experts { tokens: [1, 11], experts: 3, used: 3, dtype: q4, ..layer }.down("all", &[])?,
        // More tokens with one expert than a task takes.
        Experts {
            tokens: [1, 300],
            experts: 3,
            used: 1,
            rows: 33,
            dtype: DType::Q8_0,
            uneven: true,
            ..layer
        }
        .gate_up("many", SILU, &[])?,
        Experts { tokens: [2, 150], experts: 3, used: 1, rows: 33, uneven: true, ..layer }
            .down("many", &[])?,
        // Most experts are nobody's.
        Experts { tokens: [1, 2], experts: 64, used: 4, rows: 8, dtype: q4, ..layer }.gate_up(
            "few",
            SILU,
            &[],
        )?,
        Experts { tokens: [1, 2], experts: 64, used: 4, rows: 8, dtype: q4, ..layer }.down("few", &[])?,
    ]);
    Ok(all)
}
