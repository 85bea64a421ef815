//! Penalties for tokens that were there lately.

use std::collections::{HashMap, VecDeque};

use super::options::SamplerOptions;

/// The last tokens and how often each occurs among them.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    tokens: VecDeque<u32>,
    counts: HashMap<u32, u32>,
}

impl Window {
    /// Takes the next token; the oldest leave, so that no more than `limit` stay.
    pub(super) fn push(&mut self, token: u32, limit: usize) {
        self.tokens.push_back(token);
        *self.counts.entry(token).or_insert(0) += 1;
        while self.tokens.len() > limit {
            let Some(oldest) = self.tokens.pop_front() else { break };
            match self.counts.get_mut(&oldest) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(self.counts.remove(&oldest)),
            }
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.tokens.clear();
        self.counts.clear();
    }

    /// Changes the logits of the tokens in the window: first the multiplicative penalty, then the two that subtract, as in
    /// llama.cpp. Each logit is changed once, so the order of the map doesn't matter.
    pub(super) fn penalise(&self, logits: &mut [f32], options: &SamplerOptions) {
        for (&token, &count) in &self.counts {
            let Some(logit) = logits.get_mut(token as usize) else { continue };
            if *logit > 0.0 {
                *logit /= options.repeat_penalty;
            } else {
                *logit *= options.repeat_penalty;
            }
            *logit -= options.presence_penalty + count as f32 * options.frequency_penalty;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_formulas() {
        let mut window = Window::default();
        for token in [0, 1, 1, 1, 9] {
            window.push(token, 64);
        }
        let options = SamplerOptions {
            repeat_penalty: 2.0,
            presence_penalty: 0.5,
            frequency_penalty: 0.25,
            ..SamplerOptions::default()
        };
        let mut logits = [3.0, -3.0, 3.0, f32::NEG_INFINITY];
        window.penalise(&mut logits, &options);
        // Once halved however often it occurred; less 0.5 once and 0.25 each time.
        assert_eq!(logits, [1.5 - 0.75, -6.0 - 1.25, 3.0, f32::NEG_INFINITY]);
    }

    proptest! {
        #[test]
        fn counts_are_of_the_last_tokens(tokens in prop::collection::vec(0u32..5, 0..40), limit in 0usize..20) {
            let mut window = Window::default();
            tokens.iter().for_each(|&token| window.push(token, limit));
            let last = &tokens[tokens.len().saturating_sub(limit)..];
            for token in 0..5 {
                let count = last.iter().filter(|&&t| t == token).count() as u32;
                prop_assert_eq!(window.counts.get(&token).copied().unwrap_or(0), count);
            }
            prop_assert!(window.tokens.len() <= limit);
        }
    }
}
