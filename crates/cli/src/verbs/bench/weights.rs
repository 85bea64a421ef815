//! What a file's weights are and what they cost: the type that counts, and the bytes and operations of a language model's token.

use mynah_gguf::GgufFile;
use mynah_tensor::DType;

/// The type that holds most elements of those tensors of a file whose names are `wanted`.
pub(super) fn main_type(file: &GgufFile, wanted: impl Fn(&str) -> bool) -> DType {
    let mut counts: Vec<(DType, u64)> = Vec::new();
    for tensor in file.tensors().iter().filter(|tensor| wanted(&tensor.name)) {
        let Ok(dtype) = tensor.dtype() else { continue };
        let elements = tensor.shape.numel() as u64;
        match counts.iter_mut().find(|(d, _)| *d == dtype) {
            Some((_, count)) => *count += elements,
            None => counts.push((dtype, elements)),
        }
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map_or(DType::F32, |(dtype, _)| dtype)
}

/// Products of a token with the weights of a language model. Attention and recurrences are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct TokenCost {
    /// Bytes of the weights that a step with one token reads, as the file has them, the head included.
    pub(super) bytes: f64,
    /// Operations of all layers.
    pub(super) layers: f64,
    /// Operations of the head, which of a prompt only the last token needs.
    pub(super) head: f64,
}

impl TokenCost {
    /// By the names that llama.cpp's converter gives: `token_embd` is looked up, or is the head if there is no `output`; of stacked
    /// experts (`_exps`) a token uses some.
    pub(super) fn of(file: &GgufFile) -> Self {
        let architecture = file.get_str("general.architecture").ok().flatten().unwrap_or_default();
        let count = |name: &str| file.get_usize(&format!("{architecture}.{name}")).ok().flatten();
        let experts = match (count("expert_used_count"), count("expert_count")) {
            (Some(used), Some(all)) if all > 0 => used as f64 / all as f64,
            _ => 1.0,
        };
        let tied = !file.tensors().iter().any(|tensor| tensor.name == "output.weight");
        let mut cost = Self::default();
        for tensor in file.tensors() {
            let name = tensor.name.as_str();
            let matrix = tensor.shape.dims().len() > 1 && !name.contains("conv1d");
            let head = name == "output.weight" || (tied && name == "token_embd.weight");
            if !matrix || (name == "token_embd.weight" && !tied) {
                continue;
            }
            let share = if name.contains("_exps.") { experts } else { 1.0 };
            cost.bytes += share * tensor.nbytes as f64;
            let operations = share * 2.0 * tensor.shape.numel() as f64;
            *(if head { &mut cost.head } else { &mut cost.layers }) += operations;
        }
        cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mynah_gguf::GgufWriter;

    fn cost(names: &[(&str, &[usize])]) -> TokenCost {
        let mut writer = GgufWriter::new();
        writer.set("general.architecture", "m").set("m.expert_used_count", 2u32).set("m.expert_count", 8u32);
        for (name, shape) in names {
            let bytes = vec![0; 4 * shape.iter().product::<usize>()];
            let _ = writer.tensor(*name, DType::F32, shape, move |out| out.write_all(&bytes));
        }
        let mut bytes = Vec::new();
        writer.write_to(&mut bytes).unwrap();
        TokenCost::of(&GgufFile::from_bytes(bytes).unwrap())
    }

    #[test]
    fn a_token_reads_what_it_is_multiplied_with() {
        let norm: (&str, &[usize]) = ("blk.0.attn_norm.weight", &[4]);
        let tied = cost(&[("token_embd.weight", &[10, 4]), norm, ("blk.0.ffn_up.weight", &[8, 4])]);
        assert_eq!(tied, TokenCost { bytes: 4.0 * 72.0, layers: 64.0, head: 80.0 });
        let own = cost(&[
            ("token_embd.weight", &[10, 4]),
            ("output.weight", &[10, 4]),
            ("blk.0.ffn_up_exps.weight", &[8, 6, 4]),
        ]);
        assert_eq!(own, TokenCost { bytes: 4.0 * (40.0 + 48.0), layers: 96.0, head: 80.0 });
    }
}
