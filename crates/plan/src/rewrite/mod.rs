//! Named rewrites, each a rule with tests that says why it did not fire.
//!
//! A rewrite edits the graph in place: the later node of a pair absorbs the earlier one, whose output then has no
//! user and is dropped. After every rewrite the graph is checked against the shape rules.

mod fold_batch_norm;
mod fold_constants;
mod fuse_activation;
mod fuse_bias;
mod fuse_heads;
mod fuse_prologue;
mod fuse_residual;
mod fuse_scale;

use crate::error::PlanError;
use crate::source::FoldedWeights;
use mynah_device::{Device, WeightSource};
use mynah_graph::{Graph, Node, NodeId, Op, ValueId};

/// What a rewrite found in one graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How often it fired.
    pub fired: usize,
    /// Nodes it looked at and left, with the reason.
    pub refused: Vec<(String, &'static str)>,
}

/// What rewrites may use besides the graph.
pub struct Context<'a> {
    /// The model's weights.
    pub weights: &'a dyn WeightSource,
    /// Weights made by folding.
    pub folded: &'a FoldedWeights,
    /// The device that is to run the graph; some ops are put in only where it has a kernel for them.
    pub device: Option<&'a dyn Device>,
}

/// One rule.
pub trait Rewrite: Sync {
    /// Name for dumps and switches.
    fn name(&self) -> &'static str;

    /// Applies the rule wherever it fits.
    ///
    /// # Errors
    /// When the graph or a weight is faulty; a rule that doesn't fit is no error.
    fn apply(&self, graph: &mut Graph, context: &Context<'_>) -> Result<Outcome, PlanError>;
}

/// The rules in the order in which they run.
pub fn all() -> &'static [&'static dyn Rewrite] {
    &[
        &fuse_bias::FuseBias,
        &fold_batch_norm::FoldBatchNorm,
        &fuse_activation::FuseActivation,
        &fuse_scale::FuseScale,
        &fuse_residual::FuseResidual,
        &fuse_heads::FuseHeads,
        &fuse_prologue::FusePrologue,
        &fold_constants::FoldConstants,
    ]
}

/// Runs every rule once, in order.
///
/// # Errors
/// The first rule's failure, or a graph that is no longer legal.
pub fn run(graph: &mut Graph, context: &Context<'_>) -> Result<Vec<(&'static str, Outcome)>, PlanError> {
    let mut report = Vec::new();
    for rule in all() {
        let outcome = rule.apply(graph, context)?;
        graph.drop_dead();
        graph.check()?;
        for (node, reason) in &outcome.refused {
            tracing::trace!(rewrite = rule.name(), node, reason, "left");
        }
        report.push((rule.name(), outcome));
    }
    Ok(report)
}

/// Who computes and who uses each value.
///
/// Valid for a whole scan although nodes are replaced: absorbing a producer moves its operands to the absorbing node,
/// so no other count changes.
pub(crate) struct Links {
    uses: Vec<u32>,
    producers: Vec<Option<usize>>,
}

impl Links {
    pub(crate) fn of(graph: &Graph) -> Self {
        let mut producers = vec![None; graph.values().len()];
        for (index, node) in graph.nodes().iter().enumerate() {
            producers[node.output.0 as usize] = Some(index);
        }
        Self { uses: graph.use_counts(), producers }
    }

    /// The product (an op with an epilogue) that computes `value`, if nothing else uses it.
    ///
    /// `Err` says why it can't be absorbed; `Ok(None)` means the value is no product at all.
    pub(crate) fn product<'g>(
        &self,
        graph: &'g Graph,
        value: ValueId,
    ) -> Result<Option<&'g Node>, &'static str> {
        let Some(index) = self.producers[value.0 as usize] else { return Ok(None) };
        let node = &graph.nodes()[index];
        if node.op.epilogue().is_none() {
            return Ok(None);
        }
        if self.uses[value.0 as usize] > 1 {
            return Err("its operand has other users");
        }
        Ok(Some(node))
    }
}

/// What a rule wants in place of a node.
pub(crate) type Replacement = Option<(Op, Vec<ValueId>)>;

/// Offers every node to `rule`, which answers with a replacement, a reason against one, or nothing.
pub(crate) fn each_node(
    graph: &mut Graph,
    rule: impl Fn(&Graph, &Links, &Node) -> Result<Replacement, &'static str>,
) -> Outcome {
    let links = Links::of(graph);
    let mut outcome = Outcome::default();
    for index in 0..graph.nodes().len() {
        let node = &graph.nodes()[index];
        match rule(graph, &links, node) {
            Ok(Some((op, inputs))) => {
                graph.replace(NodeId(index as u32), op, inputs);
                outcome.fired += 1;
            }
            Ok(None) => {}
            Err(reason) => outcome.refused.push((graph.value(node.output).name.clone(), reason)),
        }
    }
    outcome
}
