//! `product + bias` becomes one product: the bias is added while the accumulator is still in a register.

use super::{Context, Links, Outcome, Replacement, Rewrite, each_node};
use crate::error::PlanError;
use mynah_graph::{BinaryOp, Graph, Node, Op};

/// The rule.
pub(super) struct FuseBias;

impl Rewrite for FuseBias {
    fn name(&self) -> &'static str {
        "fuse-bias"
    }

    fn apply(&self, graph: &mut Graph, _: &Context<'_>) -> Result<Outcome, PlanError> {
        Ok(each_node(graph, rule))
    }
}

fn rule(graph: &Graph, links: &Links, node: &Node) -> Result<Replacement, &'static str> {
    let (Op::Binary(BinaryOp::Add), [sum, bias]) = (&node.op, node.inputs.as_slice()) else {
        return Ok(None);
    };
    if graph.weight(*bias).is_none() {
        return Ok(None);
    }
    let Some(product) = links.product(graph, *sum)? else { return Ok(None) };
    let mut op = product.op.clone();
    let Some(epilogue) = op.epilogue_mut() else { return Ok(None) };
    if !epilogue.is_plain() {
        return Err("the product already has an epilogue");
    }
    if graph.shape(*bias).dims() != [graph.shape(*sum).last()] {
        return Err("the addend is not one value per output channel");
    }
    epilogue.bias = true;
    let mut inputs = product.inputs.clone();
    inputs.push(*bias);
    Ok(Some((op, inputs)))
}
