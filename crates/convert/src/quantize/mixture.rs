//! Which tensor of a language model gets which type: the mixtures of llama.cpp's `llama-quantize`, reproduced tensor by
//! tensor, so that a file of ours and one of theirs are of one size and quality and speeds compare.
//!
//! - Vectors, norms, routers and convolutions stay as they are. All other matrices take the target type, except:
//! - The head takes Q6_K, and so does the embedding where it is the head. Only Q8_0 and MXFP4 give it Q8_0.
//! - Values of attention, also in a joint projection, and the down projections get more bits in a mixture: Q6_K in the
//!   first and last eighth of the layers and every third between for `_M`, Q5_K in the first for `_S` and IQ4_NL.
//! - MXFP4 is for experts; every other matrix is Q8_0.
//! - Rows that are no whole number of blocks take a type of blocks of 32, or F16.

use mynah_tensor::{DType, Shape};

use super::target::Target;

/// The mixture of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mixture {
    target: Target,
    /// Whether the embedding is the head.
    tied: bool,
    /// Layers, with the predicting ones.
    blocks: usize,
    /// Query heads that share a key head.
    shared_keys: usize,
    experts: usize,
    /// Layers that have values of attention in a tensor, in order.
    values: Vec<usize>,
}

/// What of a model's configuration decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// Layers, with the predicting ones.
    pub blocks: usize,
    /// Query heads.
    pub heads: usize,
    /// Key heads.
    pub kv_heads: usize,
    /// Experts of a layer, 0 for none.
    pub experts: usize,
}

/// What a tensor does, as far as mixtures tell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    Embedding,
    Values,
    Keys,
    AttentionOut,
    Down,
    Other,
}

impl Mixture {
    /// The mixture of a file with tensors of these names.
    pub fn new<'a>(target: Target, facts: Facts, names: impl IntoIterator<Item = &'a str>) -> Mixture {
        let (mut tied, mut values, mut blocks) = (true, Vec::new(), facts.blocks);
        for name in names {
            // A file whose keys say too little is no reason to give every layer more bits.
            blocks = blocks.max(layer(name).map_or(0, |index| index.saturating_add(1)));
            match part(name) {
                Part::Head => tied = false,
                Part::Values => values.extend(layer(name)),
                _ => {}
            }
        }
        values.sort_unstable();
        Mixture {
            target,
            tied,
            blocks,
            shared_keys: facts.heads.checked_div(facts.kv_heads).unwrap_or(0),
            experts: facts.experts,
            values,
        }
    }

    /// The type a tensor takes, `None` if it stays as it is.
    pub fn choose(&self, name: &str, shape: Shape) -> Option<DType> {
        if !converts(name, shape) {
            return None;
        }
        let target = self.target.dtype();
        if !target.is_quantized() {
            return Some(target);
        }
        let rows = |wanted| fitted(wanted, shape.last());
        Some(rows(match (part(name), target) {
            (Part::Head, _) => self.head(shape),
            (Part::Embedding, _) if self.tied => self.head(shape),
            (_, DType::Mxfp4) if shape.rank() < 3 => DType::Q8_0,
            (Part::Values, _) => self.values(name),
            // Models of eight experts share few keys and values among much.
            (Part::Keys, _) if self.experts == 8 => DType::Q8_0,
            (Part::AttentionOut, DType::Iq4Nl | DType::Q4K) if self.experts == 8 => DType::Q5K,
            (Part::Down, _) => self.down(name),
            _ => target,
        }))
    }

    fn head(&self, shape: Shape) -> DType {
        match self.target.dtype() {
            DType::Q8_0 | DType::Mxfp4 => DType::Q8_0,
            target if !shape.last().is_multiple_of(target.block_len()) => DType::Q8_0,
            _ => DType::Q6K,
        }
    }

    fn values(&self, name: &str) -> DType {
        if self.experts == 8 {
            return DType::Q8_0;
        }
        let before = layer(name).map_or(0, |index| self.values.partition_point(|&other| other < index));
        match self.target.dtype() {
            DType::Iq4Nl if self.shared_keys >= 4 => DType::Q5K,
            DType::Q4K | DType::Q5K if !self.target.is_small() && takes_more(before, self.values.len()) => {
                DType::Q6K
            }
            DType::Q4K if self.target.is_small() && before < 4 => DType::Q5K,
            target => target,
        }
    }

    fn down(&self, name: &str) -> DType {
        let index = layer(name).unwrap_or(0);
        let early = index < self.blocks / 8;
        match self.target.dtype() {
            DType::Q4K | DType::Q5K if !self.target.is_small() && takes_more(index, self.blocks) => {
                DType::Q6K
            }
            DType::Q4K if self.target.is_small() && early => DType::Q5K,
            DType::Iq4Nl if early => DType::Q5K,
            target => target,
        }
    }
}

/// The first and last eighth, and every third between.
fn takes_more(index: usize, count: usize) -> bool {
    let eighth = count / 8;
    index < eighth || index >= count.saturating_mul(7) / 8 || (index - eighth) % 3 == 2
}

fn part(name: &str) -> Part {
    match name {
        "output.weight" => Part::Head,
        "token_embd.weight" => Part::Embedding,
        _ if name.contains("attn_qkv.weight") || name.contains("attn_v.weight") => Part::Values,
        _ if name.contains("attn_k.weight") => Part::Keys,
        _ if name.contains("attn_output.weight") => Part::AttentionOut,
        _ if name.contains("ffn_down") => Part::Down,
        _ => Part::Other,
    }
}

fn layer(name: &str) -> Option<usize> {
    name.strip_prefix("blk.")?.split('.').next()?.parse().ok()
}

/// Whether a tensor is a matrix whose products are worth fewer bits.
fn converts(name: &str, shape: Shape) -> bool {
    let dims = shape.dims().iter().skip_while(|&&dim| dim == 1).count();
    let kept = ["_norm.weight", "ffn_gate_inp.weight", "ssm_conv1d"];
    dims >= 2 && name.ends_with("weight") && !kept.iter().any(|part| name.contains(part))
}

/// The type, or one of blocks of 32 that is no worse where the row has no whole number of its blocks, or F16.
fn fitted(wanted: DType, row: usize) -> DType {
    let whole = |dtype: DType| row.is_multiple_of(dtype.block_len());
    let instead = match wanted {
        _ if whole(wanted) => return wanted,
        DType::Q4K => DType::Q5_0,
        // llama.cpp takes Q5_1, which is not written here.
        DType::Q5K | DType::Q6K => DType::Q8_0,
        _ => DType::F16,
    };
    if whole(instead) { instead } else { DType::F16 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qwen35::{Config, tensors};
    use crate::random::language_model;
    use std::collections::BTreeMap;

    fn counts(name: &str, target: &str) -> BTreeMap<Option<DType>, usize> {
        let config = language_model(name, 0).unwrap().config;
        let list = tensors(&config);
        let facts = facts(&config);
        let names = list.iter().map(|tensor| tensor.name.as_str());
        let mixture = Mixture::new(target.parse().unwrap(), facts, names);
        let mut counts = BTreeMap::new();
        for tensor in &list {
            *counts.entry(mixture.choose(&tensor.name, tensor.shape)).or_default() += 1;
        }
        counts
    }

    fn facts(config: &Config) -> Facts {
        let experts = config.experts.map_or(0, |experts| experts.count);
        Facts { blocks: config.blocks(), heads: config.heads, kv_heads: config.kv_heads, experts }
    }

    #[test]
    fn the_smallest_at_four_bits() {
        use DType::{Q4K, Q6K};
        let wanted = [(None, 133), (Some(Q4K), 162), (Some(Q6K), 25)];
        assert_eq!(counts("qwen3.5-0.8b", "Q4_K_M"), wanted.into());
        let wanted = [(None, 133), (Some(Q4K), 162 + 24 - 7), (Some(DType::Q5K), 7), (Some(Q6K), 1)];
        assert_eq!(counts("qwen3.5-0.8b", "Q4_K_S"), wanted.into());
    }

    #[test]
    fn experts_alone_are_microscaled() {
        let found = counts("qwen3.5-35b-a3b", "MXFP4");
        assert_eq!(found[&Some(DType::Mxfp4)], 3 * 40);
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [None, Some(DType::Q8_0), Some(DType::Mxfp4)]);
    }

    #[test]
    fn rows_that_do_not_fit() {
        assert_eq!(fitted(DType::Q4K, 96), DType::Q5_0);
        assert_eq!(fitted(DType::Q6K, 96), DType::Q8_0);
        assert_eq!(fitted(DType::Q4K, 40), DType::F16);
        assert_eq!(fitted(DType::Iq4Nl, 40), DType::F16);
    }
}
