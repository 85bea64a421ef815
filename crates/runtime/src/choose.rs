//! Who decides which token follows: the seam to samplers and grammars.

/// A token with its log probability, by natural logarithm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Logprob {
    /// The token.
    pub token: u32,
    /// Its log probability.
    pub logprob: f32,
}

/// A token that was chosen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// The token.
    pub token: u32,
    /// Its log probability, if asked for.
    pub logprob: Option<f32>,
    /// The likeliest tokens in falling order, as many as asked for.
    pub top: Vec<Logprob>,
    /// Nothing may follow: what a grammar describes is complete. The token itself counts.
    pub stop: bool,
}

/// A chooser gave up; its sequence ends with this.
#[derive(Debug, thiserror::Error)]
#[error("no token can be chosen: {reason}")]
pub struct ChooseError {
    /// Why.
    pub reason: String,
}

/// Chooses tokens of one sequence.
///
/// A chooser may have a state (random numbers, penalties, a grammar), which must follow from the tokens it was shown and chose: a
/// sequence that is brought back or forked is given a fresh one, which is shown what came before.
pub trait Choose: Send {
    /// Shows the prompt, once, before anything else.
    fn begin(&mut self, prompt: &[u32]) {
        let _ = prompt;
    }

    /// Shows a token that was chosen earlier, as if [`Choose::choose`] had returned it.
    ///
    /// # Errors
    /// When the token can't follow, for example by the grammar.
    fn observe(&mut self, token: u32) -> Result<(), ChooseError> {
        let _ = token;
        Ok(())
    }

    /// Chooses the token that follows by its `logits [vocabulary]`, which may be overwritten.
    ///
    /// # Errors
    /// When no token can follow; the sequence is then finished.
    fn choose(&mut self, logits: &mut [f32]) -> Result<Choice, ChooseError>;

    /// A guess at what [`Choose::choose`] will give when these `drafted` tokens are what comes next, by the `logits [vocabulary]` of what
    /// drafts, which may be overwritten; `None` if there is no sense in guessing. By itself the likeliest token.
    ///
    /// Calls with longer and longer `drafted` follow one with none. Whatever is guessed, what is chosen later must be the same.
    fn guess(&mut self, drafted: &[u32], logits: &mut [f32]) -> Option<u32> {
        let _ = drafted;
        likeliest(logits)
    }
}

/// The first of the largest logits; none if no logit is a number.
pub(crate) fn likeliest(logits: &[f32]) -> Option<u32> {
    let numbers = logits.iter().enumerate().filter(|(_, x)| !x.is_nan());
    let best = numbers.reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map(|(token, _)| token as u32)
}

/// Takes the likeliest token, of equals the first; never one whose logit is no number.
#[derive(Clone, Copy, Debug, Default)]
pub struct Greedy;

impl Choose for Greedy {
    fn choose(&mut self, logits: &mut [f32]) -> Result<Choice, ChooseError> {
        let token = likeliest(logits).ok_or_else(|| ChooseError { reason: "no logit is a number".into() })?;
        Ok(Choice { token, ..Choice::default() })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]
mod tests {
    use super::*;

    #[test]
    fn greedy_takes_the_first_of_the_largest() {
        let choose = |logits: &[f32]| Greedy.choose(&mut logits.to_vec()).map(|c| c.token);
        assert_eq!(choose(&[f32::NAN, 1.0, 3.0, 3.0, f32::NAN]).unwrap(), 2);
        assert_eq!(choose(&[f32::NEG_INFINITY]).unwrap(), 0);
        assert!(choose(&[f32::NAN]).is_err() && choose(&[]).is_err());
    }
}
