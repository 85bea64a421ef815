//! A Parakeet model's dimensions and options, read from a GGUF file.
//!
//! Files of older converters lack keys, and labels such as `hybrid_tdt_ctc` occur without a CTC head, so tensors decide
//! wherever they can and a key that contradicts them is an error.

use crate::error::ModelError;
use crate::params::Params;
use mynah_audio::{MelConfig, Normalize};
use mynah_gguf::GgufFile;

/// Frames a query sees to the left and right.
pub type Window = [usize; 2];

/// Normalisation inside the convolution module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConvNorm {
    /// Batch norm with stored statistics.
    Batch,
    /// Layer norm; NeMo stores it under the name `batch_norm` without statistics.
    Layer,
}

/// A decoder head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// Connectionist temporal classification.
    Ctc,
    /// Recurrent neural network transducer.
    Rnnt,
    /// Token-and-duration transducer.
    Tdt,
}

impl Head {
    /// The name `--decoder` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ctc => "ctc",
            Self::Rnnt => "rnnt",
            Self::Tdt => "tdt",
        }
    }
}

/// The transducer's prediction network and joint.
#[derive(Clone, Debug, PartialEq)]
pub struct TransducerConfig {
    /// Width of the embedding and of each LSTM layer.
    pub hidden: usize,
    /// LSTM layers.
    pub layers: usize,
    /// Width of the joint.
    pub joint: usize,
    /// TDT durations in frames; empty for RNN-T.
    pub durations: Vec<usize>,
    /// Symbols emitted at one frame before the decoder moves on.
    pub max_symbols: usize,
}

/// Everything about a Parakeet model but its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct ParakeetConfig {
    /// `general.name`, or "parakeet".
    pub name: String,
    /// The feature front end.
    pub mel: MelConfig,
    /// Width of the encoder.
    pub d_model: usize,
    /// Conformer blocks.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of the feed-forward modules.
    pub feed_forward: usize,
    /// Kernel of the convolution module, odd.
    pub conv_kernel: usize,
    /// Normalisation of the convolution module.
    pub conv_norm: ConvNorm,
    /// Channels of the subsampling convolutions.
    pub subsampling_channels: usize,
    /// Whether the subsampled frames are multiplied by `sqrt(d_model)`.
    pub xscaling: bool,
    /// The window of local attention; `None` for full attention.
    pub window: Option<Window>,
    /// Pieces in the vocabulary; also the id of the blank.
    pub vocabulary: usize,
    /// Whether there is a CTC head.
    pub ctc: bool,
    /// The transducer head, if there is one.
    pub transducer: Option<TransducerConfig>,
}

/// What the subsampling divides the frame rate by.
pub(crate) const SUBSAMPLING: usize = 8;

impl ParakeetConfig {
    /// Reads and checks a file's configuration.
    ///
    /// # Errors
    /// [`ModelError::Family`] for another family, otherwise what is missing, contradictory or unsupported, by name.
    pub fn read(file: &GgufFile) -> Result<Self, ModelError> {
        let architecture = file.get_str("general.architecture")?.unwrap_or_default();
        if architecture != "parakeet" {
            return Err(ModelError::Family { found: architecture.to_owned(), wanted: "parakeet" });
        }
        let keys = Keys { file };
        let params = Params::new(file);
        keys.refuse_streaming()?;
        let mel = mel(&keys, &params)?;
        let [d_model, _] = keys.dims2(&params, "encoder.pre_encode.out.weight")?;
        let layers = count(|i| params.has(&format!("encoder.layers.{i}.norm_out.weight")));
        let [heads, _] = keys.dims2(&params, "encoder.layers.0.self_attn.pos_bias_u")?;
        let [feed_forward, _] = keys.dims2(&params, "encoder.layers.0.feed_forward1.linear1.weight")?;
        let kernel = keys.shape(&params, "encoder.layers.0.conv.depthwise_conv.weight")?.last();
        let conv0 = keys.shape(&params, "encoder.pre_encode.conv.0.weight")?;
        let subsampling_channels = conv0.dims().first().copied().unwrap_or(0);
        let transducer = transducer(&keys, &params)?;
        let ctc = ctc_weight(&params);
        let vocabulary = vocabulary(&params, transducer.as_ref(), ctc)?;
        let config = Self {
            name: file.get_str("general.name")?.unwrap_or("parakeet").to_owned(),
            mel,
            d_model: keys.agree("encoder.d_model", d_model)?,
            layers: keys.agree("encoder.n_layers", layers)?,
            heads: keys.agree("encoder.n_heads", heads)?,
            feed_forward: keys.agree("encoder.ff_dim", feed_forward)?,
            conv_kernel: keys.agree("encoder.conv_kernel", kernel)?,
            conv_norm: conv_norm(&params),
            subsampling_channels: keys.agree("encoder.subsampling_conv_channels", subsampling_channels)?,
            xscaling: xscaling(&keys, transducer.as_ref())?,
            window: window(file, &keys)?,
            vocabulary: keys.agree("vocab_size", vocabulary)?,
            ctc: ctc.is_some(),
            transducer,
        };
        config.check(&keys)?;
        Ok(config)
    }

    /// The heads of the model; the first is the default.
    pub fn heads_available(&self) -> Vec<Head> {
        let transducer =
            self.transducer.as_ref().map(|t| if t.durations.is_empty() { Head::Rnnt } else { Head::Tdt });
        transducer.into_iter().chain(self.ctc.then_some(Head::Ctc)).collect()
    }

    /// Id of the blank.
    pub fn blank(&self) -> usize {
        self.vocabulary
    }

    /// Seconds between encoder frames.
    pub fn frame_seconds(&self) -> f64 {
        (self.mel.hop_length * SUBSAMPLING) as f64 / f64::from(self.mel.sample_rate)
    }

    /// Mel bands after the subsampling.
    pub fn subsampled_bands(&self) -> usize {
        halve(halve(halve(self.mel.n_mels)))
    }

    /// Width of a frame between the subsampling's convolutions and its linear layer.
    pub(crate) fn flat_width(&self) -> usize {
        self.subsampling_channels * self.subsampled_bands()
    }

    fn check(&self, keys: &Keys<'_>) -> Result<(), ModelError> {
        let bad = |key: &str, found: usize, reason: &str| {
            Err(ModelError::BadKey { key: keys.full(key), found: found.to_string(), reason: reason.into() })
        };
        if let Some(factor) = keys.usize("encoder.subsampling_factor")?
            && factor != SUBSAMPLING
        {
            return bad("encoder.subsampling_factor", factor, "only a factor of 8 is known");
        }
        if let Some(blank) = keys.usize("blank_id")?
            && blank != self.blank()
        {
            return bad("blank_id", blank, "the blank must follow the last piece");
        }
        if self.heads == 0 || !self.d_model.is_multiple_of(self.heads) {
            return bad("encoder.n_heads", self.heads, "the model width must divide into heads");
        }
        if self.conv_kernel.is_multiple_of(2) {
            return bad("encoder.conv_kernel", self.conv_kernel, "the kernel must be odd");
        }
        if self.layers == 0 || self.vocabulary == 0 {
            return bad("encoder.n_layers", self.layers, "there are no layers or no vocabulary");
        }
        Ok(())
    }
}

/// Extent after a convolution of stride 2 with one row of padding on each side: `floor((n − 1) / 2) + 1`.
pub(crate) fn halve(n: usize) -> usize {
    n.div_ceil(2)
}

/// The name of the CTC head's weight without `.weight`, if there is such a head.
pub(crate) fn ctc_weight(params: &Params<'_>) -> Option<&'static str> {
    let names = ["ctc_decoder.decoder_layers.0", "decoder.decoder_layers.0"];
    names.into_iter().find(|n| params.has(&format!("{n}.weight")))
}

fn count(mut exists: impl FnMut(usize) -> bool) -> usize {
    (0..).take_while(|&i| exists(i)).count()
}

fn mel(keys: &Keys<'_>, params: &Params<'_>) -> Result<MelConfig, ModelError> {
    let bands = match params.shape("preprocessor.featurizer.fb") {
        Some(fb) => fb.rows(),
        None => keys.need("preprocessor.n_mels")?,
    };
    let mut mel = MelConfig::parakeet(keys.agree("preprocessor.n_mels", bands)?);
    mel.sample_rate = keys.usize("preprocessor.sample_rate")?.map_or(Ok(mel.sample_rate), |rate| {
        u32::try_from(rate).ok().filter(|&r| r == 16_000).ok_or_else(|| ModelError::BadKey {
            key: keys.full("preprocessor.sample_rate"),
            found: rate.to_string(),
            reason: "only 16000 Hz is known".into(),
        })
    })?;
    mel.n_fft = keys.usize("preprocessor.n_fft")?.unwrap_or(mel.n_fft);
    mel.win_length = keys.usize("preprocessor.win_length")?.unwrap_or(mel.win_length);
    mel.hop_length = keys.usize("preprocessor.hop_length")?.unwrap_or(mel.hop_length);
    mel.preemph = keys.f32("preprocessor.preemph")?.unwrap_or(mel.preemph);
    mel.mag_power = keys.f32("preprocessor.mag_power")?.unwrap_or(mel.mag_power);
    mel.log_zero_guard = keys.f32("preprocessor.log_zero_guard")?.unwrap_or(mel.log_zero_guard);
    mel.normalize = match keys.str("preprocessor.normalize")? {
        None | Some("per_feature") => Normalize::PerFeature,
        Some("NA" | "none" | "None") => Normalize::None,
        Some(other) => {
            return Err(ModelError::Unsupported { what: format!("feature normalisation '{other}'") });
        }
    };
    Ok(mel)
}

fn conv_norm(params: &Params<'_>) -> ConvNorm {
    if params.has("encoder.layers.0.conv.batch_norm.running_mean") {
        ConvNorm::Batch
    } else {
        ConvNorm::Layer
    }
}

fn transducer(keys: &Keys<'_>, params: &Params<'_>) -> Result<Option<TransducerConfig>, ModelError> {
    if !params.has("joint.joint_net.2.weight") {
        return Ok(None);
    }
    let [outputs, joint] = keys.dims2(params, "joint.joint_net.2.weight")?;
    let [rows, hidden] = keys.dims2(params, "decoder.prediction.embed.weight")?;
    let lstm = |i: usize| format!("decoder.prediction.dec_rnn.lstm.weight_ih_l{i}");
    let layers = keys.agree("decoder.pred_rnn_layers", count(|i| params.has(&lstm(i))))?;
    let extra = outputs.checked_sub(rows).ok_or_else(|| ModelError::BadKey {
        key: "joint.joint_net.2.weight".into(),
        found: format!("{outputs} rows"),
        reason: format!("the embedding has {rows}"),
    })?;
    let durations = match keys.file.get_i32_array(&keys.full("tdt.durations"))? {
        // An RNN-T file may carry the key all the same; without duration outputs it means nothing.
        _ if extra == 0 => Vec::new(),
        Some(list) => list
            .iter()
            .map(|&d| usize::try_from(d))
            .collect::<Result<_, _>>()
            .map_err(|_| keys.bad("tdt.durations", "durations are not negative"))?,
        None => (0..extra).collect(),
    };
    if durations.len() != extra {
        return Err(keys.bad("tdt.durations", &format!("the joint has {extra} duration outputs")));
    }
    let max_symbols = keys.usize("decoding.max_symbols")?.unwrap_or(10).max(1);
    let joint = keys.agree("joint.joint_hidden", joint)?;
    let hidden = keys.agree("decoder.pred_hidden", hidden)?;
    Ok(Some(TransducerConfig { hidden, layers, joint, durations, max_symbols }))
}

fn vocabulary(
    params: &Params<'_>,
    transducer: Option<&TransducerConfig>,
    ctc: Option<&str>,
) -> Result<usize, ModelError> {
    let embed = "decoder.prediction.embed.weight".to_owned();
    let name = if transducer.is_some() { Some(embed) } else { ctc.map(|c| format!("{c}.weight")) };
    let name = name.ok_or_else(|| ModelError::MissingTensor { name: "joint.joint_net.2.weight".into() })?;
    let rows = params.shape(&name).and_then(|s| s.dims().first().copied()).unwrap_or(0);
    Ok(rows.saturating_sub(1))
}

/// Published CTC and RNN-T models scale, TDT and hybrid ones don't; the key, where present, says so.
fn xscaling(keys: &Keys<'_>, transducer: Option<&TransducerConfig>) -> Result<bool, ModelError> {
    if let Some(on) = keys.file.get_bool(&keys.full("encoder.xscaling"))? {
        return Ok(on);
    }
    let label = keys.str("arch")?.unwrap_or_default();
    let scales_by_label = label == "ctc" || label == "rnnt";
    let scales_by_head = transducer.is_none_or(|t| t.durations.is_empty());
    Ok(if label.is_empty() { scales_by_head } else { scales_by_label })
}

/// The attention window: our own keys, or the one published model whose local attention parakeet.cpp's files don't
/// record.
fn window(file: &GgufFile, keys: &Keys<'_>) -> Result<Option<Window>, ModelError> {
    let side = |key: &str| -> Result<Option<usize>, ModelError> {
        // NeMo writes −1 for no limit.
        let said = file.get_i32(&keys.full(key))?.filter(|&n| n >= 0);
        Ok(said.and_then(|n| usize::try_from(n).ok()))
    };
    match keys.str("encoder.self_attention_model")? {
        Some("rel_pos_local_attn") => {
            Ok(side("encoder.att_context_left")?.zip(side("encoder.att_context_right")?).map(|(l, r)| [l, r]))
        }
        Some("rel_pos") => Ok(None),
        Some(other) => Err(ModelError::Unsupported { what: format!("attention of kind '{other}'") }),
        None => {
            let name = file.get_str("general.name")?.unwrap_or_default();
            let local = name.contains("tdt_ctc-1.1b") && keys.str("arch")? == Some("hybrid_tdt_ctc");
            Ok(local.then_some([128, 128]))
        }
    }
}

/// Typed access to keys under `parakeet.`.
struct Keys<'a> {
    file: &'a GgufFile,
}

impl<'a> Keys<'a> {
    fn full(&self, key: &str) -> String {
        format!("parakeet.{key}")
    }

    fn usize(&self, key: &str) -> Result<Option<usize>, ModelError> {
        Ok(self.file.get_u32(&self.full(key))?.map(|n| n as usize))
    }

    fn f32(&self, key: &str) -> Result<Option<f32>, ModelError> {
        Ok(self.file.get_f32(&self.full(key))?)
    }

    fn str(&self, key: &str) -> Result<Option<&'a str>, ModelError> {
        Ok(self.file.get_str(&self.full(key))?)
    }

    fn need(&self, key: &str) -> Result<usize, ModelError> {
        self.usize(key)?.ok_or_else(|| ModelError::MissingKey { key: self.full(key) })
    }

    fn bad(&self, key: &str, reason: &str) -> ModelError {
        let found = self.file.get_i32_array(&self.full(key)).ok().flatten();
        ModelError::BadKey {
            key: self.full(key),
            found: format!("{:?}", found.unwrap_or_default()),
            reason: reason.into(),
        }
    }

    /// The tensors' value, if the key doesn't contradict it.
    fn agree(&self, key: &str, tensors: usize) -> Result<usize, ModelError> {
        match self.usize(key)? {
            Some(said) if said != tensors => Err(ModelError::BadKey {
                key: self.full(key),
                found: said.to_string(),
                reason: format!("the tensors say {tensors}"),
            }),
            _ => Ok(tensors),
        }
    }

    fn shape(&self, params: &Params<'_>, name: &str) -> Result<mynah_tensor::Shape, ModelError> {
        params.shape(name).ok_or_else(|| ModelError::MissingTensor { name: name.to_owned() })
    }

    fn dims2(&self, params: &Params<'_>, name: &str) -> Result<[usize; 2], ModelError> {
        let shape = self.shape(params, name)?;
        let wanted =
            || ModelError::TensorShape { name: name.to_owned(), found: shape, wanted: [0, 0].into() };
        shape.dims().try_into().map_err(|_| wanted())
    }

    /// Cache-aware streaming nets have causal convolutions and chunked masks, which these graphs don't build.
    fn refuse_streaming(&self) -> Result<(), ModelError> {
        let causal = self.file.get_bool(&self.full("encoder.causal_downsampling"))?.unwrap_or(false)
            || self.file.get_bool(&self.full("encoder.conv_causal"))?.unwrap_or(false);
        let chunked = self.str("encoder.att_context_style")?.is_some_and(|s| s != "regular");
        if causal || chunked {
            return Err(ModelError::Unsupported { what: "a cache-aware streaming Parakeet".into() });
        }
        match self.str("arch")? {
            Some("vad") => {
                Err(ModelError::Unsupported { what: "a voice-activity slice of a Parakeet".into() })
            }
            _ => Ok(()),
        }
    }
}
