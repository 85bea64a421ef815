//! Sentinels around every value of a naive plan, to catch kernels that write outside their output.
//!
//! The contract of a device has no way to look into its arena, but a plan can: one input covers the whole arena and is
//! laid down first, the values lie over it with gaps between, and the same input is read back as an output after the
//! run. What no value owns must be as it was. This works on any device that keeps to plans, whatever its memory is.

use crate::case::rebuild;
use crate::error::LabError;
use crate::naive::spaced_plan;
use mynah_device::{Location, Plan};
use mynah_graph::{ElemType, Graph, GraphBuilder, ValueSource};
use mynah_tensor::Shape;
use std::ops::Range;

/// A NaN that no computation makes, so that an output left unwritten is no number either.
const SENTINEL: i32 = 0x7fc5_a5a5;

/// Bytes between values.
const GAP: usize = Plan::ALIGN;

/// What vector stores may fill up after the last element: planners align values to far more.
const VECTOR: usize = 16;

/// The sentinels of a plan, and who owns which bytes between them.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    sentinels: Vec<i32>,
    /// Words of each value in rising order, with its name.
    owned: Vec<(Range<usize>, String)>,
}

impl Guard {
    /// A plan of `graph` with sentinels: its first input and its last output are the guard.
    ///
    /// # Errors
    /// When the graph is not legal.
    pub(crate) fn around(graph: &Graph) -> Result<(Plan, Self), LabError> {
        let arena_bytes = spaced_plan(graph, GAP, &|_| None).arena_bytes;
        let words = arena_bytes / 4;
        let mut b = GraphBuilder::new(graph.name.clone());
        let guard = b.input("sentinels", ElemType::I32, Shape::new(&[words])?);
        let shapes: Vec<Shape> = graph.inputs().iter().map(|&id| graph.shape(id)).collect();
        rebuild(&mut b, graph, &shapes);
        b.output("sentinels", guard);
        let graph = b.finish()?;
        let whole = Location::Arena { offset: 0, bytes: arena_bytes };
        let plan = spaced_plan(&graph, GAP, &|value| (value == guard).then_some(whole));
        let values = graph.values().iter().zip(&plan.locations).enumerate();
        let mut owned: Vec<(Range<usize>, String)> = values
            .filter(|(i, (value, _))| {
                *i != guard.0 as usize && !matches!(value.source, ValueSource::Weight(_))
            })
            .filter_map(|(_, (value, location))| match location {
                Location::Arena { offset, .. } => {
                    let bytes = (4 * value.shape.numel()).next_multiple_of(VECTOR);
                    Some((offset / 4..(offset + bytes) / 4, value.name.clone()))
                }
                _ => None,
            })
            .collect();
        owned.sort_by_key(|(range, _)| (range.start, range.end));
        Ok((plan, Self { sentinels: vec![SENTINEL; words], owned }))
    }

    /// What the arena holds before the inputs are laid over it.
    pub(crate) fn sentinels(&self) -> &[i32] {
        &self.sentinels
    }

    /// Looks for words that no value owns and that changed.
    ///
    /// # Errors
    /// [`LabError::Overwritten`] at the first.
    pub(crate) fn check(&self, arena: &[i32]) -> Result<(), LabError> {
        let mut from = 0;
        let ends = self.owned.iter().map(|(range, _)| range.clone());
        for range in ends.chain(std::iter::once(arena.len()..arena.len())) {
            let gap = arena.get(from..range.start.max(from)).unwrap_or(&[]);
            if let Some(at) = gap.iter().position(|&word| word != SENTINEL) {
                let place = self.describe(from + at);
                return Err(LabError::Overwritten { place, found: gap[at].cast_unsigned() });
            }
            from = from.max(range.end);
        }
        Ok(())
    }

    /// A word by the value it lies behind.
    fn describe(&self, word: usize) -> String {
        match self.owned.iter().rev().find(|(range, _)| range.end <= word) {
            Some((range, name)) => format!("byte {} after '{name}'", 4 * (word - range.end)),
            None => format!("byte {} of the arena", 4 * word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> (Plan, Guard) {
        let mut b = GraphBuilder::new("test");
        let x = b.input("x", ElemType::F32, [2, 17]);
        let y = b.relu(x);
        let z = b.reshape(y, &[34]);
        b.output("z", z);
        Guard::around(&b.finish().unwrap()).unwrap()
    }

    #[test]
    fn values_lie_over_the_sentinels_with_gaps_between() {
        let (plan, guard) = guard();
        let location = |i: usize| plan.location(plan.graph.inputs()[i]);
        // Gap, x, gap, relu, gap.
        assert_eq!(plan.arena_bytes, 5 * 256);
        assert_eq!(location(0), Location::Arena { offset: 0, bytes: 5 * 256 });
        assert_eq!(location(1), Location::Arena { offset: 256, bytes: 256 });
        assert_eq!(plan.graph.outputs().last().map(|(name, _)| name.as_str()), Some("sentinels"));
        assert_eq!(guard.sentinels().len(), 5 * 64);
        // 34 elements, up to whole vectors of four.
        assert_eq!(guard.owned.first().map(|(range, _)| range.clone()), Some(64..100));
    }

    #[test]
    fn a_changed_word_is_found_by_the_value_before_it() {
        let (_, guard) = guard();
        let mut arena = guard.sentinels().to_vec();
        arena[64..98].fill(7);
        arena[192..226].fill(7);
        assert!(guard.check(&arena).is_ok());
        for (word, place) in
            [(63, "byte 252 of the arena"), (100, "byte 0 after 'x'"), (191, "byte 364 after 'x'")]
        {
            let mut arena = arena.clone();
            arena[word] = 0;
            let error = guard.check(&arena).unwrap_err().to_string();
            assert!(error.contains(place), "{error}");
        }
        arena[319] = 1;
        assert!(guard.check(&arena).is_err());
    }

    #[test]
    fn the_sentinel_is_no_number() {
        assert!(f32::from_bits(SENTINEL.cast_unsigned()).is_nan());
    }
}
