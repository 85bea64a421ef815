//! Logits to the next token.
//!
//! The chain is llama.cpp's, in its order; every part is off by default:
//!
//! 1. logit bias ([`SamplerOptions::logit_bias`]), then the mask of a grammar or of a caller;
//! 2. penalties ([`SamplerOptions::repeat_penalty`], `presence_penalty`, `frequency_penalty`);
//! 3. temperature 0: the best token, and nothing below applies;
//! 4. top-k, then typical, top-p, min-p, each over what the one before it left, probabilities taken anew;
//! 5. temperature;
//! 6. a draw, with the options' seed.
//!
//! Filters see probabilities at temperature 1, so what they keep doesn't depend on the temperature. (Hugging Face and vLLM scale
//! first.) Equal logits rank by id, the lower first; candidates are drawn from in the order of ids. All of it is plain float
//! arithmetic of one thread with an exponential of our own, so the same logits and seed give the same token everywhere.
//!
//! Logits come from a model's step, tokens go back to it; [`crate::grammar`] makes masks.
//!
//! ```
//! use mynah_runtime::sample::{Sampler, SamplerOptions};
//!
//! let mut sampler = Sampler::new(SamplerOptions { top_k: 2, seed: 7, ..SamplerOptions::default() })?;
//! let choice = sampler.sample(&[0.0, 3.0, 2.0, -1.0], None)?;
//! assert!([1, 2].contains(&choice.token));
//! # Ok::<(), mynah_runtime::sample::SampleError>(())
//! ```

mod candidates;
mod chooser;
mod draws;
mod error;
mod exp;
mod filter;
mod logprobs;
mod mask;
mod options;
mod penalties;
mod sampler;
mod select;

pub use chooser::Chooser;
pub use draws::Draws;
pub use error::SampleError;
pub use logprobs::{Logprobs, TokenLogprob, logprob, logprobs};
pub use mask::TokenMask;
pub use options::SamplerOptions;
pub use sampler::{Candidate, Choice, Sampler};
