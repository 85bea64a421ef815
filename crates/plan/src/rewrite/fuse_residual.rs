//! `x + product` becomes one product that adds the residual stream while it stores its result.

use super::{Context, Links, Outcome, Replacement, Rewrite, each_node};
use crate::error::PlanError;
use mynah_graph::{BinaryOp, Graph, Node, Op, ValueId};

/// The rule.
pub(super) struct FuseResidual;

impl Rewrite for FuseResidual {
    fn name(&self) -> &'static str {
        "fuse-residual"
    }

    fn apply(&self, graph: &mut Graph, _: &Context<'_>) -> Result<Outcome, PlanError> {
        Ok(each_node(graph, rule))
    }
}

fn rule(graph: &Graph, links: &Links, node: &Node) -> Result<Replacement, &'static str> {
    let (Op::Binary(BinaryOp::Add), [a, b]) = (&node.op, node.inputs.as_slice()) else { return Ok(None) };
    if graph.shape(*a) != graph.shape(*b) || a == b {
        return Ok(None);
    }
    // `x + f(x)` is the usual order; `f(x) + x` is the same sum.
    match absorb(graph, links, *b, *a) {
        Ok(None) => absorb(graph, links, *a, *b),
        Err(reason) => match absorb(graph, links, *a, *b) {
            Ok(None) => Err(reason),
            other => other,
        },
        fused => fused,
    }
}

fn absorb(
    graph: &Graph,
    links: &Links,
    value: ValueId,
    residual: ValueId,
) -> Result<Replacement, &'static str> {
    let Some(product) = links.product(graph, value)? else { return Ok(None) };
    let mut op = product.op.clone();
    let Some(epilogue) = op.epilogue_mut() else { return Ok(None) };
    if epilogue.residual {
        return Err("the product already adds a residual");
    }
    epilogue.residual = true;
    let mut inputs = product.inputs.clone();
    inputs.push(residual);
    Ok(Some((op, inputs)))
}
