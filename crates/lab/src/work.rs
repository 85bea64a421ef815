//! How much arithmetic a graph asks for, to set a measured time against what the machine can do.
//!
//! Only products are counted, a multiplication and an addition being two operations: norms, activations and other passes
//! over the elements are some thousandth of it.

use mynah_graph::{Graph, Node, Op, ValueId};
use std::ops::AddAssign;

/// Operations of one run of a graph, and the weights it reads.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Of matrix products with quantised weights.
    pub quantised: f64,
    /// Of matrix products with float weights.
    pub floats: f64,
    /// Of attention: scores by content, scores by position, sums of values; of gated delta nets.
    pub attention: f64,
    /// Of convolutions.
    pub convolutions: f64,
    /// Bytes of all weights of matrix products and convolutions, as stored in the file.
    pub weight_bytes: f64,
}

impl Work {
    /// What one run of `graph` comes to at its shapes.
    pub fn of(graph: &Graph) -> Self {
        let mut work = Self::default();
        graph.nodes().iter().for_each(|node| work.add(graph, node));
        work
    }

    /// All operations.
    pub fn operations(&self) -> f64 {
        self.quantised + self.floats + self.attention + self.convolutions
    }

    fn add(&mut self, graph: &Graph, node: &Node) {
        let operand = |index: usize| node.inputs.get(index).copied();
        let size = |value: ValueId| graph.shape(value).numel() as f64;
        let outputs = size(node.output);
        let (Some(x), Some(second)) = (operand(0), operand(1)) else { return };
        match &node.op {
            Op::MatMul(_) | Op::MatMulAfter(..) => {
                let operations = 2.0 * outputs * graph.shape(x).last() as f64;
                let quantised = graph.weight(second).is_some_and(|w| w.dtype.is_quantized());
                *(if quantised { &mut self.quantised } else { &mut self.floats }) += operations;
            }
            // Each token has rows of its own in `[.., k, F]`: those of two products, or what goes into a third.
            Op::ExpertGateUp(_) | Op::ExpertDown => return self.add_experts(graph, node),
            Op::Conv2d(_) | Op::Conv1d(_) | Op::DepthwiseConv1d { .. } => {
                // A kernel is `[channels out, ..]`: what is left is multiplied for each element that comes out.
                let channels = graph.shape(second).dims().first().copied().unwrap_or(1);
                self.convolutions += 2.0 * outputs * size(second) / channels.max(1) as f64;
            }
            // Each frame that comes in meets the whole kernel.
            Op::ConvTranspose1d(_) => {
                let frames = size(x) / graph.shape(x).last().max(1) as f64;
                self.convolutions += 2.0 * frames * size(second);
            }
            Op::Attention(_) => {
                let keys = graph.shape(second).dims().get(1).copied().unwrap_or(0);
                self.attention += 4.0 * outputs * keys as f64;
            }
            Op::RelPosAttention(attention) => {
                let frames = graph.shape(second).dims().get(1).copied().unwrap_or(0);
                let seen = attention.window.map_or(frames, |[left, right]| (left + right + 1).min(frames));
                self.attention += 6.0 * outputs * seen as f64;
            }
            // A token of a prompt sees half the others on average; how full the cache is, the graph doesn't know.
            Op::CausalAttention(_) => {
                let time = graph.shape(x).dims().get(1).copied().unwrap_or(0);
                self.attention += 4.0 * outputs * (time as f64 + 1.0) / 2.0;
            }
            Op::CausalConv1d(_) => self.convolutions += 2.0 * outputs * graph.shape(second).last() as f64,
            // Decay, sum with k, update, sum with q: seven operations an element of the matrix.
            Op::GatedDeltaNet(_) => self.attention += 7.0 * outputs * graph.shape(x).last() as f64,
            _ => return,
        }
        if let Some(weight) = graph.weight(second) {
            let stored = weight.dtype.row_bytes(weight.shape.numel());
            self.weight_bytes += stored.unwrap_or(weight.shape.numel() * 4) as f64;
        }
    }
}

impl Work {
    /// Experts: as many rows as were chosen, and the weights of as many experts, should all be different.
    fn add_experts(&mut self, graph: &Graph, node: &Node) {
        let down = matches!(node.op, Op::ExpertDown);
        let stacks = node.inputs.get(if down { 3.. } else { 2.. }).unwrap_or_default();
        let rows = node.inputs.get(1).map_or(0, |&ids| graph.shape(ids).numel()) as f64;
        for spec in stacks.iter().filter_map(|&stack| graph.weight(stack)) {
            let &[experts, n, k] = spec.shape.dims() else { continue };
            let operations = 2.0 * rows * n as f64 * k as f64;
            *(if spec.dtype.is_quantized() { &mut self.quantised } else { &mut self.floats }) += operations;
            let bytes = spec.dtype.row_bytes(n * k).unwrap_or(4 * n * k) as f64;
            self.weight_bytes += bytes * rows.min(experts as f64);
        }
    }
}

impl AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        self.quantised += other.quantised;
        self.floats += other.floats;
        self.attention += other.attention;
        self.convolutions += other.convolutions;
        self.weight_bytes += other.weight_bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mynah_graph::{ElemType, GraphBuilder, RelPosAttention, WeightSpec};
    use mynah_tensor::{DType, Shape};

    #[test]
    fn only_experts_that_are_chosen_count() {
        for (tokens, read) in [(2, 4.0), (9, 8.0)] {
            let mut g = GraphBuilder::new("work");
            let h = g.input("h", ElemType::F32, [tokens, 2, 64]);
            let ids = g.input("ids", ElemType::I32, [tokens, 2]);
            let weights = g.input("weights", ElemType::F32, [tokens, 2]);
            let shape = Shape::from([8, 32, 64]);
            let down = g.weight(&WeightSpec { name: "down".into(), shape, dtype: DType::Q8_0 });
            let y = g.op(Op::ExpertDown, &[h, ids, weights, down]);
            g.output("y", y);
            let work = Work::of(&g.finish().unwrap());
            assert_eq!(work.operations(), 2.0 * 2.0 * tokens as f64 * 32.0 * 64.0);
            assert_eq!(work.weight_bytes, read * 32.0 * 2.0 * 34.0);
        }
    }

    #[test]
    fn operations_by_hand() {
        let mut g = GraphBuilder::new("work");
        let x = g.input("x", ElemType::F32, [1, 5, 64]);
        let mut weight =
            |name: &str, shape: Shape, dtype| g.weight(&WeightSpec { name: name.into(), shape, dtype });
        let (a, b) =
            (weight("a", Shape::from([64, 64]), DType::Q8_0), weight("b", Shape::from([64, 64]), DType::F16));
        let (kernel, p) = (
            weight("kernel", Shape::from([64, 1, 3]), DType::F32),
            weight("p", Shape::from([9, 64]), DType::F32),
        );
        let (u, v) =
            (weight("u", Shape::from([2, 32]), DType::F32), weight("v", Shape::from([2, 32]), DType::F32));
        let lengths = g.input("lengths", ElemType::I32, [1]);
        let q = g.matmul(x, a);
        let k = g.matmul(q, b);
        let k = g.depthwise_conv1d(k, kernel, None, [1, 1]);
        let attention = RelPosAttention { heads: 2, scale: 1.0, first_offset: 4, window: Some([1, 0]) };
        let y = g.rel_pos_attention(attention, &[q, k, x, p, u, v, lengths]);
        g.output("y", y);
        let wanted = Work {
            quantised: 2.0 * 5.0 * 64.0 * 64.0,
            floats: 2.0 * 5.0 * 64.0 * 64.0,
            attention: 3.0 * 2.0 * 5.0 * 2.0 * 64.0,
            convolutions: 2.0 * 5.0 * 64.0 * 3.0,
            weight_bytes: 64.0 * 2.0 * 34.0 + 64.0 * 64.0 * 2.0 + 64.0 * 3.0 * 4.0,
        };
        let mut work = Work::of(&g.finish().unwrap());
        assert_eq!(work, wanted);
        work += wanted;
        assert_eq!(work.operations(), 2.0 * wanted.operations());
    }
}
