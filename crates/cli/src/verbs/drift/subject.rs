//! What settings are compared on: something that runs under a setting and keeps every stage.
//!
//! What comes late depends on what was chosen before it, so two settings that part once would never be comparable again. Therefore the
//! second one is led along the choices of the first.

use super::setting::Setting;
use super::workbench::Workbench;
use crate::exit::Usage;
use mynah_lab::difference;
use mynah_lab::wer::WordErrors;

/// The stage of a head's logits.
pub(super) const LOGITS: &str = "logits";

/// A token and where it was chosen: the frame or step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) token: u32,
    pub(super) at: u32,
}

/// What a setting computed.
#[derive(Clone, Debug, Default)]
pub(super) struct Run {
    /// Name and elements of each stage, padding left out.
    pub(super) stages: Vec<(String, Vec<f64>)>,
    /// What it chose.
    pub(super) tokens: Vec<Step>,
    /// Whether each token was chosen behind those of the run beside it, so that they are compared one by one.
    pub(super) led: bool,
    /// Length of a row of logits, and how many of its first elements stand for tokens.
    pub(super) width: usize,
    pub(super) choices: usize,
}

/// Tokens of one run against another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Apart {
    /// Tokens of the first run.
    pub(super) of: usize,
    /// How many the second has otherwise: one by one, or by edit distance where it went its own way.
    pub(super) tokens: usize,
    /// The number of the first such token.
    pub(super) first: Option<usize>,
}

impl Run {
    /// The elements of a stage, none if there is no such stage.
    pub(super) fn stage(&self, name: &str) -> &[f64] {
        let found = self.stages.iter().find(|(stage, _)| stage == name);
        found.map_or(&[], |(_, values)| values.as_slice())
    }

    /// The same as they were computed.
    pub(super) fn floats(&self, name: &str) -> Vec<f32> {
        // The values come from f32, so nothing is lost.
        self.stage(name).iter().map(|&x| x as f32).collect()
    }

    /// The ids of the tokens.
    pub(super) fn ids(&self) -> Vec<u32> {
        self.tokens.iter().map(|step| step.token).collect()
    }

    /// How this run's tokens differ from those of the reference.
    pub(super) fn apart(&self, reference: &Self) -> Apart {
        let (found, wanted) = (self.ids(), reference.ids());
        let others = found.iter().zip(&wanted).filter(|(f, w)| f != w).count();
        let same = found.iter().zip(&wanted).take_while(|(f, w)| f == w).count();
        let tokens = if self.led && found.len() == wanted.len() {
            others
        } else {
            WordErrors::between_words(&wanted, &found).errors()
        };
        let first = (same < found.len().max(wanted.len())).then_some(same);
        Apart { of: wanted.len(), tokens, first }
    }

    /// Normalised mean square error of a stage against the reference's.
    pub(super) fn distance(&self, reference: &Self, stage: &str) -> f64 {
        difference(self.stage(stage), reference.stage(stage)).nmse
    }

    /// Whether the stages of both are the same ones.
    ///
    /// # Errors
    /// The first stage that only one has, or that is longer in one.
    pub(super) fn comparable(&self, reference: &Self) -> anyhow::Result<()> {
        let refused = |what: String| Err(no_kind(&what));
        for i in 0..self.stages.len().max(reference.stages.len()) {
            match (reference.stages.get(i), self.stages.get(i)) {
                (Some((a, wanted)), Some((b, found))) if a == b && wanted.len() == found.len() => {}
                (Some((a, wanted)), Some((b, found))) if a == b => {
                    let (wanted, found) = (wanted.len(), found.len());
                    refused(format!("{a} has {wanted} numbers in a and {found} in b"))?;
                }
                (Some((a, _)), Some((b, _))) => refused(format!("a goes on with {a}, b with {b}"))?,
                (Some((a, _)), None) => refused(format!("only a has {a}"))?,
                (None, Some((b, _))) => refused(format!("only b has {b}"))?,
                (None, None) => {}
            }
        }
        Ok(())
    }
}

/// That the two sides can't be compared.
pub(super) fn no_kind(what: &str) -> Usage {
    let hint = "drift compares two ways to compute one model; name files made of the same weights";
    Usage::new(format!("the two sides are no model of one kind: {what}"), hint)
}

/// A model and what it is given.
pub(super) trait Subject {
    /// Runs it under a setting, beside a run that it is to be comparable with.
    ///
    /// # Errors
    /// A model that can't be used, a device that can't be opened, what running reports.
    fn run(&mut self, setting: &Setting, beside: Option<&Run>) -> anyhow::Result<Run>;

    /// Files and devices.
    fn bench(&mut self) -> &mut Workbench;

    /// The stages whose distances switches are blamed for.
    fn blamed(&self) -> &'static [&'static str] {
        &[LOGITS]
    }

    /// What a row of logits is called.
    fn row(&self) -> &'static str;
}

/// Elements as they are compared.
pub(super) fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(tokens: &[u32], led: bool) -> Run {
        let step = |(at, &token): (usize, &u32)| Step { token, at: at as u32 };
        Run { tokens: tokens.iter().enumerate().map(step).collect(), led, ..Run::default() }
    }

    #[test]
    fn led_tokens_are_compared_one_by_one() {
        let wanted = run(&[1, 2, 3, 4], false);
        let apart = |found: &[u32], led| run(found, led).apart(&wanted);
        assert_eq!(apart(&[1, 2, 3, 4], true), Apart { of: 4, tokens: 0, first: None });
        assert_eq!(apart(&[2, 3, 4, 1], true), Apart { of: 4, tokens: 4, first: Some(0) });
        assert_eq!(apart(&[2, 3, 4, 1], false), Apart { of: 4, tokens: 2, first: Some(0) });
        assert_eq!(apart(&[1, 2, 3], false), Apart { of: 4, tokens: 1, first: Some(3) });
    }

    #[test]
    fn other_models_are_refused() {
        let stages = |stages: &[(&str, usize)]| Run {
            stages: stages.iter().map(|&(name, len)| (name.to_owned(), vec![0.0; len])).collect(),
            ..Run::default()
        };
        let a = stages(&[("x", 2), ("logits", 3)]);
        assert!(a.comparable(&a).is_ok());
        for (b, why) in [
            (stages(&[("x", 2), ("logits", 4)]), "logits has 3 numbers in a and 4 in b"),
            (stages(&[("x", 2), ("y", 3)]), "a goes on with logits, b with y"),
            (stages(&[("x", 2)]), "only a has logits"),
            (stages(&[("x", 2), ("logits", 3), ("y", 1)]), "only b has y"),
        ] {
            let error = b.comparable(&a).unwrap_err().to_string();
            assert!(error.ends_with(why), "{error}");
        }
    }
}
