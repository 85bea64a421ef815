//! A loaded Parakeet: audio in, tokens out.

use crate::error::ModelError;
use crate::parakeet::config::{Head, ParakeetConfig, SUBSAMPLING, TransducerConfig, Window};
use crate::parakeet::decode::transducer::{Frames, Kept, ROWS, Transducer};
use crate::parakeet::decode::{Decoded, ctc};
use crate::parakeet::encoder::Keep;
use crate::parakeet::recover;
use crate::parakeet::subsample::{
    FRONT_BUCKET, TOGETHER, TOGETHER_STEP, Tile, front_graph, pre_encode_graph, stage_lengths,
    subsample_graph, tiles,
};
use crate::params::Params;
use crate::weights::GgufWeights;
use mynah_audio::{Features, MelExtractor, speech_activity};
use mynah_device::{Data, Device};
use mynah_gguf::GgufFile;
use mynah_plan::{Executor, Options, PlanKey};
use mynah_text::Vocabulary;
use std::ops::Range;
use std::sync::Arc;

/// How a model is loaded.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Precision, routes and plan cache.
    pub executor: Options,
    /// Overrules the file's attention: `Some(None)` is full, `Some(Some([left, right]))` local.
    pub attention: Option<Option<Window>>,
}

/// A batch of clips after the encoder.
#[derive(Clone, Debug, Default)]
pub struct Encoded {
    /// Encoder frames per clip in the arrays below, a bucket size.
    pub frames: usize,
    /// Valid encoder frames of each clip.
    pub lengths: Vec<usize>,
    /// `[clips, frames, d_model]`.
    pub encoded: Vec<f32>,
    /// `[clips, frames, V + 1]` log-probabilities, if the CTC head was asked for.
    pub ctc: Option<Vec<f32>>,
    /// `[clips, frames, joint]`, if the transducer was asked for.
    pub projected: Option<Vec<f32>>,
    /// Each block's output `[clips, frames, d_model]`, if they were asked for.
    pub layers: Vec<Vec<f32>>,
}

/// A Parakeet model ready to run.
pub struct Parakeet {
    pub(crate) file: Arc<GgufFile>,
    pub(crate) config: ParakeetConfig,
    vocabulary: Vocabulary,
    mel: Arc<MelExtractor>,
    pub(crate) executor: Executor,
    /// The last position table, under its first offset and rows.
    pub(super) positions: Option<(i64, usize, Vec<f32>)>,
    /// State tensors of the last decoding on the device.
    pub(crate) kept: Option<Kept>,
}

/// Encoder frames are rounded up to this, so that clips of like length share a plan.
pub(super) const BUCKET: usize = 16;

impl Parakeet {
    /// Loads a model; weights go to the device when a graph first needs them.
    ///
    /// # Errors
    /// What is wrong with the file, by key or tensor, or that the device can't be opened.
    pub fn load(
        file: Arc<GgufFile>,
        device: Arc<dyn Device>,
        fallback: Option<Arc<dyn Device>>,
        options: LoadOptions,
    ) -> Result<Self, ModelError> {
        let mut config = ParakeetConfig::read(&file)?;
        config.window = options.attention.unwrap_or(config.window);
        let weights = Arc::new(GgufWeights::new(Arc::clone(&file)));
        let executor = Executor::new(device, fallback, weights, options.executor)?;
        let mel = Arc::new(extractor(&file, &config)?);
        let vocabulary = Vocabulary::new(pieces(&file, &config)?);
        Ok(Self { file, config, vocabulary, mel, executor, positions: None, kept: None })
    }

    /// Another user of the same prepared weights, with its own buffers.
    ///
    /// # Errors
    /// When the device can't give it.
    pub fn fork(&self) -> Result<Self, ModelError> {
        Ok(Self {
            file: Arc::clone(&self.file),
            config: self.config.clone(),
            vocabulary: self.vocabulary.clone(),
            mel: Arc::clone(&self.mel),
            executor: self.executor.fork()?,
            positions: None,
            kept: None,
        })
    }

    /// The model's dimensions and options.
    pub fn config(&self) -> &ParakeetConfig {
        &self.config
    }

    /// The pieces tokens stand for.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The executor, for reports and profiles.
    pub fn executor(&mut self) -> &mut Executor {
        &mut self.executor
    }

    /// The head to use: `wanted`, or the model's default.
    ///
    /// # Errors
    /// [`ModelError::NoHead`].
    pub fn head(&self, wanted: Option<Head>) -> Result<Head, ModelError> {
        let available = self.config.heads_available();
        match wanted {
            None => available.first().copied(),
            Some(head) => available.iter().copied().find(|h| *h == head),
        }
        .ok_or_else(|| ModelError::NoHead {
            wanted: wanted.map_or("decoder", Head::name),
            found: available.iter().map(|h| h.name()).collect::<Vec<_>>().join(", "),
        })
    }

    /// Mel features of 16 kHz mono samples.
    pub fn features(&self, samples: &[f32]) -> Features {
        self.mel.extract(samples)
    }

    /// Mel features of several clips. Beside a GPU all processors are free and share the clips, or the frames of a few; a
    /// device that computes on these very processors is left alone with them.
    pub fn features_of(&self, clips: &[&[f32]]) -> Vec<Features> {
        let free = self.executor.device().whole_tensors().is_some();
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        if !free || clips.is_empty() {
            return clips.iter().map(|clip| self.features(clip)).collect();
        }
        let mel = self.mel.as_ref();
        let each = processors / clips.len();
        if let [clip] = clips {
            return vec![mel.extract_together(clip, each)];
        }
        std::thread::scope(|scope| {
            let share = clips.len().div_ceil(processors);
            let extract = |part: &[&[f32]]| {
                part.iter().map(|clip| mel.extract_together(clip, each)).collect::<Vec<_>>()
            };
            let parts: Vec<_> = clips.chunks(share).map(|part| scope.spawn(move || extract(part))).collect();
            let done = |part: std::thread::ScopedJoinHandle<'_, Vec<Features>>| {
                part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            parts.into_iter().flat_map(done).collect()
        })
    }

    /// Subsampled frames `[T', d_model]` of one clip.
    ///
    /// # Errors
    /// What planning or running the graph reports.
    pub fn subsample(&mut self, features: &Features) -> Result<Vec<f32>, ModelError> {
        let (d, width) = (self.config.d_model, self.config.flat_width());
        let total = stage_lengths(features.valid)[3];
        let mut frames = Vec::with_capacity(total * d);
        let mut flat = Vec::with_capacity(total.min(TOGETHER) * width);
        for tile in tiles(features.valid) {
            self.convolve(features, &tile, &mut flat)?;
            let rows = flat.len() / width;
            if rows == TOGETHER || frames.len() / d + rows == total {
                let bucket = rows.next_multiple_of(TOGETHER_STEP);
                flat.resize(bucket * width, 0.0);
                let (file, config) = (&self.file, &self.config);
                let key = PlanKey { graph: "pre_encode", dims: [bucket, 0, 0, 0] };
                let plan = self.executor.plan(key, || pre_encode_graph(file, config, bucket))?;
                self.executor.run(plan, &[Data::F32(&flat)], &[], &[])?;
                frames.extend_from_slice(&self.executor.output(plan, "frames")?[..rows * d]);
                flat.clear();
            }
        }
        Ok(frames)
    }

    /// Subsampled frames `[T', d_model]` of each clip, several clips in one run where the device takes that.
    ///
    /// # Errors
    /// What planning or running a graph reports.
    pub fn subsample_all(&mut self, clips: &[Features]) -> Result<Vec<Vec<f32>>, ModelError> {
        let Some(limit) = self.executor.device().whole_tensors() else {
            return clips.iter().map(|features| self.subsample(features)).collect();
        };
        let mut all = Vec::with_capacity(clips.len());
        let mut rest = clips;
        while !rest.is_empty() {
            let longest =
                |part: &[Features]| part.iter().map(|f| stage_lengths(f.valid)[3]).max().unwrap_or(0);
            let bytes = |part: &[Features]| part.len() * self.front_bytes(longest(part));
            let fits = (1..=rest.len()).take_while(|&n| n == 1 || bytes(&rest[..n]) <= limit).count();
            // A clip too long to go through whole goes in tiles like on any other device.
            if fits == 1 && bytes(&rest[..1]) > limit {
                all.push(self.subsample(&rest[0])?);
            } else {
                all.extend(self.front(&rest[..fits], longest(&rest[..fits]))?);
            }
            rest = &rest[fits..];
        }
        Ok(all)
    }

    /// Bytes of the largest tensor of a clip's subsampling, by its output frames.
    pub(super) fn front_bytes(&self, outputs: usize) -> usize {
        let frames = outputs.next_multiple_of(FRONT_BUCKET) * SUBSAMPLING;
        4 * frames / 2 * self.config.mel.n_mels.div_ceil(2) * self.config.subsampling_channels
    }

    /// Subsamples clips of at most `longest` output frames in one run.
    fn front(&mut self, clips: &[Features], longest: usize) -> Result<Vec<Vec<f32>>, ModelError> {
        let frames = longest.max(1).next_multiple_of(FRONT_BUCKET) * SUBSAMPLING;
        let (mel, lengths) = self.front_inputs(clips, frames);
        let (file, config) = (&self.file, &self.config);
        let key = PlanKey { graph: "front", dims: [clips.len(), frames, 0, 0] };
        let plan = self.executor.plan(key, || front_graph(file, config, clips.len(), frames))?;
        let inputs =
            [Data::F32(&mel), Data::I32(&lengths[0]), Data::I32(&lengths[1]), Data::I32(&lengths[2])];
        self.executor.run(plan, &inputs, &[], &[])?;
        let d = self.config.d_model;
        let output = self.executor.output(plan, "frames")?;
        let rows = output.chunks_exact(frames / SUBSAMPLING * d);
        Ok(clips.iter().zip(rows).map(|(c, row)| row[..stage_lengths(c.valid)[3] * d].to_vec()).collect())
    }

    /// Runs a tile through the subsampling's convolutions and adds the frames to keep to `flat`.
    fn convolve(&mut self, features: &Features, tile: &Tile, flat: &mut Vec<f32>) -> Result<(), ModelError> {
        let (file, config) = (&self.file, &self.config);
        let key = PlanKey { graph: "subsample", dims: [tile.frames, 0, 0, 0] };
        let plan = self.executor.plan(key, || subsample_graph(file, config, tile.frames))?;
        let bands = features.n_mels;
        let first = tile.start * bands;
        let last = features.data.len().min(first + tile.frames * bands);
        let mut mel = features.data[first..last].to_vec();
        mel.resize(tile.frames * bands, 0.0);
        let valid = (features.valid - tile.start).min(tile.frames);
        let lengths = stage_lengths(valid).map(|n| [n as i32]);
        let inputs =
            [Data::F32(&mel), Data::I32(&lengths[0]), Data::I32(&lengths[1]), Data::I32(&lengths[2])];
        self.executor.run(plan, &inputs, &[], &[])?;
        let width = self.config.flat_width();
        let output = self.executor.output(plan, "flat")?;
        flat.extend_from_slice(&output[tile.skip * width..(tile.skip + tile.keep) * width]);
        Ok(())
    }

    /// Greedy tokens of every clip of a batch.
    ///
    /// # Errors
    /// [`ModelError::NoHead`], or what running a graph reports.
    pub fn decode(&mut self, encoded: &Encoded, head: Head) -> Result<Vec<Vec<Decoded>>, ModelError> {
        match head {
            Head::Ctc => {
                let log_probs = encoded.ctc.as_ref().ok_or_else(|| self.no_head(head))?;
                let per_clip = encoded.frames * (self.config.blank() + 1);
                let clips = log_probs.chunks_exact(per_clip).zip(&encoded.lengths);
                Ok(clips.map(|(rows, &n)| ctc::greedy(rows, n, self.config.blank())).collect())
            }
            Head::Rnnt | Head::Tdt => {
                let t = self.transducer(head)?;
                let all = encoded.projected.as_ref().ok_or_else(|| self.no_head(head))?;
                let clips = all.chunks_exact(encoded.frames * t.joint).zip(&encoded.lengths);
                let clips: Vec<Frames<'_>> =
                    clips.map(|(rows, &n)| Frames { projected: &rows[..n * t.joint], first: 0 }).collect();
                self.greedy(&t, &clips)
            }
        }
    }

    /// Hears clips of 16 kHz mono samples: features, encoder, greedy decoding, and for TDT a second look at speech that
    /// gave no tokens.
    ///
    /// # Errors
    /// As [`Parakeet::encode`] and [`Parakeet::decode`].
    pub fn recognize(&mut self, clips: &[&[f32]], head: Head) -> Result<Vec<Vec<Decoded>>, ModelError> {
        if clips.is_empty() {
            return Ok(Vec::new());
        }
        let encoded = self.encode(clips, &[head], Keep::Heads)?;
        let mut tokens = self.decode(&encoded, head)?;
        if head == Head::Tdt {
            self.recover(clips, &encoded, &mut tokens)?;
        }
        Ok(tokens)
    }

    /// Decodes speech without tokens again from a fresh state.
    fn recover(
        &mut self,
        clips: &[&[f32]],
        encoded: &Encoded,
        tokens: &mut [Vec<Decoded>],
    ) -> Result<(), ModelError> {
        let t = self.transducer(Head::Tdt)?;
        let all = encoded.projected.as_ref().ok_or_else(|| self.no_head(Head::Tdt))?;
        let clips = clips.iter().zip(all.chunks_exact(encoded.frames * t.joint)).zip(&encoded.lengths);
        // The stretches of all clips are decoded together, and known by the clip they are of.
        let (mut owners, mut spans) = (Vec::new(), Vec::new());
        for (clip, ((samples, rows), &length)) in clips.enumerate() {
            let seconds = self.config.frame_seconds();
            let gaps = recover::dropped(&tokens[clip], || speech_activity(samples), length, seconds);
            owners.extend(gaps.iter().map(|_| clip));
            let span = |g: &Range<usize>| Frames {
                projected: &rows[g.start * t.joint..g.end * t.joint],
                first: g.start,
            };
            spans.extend(gaps.iter().map(span));
        }
        if spans.is_empty() {
            return Ok(());
        }
        for (clip, found) in owners.into_iter().zip(self.greedy(&t, &spans)?) {
            tracing::debug!(clip, found = found.len(), "decoded speech without tokens again");
            recover::insert(&mut tokens[clip], found);
        }
        Ok(())
    }

    fn greedy(
        &mut self,
        t: &TransducerConfig,
        clips: &[Frames<'_>],
    ) -> Result<Vec<Vec<Decoded>>, ModelError> {
        let (file, config, executor) = (&*self.file, &self.config, &mut self.executor);
        Transducer { file, config, head: t, executor, rows: ROWS, kept: &mut self.kept }.greedy(clips)
    }

    fn transducer(&self, head: Head) -> Result<TransducerConfig, ModelError> {
        self.head(Some(head))?;
        self.config.transducer.clone().ok_or_else(|| self.no_head(head))
    }

    fn no_head(&self, head: Head) -> ModelError {
        ModelError::NoHead { wanted: head.name(), found: "outputs of another head".into() }
    }
}

/// The front end, with the window and filters of the file where it has them.
fn extractor(file: &GgufFile, config: &ParakeetConfig) -> Result<MelExtractor, ModelError> {
    let table = |name: &str| -> Result<Option<Vec<f32>>, ModelError> {
        let Some(info) = file.tensor(name) else { return Ok(None) };
        let spec = Params::new(file).spec(name, info.shape)?;
        let mut values = vec![0.0; spec.shape.numel()];
        let bytes = file.data(info)?;
        let wrong =
            |_| ModelError::TensorShape { name: name.to_owned(), found: spec.shape, wanted: spec.shape };
        mynah_tensor::decode_row(spec.dtype, bytes, &mut values).map_err(wrong)?;
        Ok(Some(values))
    };
    let window = table("preprocessor.featurizer.window")?;
    let filters = table("preprocessor.featurizer.fb")?;
    Ok(MelExtractor::with_tables(config.mel, window.as_deref(), filters.as_deref())?)
}

/// The vocabulary, one piece for each id below the blank.
fn pieces(file: &GgufFile, config: &ParakeetConfig) -> Result<Vec<String>, ModelError> {
    let key = "parakeet.tokenizer.pieces";
    let pieces = file.get_str_array(key)?.ok_or_else(|| ModelError::MissingKey { key: key.into() })?;
    if pieces.len() != config.vocabulary {
        let reason = format!("the tensors say {}", config.vocabulary);
        return Err(ModelError::BadKey {
            key: key.into(),
            found: format!("{} pieces", pieces.len()),
            reason,
        });
    }
    Ok(pieces.iter().map(|p| (*p).to_owned()).collect())
}
