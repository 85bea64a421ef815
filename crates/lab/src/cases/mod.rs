//! The op suite: fixed cases with the shapes of the real models, and generated ones with sizes nobody would choose.
//!
//! "0.6b" stands for Parakeet TDT 0.6b v3 (width 1024, feed-forward 4096, 8 heads, 128 mels) on a clip of 11 s, 138
//! frames; "110m" for TDT-CTC 110m (width 512). Where the f64 reference of a full product would take too long, rows or
//! columns are left out; inner dimensions never are, because they decide the rounding.

mod attention;
mod composite;
mod convolution;
mod decoder;
mod delta;
mod elementwise;
mod experts;
mod families;
mod generated;
mod heads;
mod hostile;
mod layout;
mod norm;
mod product;
mod prologue;
mod real;
mod sequence;
mod shapes;
mod smallest;
mod stored;
mod transducer;
mod views;
mod vocoder;

pub use generated::generated;
pub use real::{quick, real};

use crate::case::OpCase;
use crate::error::LabError;
use mynah_tensor::DType;

/// The weight types a product or a table can have.
pub(crate) const WEIGHT_TYPES: [DType; 9] = [
    DType::F32,
    DType::F16,
    DType::BF16,
    DType::Q8_0,
    DType::Q4_0,
    DType::Q5_0,
    DType::Q4K,
    DType::Q5K,
    DType::Q6K,
];

/// Collects cases until the first that can't be built.
pub(crate) type Cases = Result<Vec<OpCase>, LabError>;

/// All fixed cases.
///
/// # Errors
/// When a case can't be built, which would be a mistake in this crate.
pub fn cases() -> Result<Vec<OpCase>, LabError> {
    let families = [
        product::cases,
        families::cases,
        shapes::cases,
        smallest::cases,
        stored::cases,
        views::cases,
        convolution::cases,
        elementwise::cases,
        norm::cases,
        attention::cases,
        sequence::cases,
        delta::cases,
        decoder::cases,
        experts::cases,
        transducer::cases,
        layout::cases,
        composite::cases,
        heads::cases,
        prologue::cases,
        vocoder::cases,
        hostile::cases,
    ];
    let mut all = Vec::new();
    for family in families {
        all.extend(family()?);
    }
    Ok(all)
}

/// Dimensions as they stand in a case's name.
pub(crate) fn by(dims: &[usize]) -> String {
    dims.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Expect;
    use mynah_graph::{Op, TransducerAdvance};
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::{Duration, Instant};

    #[test]
    fn names_are_unique_and_every_reference_computes_quickly() {
        let mut all = cases().unwrap();
        all.extend(generated(1, 200).unwrap());
        let mut names = BTreeSet::new();
        for case in &all {
            assert!(names.insert(&case.name), "{} stands twice", case.name);
            let start = Instant::now();
            let reference = case.reference();
            assert!(start.elapsed() < Duration::from_secs(2), "{} takes {:?}", case.name, start.elapsed());
            assert_eq!(reference.is_ok(), case.expect == Expect::Values, "{}: {reference:?}", case.name);
        }
    }

    #[test]
    fn outputs_are_finite_and_not_all_zero() {
        for case in cases().unwrap().iter().filter(|c| c.expect == Expect::Values) {
            let reference = case.reference().unwrap();
            for part in reference.parts() {
                assert!(part.iter().all(|v| v.is_finite()), "{}", case.name);
                let empty = case.name.contains("nothing") || case.op == "argmax";
                assert!(empty || part.iter().any(|v| *v != 0.0), "{} is all zero", case.name);
            }
        }
    }

    #[test]
    fn every_op_has_fixed_and_generated_cases() {
        let of = |cases: &[OpCase]| {
            let mut counts = BTreeMap::new();
            for node in cases.iter().flat_map(|c| c.graph.nodes()) {
                *counts.entry(node.op.name()).or_insert(0) += 1;
            }
            counts
        };
        let (fixed, random) = (of(&cases().unwrap()), of(&generated(1, 600).unwrap()));
        let names = "matmul conv2d depthwise_conv1d add sub mul div relu silu sigmoid tanh gelu gelu_tanh exp softplus \
                     rsqrt scale glu layer_norm rms_norm batch_norm batch_norm_scale softmax log_softmax argmax gather \
                     mask_rows rel_pos_attention lstm_cell reshape permute slice concat state_gather state_scatter \
                     state_append gated_delta_net state_numbers lstm_step transducer_join transducer_advance gated \
                     l2_norm rope causal_conv1d causal_attention expert_choice expert_weights expert_gate_up \
                     expert_down conv1d conv_transpose1d attention snake clamp repeat_rows segment_mean inverse_stft \
                     leaky_relu elu mish sin cos sqrt abs";
        for name in names.split_whitespace() {
            assert!(fixed.contains_key(name), "{name} has no fixed case");
            assert!(random.contains_key(name), "{name} has no generated case");
        }
    }

    #[test]
    fn every_op_is_tried_on_an_element_or_two_and_on_odd_sizes() {
        let (mut one, mut odd, mut all) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for case in cases().unwrap().iter().filter(|c| c.expect == Expect::Values && c.op != "composite") {
            let Some(node) = case.graph.nodes().iter().find(|node| node.op.name() == case.op) else {
                continue;
            };
            let mut widths = node.inputs.iter().chain([&node.output]).map(|&v| case.graph.shape(v).last());
            all.insert(case.op);
            // A cursor with a log of one entry is as small as they get.
            let advances = matches!(node.op, Op::TransducerAdvance(_));
            let least = if advances { TransducerAdvance::row(1) } else { 2 };
            one.extend((case.graph.shape(node.output).numel() <= least).then_some(case.op));
            odd.extend(widths.any(|n| n > 1 && n % 2 == 1).then_some(case.op));
        }
        assert_eq!(one, all, "no case that is as small as it gets");
        assert_eq!(odd, all, "no case whose rows have an odd length");
    }

    #[test]
    fn a_handful_of_cases_has_every_op_once_or_twice() {
        let mut counts = BTreeMap::new();
        quick().unwrap().iter().for_each(|case| *counts.entry(case.op).or_insert(0) += 1);
        let ops: BTreeSet<_> =
            cases().unwrap().iter().filter(|c| c.expect == Expect::Values).map(|c| c.op).collect();
        assert_eq!(counts.keys().copied().collect::<BTreeSet<_>>(), ops);
        assert!(counts.values().all(|n| (1..=2).contains(n)), "{counts:?}");
    }

    #[test]
    fn real_shapes_can_be_built_and_have_names_of_their_own() {
        let all = real().unwrap();
        let names: BTreeSet<_> = all.iter().map(|c| &c.name).collect();
        assert_eq!(names.len(), all.len());
        assert!(all.iter().any(|c| c.op == "rel_pos_attention") && all.iter().any(|c| c.op == "conv2d"));
    }

    #[test]
    fn a_seed_fixes_the_generated_cases() {
        let (a, b) = (generated(7, 20).unwrap(), generated(7, 20).unwrap());
        for (a, b) in a.iter().zip(&b) {
            assert_eq!((&a.name, &a.graph, &a.arguments), (&b.name, &b.graph, &b.arguments));
        }
        assert_ne!(a[0].arguments, generated(8, 20).unwrap()[0].arguments);
    }
}
