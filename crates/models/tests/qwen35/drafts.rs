//! The layer that drafts, against one put together of transformers' parts, and speculative decoding with it.

use crate::fixtures::{
    PAGE, TOKENS, computed, file, model, model_of, model_with, nmse, pages, reference, run, tensors, written,
};
use crate::speculation::{entries, piece, plain, speculate};
use mynah_device::Policy;
use mynah_models::qwen35::{Continuation, Qwen35, Wanted, WithHidden};

const CASES: [&str; 2] = ["drafting", "experts"];

#[test]
fn hidden_states_are_those_of_the_reference() {
    for case in CASES {
        let (tokens, logits) = reference(case);
        let mut model = model(case);
        let listed = pages(1);
        model.reset(1).unwrap();
        let whole = model.step_with_hidden(&[piece(1, &listed, 0, &tokens)]).unwrap();
        assert!(nmse(&whole.hidden, &computed(case, "hidden")) <= 1e-9, "{case}");
        assert!(nmse(&whole.logits, &logits) <= 1e-9, "{case}");
        // The same bits as without, and piece by piece.
        assert!(run(&mut model, 1, &tokens, &[TOKENS]).unwrap() == whole.logits);
        model.reset(1).unwrap();
        let first = model.step_with_hidden(&[piece(1, &listed, 0, &tokens[..9])]).unwrap();
        let rest = model.step_with_hidden(&[piece(1, &listed, 9, &tokens[9..])]).unwrap();
        assert!([first.hidden, rest.hidden].concat() == whole.hidden, "{case}");
    }
}

/// Drafts of every entry of the reference in pieces of these lengths, then drafts on the last of them.
fn drafted(model: &mut Qwen35, row: usize, tokens: &[u32], hidden: &[f32], cut: &[usize]) -> Vec<f32> {
    let (listed, width) = (pages(row), model.config().hidden);
    let (mut logits, mut past, mut last) = (Vec::new(), 0, WithHidden::default());
    for &n in cut {
        let (tokens, hidden) = (&tokens[past + 1..=past + n], &hidden[past * width..(past + n) * width]);
        last = model.draft(&[entries(&listed, past, tokens, hidden)]).unwrap();
        logits.extend_from_slice(&last.logits);
        past += n;
    }
    for i in 0..3 {
        let before = last.hidden[last.hidden.len() - width..].to_vec();
        last = model.draft(&[entries(&listed, past + i, &tokens[i..=i], &before)]).unwrap();
        logits.extend_from_slice(&last.logits);
    }
    logits
}

#[test]
fn drafts_agree_however_they_are_cut() {
    for case in CASES {
        let (tokens, _) = reference(case);
        let (hidden, wanted) = (computed(case, "hidden"), computed(case, "drafts"));
        let mut model = model(case);
        let whole = drafted(&mut model, 0, &tokens, &hidden, &[TOKENS - 1]);
        assert!(nmse(&whole, &wanted) <= 1e-9, "{case}: {:e}", nmse(&whole, &wanted));
        for cut in [&[1, 7, 64, 77][..], &[1; TOKENS - 1]] {
            assert!(drafted(&mut model, 2, &tokens, &hidden, cut) == whole, "{case}: {cut:?}");
        }
    }
}

#[test]
fn sequences_draft_beside_each_other() {
    let (tokens, _) = reference("drafting");
    let hidden = computed("drafting", "hidden");
    let mut model = model("drafting");
    let (width, vocabulary) = (model.config().hidden, model.config().vocabulary);
    let whole = drafted(&mut model, 0, &tokens, &hidden, &[TOKENS - 1]);
    let (a, b) = (pages(1), pages(2));
    let both = [
        entries(&a, 0, &tokens[1..6], &hidden[..5 * width]),
        Continuation { wanted: Wanted::Last, ..entries(&b, 0, &tokens[1..14], &hidden[..13 * width]) },
    ];
    let found = model.draft(&both).unwrap();
    assert!(found.logits[..5 * vocabulary] == whole[..5 * vocabulary]);
    assert!(found.logits[5 * vocabulary..] == whole[12 * vocabulary..13 * vocabulary]);
    assert_eq!(found.hidden.len(), 18 * width);
}

#[test]
fn speculation_gives_the_tokens_of_plain_decoding() {
    const N: usize = 40;
    for case in CASES {
        let (tokens, _) = reference(case);
        let (prompt, listed) = (&tokens[..13], pages(0));
        let made = plain(&mut model(case), &listed, prompt, N);
        let (found, counts) = speculate(&mut model_with(case, Policy::exact(), 2, 3), &listed, prompt, &made);
        assert_eq!(found, made, "{case}");
        assert!(counts.iter().all(|&n| n > 3), "{case}: {counts:?}");
    }
}

#[test]
fn norm_table_and_head_may_be_the_models() {
    // Those that stand in for the layer's own, given it by name, change nothing.
    let (tokens, _) = reference("drafting");
    let hidden = computed("drafting", "hidden");
    let of = |own: bool| {
        let mut all = tensors("drafting");
        all.retain(|(name, _)| name != "blk.2.nextn.shared_head_norm.weight");
        let named = [
            ("output_norm.weight", "shared_head_norm"),
            ("token_embd.weight", "embed_tokens"),
            ("output.weight", "shared_head_head"),
        ];
        for (from, to) in named {
            let (_, t) = all.iter().find(|(name, _)| name == from).unwrap().clone();
            // The model's own are then of no use to the layer.
            let other = t.to_f32().iter().map(|x| 2.0 - x).collect::<Vec<_>>();
            let other = mynah_tensor::HostTensor::from_f32(t.shape(), &other).unwrap();
            if own {
                all.iter_mut().filter(|(name, _)| name == from).for_each(|(_, t)| *t = other.clone());
                all.push((format!("blk.2.nextn.{to}.weight"), t));
            }
        }
        let mut model = model_of(written(&file("drafting"), &[], &all), Policy::exact(), 1, 1);
        drafted(&mut model, 0, &tokens, &hidden, &[TOKENS - 1])
    };
    let shared = of(false);
    assert!(of(true) == shared);
    assert!(nmse(&shared, &computed("drafting", "drafts")) > 1e-3);
}

#[test]
fn what_can_not_be_drafted_is_an_error() {
    let listed = pages(0);
    let mut none = model("dense");
    assert!(!none.can_draft());
    let width = none.config().hidden;
    let error = none.draft(&[entries(&listed, 0, &[1], &vec![0.0; width])]).unwrap_err();
    assert!(error.to_string().contains("draft"), "{error}");
    let mut model = model("drafting");
    let width = model.config().hidden;
    let hidden = vec![0.5; 2 * width];
    assert!(model.can_draft() && model.draft(&[]).unwrap() == WithHidden::default());
    let good = entries(&listed, 0, &[1, 2], &hidden);
    assert!(model.draft(&[good]).is_ok());
    let bad = [
        Continuation { tokens: &[1], ..good },
        Continuation { hidden: &[], ..good },
        Continuation { tokens: &[1, u32::MAX], ..good },
        Continuation { pages: &[], ..good },
        Continuation { pages: &[1000], ..good },
        Continuation { past: listed.len() * PAGE, ..good },
        Continuation { past: usize::MAX, ..good },
    ];
    for piece in bad {
        assert!(model.draft(&[piece]).is_err(), "{piece:?}");
    }
}
