//! How the next token is chosen. What no flag sets comes from the model's file (`general.sampling.*`), then from llama.cpp's defaults.

use super::values::{self, Bias};
use clap::Args;
use mynah_gguf::{GgufError, Metadata};
use mynah_runtime::sample::SamplerOptions;

/// The sampler.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Sampling")]
pub(crate) struct SamplingFlags {
    /// Temperature; 0 takes the likeliest token always [the file's, or 0.8]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    pub(crate) temp: Option<f32>,

    /// The K likeliest tokens; 0 keeps all [the file's, or 40]
    #[arg(long, value_name = "K")]
    pub(crate) top_k: Option<usize>,

    /// The likeliest tokens that have this probability together; 1 keeps all [the file's, or 0.95]
    #[arg(long, value_name = "P")]
    pub(crate) top_p: Option<f32>,

    /// Tokens with at least this part of the likeliest one's probability; 0 keeps all [the file's, or 0.05]
    #[arg(long, value_name = "P")]
    pub(crate) min_p: Option<f32>,

    /// Tokens that have this probability together, those first that are about as surprising as is usual; 1 keeps all
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    pub(crate) typical: f32,

    /// Divide the positive logits of tokens that were there lately by this, and multiply the negative ones [the file's, or 1: off]
    #[arg(long, value_name = "R")]
    pub(crate) repeat_penalty: Option<f32>,

    /// Take this off the logits of tokens that were there lately
    #[arg(long, value_name = "X", default_value_t = 0.0, allow_negative_numbers = true)]
    pub(crate) presence_penalty: f32,

    /// Take this off the logits of tokens for each time that they were there lately
    #[arg(long, value_name = "X", default_value_t = 0.0, allow_negative_numbers = true)]
    pub(crate) frequency_penalty: f32,

    /// How many of the last tokens the penalties look at; -1 for all, 0 for none [the file's, or 64]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(-1..))]
    pub(crate) repeat_last_n: Option<i64>,

    /// Add to a token's logit, as in 15043+2.5, 15043-1 or 15043-inf; several with commas or repeated
    #[arg(long, value_name = "ID±X,...", value_delimiter = ',', value_parser = values::bias)]
    pub(crate) logit_bias: Vec<Bias>,

    /// The seed of the draws: the same one gives the same tokens
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

impl SamplingFlags {
    /// As the sampler takes them.
    ///
    /// # Errors
    /// A key of the file that has the wrong type.
    pub(crate) fn options(&self, file: &Metadata) -> Result<SamplerOptions, GgufError> {
        let key = |name: &str| format!("general.sampling.{name}");
        let number = |flag: Option<f32>, name: &str, usual: f32| {
            flag.map_or_else(|| Ok(file.get_f32(&key(name))?.unwrap_or(usual)), Ok)
        };
        let count = |flag: Option<i64>, name: &str, usual: i64| {
            flag.map_or_else(|| Ok(file.get_integer::<i64>(&key(name))?.unwrap_or(usual)), Ok)
        };
        // Less than nothing is everything: for top-k that is off as well.
        let top_k = count(self.top_k.map(|k| i64::try_from(k).unwrap_or(i64::MAX)), "top_k", 40)?;
        let window = count(self.repeat_last_n, "penalty_last_n", 64)?;
        Ok(SamplerOptions {
            temperature: number(self.temp, "temp", 0.8)?,
            top_k: usize::try_from(top_k).unwrap_or(0),
            top_p: number(self.top_p, "top_p", 0.95)?,
            min_p: number(self.min_p, "min_p", 0.05)?,
            typical: self.typical,
            repeat_penalty: number(self.repeat_penalty, "penalty_repeat", 1.0)?,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            penalty_window: usize::try_from(window).unwrap_or(usize::MAX),
            logit_bias: self.logit_bias.iter().map(|bias| (bias.token, bias.value)).collect(),
            seed: self.seed,
            logprobs: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use mynah_gguf::{GgufFile, GgufWriter};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        sampling: SamplingFlags,
    }

    fn options(args: &[&str], write: impl FnOnce(&mut GgufWriter)) -> SamplerOptions {
        let mut writer = GgufWriter::new();
        write(&mut writer);
        let mut bytes = Vec::new();
        writer.write_to(&mut bytes).unwrap();
        let file = GgufFile::from_bytes(bytes).unwrap();
        let line = Line::try_parse_from([&["x"], args].concat()).unwrap();
        line.sampling.options(file.metadata()).unwrap()
    }

    #[test]
    fn a_flag_beats_the_file_which_beats_the_usual() {
        let usual = options(&[], |_| {});
        assert_eq!((usual.temperature, usual.top_k, usual.top_p, usual.min_p), (0.8, 40, 0.95, 0.05));
        assert_eq!(usual.penalty_window, 64);
        let write = |writer: &mut GgufWriter| {
            writer.set("general.sampling.temp", 0.6f32).set("general.sampling.top_k", -1i32);
            writer.set("general.sampling.penalty_last_n", -1i32);
        };
        let file = options(&[], write);
        assert_eq!((file.temperature, file.top_k, file.penalty_window), (0.6, 0, usize::MAX));
        let flags = options(&["--temp", "0", "--top-k", "7", "--logit-bias", "3-inf,4+1.5"], write);
        assert_eq!((flags.temperature, flags.top_k), (0.0, 7));
        assert_eq!(flags.logit_bias, [(3, f32::NEG_INFINITY), (4, 1.5)]);
    }
}
