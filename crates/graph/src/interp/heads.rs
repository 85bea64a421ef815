//! Heads, as the ops they stand for one after the other.

use super::env::Memory;
use super::{Tensor64, causal_attention, causal_conv, delta, elementwise, norm, rope};
use crate::error::GraphError;
use crate::heads::{AttentionHeads, DeltaHeads};
use crate::ir::Graph;
use crate::state::StateElem;
use mynah_tensor::Shape;

/// Columns of each row, under another shape.
fn columns(x: &Tensor64, from: usize, shape: &[usize], row: usize) -> Result<Tensor64, GraphError> {
    let data = x.rows().flat_map(|r| r[from..from + row].iter().copied()).collect();
    Tensor64::new(Shape::new(shape).unwrap_or_default(), data)
}

pub(super) fn delta_heads(
    node: &str,
    h: &DeltaHeads,
    operands: &[&Tensor64],
    graph: &Graph,
    memory: &mut Memory<'_>,
) -> Result<Vec<f64>, GraphError> {
    let &[mixed, steps, rates, beta, gain, z, sequences, ref kernel @ ..] = operands else {
        return Ok(Vec::new());
    };
    let convolved = match (&h.conv, kernel) {
        (Some(c), &[kernel]) => {
            let inputs = memory.state(graph, c.state)?;
            let y = causal_conv::causal_conv1d(node, c, &[mixed, kernel, sequences], inputs)?;
            Some(Tensor64::new(mixed.shape, y)?)
        }
        _ => None,
    };
    let mixed = convolved.as_ref().unwrap_or(mixed);
    let state = memory.state(graph, h.delta.state)?;
    let &[batch, time, heads, size] = z.shape.dims() else { return Ok(Vec::new()) };
    let keys = h.key_heads * size;
    let part = |from: usize, count: usize| columns(mixed, from, &[batch, time, count, size], count * size);
    let unit = |x: Tensor64| Tensor64::new(x.shape, norm::l2_norm(f64::from(h.length_eps), &x));
    let (q, k) = (unit(part(0, h.key_heads)?)?, unit(part(keys, h.key_heads)?)?);
    let v = part(2 * keys, heads)?;
    let decay = Tensor64::new(steps.shape, elementwise::binary(crate::BinaryOp::Mul, steps, rates))?;
    let y = delta::gated_delta_net(node, &h.delta, &[&q, &k, &v, &decay, beta, sequences], state)?;
    let y = Tensor64::new(z.shape, y)?;
    let y = Tensor64::new(z.shape, norm::rms_norm(f64::from(h.norm_eps), &[&y, gain]))?;
    Ok(elementwise::gated(h.gate, &y, z))
}

pub(super) fn attention_heads(
    node: &str,
    h: &AttentionHeads,
    operands: &[&Tensor64],
    states: ([&mut Tensor64; 2], StateElem),
) -> Result<Vec<f64>, GraphError> {
    let &[both, k, v, q_gain, k_gain, positions, sequences, pages] = operands else { return Ok(Vec::new()) };
    let &[batch, time, heads, width] = both.shape.dims() else { return Ok(Vec::new()) };
    let half = |from: usize| columns(both, from, &[batch, time, heads, width / 2], width / 2);
    let turned = |x: &Tensor64, gain: &Tensor64| {
        let x = Tensor64::new(x.shape, norm::rms_norm(f64::from(h.norm_eps), &[x, gain]))?;
        Tensor64::new(x.shape, rope::rope(node, &h.rope, &x, positions)?)
    };
    let (q, gate) = (turned(&half(0)?, q_gain)?, half(width / 2)?);
    let k = turned(k, k_gain)?;
    let y = causal_attention::causal_attention(node, &h.attention, &[&q, &k, v, sequences, pages], states)?;
    Ok(elementwise::gated(h.gate, &Tensor64::new(q.shape, y)?, &gate))
}
