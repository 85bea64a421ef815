//! A plan without any cleverness: every value has memory of its own and nodes run as they stand.
//!
//! Where a planned run and a naive one differ, the planner is wrong; where they agree and are both off, a kernel is.

use mynah_device::{Location, Plan};
use mynah_graph::{Graph, NodeId, Op, ValueId, ValueSource};

/// Lays a graph out with every value at an offset of its own. A reshape shares its operand's place and launches
/// nothing, unless the operand is a weight.
pub fn naive_plan(graph: &Graph) -> Plan {
    spaced_plan(graph, 0, &|_| None)
}

/// As [`naive_plan`], with `gap` bytes, a multiple of [`Plan::ALIGN`], before each value and after the last. Values that
/// `placed` knows lie there instead.
pub(crate) fn spaced_plan(graph: &Graph, gap: usize, placed: &dyn Fn(ValueId) -> Option<Location>) -> Plan {
    let mut arena_bytes = gap;
    let mut take = |value: ValueId| {
        if let Some(location) = placed(value) {
            return location;
        }
        // Both element types have four bytes.
        let bytes = graph.shape(value).numel().saturating_mul(4).max(1).next_multiple_of(Plan::ALIGN);
        let offset = arena_bytes;
        arena_bytes = arena_bytes.saturating_add(bytes).saturating_add(gap);
        Location::Arena { offset, bytes }
    };
    let mut locations: Vec<Location> = Vec::with_capacity(graph.values().len());
    for value in graph.values() {
        locations.push(match value.source {
            ValueSource::Weight(_) => Location::Weight,
            ValueSource::Input | ValueSource::Node => Location::Unused,
        });
    }
    for &input in graph.inputs() {
        locations[input.0 as usize] = take(input);
    }
    let mut steps = Vec::new();
    for (i, node) in graph.nodes().iter().enumerate() {
        let operand = node.inputs.first().map(|v| locations[v.0 as usize]);
        locations[node.output.0 as usize] = match (&node.op, operand) {
            (Op::Reshape(_), Some(shared @ Location::Arena { .. })) => shared,
            _ => {
                steps.push(NodeId(i as u32));
                take(node.output)
            }
        };
    }
    Plan { graph: graph.clone(), locations, steps, arena_bytes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mynah_graph::{ElemType, GraphBuilder, WeightSpec};
    use mynah_tensor::DType;

    #[test]
    fn values_have_places_of_their_own_and_reshapes_share() {
        let mut b = GraphBuilder::new("test");
        let x = b.input("x", ElemType::F32, [2, 17]);
        let w = b.weight(&WeightSpec { name: "w".into(), shape: [3, 17].into(), dtype: DType::F32 });
        let product = b.matmul(x, w);
        let flat = b.reshape(product, &[6]);
        let y = b.relu(flat);
        b.output("y", y);
        let plan = naive_plan(&b.finish().unwrap());
        // 2·17·4 = 136 bytes and 24 bytes, each rounded up to 256.
        assert_eq!(plan.location(x), Location::Arena { offset: 0, bytes: 256 });
        assert_eq!(plan.location(w), Location::Weight);
        assert_eq!(plan.location(product), Location::Arena { offset: 256, bytes: 256 });
        assert_eq!(plan.location(flat), plan.location(product));
        assert_eq!(plan.location(y), Location::Arena { offset: 512, bytes: 256 });
        assert_eq!(plan.arena_bytes, 768);
        assert_eq!(plan.steps, [NodeId(0), NodeId(2)]);
    }
}
