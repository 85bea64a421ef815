//! Greedy decoding, plain and with two tokens drafted at a time. The GPU's tests decode so, too.

use mynah_models::qwen35::{Continuation, Piece, Qwen35, Wanted};

/// Tokens whose logits are all wanted.
pub(crate) fn piece<'a>(row: usize, pages: &'a [u32], past: usize, tokens: &'a [u32]) -> Piece<'a> {
    Piece { row, pages, past, snapshot: 0, tokens, wanted: Wanted::All }
}

/// Entries whose drafts are all wanted.
pub(crate) fn entries<'a>(
    pages: &'a [u32],
    past: usize,
    tokens: &'a [u32],
    hidden: &'a [f32],
) -> Continuation<'a> {
    Continuation { pages, past, tokens, hidden, wanted: Wanted::All }
}

/// The first of the largest.
fn best(logits: &[f32]) -> u32 {
    (0..logits.len()).rev().max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap() as u32
}

/// Greedy decoding of `n` tokens in row 0, one by one.
pub(crate) fn plain(model: &mut Qwen35, listed: &[u32], prompt: &[u32], n: usize) -> Vec<u32> {
    let vocabulary = model.config().vocabulary;
    model.reset(0).unwrap();
    let logits = model.step(&[piece(0, listed, 0, prompt)]).unwrap();
    let mut made = vec![best(&logits[(prompt.len() - 1) * vocabulary..])];
    while made.len() < n {
        let past = prompt.len() + made.len() - 1;
        made.push(best(model.step(&[piece(0, listed, past, &made[made.len() - 1..])]).unwrap()));
    }
    made
}

/// Greedy decoding of as many tokens as `known` has, with two drafted at a time. Weights that nobody trained hardly draft right, so in
/// each third step none, one or both of the drafts are what is known to come. Also how often none, one and both were right.
pub(crate) fn speculate(
    model: &mut Qwen35,
    listed: &[u32],
    prompt: &[u32],
    known: &[u32],
) -> (Vec<u32>, [usize; 3]) {
    const DRAFTED: usize = 2;
    let n = known.len();
    let (width, vocabulary) = (model.config().hidden, model.config().vocabulary);
    model.reset(0).unwrap();
    let step = model.step_with_hidden(&[piece(0, listed, 0, prompt)]).unwrap();
    let mut next = best(&step.logits[(prompt.len() - 1) * vocabulary..]);
    let (mut made, mut counts) = (vec![next], [0; 3]);
    // Tokens in the states, entries in the layer's cache, and what the layer has not seen yet.
    let (mut past, mut behind, mut undone) = (prompt.len(), 0, 0);
    let mut tokens: Vec<u32> = prompt[1..].iter().copied().chain([next]).collect();
    let mut hidden = step.hidden;
    for round in 0.. {
        if made.len() >= n {
            break;
        }
        let mut guess = model.draft(&[entries(listed, behind, &tokens, &hidden)]).unwrap();
        behind += tokens.len();
        let mut trial = vec![next];
        for i in 0..DRAFTED {
            let drafted = best(&guess.logits[guess.logits.len() - vocabulary..]);
            let comes = known.get(made.len() + i).filter(|_| i < round % 3);
            trial.push(comes.copied().unwrap_or(drafted));
            let before = guess.hidden[guess.hidden.len() - width..].to_vec();
            if i + 1 < DRAFTED {
                guess = model.draft(&[entries(listed, behind + i, &trial[i + 1..], &before)]).unwrap();
            }
        }
        let step = [Piece { snapshot: undone, ..piece(0, listed, past, &trial) }];
        let found = model.step_with_hidden(&step).unwrap();
        let true_ones: Vec<u32> = found.logits.chunks(vocabulary).map(best).collect();
        let agreed = trial[1..].iter().zip(&true_ones).take_while(|(a, b)| a == b).count();
        // One more than agreed is known: what the model itself says after them.
        tokens = true_ones[..=agreed].to_vec();
        hidden = found.hidden[..(agreed + 1) * width].to_vec();
        next = true_ones[agreed];
        made.extend_from_slice(&tokens);
        (past, undone) = (past + agreed + 1, DRAFTED - agreed);
        counts[agreed] += 1;
    }
    made.truncate(n);
    (made, counts)
}
