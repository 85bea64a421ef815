//! What the heads of a layer do between its projections becomes one op, where the device has a kernel for it: the convolution, cutting,
//! norms, positions, the recurrence or the attention, and the gate.
//!
//! A single token gives each of these so little to do that a GPU spends its time on starting them.

use super::{Context, Links, Outcome, Rewrite};
use crate::error::PlanError;
use mynah_device::Device;
use mynah_graph::{
    Activation, AttentionHeads, BinaryOp, CausalConv1d, DeltaHeads, Graph, Heads, Node, NodeId, Op, Start,
    ValueId,
};

/// The rule.
pub(super) struct FuseHeads;

impl Rewrite for FuseHeads {
    fn name(&self) -> &'static str {
        "fuse-heads"
    }

    fn apply(&self, graph: &mut Graph, context: &Context<'_>) -> Result<Outcome, PlanError> {
        let mut outcome = Outcome::default();
        let links = Links::of(graph);
        for index in 0..graph.nodes().len() {
            let output = graph.nodes()[index].output;
            match find(graph, &links, index)
                .and_then(|found| found.map(|f| f.taken(graph, context.device, output)).transpose())
            {
                Ok(None) => {}
                Ok(Some(found)) => {
                    // An op with an effect is never dropped: what wrote the state becomes one without, which is.
                    for (node, like) in found.writers {
                        let dims = graph.shape(like).dims().to_vec();
                        graph.replace(NodeId(node as u32), Op::Reshape(dims), vec![like]);
                    }
                    graph.replace(NodeId(index as u32), Op::Heads(found.heads), found.inputs);
                    outcome.fired += 1;
                }
                Err(reason) => outcome.refused.push((graph.value(output).name.clone(), reason)),
            }
        }
        Ok(outcome)
    }
}

/// Heads that end in a gate.
struct Found {
    heads: Heads,
    inputs: Vec<ValueId>,
    /// The nodes that write states, the first of them first, each with a value of the shape of its own.
    writers: Vec<(usize, ValueId)>,
    /// The same with the convolution before.
    longer: Option<Box<Found>>,
}

impl Found {
    fn taken(
        mut self,
        graph: &Graph,
        device: Option<&dyn Device>,
        output: ValueId,
    ) -> Result<Self, &'static str> {
        let device = device.ok_or("the device is not known")?;
        let supported = |found: &Self| {
            let node = Node { op: Op::Heads(found.heads), inputs: found.inputs.clone(), output };
            device.supports(graph, &node).is_ok()
        };
        match self.longer.take().filter(|longer| supported(longer)) {
            Some(longer) => Ok(*longer),
            None if supported(&self) => Ok(self),
            None => Err("the device has no kernel for all of it at once"),
        }
    }
}

/// The heads that end with node `index`.
fn find(graph: &Graph, links: &Links, index: usize) -> Result<Option<Found>, &'static str> {
    let node = &graph.nodes()[index];
    let (Op::Gated(gate), &[y, by]) = (&node.op, node.inputs.as_slice()) else { return Ok(None) };
    let chain = Chain { graph, links };
    let Some((core, last)) = chain.node(y) else { return Ok(None) };
    let found = match (&last.op, last.inputs.as_slice()) {
        (Op::RmsNorm { eps }, &[y, gain]) => match chain.node(y) {
            Some((core, Node { op: Op::GatedDeltaNet(_), .. })) => {
                chain.delta(core, *eps, gain, *gate, by)?
            }
            _ => return Ok(None),
        },
        (Op::CausalAttention(_), _) => chain.attention(core, *gate, by)?,
        _ => return Ok(None),
    };
    let alone = |found: &Found| {
        let between = found.writers[0].0..index;
        let others = between.filter(|&i| found.writers.iter().all(|w| w.0 != i));
        others.into_iter().all(|i| !graph.nodes()[i].op.uses_state())
    };
    if !alone(&found) {
        return Err("another op uses a state in between");
    }
    Ok(Some(Found { longer: found.longer.filter(|longer| alone(longer)), ..found }))
}

/// The nodes before a value.
struct Chain<'a> {
    graph: &'a Graph,
    links: &'a Links,
}

impl<'a> Chain<'a> {
    /// The node that computes `value`, with its place.
    fn node(&self, value: ValueId) -> Option<(usize, &'a Node)> {
        let index = self.links.producers[value.0 as usize]?;
        Some((index, &self.graph.nodes()[index]))
    }

    /// The same if nothing else reads the value.
    fn own(&self, value: ValueId) -> Result<&'a Node, &'static str> {
        let (_, node) = self.node(value).ok_or("an operand is not computed")?;
        if self.links.uses[value.0 as usize] > 1 {
            return Err("a value in between has other users");
        }
        Ok(node)
    }

    /// The value behind reshapes.
    fn named(&self, mut value: ValueId) -> Result<ValueId, &'static str> {
        while let Some((_, Node { op: Op::Reshape(_), inputs, .. })) = self.node(value) {
            self.own(value)?;
            value = inputs[0];
        }
        Ok(value)
    }

    /// What entries `from .. from + len` of the last axis are cut of.
    fn cut(&self, value: ValueId, from: usize, len: usize) -> Result<ValueId, &'static str> {
        let node = self.own(self.named(value)?)?;
        let last = self.graph.shape(node.inputs[0]).rank() - 1;
        match &node.op {
            Op::Slice { axis, start: Start::Fixed(start), len: found }
                if (*axis, *start, *found) == (last, from, len) =>
            {
                Ok(node.inputs[0])
            }
            _ => Err("an operand is no part of a projection"),
        }
    }

    fn delta(
        &self,
        core: usize,
        norm_eps: f32,
        gain: ValueId,
        gate: Activation,
        z: ValueId,
    ) -> Result<Found, &'static str> {
        let node = &self.graph.nodes()[core];
        let (Op::GatedDeltaNet(delta), &[q, k, v, decay, beta, sequences]) =
            (&node.op, node.inputs.as_slice())
        else {
            return Err("the recurrence has other operands");
        };
        self.own(node.output)?;
        let heads = self.graph.shape(q).dims()[2];
        let (width, values) = (self.graph.shape(v).last(), self.graph.shape(v).dims()[2]);
        let unit = |value: ValueId| match self.own(value)? {
            Node { op: Op::L2Norm { eps }, inputs, .. } => Ok((*eps, inputs[0])),
            _ => Err("queries or keys are not brought to unit length"),
        };
        let ((length_eps, q), (k_eps, k)) = (unit(q)?, unit(k)?);
        let keys = heads * width;
        let mixed = self.cut(q, 0, keys)?;
        if (self.cut(k, keys, keys)?, self.cut(v, 2 * keys, values * width)?) != (mixed, mixed) {
            return Err("queries, keys and values are of different values");
        }
        let &Node { op: Op::Binary(BinaryOp::Mul), ref inputs, .. } = self.own(decay)? else {
            return Err("the decay is no product of steps and rates");
        };
        let &[steps, rates] = inputs.as_slice() else { return Err("the decay has other operands") };
        let rates_fit = self.graph.shape(rates).dims() == [values] && self.graph.weight(rates).is_some();
        if k_eps != length_eps || self.graph.shape(steps).rank() != 3 || !rates_fit {
            return Err("there is not one rate a head, or not one eps");
        }
        let heads = DeltaHeads { conv: None, delta: *delta, key_heads: heads, length_eps, norm_eps, gate };
        let inputs = vec![mixed, steps, rates, beta, gain, z, sequences];
        let longer = self.convolution(mixed, sequences, delta.snapshots).map(|(conv, node, x, kernel)| {
            let heads = Heads::Delta(DeltaHeads { conv: Some(conv), ..heads });
            let inputs = [&[x], &inputs[1..], &[kernel]].concat();
            Box::new(Found { heads, inputs, writers: vec![(node, x), (core, v)], longer: None })
        });
        Ok(Found { heads: Heads::Delta(heads), inputs, writers: vec![(core, v)], longer })
    }

    /// The convolution that gives `mixed`, if queries, keys and values are all that reads it: with its place, operand and kernel.
    fn convolution(
        &self,
        mixed: ValueId,
        sequences: ValueId,
        snapshots: usize,
    ) -> Option<(CausalConv1d, usize, ValueId, ValueId)> {
        let (index, node) = self.node(mixed)?;
        let (Op::CausalConv1d(conv), &[x, kernel, of]) = (&node.op, node.inputs.as_slice()) else {
            return None;
        };
        let fits = of == sequences && conv.snapshots == snapshots && self.links.uses[mixed.0 as usize] == 3;
        (fits && self.graph.weight(kernel).is_some()).then_some((*conv, index, x, kernel))
    }

    fn attention(&self, core: usize, gate: Activation, by: ValueId) -> Result<Found, &'static str> {
        let node = &self.graph.nodes()[core];
        let (Op::CausalAttention(attention), &[q, k, v, sequences, pages]) =
            (&node.op, node.inputs.as_slice())
        else {
            return Err("the attention has other operands");
        };
        self.own(node.output)?;
        let width = self.graph.shape(q).last();
        let turned = |value: ValueId| {
            let Node { op: Op::Rope(rope), inputs: turned, .. } = self.own(value)? else {
                return Err("queries or keys have no rotary positions");
            };
            let Node { op: Op::RmsNorm { eps }, inputs: normed, .. } = self.own(turned[0])? else {
                return Err("queries or keys have no norm");
            };
            Ok((*rope, turned[1], *eps, normed[0], normed[1]))
        };
        let (rope, positions, norm_eps, q_raw, q_gain) = turned(q)?;
        let (k_rope, k_positions, k_eps, k_raw, k_gain) = turned(k)?;
        if (k_rope, k_positions, k_eps) != (rope, positions, norm_eps) {
            return Err("queries and keys differ in more than their gains");
        }
        let both = self.cut(q_raw, 0, width)?;
        if self.cut(by, width, width)? != both || self.graph.shape(both).rank() != 4 {
            return Err("the gate is not beside the query");
        }
        let heads = AttentionHeads { attention: *attention, rope, norm_eps, gate };
        let inputs = vec![both, k_raw, v, q_gain, k_gain, positions, sequences, pages];
        Ok(Found { heads: Heads::Attention(heads), inputs, writers: vec![(core, q)], longer: None })
    }
}
