//! The tensors of the file to write, each made of those of the folder: other names, value heads in the order of the
//! file, zero-centred gains made whole, decay rates out of their logarithms, joint projections and experts taken
//! apart. Nothing is read here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mynah_tensor::{DType, Shape};

use super::TensorsError;
use super::rows::{Columns, Mapped, Rows, Run};
use crate::qwen35::{Config, Expected, Role, tensors};
use crate::source::{Source, Tensor};

/// Parts of a layer's tensor names, in the file and in transformers.
const NAMES: [(&str, &str); 32] = [
    ("attn_norm.weight", "input_layernorm.weight"),
    ("post_attention_norm.weight", "post_attention_layernorm.weight"),
    ("attn_q.weight", "self_attn.q_proj.weight"),
    ("attn_k.weight", "self_attn.k_proj.weight"),
    ("attn_v.weight", "self_attn.v_proj.weight"),
    ("attn_q_norm.weight", "self_attn.q_norm.weight"),
    ("attn_k_norm.weight", "self_attn.k_norm.weight"),
    ("attn_output.weight", "self_attn.o_proj.weight"),
    ("attn_qkv.weight", "linear_attn.in_proj_qkv.weight"),
    ("attn_gate.weight", "linear_attn.in_proj_z.weight"),
    ("ssm_conv1d.weight", "linear_attn.conv1d.weight"),
    ("ssm_alpha.weight", "linear_attn.in_proj_a.weight"),
    ("ssm_beta.weight", "linear_attn.in_proj_b.weight"),
    ("ssm_ba.weight", "linear_attn.in_proj_ba.weight"),
    ("ssm_a", "linear_attn.A_log"),
    ("ssm_dt.bias", "linear_attn.dt_bias"),
    ("ssm_norm.weight", "linear_attn.norm.weight"),
    ("ssm_out.weight", "linear_attn.out_proj.weight"),
    ("ffn_gate.weight", "mlp.gate_proj.weight"),
    ("ffn_up.weight", "mlp.up_proj.weight"),
    ("ffn_down.weight", "mlp.down_proj.weight"),
    ("ffn_gate_inp.weight", "mlp.gate.weight"),
    ("ffn_gate_exps.weight", "mlp.experts.gate_proj.weight"),
    ("ffn_up_exps.weight", "mlp.experts.up_proj.weight"),
    ("ffn_down_exps.weight", "mlp.experts.down_proj.weight"),
    ("ffn_gate_inp_shexp.weight", "mlp.shared_expert_gate.weight"),
    ("ffn_gate_shexp.weight", "mlp.shared_expert.gate_proj.weight"),
    ("ffn_up_shexp.weight", "mlp.shared_expert.up_proj.weight"),
    ("ffn_down_shexp.weight", "mlp.shared_expert.down_proj.weight"),
    ("nextn.eh_proj.weight", "eh_proj.weight"),
    ("nextn.enorm.weight", "enorm.weight"),
    ("nextn.hnorm.weight", "hnorm.weight"),
];
/// The last of them, and those without a layer.
const MORE: [(&str, &str); 4] = [
    ("nextn.shared_head_norm.weight", "shared_head_norm.weight"),
    ("token_embd.weight", "embed_tokens.weight"),
    ("output_norm.weight", "norm.weight"),
    ("output.weight", "lm_head.weight"),
];

/// Qwen3-Next's queries, keys, values and gates in one.
const JOINT: &str = "linear_attn.in_proj_qkvz.weight";
/// Experts in one tensor: gates and inputs, and the way back.
const FUSED: &str = "mlp.experts.gate_up_proj";
const FUSED_DOWN: &str = "mlp.experts.down_proj";

/// A tensor of the folder that may have a part in several of the file.
struct Stored {
    /// Its name in the folder.
    name: String,
    shape: Shape,
    dtype: DType,
    source: Arc<dyn Source>,
}

struct Converter<'a> {
    config: &'a Config,
    stored: HashMap<String, Stored>,
    used: HashSet<String>,
}

/// Every tensor of the file, in order.
pub(super) fn convert(config: &Config, found: HashMap<String, Tensor>) -> Result<Vec<Tensor>, TensorsError> {
    let stored = found.into_iter().map(|(key, tensor)| {
        let Tensor { name, shape, stored: dtype, source } = tensor;
        (key, Stored { name, shape, dtype, source: Arc::from(source) })
    });
    let mut converter = Converter { config, stored: stored.collect(), used: HashSet::new() };
    let made = tensors(config).into_iter().map(|expected| converter.tensor(expected));
    let made = made.collect::<Result<Vec<Tensor>, _>>()?;
    let Converter { stored, used, .. } = converter;
    let mut odd: Vec<String> =
        stored.into_iter().filter(|(key, _)| !used.contains(key)).map(|(_, tensor)| tensor.name).collect();
    odd.sort_unstable();
    match odd.into_iter().next() {
        Some(name) => Err(TensorsError::Unknown { name }),
        None => Ok(made),
    }
}

impl Converter<'_> {
    fn tensor(&mut self, expected: Expected) -> Result<Tensor, TensorsError> {
        let (origin, layer) = origin(&expected.name, self.config.layers);
        let (source, stored) = match expected.role {
            Role::MixerIn | Role::MixerGate if self.has(&format!("{layer}{JOINT}")) => {
                self.joint(&expected, &format!("{layer}{JOINT}"))?
            }
            Role::Experts | Role::ExpertsOut => self.experts(&expected, &layer, &origin)?,
            _ => self.plain(&expected, &origin)?,
        };
        let Expected { name, shape, role } = expected;
        let source: Box<dyn Source> = match role {
            // transformers keeps the difference from one, but not in the delta net's own norm.
            Role::Gain => Box::new(Mapped { source, formula: |gain| gain + 1.0 }),
            Role::Rate => Box::new(Mapped { source, formula: rate }),
            _ => Box::new(Shared(source)),
        };
        Ok(Tensor { name, shape, stored, source })
    }

    fn has(&self, key: &str) -> bool {
        self.stored.contains_key(key)
    }

    /// A tensor of the folder, if it has the shape.
    fn take(
        &mut self,
        key: &str,
        shape: Shape,
        file_name: &str,
    ) -> Result<(Arc<dyn Source>, DType), TensorsError> {
        let missing = || TensorsError::Missing { name: key.to_owned(), file_name: file_name.to_owned() };
        let stored = self.stored.get(key).ok_or_else(missing)?;
        if stored.shape != shape {
            let name = stored.name.clone();
            return Err(TensorsError::WrongShape { name, wanted: shape, found: stored.shape });
        }
        self.used.insert(key.to_owned());
        Ok((Arc::clone(&stored.source), stored.dtype))
    }

    /// A tensor of one tensor, value heads in order.
    fn plain(&mut self, expected: &Expected, origin: &str) -> Result<(Arc<dyn Source>, DType), TensorsError> {
        let shape = match (expected.role, expected.shape.dims()) {
            // transformers' convolution has a dimension of input channels, of which each group has one.
            (Role::Taps, &[channels, taps]) => Shape::from([channels, 1, taps]),
            _ => expected.shape,
        };
        let (source, dtype) = self.take(origin, shape, &expected.name)?;
        let Config { key_heads, value_heads, state, .. } = *self.config;
        if !self.config.architecture.tiles_value_heads() || key_heads == value_heads {
            return Ok((source, dtype));
        }
        let order = self.tiles();
        // A vector has a value for each head.
        let width = if expected.shape.rank() == 1 { 1 } else { expected.shape.last() };
        let heads = |before: usize, rows: usize| {
            let head = |&head: &usize| {
                let first = before + head * rows;
                Run { source: 0, rows: first..first + rows }
            };
            order.iter().map(head).collect::<Vec<Run>>()
        };
        let before = 2 * self.config.keys_width();
        let runs = match expected.role {
            Role::MixerIn | Role::Taps => {
                let keys = Run { source: 0, rows: 0..before };
                [vec![keys], heads(before, state)].concat()
            }
            Role::MixerGate => heads(0, state),
            Role::Alpha | Role::Beta | Role::Rate | Role::StepBias => heads(0, 1),
            Role::MixerOut => return Ok((Arc::new(Columns { source, order, width: state }), dtype)),
            _ => return Ok((source, dtype)),
        };
        Ok((Arc::new(Rows::new(vec![source], runs, width)), dtype))
    }

    /// For each value head of the file where it is in the folder: the first of every key head, the second of every …
    fn tiles(&self) -> Vec<usize> {
        let Config { key_heads, value_heads, .. } = *self.config;
        let each = value_heads / key_heads.max(1);
        (0..each).flat_map(|value| (0..key_heads).map(move |key| key * each + value)).collect()
    }

    /// A part of Qwen3-Next's joint projection, in which each key head has its query, key, values and gates together.
    fn joint(&mut self, expected: &Expected, key: &str) -> Result<(Arc<dyn Source>, DType), TensorsError> {
        let Config { key_heads, state, hidden, .. } = *self.config;
        let values = self.config.values_width() / key_heads.max(1);
        let group = 2 * state + 2 * values;
        let (source, dtype) = self.take(key, Shape::from([key_heads * group, hidden]), &expected.name)?;
        let part = |from: usize, len: usize| {
            (0..key_heads).map(move |head| {
                let first = head * group + from;
                Run { source: 0, rows: first..first + len }
            })
        };
        let runs = match expected.role {
            Role::MixerGate => part(2 * state + values, values).collect(),
            _ => part(0, state).chain(part(state, state)).chain(part(2 * state, values)).collect(),
        };
        Ok((Arc::new(Rows::new(vec![source], runs, hidden)), dtype))
    }

    /// All experts' projections of a kind, from one tensor or from one each.
    fn experts(
        &mut self,
        expected: &Expected,
        layer: &str,
        origin: &str,
    ) -> Result<(Arc<dyn Source>, DType), TensorsError> {
        let &[count, rows, width] = expected.shape.dims() else { return self.plain(expected, origin) };
        let fused_name = |stem: &str| {
            let bare = format!("{layer}{stem}");
            if self.has(&bare) {
                Some(bare)
            } else {
                Some(format!("{bare}.weight")).filter(|name| self.has(name))
            }
        };
        if expected.role == Role::ExpertsOut {
            if let Some(name) = fused_name(FUSED_DOWN) {
                return self.take(&name, expected.shape, &expected.name);
            }
        } else if let Some(name) = fused_name(FUSED) {
            // Gates above, inputs below.
            let (source, dtype) = self.take(&name, Shape::from([count, 2 * rows, width]), &expected.name)?;
            let second = if expected.name.contains("ffn_up") { rows } else { 0 };
            let run = |expert: usize| {
                let first = expert * 2 * rows + second;
                Run { source: 0, rows: first..first + rows }
            };
            let runs = (0..count).map(run).collect();
            return Ok((Arc::new(Rows::new(vec![source], runs, width)), dtype));
        }
        let part = origin.rsplit_once("experts.").map_or(origin, |(_, part)| part);
        let (mut sources, mut stored) = (Vec::with_capacity(count), DType::F32);
        for expert in 0..count {
            let key = format!("{layer}mlp.experts.{expert}.{part}");
            let (source, dtype) = self.take(&key, Shape::from([rows, width]), &expected.name)?;
            stored = dtype;
            sources.push(source);
        }
        let runs = (0..count).map(|source| Run { source, rows: 0..rows }).collect();
        Ok((Arc::new(Rows::new(sources, runs, width)), stored))
    }
}

/// The tensor of the folder of which one of the file is made, and the beginning of its layer's names.
fn origin(file_name: &str, layers: usize) -> (String, String) {
    let block = file_name.strip_prefix("blk.").and_then(|rest| rest.split_once('.'));
    let block = block.and_then(|(index, part)| Some((index.parse::<usize>().ok()?, part)));
    // Predicting layers come behind the model's own.
    let (layer, part) = match block {
        Some((index, part)) if index < layers => (format!("layers.{index}."), part),
        Some((index, part)) => (format!("predicting.{}.", index - layers), part),
        None => (String::new(), file_name),
    };
    let name = NAMES.iter().chain(&MORE).find(|(file, _)| *file == part).map_or(part, |(_, name)| name);
    (format!("{layer}{name}"), layer)
}

/// A decay rate out of its logarithm.
fn rate(log: f32) -> f32 {
    -f64::from(log).exp() as f32
}

/// A source that others have too.
struct Shared(Arc<dyn Source>);

impl Source for Shared {
    fn read(&self, start: usize, out: &mut [f32]) -> Result<(), mynah_tensor::TensorError> {
        self.0.read(start, out)
    }

    fn release(&self) {
        self.0.release();
    }
}
