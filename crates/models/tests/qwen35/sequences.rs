//! Several sequences in one step, states that are kept and brought back, and what can't be run.

use crate::fixtures::{CASES, PAGE, TOKENS, model, model_with, pages, reference, resume, run};
use mynah_device::Policy;
use mynah_models::qwen35::{Piece, StateLayout, StepDims, Wanted, state_decls, step_graph};

#[test]
fn sequences_in_one_step_are_alone() {
    for case in CASES {
        let (tokens, _) = reference(case);
        let mut model = model(case);
        let vocabulary = model.config().vocabulary;
        let starts = [0, 11, 29];
        let lengths = [[9, 1, 30], [1, 1, 1], [40, 0, 2]];
        let alone: Vec<Vec<f32>> = (0..3)
            .map(|row| {
                let n: usize = lengths.iter().map(|step| step[row]).sum();
                run(&mut model, row, &tokens[starts[row]..], &[n]).unwrap()
            })
            .collect();

        let mut together = vec![Vec::new(); 3];
        let listed: Vec<Vec<u32>> = (0..3).map(pages).collect();
        (0..3).for_each(|row| model.reset(row).unwrap());
        let mut past = [0; 3];
        for step in lengths {
            let piece = |row: usize| {
                let at = starts[row] + past[row];
                Piece {
                    row,
                    pages: &listed[row],
                    past: past[row],
                    snapshot: 0,
                    tokens: &tokens[at..at + step[row]],
                    wanted: Wanted::All,
                }
            };
            // In another order than their rows.
            let order = [2, 0, 1];
            let logits = model.step(&order.map(piece)).unwrap();
            let mut rest = logits;
            for row in order {
                let (own, others) = rest.split_at(step[row] * vocabulary);
                together[row].extend_from_slice(own);
                rest = others;
                past[row] += step[row];
            }
            assert!(rest.is_empty());
        }
        assert!(together == alone, "{case}");
    }
}

#[test]
fn only_what_is_wanted_is_computed() {
    let (tokens, _) = reference("dense");
    let mut model = model("dense");
    let all = run(&mut model, 0, &tokens, &[20]).unwrap();
    let vocabulary = model.config().vocabulary;
    model.reset(0).unwrap();
    let pages = pages(0);
    let mut step = |past: usize, n: usize, wanted: Wanted| {
        let tokens = &tokens[past..past + n];
        let piece = Piece { row: 0, pages: &pages, past, snapshot: 0, tokens, wanted };
        model.step(&[piece]).unwrap().to_vec()
    };
    assert!(step(0, 12, Wanted::None).is_empty());
    assert!(step(12, 8, Wanted::Last) == all[19 * vocabulary..]);
}

#[test]
fn a_kept_state_goes_on_where_it_was() {
    for case in CASES {
        let (tokens, _) = reference(case);
        let mut first = model(case);
        let wanted = run(&mut first, 1, &tokens, &[TOKENS]).unwrap();
        run(&mut first, 1, &tokens, &[70]).unwrap();
        let states: Vec<_> = first.states().iter().map(|s| s.0).collect();
        let kept: Vec<Vec<f32>> = states.iter().map(|&s| first.executor().snapshot(s).unwrap()).collect();

        let mut second = model(case);
        let states: Vec<_> = second.states().iter().map(|s| s.0).collect();
        for (&state, contents) in states.iter().zip(&kept) {
            second.executor().restore(state, contents).unwrap();
        }
        let rest = resume(&mut second, 1, &tokens, &[80], 70).unwrap();
        assert!(rest == wanted[70 * second.config().vocabulary..], "{case}");
    }
}

#[test]
fn tokens_can_be_taken_back_as_far_as_snapshots_reach() {
    for case in CASES {
        let (tokens, _) = reference(case);
        let mut model = model_with(case, Policy::exact(), 2, 4);
        let wanted = run(&mut model, 0, &tokens, &[40]).unwrap();
        run(&mut model, 0, &tokens, &[20]).unwrap();
        // Four tokens that turn out wrong but for the first.
        let pages = pages(0);
        let mut guess = tokens[20..24].to_vec();
        guess[1..].iter_mut().for_each(|t| *t = (*t + 1) % 90);
        let piece =
            Piece { row: 0, pages: &pages, past: 20, snapshot: 0, tokens: &guess, wanted: Wanted::None };
        model.step(&[piece]).unwrap();
        let piece = Piece { past: 21, snapshot: 3, tokens: &tokens[21..40], wanted: Wanted::All, ..piece };
        let vocabulary = model.config().vocabulary;
        assert!(model.step(&[piece]).unwrap() == &wanted[21 * vocabulary..], "{case}");
    }
}

#[test]
fn a_beginning_can_be_shared() {
    let (tokens, _) = reference("dense");
    let mut model = model("dense");
    let wanted = run(&mut model, 0, &tokens, &[40]).unwrap();
    // Row 1 takes the recurrent states of 32 tokens of row 0 and its two full pages.
    run(&mut model, 0, &tokens, &[2 * PAGE]).unwrap();
    let states = model.states().to_vec();
    for (state, kind) in states {
        if kind == mynah_models::qwen35::StateKind::Sequence {
            let mut contents = model.executor().snapshot(state).unwrap();
            let row = contents.len() / 3;
            contents.copy_within(..row, row);
            model.executor().restore(state, &contents).unwrap();
        }
    }
    let own = pages(0);
    let other: Vec<u32> = own[..2].iter().copied().chain(pages(1)).collect();
    let piece = |row: usize, pages| Piece {
        row,
        pages,
        past: 2 * PAGE,
        snapshot: 0,
        tokens: &tokens[2 * PAGE..40],
        wanted: Wanted::Last,
    };
    let vocabulary = model.config().vocabulary;
    let logits = model.step(&[piece(0, &own), piece(1, &other)]).unwrap();
    let last = &wanted[39 * vocabulary..];
    assert!(&logits[..vocabulary] == last && &logits[vocabulary..] == last);
}

#[test]
fn what_can_not_be_run_is_an_error() {
    let mut model = model("tied_odd");
    let listed = pages(0);
    let good = Piece { row: 0, pages: &listed, past: 0, snapshot: 0, tokens: &[5, 130], wanted: Wanted::All };
    assert!(model.step(&[good]).is_ok());
    assert!(model.step(&[]).unwrap().is_empty());
    let bad = [
        vec![Piece { tokens: &[5, 131], ..good }],
        vec![Piece { tokens: &[u32::MAX], ..good }],
        vec![Piece { row: 3, ..good }],
        vec![Piece { row: usize::MAX, ..good }],
        vec![Piece { snapshot: 1, ..good }],
        vec![Piece { pages: &[], ..good }],
        vec![Piece { pages: &[1000], ..good }],
        vec![Piece { pages: &[u32::MAX], ..good }],
        vec![Piece { past: listed.len() * PAGE, ..good }],
        vec![Piece { past: usize::MAX, ..good }],
        // One row, or one page, for two.
        vec![good, Piece { pages: &listed[1..], ..good }],
        vec![good, Piece { row: 1, ..good }],
    ];
    for pieces in bad {
        assert!(model.step(&pieces).is_err(), "{pieces:?}");
    }
    assert!(model.reset(3).is_err());
}

#[test]
fn graphs_have_the_states_that_are_said() {
    for case in CASES {
        let file = crate::fixtures::file(case);
        let model = model(case);
        let layout = StateLayout { page: 8, snapshots: 2, ..StateLayout::default() };
        let dims = StepDims { batch: 2, tokens: 3, pages: 4, wanted: 1 };
        let graph = step_graph(&file, model.config(), layout, &dims).unwrap();
        let said: Vec<_> = state_decls(model.config(), layout).into_iter().map(|(decl, _)| decl).collect();
        assert_eq!(graph.states(), said);
        let config = model.config();
        assert_eq!(said.len(), 2 * (config.layers.len() + usize::from(config.drafts)), "{case}");
    }
}
