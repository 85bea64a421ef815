//! Where an answer is in its grammar.

use std::sync::Arc;

use llguidance::Matcher;

use super::compiler::message;
use super::error::GrammarError;
use crate::sample::TokenMask;

/// Which part of an answer a grammar is about. The default is all of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scope {
    /// Nothing is constrained up to this token and with it: `</think>` for an answer that begins inside a thought.
    pub after: Option<u32>,
    /// The model may give this token, `<tool_call>`, in place of what the grammar describes; nothing is constrained after it.
    pub unless: Option<u32>,
    /// Where the grammar ends nothing is constrained, until [`Scope::after`] comes again: the grammar of a call from each `<tool_call>`
    /// on. Otherwise nothing but the end of the answer may follow.
    pub again: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Before [`Scope::after`] came.
    Before,
    /// Nothing of the grammar was written.
    First,
    /// Within the grammar.
    Within,
    /// Something else was begun, nothing is constrained.
    Free,
    /// Nothing but an end may follow.
    Finished,
}

/// The constraint of one answer. A clone goes on by itself.
#[derive(Clone)]
pub struct Constraint {
    matcher: Matcher,
    /// One that has seen nothing, for [`Scope::again`].
    fresh: Option<Matcher>,
    scope: Scope,
    phase: Phase,
    ends: Arc<[u32]>,
    spelling: Arc<TokenMask>,
    warnings: Vec<String>,
    mask: TokenMask,
    /// Whether `mask` is that of the next token.
    current: bool,
}

impl std::fmt::Debug for Constraint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Constraint")
            .field("scope", &self.scope)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl Constraint {
    pub(super) fn new(
        matcher: Matcher,
        scope: Scope,
        ends: Arc<[u32]>,
        spelling: Arc<TokenMask>,
        warnings: Vec<String>,
    ) -> Constraint {
        let phase = if scope.after.is_some() { Phase::Before } else { Phase::First };
        let mask = TokenMask::none(spelling.size());
        let fresh = scope.again.then(|| matcher.clone());
        Constraint { matcher, fresh, scope, phase, ends, spelling, warnings, mask, current: false }
    }

    /// What the grammar asks for that is not enforced, a sentence each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The tokens that may come next, `None` for all. Never empty.
    ///
    /// # Errors
    /// [`GrammarError::Stuck`].
    pub fn mask(&mut self) -> Result<Option<&TokenMask>, GrammarError> {
        if matches!(self.phase, Phase::Before | Phase::Free) {
            return Ok(None);
        }
        if !self.current {
            self.mask = self.next_mask()?;
            self.current = true;
        }
        Ok(Some(&self.mask))
    }

    fn next_mask(&mut self) -> Result<TokenMask, GrammarError> {
        let stuck = |reason: &str| GrammarError::Stuck { reason: message(reason) };
        let size = self.spelling.size();
        let mut mask = if self.phase == Phase::Finished || self.matcher.is_stopped() {
            TokenMask::none(size)
        } else {
            let allowed = self.matcher.compute_mask().map_err(|error| stuck(&error.to_string()))?;
            // The library's own end token is beyond the vocabulary and falls off.
            TokenMask::from_words(allowed.as_slice(), size)
        };
        // A grammar can ask for a token by its number, whatever it is.
        mask.restrict(&self.spelling);
        let can_end = self.can_end()?;
        for &end in &*self.ends {
            if can_end {
                mask.allow(end);
            } else {
                mask.forbid(end);
            }
        }
        if self.phase == Phase::First
            && let Some(token) = self.scope.unless
        {
            mask.allow(token);
        }
        if mask.is_empty() {
            return Err(stuck(if can_end { "it is at its end" } else { "no token continues it" }));
        }
        Ok(mask)
    }

    /// Takes the next token of the answer.
    ///
    /// # Errors
    /// [`GrammarError::Token`] for one that [`Constraint::mask`] forbids, [`GrammarError::Stuck`].
    pub fn accept(&mut self, token: u32) -> Result<(), GrammarError> {
        match self.phase {
            Phase::Before => {
                if self.scope.after == Some(token) {
                    self.phase = Phase::First;
                }
                return Ok(());
            }
            Phase::Free => return Ok(()),
            Phase::First | Phase::Within | Phase::Finished => {}
        }
        if self.mask()?.is_some_and(|mask| !mask.allows(token)) {
            return Err(GrammarError::Token { token });
        }
        self.current = false;
        self.phase = if self.ends.binary_search(&token).is_ok() {
            Phase::Finished
        } else if self.phase == Phase::First && self.scope.unless == Some(token) {
            Phase::Free
        } else {
            let stuck =
                |error: &dyn std::fmt::Display| GrammarError::Stuck { reason: message(&error.to_string()) };
            self.matcher.consume_token(token).map_err(|error| stuck(&error))?;
            match &self.fresh {
                _ if !self.matcher.is_stopped() => Phase::Within,
                Some(fresh) => {
                    self.matcher = fresh.clone();
                    Phase::Before
                }
                None => Phase::Finished,
            }
        };
        Ok(())
    }

    /// Whether nothing is constrained now, nor after these tokens.
    pub(crate) fn stays_free(&self, tokens: &[u32]) -> bool {
        match self.phase {
            Phase::Free => true,
            Phase::Before => !tokens.iter().any(|&token| self.scope.after == Some(token)),
            Phase::First | Phase::Within | Phase::Finished => false,
        }
    }

    /// Whether the answer is complete and can't go on: nothing is gained by another step.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.phase == Phase::Finished
    }

    /// Whether the answer may end here.
    ///
    /// # Errors
    /// [`GrammarError::Stuck`].
    pub fn can_end(&mut self) -> Result<bool, GrammarError> {
        match self.phase {
            Phase::Before | Phase::Free | Phase::Finished => Ok(true),
            Phase::First | Phase::Within => self
                .matcher
                .is_accepting()
                .map_err(|error| GrammarError::Stuck { reason: message(&error.to_string()) }),
        }
    }
}
