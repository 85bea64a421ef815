//! How much of each chosen expert a token gets.

use crate::elementwise::rows_per_task;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use mynah_device::DeviceError;
use mynah_graph::{ExpertWeights, RouterScore};

/// What a router makes of one token's logits.
pub(super) struct Scores {
    score: RouterScore,
    largest: f32,
    sum: f32,
}

impl Scores {
    /// Looks at all of a token's logits.
    pub(super) fn new(score: RouterScore, logits: &[f32]) -> Self {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum = match score {
            RouterScore::Softmax => logits.iter().map(|x| (x - largest).exp()).sum(),
            RouterScore::Sigmoid | RouterScore::SqrtSoftplus => 1.0,
        };
        Self { score, largest, sum }
    }

    /// The same for softmaxes of which only quotients matter.
    fn quotients(score: RouterScore, logits: &[f32]) -> Self {
        Self { score, largest: logits.iter().copied().fold(f32::NEG_INFINITY, f32::max), sum: 1.0 }
    }

    /// The score of a logit.
    pub(super) fn of(&self, x: f32) -> f32 {
        match self.score {
            RouterScore::Softmax => (x - self.largest).exp() / self.sum,
            RouterScore::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            RouterScore::SqrtSoftplus => (x.max(0.0) + (-x.abs()).exp().ln_1p()).sqrt(),
        }
    }
}

struct Weights {
    weights: ExpertWeights,
    logits: Operand,
    ids: Operand,
    out: Target,
    experts: usize,
    used: usize,
}

/// Compiles the weights of chosen experts.
pub(crate) fn compile(bind: &Bind<'_>, weights: ExpertWeights) -> Result<Box<dyn Kernel>, DeviceError> {
    let (logits, ids, out) = (bind.operand(0)?, bind.operand(1)?, bind.target()?);
    let (experts, used) = (bind.shape(0).last(), bind.shape(1).last());
    Ok(Box::new(Weights { weights, logits, ids, out, experts, used }))
}

impl Kernel for Weights {
    fn name(&self) -> String {
        format!("expert_weights/{}", self.weights.score.name())
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (logits, ids) = (launch.read(&self.logits), launch.read_i32(&self.ids));
        let (out, experts, used) = (launch.output(&self.out), self.experts, self.used);
        for &id in ids {
            Fault::check("expert", i64::from(id), experts)?;
        }
        let ExpertWeights { score, normalise, scale } = self.weights;
        launch.pool().run_chunks(ids.len() / used, rows_per_task(experts), &|rows| {
            for row in rows {
                let logits = &logits[row * experts..(row + 1) * experts];
                let ids = &ids[row * used..(row + 1) * used];
                // SAFETY: rows are disjoint.
                let out = unsafe { out.slice(row * used..(row + 1) * used) };
                // A sum that may be small has to be the true one.
                let scores = match normalise {
                    Some(0.0) => Scores::quotients(score, logits),
                    _ => Scores::new(score, logits),
                };
                let chosen = ids.iter().map(|&id| scores.of(logits[id as usize]));
                out.iter_mut().zip(chosen).for_each(|(out, p)| *out = p);
                let sum: f32 = out.iter().sum();
                let divisor = match normalise {
                    // Not `max`, which would hide what is no number.
                    Some(least) if sum < least => least,
                    Some(_) => sum,
                    None => 1.0,
                };
                out.iter_mut().for_each(|p| *p = *p / divisor * scale);
            }
        })?;
        Ok(())
    }
}
