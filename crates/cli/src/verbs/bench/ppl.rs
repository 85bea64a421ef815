//! `mynah bench ppl`: the perplexity of a text, as llama.cpp's `llama-perplexity` computes it by default.
//!
//! The tokens are cut into windows of `--window` that don't overlap, each run from an empty state; the end is left over. In each, the
//! tokens of the second half after its first are counted, so every one has at least half a window before it: with a window of 512
//! these are 255. A vocabulary that adds a beginning has it in place of each window's first token. The perplexity is the exponential
//! of the mean negative log probability; its error is that of the mean, taken for independent tokens.

use crate::exit::{Exit, Usage};
use crate::flags::{ModelFlags, TalkFlags};
use crate::{mind, notes, out};
use anyhow::Context as _;
use clap::Args;
use mynah::Generator;
use mynah_runtime::EngineOptions;
use mynah_runtime::sample::{SampleError, logprob};
use mynah_text::bpe::Specials;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Instant;

/// Flags of `mynah bench ppl`.
#[derive(Args, Debug)]
pub(crate) struct Ppl {
    /// The text
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Tokens of a window, of which the second half is counted
    #[arg(long, visible_alias = "ctx", value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(4..))]
    window: u32,

    /// Only so many windows; 0 for all
    #[arg(long, value_name = "N", default_value_t = 0)]
    windows: usize,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    model: ModelFlags,

    #[command(flatten)]
    talk: TalkFlags,
}

/// Negative log probabilities, summed up.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Sum {
    fn add(&mut self, surprise: f64) {
        self.count += 1.0;
        self.sum += surprise;
        self.squares += surprise * surprise;
    }

    fn mean(&self) -> f64 {
        self.sum / self.count
    }

    fn perplexity(&self) -> f64 {
        self.mean().exp()
    }

    /// One standard error of the perplexity.
    fn error(&self) -> f64 {
        let variance = self.squares / self.count - self.mean() * self.mean();
        if self.count > 1.0 {
            self.perplexity() * (variance.max(0.0) / (self.count - 1.0)).sqrt()
        } else {
            f64::NAN
        }
    }
}

impl Ppl {
    /// Runs the measurement.
    ///
    /// # Errors
    /// A text that is too short, a model that can't be used.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let name = self.file.display();
        let text = std::fs::read(&self.file).with_context(|| format!("can't read {name}"))?;
        let text = String::from_utf8(text).with_context(|| format!("{name} is no text in UTF-8"))?;
        let window = self.window as usize;
        let options =
            EngineOptions { sequences: 1, checkpoints: 0, context: Some(window), ..EngineOptions::default() };
        let volume = self.talk.volume();
        let mut model = mind::generator(&self.model, options, volume)?;
        let room = model.engine().context();
        if window > room {
            return Err(Usage::plain(format!(
                "the model has a context of {room} tokens, a window needs {window}"
            ))
            .into());
        }
        let tokens = model.encode(&text, Specials::None);
        let windows = tokens.len() / window;
        let windows = if self.windows == 0 { windows } else { windows.min(self.windows) };
        if windows == 0 {
            let short = format!("{name} has {} tokens, a window needs {window}", tokens.len());
            return Err(Usage::new(short, "take a longer text or a smaller --window").into());
        }
        let tokenizer = model.tokenizer();
        let first = tokenizer.bos().filter(|_| tokenizer.adds_bos());
        let (mut sum, mut each) = (Sum::default(), Vec::with_capacity(windows));
        let begin = Instant::now();
        for (number, tokens) in tokens.chunks_exact(window).take(windows).enumerate() {
            let mut tokens = tokens.to_vec();
            if let (Some(start), Some(bos)) = (tokens.first_mut(), first) {
                *start = bos;
            }
            add(&mut model, &tokens, &mut sum)?;
            each.push(sum.perplexity());
            volume.detail(&format!("window {} of {windows}: {:.4}", number + 1, sum.perplexity()));
        }
        let seconds = begin.elapsed().as_secs_f64();
        if sum.perplexity().is_infinite() {
            notes::warn("a token of the text has no probability");
        }
        let speed = (windows * window) as f64 / seconds.max(1e-9);
        if self.json {
            out::write_json(&self.value(&model, &sum, &each, seconds))?;
        } else {
            let counted =
                format!("{} of {} tokens in {windows} windows of {window}", sum.count, tokens.len());
            out::write(&format!(
                "perplexity  {:.4} ± {:.4}\ncounted     {counted}\nspeed       {speed:.1} tokens/s\n",
                sum.perplexity(),
                sum.error(),
            ))?;
        }
        Ok(Exit::Success)
    }

    fn value(&self, model: &Generator, sum: &Sum, each: &[f64], seconds: f64) -> Value {
        json!({
            "model": model.name(),
            "file": self.file.display().to_string(),
            "perplexity": sum.perplexity(),
            "error": sum.error(),
            "mean_negative_log_probability": sum.mean(),
            "counted_tokens": sum.count,
            "window": self.window,
            "windows": each.len(),
            "perplexity_after_each_window": each,
            "precision": format!("{:?}", self.model.precision).to_lowercase(),
            "seconds": seconds,
        })
    }
}

/// The surprises of the second half of a window.
fn add(model: &mut Generator, tokens: &[u32], sum: &mut Sum) -> anyhow::Result<()> {
    let first = tokens.len() / 2;
    let mut failed: Option<SampleError> = None;
    let counted = &tokens[..tokens.len() - 1];
    let done = model.engine().evaluate(counted, first, &mut |at, logits| match tokens
        .get(at + 1)
        .map(|&next| logprob(logits, next))
    {
        Some(Ok(logprob)) => sum.add(-logprob),
        Some(Err(error)) => failed = Some(error),
        None => {}
    });
    done.map_err(mynah::Error::from)?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums() {
        let mut sum = Sum::default();
        for p in [0.5f64, 0.25, 0.125] {
            sum.add(-p.ln());
        }
        assert!((sum.perplexity() - 4.0).abs() < 1e-12);
        // Surprises of 1, 2, 3 times ln 2: a variance of 2/3 ln² 2, over n - 1.
        let error = 4.0 * std::f64::consts::LN_2 * (2.0f64 / 3.0 / 2.0).sqrt();
        assert!((sum.error() - error).abs() < 1e-12, "{} {error}", sum.error());
    }
}
