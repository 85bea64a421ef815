//! The graph itself: values, nodes, weights, state tensors and slots.
//!
//! Values are in static single assignment form and nodes stand in an order in which they can run. The planner edits
//! a [`Graph`] in place through the few methods here and calls [`Graph::check`] after every rewrite.

use crate::error::GraphError;
use crate::op::Op;
use crate::shape;
use crate::state::StateDecl;
use mynah_tensor::{DType, Shape};

/// A value of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

/// A node of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// A state tensor declared by a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateId(pub u32);

/// A runtime scalar of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(pub u32);

/// The element type of an activation; weights have a [`DType`] of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElemType {
    /// 32-bit float.
    F32,
    /// 32-bit integer: ids, lengths, row numbers.
    I32,
}

/// A weight a graph reads: its name in the model file, its shape and how its elements are stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WeightSpec {
    /// The tensor's name, unique in the model.
    pub name: String,
    /// Row-major shape.
    pub shape: Shape,
    /// The type of the stored bytes.
    pub dtype: DType,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueSource {
    /// Given by the caller at each run.
    Input,
    /// Read from the model file (or folded from weights by the planner).
    Weight(WeightSpec),
    /// Computed by a node.
    Node,
}

/// A value: name, type, shape and source.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Unique within the graph.
    pub name: String,
    /// Element type as the consuming op sees it.
    pub elem: ElemType,
    /// Row-major shape.
    pub shape: Shape,
    /// Where it comes from.
    pub source: ValueSource,
}

/// One op applied to values.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What is computed.
    pub op: Op,
    /// Operands in the order [`Op`] documents.
    pub inputs: Vec<ValueId>,
    /// The result.
    pub output: ValueId,
}

/// A forward pass for one set of shapes.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// What it computes, for dumps and reports.
    pub name: String,
    pub(crate) values: Vec<Value>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) inputs: Vec<ValueId>,
    pub(crate) outputs: Vec<(String, ValueId)>,
    pub(crate) states: Vec<StateDecl>,
    pub(crate) slots: Vec<String>,
    pub(crate) repeatable: bool,
}

impl Graph {
    /// The nodes in running order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// All values, indexed by [`ValueId`].
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The value of an id. Ids are only made by this graph.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0 as usize]
    }

    /// Shape of a value.
    pub fn shape(&self, id: ValueId) -> Shape {
        self.value(id).shape
    }

    /// The inputs in the order they were declared.
    pub fn inputs(&self) -> &[ValueId] {
        &self.inputs
    }

    /// The outputs, named.
    pub fn outputs(&self) -> &[(String, ValueId)] {
        &self.outputs
    }

    /// State tensors read or written.
    pub fn states(&self) -> &[StateDecl] {
        &self.states
    }

    /// Names of the runtime scalars.
    pub fn slots(&self) -> &[String] {
        &self.slots
    }

    /// Whether one run may go through the nodes several times with the same inputs.
    pub fn is_repeatable(&self) -> bool {
        self.repeatable
    }

    /// The weight behind a value, if it is one.
    pub fn weight(&self, id: ValueId) -> Option<&WeightSpec> {
        match &self.value(id).source {
            ValueSource::Weight(w) => Some(w),
            _ => None,
        }
    }

    /// The node that computes a value.
    pub fn producer(&self, id: ValueId) -> Option<NodeId> {
        self.nodes.iter().position(|n| n.output == id).map(|i| NodeId(i as u32))
    }

    /// How many operands and outputs name each value, indexed by [`ValueId`].
    pub fn use_counts(&self) -> Vec<u32> {
        let mut uses = vec![0; self.values.len()];
        let operands = self.nodes.iter().flat_map(|n| n.inputs.iter().copied());
        for id in operands.chain(self.outputs.iter().map(|(_, v)| *v)) {
            uses[id.0 as usize] += 1;
        }
        uses
    }

    /// Replaces a node's op and operands; its output keeps its id and shape.
    pub fn replace(&mut self, node: NodeId, op: Op, inputs: Vec<ValueId>) {
        let n = &mut self.nodes[node.0 as usize];
        n.op = op;
        n.inputs = inputs;
    }

    /// Inserts a new node directly before `before`; returns its output, shaped by the op's rule.
    ///
    /// # Errors
    /// The shape rule's complaint.
    pub fn insert_before(
        &mut self,
        before: NodeId,
        name: &str,
        op: Op,
        inputs: Vec<ValueId>,
    ) -> Result<ValueId, GraphError> {
        let (shape, elem) = shape::infer(self, &op, &inputs)?;
        let output = ValueId(self.values.len() as u32);
        self.values.push(Value { name: name.to_owned(), elem, shape, source: ValueSource::Node });
        self.nodes.insert(before.0 as usize, Node { op, inputs, output });
        Ok(output)
    }

    /// Names a further value an output, so that it is kept and can be read after a run.
    pub fn add_output(&mut self, name: &str, value: ValueId) {
        self.outputs.push((name.to_owned(), value));
    }

    /// Turns a computed value into a weight (constant folding) and drops the node that computed it.
    pub fn make_weight(&mut self, node: NodeId, spec: WeightSpec) {
        let n = self.nodes.remove(node.0 as usize);
        self.values[n.output.0 as usize].source = ValueSource::Weight(spec);
    }

    /// Removes nodes whose result nobody uses and that have no effect. Returns how many went.
    pub fn drop_dead(&mut self) -> usize {
        let mut live = vec![false; self.values.len()];
        for (_, v) in &self.outputs {
            live[v.0 as usize] = true;
        }
        let mut keep = vec![false; self.nodes.len()];
        for (i, n) in self.nodes.iter().enumerate().rev() {
            if n.op.has_effect() || live[n.output.0 as usize] {
                keep[i] = true;
                for v in &n.inputs {
                    live[v.0 as usize] = true;
                }
            }
        }
        let before = self.nodes.len();
        let mut it = keep.iter();
        self.nodes.retain(|_| *it.next().unwrap_or(&true));
        before - self.nodes.len()
    }

    /// Checks that the graph is legal: operands exist and are computed before use, every shape is what the op's rule
    /// gives, every value has one source.
    ///
    /// # Errors
    /// The first violation, naming the value.
    pub fn check(&self) -> Result<(), GraphError> {
        let mut ready: Vec<bool> = self.values.iter().map(|v| v.source != ValueSource::Node).collect();
        let is_ready = |ready: &[bool], v: ValueId| ready.get(v.0 as usize).copied().unwrap_or(false);
        if let Some(v) =
            self.values.iter().find(|v| matches!(&v.source, ValueSource::Weight(w) if w.shape != v.shape))
        {
            return Err(GraphError::Redeclared { kind: "weight", name: v.name.clone() });
        }
        for n in &self.nodes {
            let Some(out) = self.values.get(n.output.0 as usize) else {
                return Err(GraphError::Unknown { op: n.op.name(), kind: "value", id: n.output.0 });
            };
            if let Some(v) = n.inputs.iter().find(|v| !is_ready(&ready, **v)) {
                return Err(GraphError::NotComputed { node: out.name.clone(), operand: v.0 });
            }
            let (shape, elem) = shape::infer(self, &n.op, &n.inputs)?;
            if out.shape != shape || out.elem != elem {
                return Err(GraphError::WrongShape {
                    value: out.name.clone(),
                    found: out.shape,
                    rule: shape,
                });
            }
            if std::mem::replace(&mut ready[n.output.0 as usize], true) {
                return Err(GraphError::TwoSources { value: out.name.clone() });
            }
        }
        match self.outputs.iter().find(|(_, v)| !is_ready(&ready, *v)) {
            Some((name, v)) => Err(GraphError::NotComputed { node: name.clone(), operand: v.0 }),
            None => Ok(()),
        }
    }
}
