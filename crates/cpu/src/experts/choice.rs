//! Picks the experts of each token.

use super::weights::Scores;
use crate::elementwise::rows_per_task;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use mynah_device::DeviceError;
use mynah_graph::ExpertChoice;

struct Choice {
    choice: ExpertChoice,
    logits: Operand,
    bias: Option<Operand>,
    out: Target,
    experts: usize,
}

/// Compiles a choice.
pub(crate) fn compile(bind: &Bind<'_>, choice: ExpertChoice) -> Result<Box<dyn Kernel>, DeviceError> {
    let bias = choice.bias.then(|| bind.operand(1)).transpose()?;
    let (logits, out, experts) = (bind.operand(0)?, bind.target()?, bind.shape(0).last());
    Ok(Box::new(Choice { choice, logits, bias, out, experts }))
}

impl Kernel for Choice {
    fn name(&self) -> String {
        format!("expert_choice/{}", self.choice.score.name())
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (logits, out) = (launch.read(&self.logits), launch.output(&self.out));
        let bias = self.bias.as_ref().map(|b| launch.read(b));
        let (experts, used) = (self.experts, self.choice.used);
        launch.pool().run_chunks(out.len() / used, rows_per_task(experts), &|rows| {
            let mut best = Vec::with_capacity(used + 1);
            for row in rows {
                let logits = &logits[row * experts..(row + 1) * experts];
                match bias {
                    Some(bias) => {
                        let scores = Scores::new(self.choice.score, logits);
                        top(logits.iter().zip(bias).map(|(&x, b)| scores.of(x) + b), used, &mut best);
                    }
                    None => top(logits.iter().copied(), used, &mut best),
                }
                // SAFETY: rows are disjoint.
                let out = unsafe { out.slice(row * used..(row + 1) * used) };
                let out: &mut [i32] = bytemuck::cast_slice_mut(out);
                out.iter_mut().zip(&best).for_each(|(out, &(_, id))| *out = id);
            }
        })?;
        Ok(())
    }
}

/// The `used` highest, highest first, with their places; of equals the first.
fn top(ranks: impl Iterator<Item = f32>, used: usize, best: &mut Vec<(f32, i32)>) {
    best.clear();
    for (id, rank) in ranks.enumerate() {
        let rank = if rank.is_nan() { f32::NEG_INFINITY } else { rank };
        if best.len() == used && best.last().is_some_and(|&(last, _)| rank <= last) {
            continue;
        }
        let place = best.partition_point(|&(other, _)| other >= rank);
        best.insert(place, (rank, id as i32));
        best.truncate(used);
    }
}

#[cfg(test)]
mod tests {
    use super::top;

    #[test]
    fn of_equals_the_first() {
        let mut best = Vec::new();
        let mut ids = |ranks: &[f32], used| {
            top(ranks.iter().copied(), used, &mut best);
            best.iter().map(|&(_, id)| id).collect::<Vec<_>>()
        };
        assert_eq!(ids(&[1., 3., 2., 3.], 3), [1, 3, 2]);
        assert_eq!(ids(&[0.; 5], 2), [0, 1]);
        assert_eq!(ids(&[f32::NAN, f32::NEG_INFINITY, -5.], 3), [2, 0, 1]);
        assert_eq!(ids(&[-0.0, 0.0, 7.0], 2), [2, 0]);
    }
}
