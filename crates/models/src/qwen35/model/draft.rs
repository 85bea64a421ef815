//! Drafting: steps that give hidden states, and the layer that goes on from them.

use super::{Inputs, Piece, Qwen35, bucket, page_bucket};
use crate::error::ModelError;
use crate::qwen35::draft::{DraftDims, draft_graph};
use crate::qwen35::step::hidden_step_graph;
use mynah_device::Data;
use mynah_plan::{PlanId, PlanKey, StateId};

pub use crate::language::{Continuation, WithHidden};

impl Qwen35 {
    /// Whether [`Qwen35::draft`] can be called.
    pub fn can_draft(&self) -> bool {
        self.config.drafts
    }

    /// [`Qwen35::step`] that gives the hidden states as well.
    ///
    /// # Errors
    /// As [`Qwen35::step`].
    pub fn step_with_hidden(&mut self, pieces: &[Piece<'_>]) -> Result<WithHidden, ModelError> {
        let lengths: Vec<usize> = pieces.iter().map(|p| p.tokens.len()).collect();
        let (inputs, dims) = Inputs::of(pieces);
        let key = PlanKey { graph: "step-hidden", dims: [dims.batch, dims.tokens, dims.pages, dims.wanted] };
        let (file, config, layout) = (&self.file, &self.config, self.layout);
        let plan = self.executor.plan(key, || hidden_step_graph(file, config, layout, &dims))?;
        self.run_for_hidden(plan, &inputs.data(), &lengths, dims.tokens)
    }

    /// Predicts what comes after the tokens of these entries.
    ///
    /// After a step of tokens 1 to n and their hidden states, entries 1 to n − 1 are tokens 2 to n with the hidden states 1 to n − 1,
    /// and entry n is the token that was sampled with the hidden state n. What it gives is a guess at the token after, and, as the
    /// hidden state of the next entry, more guesses.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] for a file without such a layer, or for another number of hidden states than tokens; otherwise as
    /// [`Qwen35::step`].
    pub fn draft(&mut self, pieces: &[Continuation<'_>]) -> Result<WithHidden, ModelError> {
        let width = self.config.hidden;
        let lengths: Vec<usize> = pieces.iter().map(|p| p.tokens.len()).collect();
        if let Some(p) = pieces.iter().find(|p| Some(p.hidden.len()) != p.tokens.len().checked_mul(width)) {
            let (found, tokens) = (p.hidden.len(), p.tokens.len());
            let what = format!("{found} elements of hidden states for {tokens} tokens of {width}");
            return Err(ModelError::Unsupported { what });
        }
        let listed = page_bucket(most(pieces.iter().map(|p| p.pages.len())));
        let time = bucket(most(lengths.iter().copied()));
        let (mut inputs, mut hidden) = (Inputs::default(), Vec::new());
        for (b, piece) in pieces.iter().enumerate() {
            let Continuation { pages, past, tokens, wanted, .. } = *piece;
            inputs.push(b, &Piece { row: 0, pages, past, snapshot: 0, tokens, wanted }, time, listed);
            hidden.extend_from_slice(piece.hidden);
            hidden.resize((b + 1) * time * width, 0.0);
        }
        let dims =
            DraftDims { batch: pieces.len(), tokens: time, pages: listed, wanted: inputs.wanted.len() };
        let key = PlanKey { graph: "draft", dims: [dims.batch, dims.tokens, dims.pages, dims.wanted] };
        let (file, config, layout) = (&self.file, &self.config, self.layout);
        let plan = self.executor.plan(key, || draft_graph(file, config, layout, &dims))?;
        let data = [
            Data::I32(&inputs.tokens),
            Data::F32(&hidden),
            Data::I32(&inputs.positions),
            Data::I32(&inputs.cached),
            Data::I32(&inputs.pages),
            Data::I32(&inputs.wanted),
        ];
        self.run_for_hidden(plan, &data, &lengths, time)
    }

    fn run_for_hidden(
        &mut self,
        plan: PlanId,
        data: &[Data<'_>],
        lengths: &[usize],
        time: usize,
    ) -> Result<WithHidden, ModelError> {
        let states: Vec<StateId> = self.states.iter().map(|s| s.0).collect();
        self.executor.run(plan, data, &[], &states)?;
        let logits = self.executor.output(plan, "logits")?.to_vec();
        let width = self.config.hidden;
        let all = self.executor.output(plan, "hidden")?;
        let rows = lengths.iter().zip(all.chunks((time * width).max(1)));
        let hidden = rows.flat_map(|(&n, row)| &row[..n * width]).copied().collect();
        Ok(WithHidden { logits, hidden })
    }
}

fn most(counts: impl Iterator<Item = usize>) -> usize {
    counts.max().unwrap_or(0)
}
