//! What every stage makes of one request, for comparisons of two ways to compute.
//!
//! The plans are those of [`S3Gen::synthesize`]: nothing is computed otherwise because somebody looks.

use super::error::S3GenError;
use super::model::{Request, S3Gen};
use crate::chatterbox::hift::fade::fade_in;

/// What every stage makes of a request of `T` tokens with a voice of `P`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// The encoder's means, `[ratio·(P + T), bins]`, frames of the voice first.
    pub mu: Vec<f32>,
    /// Where the solver stands after each of its steps, `[ratio·T, bins]`, frames of the voice left out.
    pub steps: Vec<Vec<f32>>,
    /// Mel frames, `[ratio·T, bins]`: where the last step ends.
    pub mel: Vec<f32>,
    /// Fundamental frequencies in hertz, one a mel frame.
    pub f0: Vec<f32>,
    /// The harmonic source, at 24 kHz.
    pub source: Vec<f32>,
    /// What is heard: samples at 24 kHz, faded in.
    pub samples: Vec<f32>,
}

impl S3Gen {
    /// Speaks a request and keeps every stage. The samples are those of [`S3Gen::synthesize`].
    ///
    /// # Errors
    /// As [`S3Gen::synthesize`].
    pub fn trace(&mut self, request: &Request<'_>, steps: Option<usize>) -> Result<Trace, S3GenError> {
        let count = self.check_steps(steps)?;
        self.check(request)?;
        let span = self.encode(std::slice::from_ref(request), false)?;
        let (executor, config) = (&mut self.executor, &self.config.cfm);
        let mu = self.solver.means(executor, config, &span, 0)?;
        let length = span.lengths.first().copied().unwrap_or(0);
        let frames = (request.voice.prompt_tokens().len() * self.config.flow.ratio).min(length)..length;
        let mut steps = Vec::with_capacity(count);
        self.solver.solve(
            executor,
            &self.file,
            config,
            &span,
            count,
            &self.cancel,
            &mut |solver, executor| {
                steps.push(solver.read(executor, config, &span, 0, frames.clone())?);
                Ok(())
            },
        )?;
        let mel = steps.last().cloned().unwrap_or_default();
        let f0 = self.pitch(&mel)?;
        let (source, _) = self.source(&f0, request.noise)?;
        let mut samples = self.vocode(&mel, &source)?;
        fade_in(&mut samples, 0);
        Ok(Trace { mu, steps, mel, f0, source, samples })
    }
}
