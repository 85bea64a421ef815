//! What can be wrong with a graph.

use crate::ir::ElemType;
use crate::state::StateElem;
use mynah_tensor::Shape;

/// A graph that breaks a rule of the IR.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GraphError {
    /// An op was given the wrong number of operands.
    #[error("{op} takes {wanted} operands, {found} were given")]
    Operands {
        /// The op.
        op: &'static str,
        /// How many it takes.
        wanted: usize,
        /// How many it got.
        found: usize,
    },
    /// The operands' shapes don't fit the op.
    #[error("{op}: {rule}; operands have shapes {shapes:?}")]
    Shape {
        /// The op.
        op: &'static str,
        /// The rule that is broken.
        rule: String,
        /// The shapes given.
        shapes: Vec<Shape>,
    },
    /// An operand has the wrong element type.
    #[error("{op}: operand {operand} must be {wanted:?}")]
    Element {
        /// The op.
        op: &'static str,
        /// Number of the operand.
        operand: usize,
        /// What the op reads there.
        wanted: ElemType,
    },
    /// A state tensor's elements are stored as the op can't take them.
    #[error("{op}: state '{state}' is stored as {found:?}")]
    StateElement {
        /// The op.
        op: &'static str,
        /// The state.
        state: String,
        /// How its elements are stored.
        found: StateElem,
    },
    /// A value, state or slot the graph doesn't have.
    #[error("{op}: there is no {kind} {id}")]
    Unknown {
        /// The op that names it.
        op: &'static str,
        /// What it is.
        kind: &'static str,
        /// Its number.
        id: u32,
    },
    /// One name is declared with two meanings.
    #[error("{kind} '{name}' is declared twice, with different shapes or types")]
    Redeclared {
        /// What it is.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A value's recorded shape is not what its op gives.
    #[error("value '{value}' is recorded as {found:?}, its op gives {rule:?}")]
    WrongShape {
        /// The value.
        value: String,
        /// Recorded.
        found: Shape,
        /// By the rule.
        rule: Shape,
    },
    /// An operand is used before it is computed.
    #[error("'{node}' uses value {operand}, which nothing computes before it")]
    NotComputed {
        /// The user.
        node: String,
        /// The operand's id.
        operand: u32,
    },
    /// Two nodes write one value.
    #[error("value '{value}' is computed twice")]
    TwoSources {
        /// The value.
        value: String,
    },
    /// The interpreter was not given an input, weight, state or slot.
    #[error("nothing was given for {kind} '{name}'")]
    Missing {
        /// What it is.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// Something given to the interpreter doesn't fit the graph.
    #[error("{kind} '{name}' {reason}")]
    Argument {
        /// What it is.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What doesn't fit.
        reason: String,
    },
    /// One row of a state is written twice by one op.
    #[error("'{node}' writes row {row} twice")]
    DuplicateRow {
        /// The node.
        node: String,
        /// The row.
        row: usize,
    },
    /// A run-time value is out of range.
    #[error("{what}: {found} is outside 0..{limit}")]
    OutOfRange {
        /// What was indexed.
        what: String,
        /// The index.
        found: i64,
        /// One past the largest.
        limit: usize,
    },
}
