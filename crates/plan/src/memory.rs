//! Memory plan: a value lives from the step that makes it to its last use, and ranges that don't live together share
//! bytes.
//!
//! Greedy by size (Pisarchyk and Lee 2020): the largest buffers are laid first, each at the lowest offset where it
//! meets no buffer alive at the same time. Reshapes rename, as do slices that are one stretch of memory: a token's queries in the product
//! that gives its keys, too. An op that may work in place takes over its operand's buffer if that operand dies there.

use mynah_device::{Device, Location, Plan};
use mynah_graph::{Graph, Node, NodeId, Op, Start, ValueId, ValueSource};

/// Lays out a graph that runs whole on one device.
pub fn plan_memory(graph: &Graph, device: &dyn Device) -> Plan {
    let lives = Lives::of(graph, device);
    let mut order: Vec<usize> = (0..lives.buffers.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(lives.buffers[i].bytes), lives.buffers[i].first));
    let mut offsets = vec![0; lives.buffers.len()];
    let mut laid: Vec<usize> = Vec::new();
    for i in order {
        offsets[i] = lowest_gap(&lives.buffers, &laid, &offsets, i);
        laid.push(i);
    }
    let arena_bytes = (0..offsets.len()).map(|i| offsets[i] + lives.buffers[i].bytes).max().unwrap_or(0);
    let locations =
        (0..graph.values().len()).map(|v| match (lives.buffer_of[v], &graph.values()[v].source) {
            (Some(b), _) => {
                let offset = offsets[b] + lives.within[v];
                Location::Arena { offset, bytes: value_bytes(graph, ValueId(v as u32)) }
            }
            (None, ValueSource::Weight(_)) => Location::Weight,
            (None, _) => Location::Unused,
        });
    let steps = graph.nodes().iter().enumerate().filter(|(_, n)| lives.launches(graph, n));
    Plan {
        locations: locations.collect(),
        steps: steps.map(|(i, _)| NodeId(i as u32)).collect(),
        arena_bytes,
        graph: graph.clone(),
    }
}

/// The lowest offset where buffer `i` meets none of the `laid` ones that live at the same time.
fn lowest_gap(buffers: &[Buffer], laid: &[usize], offsets: &[usize], i: usize) -> usize {
    let mut taken: Vec<(usize, usize)> = laid
        .iter()
        .filter(|&&j| buffers[j].meets(&buffers[i]))
        .map(|&j| (offsets[j], offsets[j] + buffers[j].bytes))
        .collect();
    taken.sort_unstable();
    let mut at = 0;
    for (from, to) in taken {
        if from >= at + buffers[i].bytes {
            break;
        }
        at = at.max(to);
    }
    at
}

/// Bytes of a value, rounded up to whole cache lines. Both element types have four bytes.
fn value_bytes(graph: &Graph, value: ValueId) -> usize {
    graph.shape(value).numel().saturating_mul(4).max(1).next_multiple_of(Plan::ALIGN)
}

/// Where in the operand's memory a node's result lies already: bytes from its beginning.
fn renames(graph: &Graph, node: &Node) -> Option<usize> {
    match node.op {
        Op::Reshape(_) => Some(0),
        Op::Slice { axis, start: Start::Fixed(first), .. } => {
            let shape = graph.shape(*node.inputs.first()?);
            let dims = shape.dims();
            let inner: usize = dims.get(axis + 1..)?.iter().product();
            let (at, bytes) = (4 * first * inner, 4 * graph.shape(node.output).numel());
            // Kernels want places that begin and end where a plan lets them.
            let whole = at.is_multiple_of(Plan::ALIGN) && bytes.is_multiple_of(Plan::ALIGN) && bytes > 0;
            (dims[..axis].iter().product::<usize>() == 1 && whole).then_some(at)
        }
        _ => None,
    }
}

/// One arena range and the steps between which it is in use.
struct Buffer {
    bytes: usize,
    first: usize,
    last: usize,
}

impl Buffer {
    fn meets(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Buffers of a graph and the buffer of each value.
struct Lives {
    buffers: Vec<Buffer>,
    buffer_of: Vec<Option<usize>>,
    /// Where in its buffer a value begins.
    within: Vec<usize>,
}

impl Lives {
    fn of(graph: &Graph, device: &dyn Device) -> Self {
        let end = graph.nodes().len() + 1;
        let mut last_use = vec![0usize; graph.values().len()];
        for (i, n) in graph.nodes().iter().enumerate() {
            for v in &n.inputs {
                last_use[v.0 as usize] = i + 1;
            }
        }
        // An input that the steps read again the next time must outlive them all.
        let again = graph.inputs().iter().filter(|_| graph.is_repeatable());
        for v in graph.outputs().iter().map(|(_, v)| v).chain(again) {
            last_use[v.0 as usize] = end;
        }
        let values = graph.values().len();
        let mut lives = Self { buffers: Vec::new(), buffer_of: vec![None; values], within: vec![0; values] };
        // Inputs are written before the first step; step `i` has time `i + 1`.
        for v in graph.inputs() {
            lives.add(graph, *v, 0, last_use[v.0 as usize]);
        }
        for (i, n) in graph.nodes().iter().enumerate() {
            let time = i + 1;
            let last = last_use[n.output.0 as usize].max(time);
            let renamed = renames(graph, n);
            let reused = if renamed.is_some() { Some(0) } else { device.in_place(graph, n) };
            let taken = reused.and_then(|operand| n.inputs.get(operand)).and_then(|v| {
                let buffer = lives.buffer_of[v.0 as usize]?;
                let dies_here = lives.buffers[buffer].last == time
                    && value_bytes(graph, *v) >= value_bytes(graph, n.output);
                // An output that is also an input must survive the run unchanged.
                let read_twice =
                    n.inputs.iter().filter(|w| lives.buffer_of[w.0 as usize] == Some(buffer)).count() > 1;
                let at = lives.within[v.0 as usize] + renamed.unwrap_or(0);
                (renamed.is_some() || (dies_here && !read_twice)).then_some((buffer, at))
            });
            match taken {
                Some((buffer, at)) => {
                    lives.buffers[buffer].last = lives.buffers[buffer].last.max(last);
                    lives.buffer_of[n.output.0 as usize] = Some(buffer);
                    lives.within[n.output.0 as usize] = at;
                }
                None => lives.add(graph, n.output, time, last),
            }
        }
        lives
    }

    fn add(&mut self, graph: &Graph, value: ValueId, first: usize, last: usize) {
        self.buffer_of[value.0 as usize] = Some(self.buffers.len());
        self.buffers.push(Buffer { bytes: value_bytes(graph, value), first, last });
    }

    /// What only renames launches nothing when its output lies where its operand does.
    fn launches(&self, graph: &Graph, node: &Node) -> bool {
        let operand = node.inputs.first().map(|v| v.0 as usize);
        renames(graph, node).is_none()
            || operand.is_none_or(|v| self.buffer_of[node.output.0 as usize] != self.buffer_of[v])
    }
}
