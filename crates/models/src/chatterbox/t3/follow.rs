//! A sequence along tokens that somebody else chooses, for comparisons of two ways to compute.
//!
//! One token drawn otherwise and two sequences have nothing to do with each other any more. So both are led along the same tokens, and
//! what each would have drawn after them is told beside the logits: as long as it is the tokens of the path, it is what would have
//! been drawn freely.

use super::conditioning::Conditioning;
use super::config::T3Config;
use super::error::T3Error;
use super::generate::{TRAILING, audio, before, guided};
use super::model::T3;
use super::sample::{Order, Sampling};
use super::sequence::Sequence;

/// Which tokens a sequence is led along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path<'a> {
    /// Those that it draws, so many at most.
    Free(usize),
    /// Those of another.
    Along(&'a [i32]),
}

/// What a model would have said at each step of a path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Followed {
    /// What the sampler was given at each step, `[steps, V]`: guided, nothing cut or penalised.
    pub logits: Vec<f32>,
    /// What it drew of them after the path's tokens.
    pub drawn: Vec<i32>,
    /// The path: a token for each step.
    pub path: Vec<i32>,
}

impl T3Config {
    /// The speech tokens of a request that drew these: what is audio, and the silence that Turbo's speech ends with.
    pub fn speech(&self, drawn: &[i32]) -> Vec<i32> {
        let silence = self.silence().into_iter().flat_map(|token| [token; TRAILING]);
        audio(self, drawn).into_iter().chain(silence).collect()
    }
}

impl T3 {
    /// Leads a sequence along a path, which also ends where it ends speech. One random number is drawn for each step, as in
    /// [`T3::generate`]; there are no second attempts and no analyser.
    ///
    /// # Errors
    /// As [`T3::generate`], and a token of the path that isn't in the vocabulary.
    pub fn follow(
        &mut self,
        conditioning: &Conditioning,
        text: &[u32],
        sampling: Sampling,
        draws: &mut dyn FnMut() -> f64,
        path: Path<'_>,
    ) -> Result<Followed, T3Error> {
        sampling.check()?;
        let (mut sequence, logits) = self.start(conditioning, text, sampling.cfg_weight > 0.0, false)?;
        let followed = self.lead(&mut sequence, logits, sampling, draws, path);
        self.finish(sequence);
        followed
    }

    fn lead(
        &mut self,
        sequence: &mut Sequence,
        mut logits: Vec<f32>,
        sampling: Sampling,
        draws: &mut dyn FnMut() -> f64,
        path: Path<'_>,
    ) -> Result<Followed, T3Error> {
        let order = Order::of(&self.config);
        let steps = match path {
            Path::Free(most) => most,
            Path::Along(tokens) => tokens.len(),
        };
        let mut followed = Followed::default();
        for step in 0..steps {
            if let Some(&last) = followed.path.last() {
                logits = self.advance(&mut [(&mut *sequence, last)])?.to_vec();
            }
            let given = guided(&self.config, &sampling, &logits);
            let before = before(&self.config, order, &followed.path);
            let drawn = sampling.token(order, &mut given.clone(), &before, &mut *draws)?;
            let token = match path {
                Path::Free(_) => drawn,
                Path::Along(tokens) => tokens.get(step).copied().unwrap_or(drawn),
            };
            followed.logits.extend_from_slice(&given);
            followed.drawn.push(drawn);
            followed.path.push(token);
            if token == self.config.stop_speech {
                break;
            }
        }
        Ok(followed)
    }
}
