//! `factor · product` becomes one product, as in the half-step feed-forward of a Conformer block.

use super::{Context, Links, Outcome, Replacement, Rewrite, each_node};
use crate::error::PlanError;
use mynah_graph::{Graph, Node, Op};

/// The rule.
pub(super) struct FuseScale;

impl Rewrite for FuseScale {
    fn name(&self) -> &'static str {
        "fuse-scale"
    }

    fn apply(&self, graph: &mut Graph, _: &Context<'_>) -> Result<Outcome, PlanError> {
        Ok(each_node(graph, rule))
    }
}

fn rule(graph: &Graph, links: &Links, node: &Node) -> Result<Replacement, &'static str> {
    let (Op::Scale(factor), [x]) = (&node.op, node.inputs.as_slice()) else { return Ok(None) };
    let Some(product) = links.product(graph, *x)? else { return Ok(None) };
    let mut op = product.op.clone();
    let Some(epilogue) = op.epilogue_mut() else { return Ok(None) };
    if epilogue.residual {
        return Err("the product already adds a residual");
    }
    epilogue.scale *= factor;
    Ok(Some((op, product.inputs.clone())))
}
