//! Where prompts are cut: at multiples of the chunk, and where a checkpoint is worth having.

use crate::options::EngineOptions;

/// How the prompts of an engine are cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cuts {
    chunk: usize,
    page: usize,
    checkpoints: bool,
}

impl Cuts {
    pub(super) fn new(options: &EngineOptions, page: usize) -> Self {
        Self { chunk: options.chunk, page: page.max(1), checkpoints: options.checkpoints > 0 }
    }

    /// Tokens from which on a prompt is the sequence's own, most likely: what a chat's next turn repeats ends a little before the prompt
    /// does, so that is the last page boundary before its last token.
    fn last(&self, prompt: usize) -> usize {
        prompt.saturating_sub(1) / self.page * self.page
    }

    /// The end of the piece that begins at token `past` of `tokens`, of which `prompt` were given.
    pub(super) fn end(&self, past: usize, tokens: usize, prompt: usize) -> usize {
        let end = (past / self.chunk + 1).saturating_mul(self.chunk).min(tokens);
        let last = self.last(prompt);
        if self.checkpoints && past < last && last < end { last } else { end }
    }

    /// Whether the states after `past` tokens are kept: at the end of what chats repeat, and after one, two, four, eight … chunks, so
    /// that prompts with the same beginning find at least half of it.
    pub(super) fn keeps(&self, past: usize, prompt: usize) -> bool {
        let chunks = past / self.chunk;
        let doubled = past.is_multiple_of(self.chunk) && chunks.is_power_of_two();
        let whole = past > 0 && past < prompt && past.is_multiple_of(self.page);
        self.checkpoints && whole && (past == self.last(prompt) || doubled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts(chunk: usize, checkpoints: usize, tokens: usize) -> Vec<(usize, bool)> {
        let options = EngineOptions { chunk, checkpoints, ..EngineOptions::default() };
        let cuts = Cuts::new(&options, 16);
        let (mut past, mut all) = (0, Vec::new());
        while past < tokens {
            past = cuts.end(past, tokens, tokens);
            all.push((past, cuts.keeps(past, tokens)));
        }
        all
    }

    #[test]
    fn prompts_are_cut_in_chunks() {
        assert_eq!(cuts(64, 0, 150), [(64, false), (128, false), (150, false)]);
        assert_eq!(cuts(5, 0, 11), [(5, false), (10, false), (11, false)]);
        assert_eq!(cuts(64, 0, 64), [(64, false)]);
    }

    #[test]
    fn checkpoints_are_at_page_boundaries() {
        assert_eq!(cuts(64, 1, 150), [(64, true), (128, true), (144, true), (150, false)]);
        assert_eq!(
            cuts(32, 1, 161),
            [(32, true), (64, true), (96, false), (128, true), (160, true), (161, false)]
        );
        assert_eq!(cuts(64, 1, 64), [(48, true), (64, false)]);
        assert_eq!(cuts(64, 1, 16), [(16, false)]);
        // Chunks that are no whole pages have few boundaries.
        assert_eq!(cuts(5, 1, 18), [(5, false), (10, false), (15, false), (16, true), (18, false)]);
    }
}
