//! `act(product)` becomes one product: saves a pass over the activations.

use super::{Context, Links, Outcome, Replacement, Rewrite, each_node};
use crate::error::PlanError;
use mynah_graph::{Graph, Node, Op};

/// The rule.
pub(super) struct FuseActivation;

impl Rewrite for FuseActivation {
    fn name(&self) -> &'static str {
        "fuse-activation"
    }

    fn apply(&self, graph: &mut Graph, _: &Context<'_>) -> Result<Outcome, PlanError> {
        Ok(each_node(graph, rule))
    }
}

fn rule(graph: &Graph, links: &Links, node: &Node) -> Result<Replacement, &'static str> {
    let (Op::Unary(activation), [x]) = (&node.op, node.inputs.as_slice()) else { return Ok(None) };
    let Some(product) = links.product(graph, *x)? else { return Ok(None) };
    let mut op = product.op.clone();
    let Some(epilogue) = op.epilogue_mut() else { return Ok(None) };
    if epilogue.activation.is_some() || epilogue.scale != 1.0 || epilogue.residual {
        return Err("the product's epilogue already goes beyond a bias");
    }
    epilogue.activation = Some(*activation);
    Ok(Some((op, product.inputs.clone())))
}
