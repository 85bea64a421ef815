//! From samples to encoded frames: which runs a batch of clips becomes.
//!
//! A device that takes clips whole gets subsampling and encoder as one run; others get tiles of the one, then the other. What comes
//! out goes to greedy decoding (`decode/`).

use super::model::{BUCKET, Encoded, Parakeet};
use crate::error::ModelError;
use crate::parakeet::config::{Head, SUBSAMPLING};
use crate::parakeet::encoder::{EncoderDims, Keep, encoder_graph, listening_graph};
use crate::parakeet::positions;
use crate::parakeet::subsample::stage_lengths;
use mynah_audio::Features;
use mynah_device::Data;
use mynah_plan::PlanKey;

impl Parakeet {
    /// Encodes clips of 16 kHz mono samples together, for the heads asked for. `keep` says what else is wanted.
    ///
    /// # Errors
    /// What planning or running a graph reports.
    pub fn encode(&mut self, clips: &[&[f32]], heads: &[Head], keep: Keep) -> Result<Encoded, ModelError> {
        let features = self.features_of(clips);
        if keep == Keep::Heads
            && let Some(encoded) = self.encode_whole(&features, heads)?
        {
            return Ok(encoded);
        }
        let subsampled = self.subsample_all(&features)?;
        self.encode_frames(&subsampled, heads, keep)
    }

    /// Subsampling and encoder in one run, where the device takes clips whole and these are short enough; as few runs as hold them
    /// all otherwise, of as many clips each.
    fn encode_whole(&mut self, clips: &[Features], heads: &[Head]) -> Result<Option<Encoded>, ModelError> {
        let lengths: Vec<usize> = clips.iter().map(|f| stage_lengths(f.valid)[3]).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let Some(limit) = self.executor.device().whole_tensors() else { return Ok(None) };
        let together = limit / self.front_bytes(longest).max(1);
        let most = limit / self.encoder_bytes(longest).max(1);
        if clips.is_empty() || together == 0 || most == 0 {
            return Ok(None);
        }
        let runs = clips.len().div_ceil(most);
        let batch = clips.len().div_ceil(runs);
        // As many clips in each part, too.
        let together = batch.div_ceil(batch.div_ceil(together));
        let dims = self.dims(batch, longest, heads, Keep::Heads);
        let key = self.key("listening", &dims);
        let (file, config) = (&self.file, &self.config);
        let plan = self.executor.plan(key, || listening_graph(file, config, &dims, together))?;
        let positions = self.position_table(&dims);
        let mut all = Encoded { frames: dims.frames, lengths, ..Encoded::default() };
        for part in clips.chunks(batch) {
            let (mut mel, mut lengths) = self.front_inputs(part, SUBSAMPLING * dims.frames);
            // The last run may have clips to spare; they have no frames.
            mel.resize(batch * SUBSAMPLING * dims.frames * self.config.mel.n_mels, 0.0);
            lengths.iter_mut().for_each(|stage| stage.resize(batch, 0));
            let [first, second, third, counts] = &lengths;
            let stages = [Data::I32(first), Data::I32(second), Data::I32(third), Data::I32(counts)];
            let inputs = [&[Data::F32(&mel)], &stages[..], &[Data::F32(&positions.2)]].concat();
            self.executor.run(plan, &inputs, &[], &[])?;
            for (wanted, name, whole) in
                [(dims.ctc, "ctc", &mut all.ctc), (dims.transducer, "projected", &mut all.projected)]
            {
                if wanted {
                    let output = self.executor.output(plan, name)?;
                    let rows = output.len() / batch * part.len();
                    whole.get_or_insert_default().extend_from_slice(&output[..rows]);
                }
            }
        }
        self.positions = Some(positions);
        Ok(Some(all))
    }

    /// Bytes of the largest tensor of a clip's encoder, by its frames: the inside of a feed-forward network.
    fn encoder_bytes(&self, longest: usize) -> usize {
        4 * longest.max(1).next_multiple_of(BUCKET) * self.config.feed_forward.max(2 * self.config.d_model)
    }

    /// The encoder's extents for clips of at most `longest` frames.
    fn dims(&self, batch: usize, longest: usize, heads: &[Head], keep: Keep) -> EncoderDims {
        EncoderDims {
            batch: batch.max(1),
            frames: longest.max(1).next_multiple_of(BUCKET),
            window: self.config.window,
            ctc: heads.contains(&Head::Ctc),
            transducer: heads.iter().any(|h| *h != Head::Ctc),
            keep,
        }
    }

    fn key(&self, graph: &'static str, dims: &EncoderDims) -> PlanKey {
        let flags = usize::from(dims.ctc) | usize::from(dims.transducer) << 1 | (dims.keep as usize) << 2;
        let window = dims.window.map_or(0, |[left, right]| 1 + left + (right << 32));
        PlanKey { graph, dims: [dims.batch, dims.frames, flags, window] }
    }

    /// The last position table if it fits, else a new one.
    fn position_table(&mut self, dims: &EncoderDims) -> (i64, usize, Vec<f32>) {
        let (first, rows) = dims.positions();
        match self.positions.take() {
            Some(table) if (table.0, table.1) == (first, rows) => table,
            _ => (first, rows, positions::table(first, rows, self.config.d_model)),
        }
    }

    /// Encodes subsampled frames, `[T', d_model]` a clip.
    ///
    /// # Errors
    /// What planning or running the graph reports.
    pub fn encode_frames(
        &mut self,
        clips: &[Vec<f32>],
        heads: &[Head],
        keep: Keep,
    ) -> Result<Encoded, ModelError> {
        let d = self.config.d_model;
        let lengths: Vec<usize> = clips.iter().map(|c| c.len() / d).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let dims = self.dims(clips.len(), longest, heads, keep);
        let mut frames = vec![0.0; dims.batch * dims.frames * d];
        for (row, clip) in frames.chunks_exact_mut(dims.frames * d).zip(clips) {
            row[..clip.len()].copy_from_slice(clip);
        }
        let positions = self.position_table(&dims);
        let key = self.key("encoder", &dims);
        let (file, config) = (&self.file, &self.config);
        let plan = self.executor.plan(key, || encoder_graph(file, config, &dims))?;
        let mut counts: Vec<i32> = lengths.iter().map(|&n| n as i32).collect();
        counts.resize(dims.batch, 0);
        let inputs = [Data::F32(&frames), Data::I32(&counts), Data::F32(&positions.2)];
        self.executor.run(plan, &inputs, &[], &[])?;
        self.positions = Some(positions);
        let mut take = |name: &str| self.executor.output(plan, name).map(<[f32]>::to_vec);
        Ok(Encoded {
            frames: dims.frames,
            lengths,
            encoded: if keep >= Keep::Encoded { take("encoded")? } else { Vec::new() },
            ctc: if dims.ctc { Some(take("ctc")?) } else { None },
            projected: if dims.transducer { Some(take("projected")?) } else { None },
            layers: if keep == Keep::Layers {
                (0..self.config.layers).map(|i| take(&format!("layer.{i}"))).collect::<Result<_, _>>()?
            } else {
                Vec::new()
            },
        })
    }

    /// Features of clips in rows of `frames` mel frames, and their lengths before each stage of the subsampling and behind the last.
    pub(super) fn front_inputs(&self, clips: &[Features], frames: usize) -> (Vec<f32>, [Vec<i32>; 4]) {
        let row = frames * self.config.mel.n_mels;
        let mut mel = vec![0.0; clips.len() * row];
        let mut lengths: [Vec<i32>; 4] = std::array::from_fn(|_| Vec::with_capacity(clips.len()));
        for (clip, row) in clips.iter().zip(mel.chunks_exact_mut(row)) {
            let valid = (clip.valid.min(frames) * clip.n_mels).min(clip.data.len());
            row[..valid].copy_from_slice(&clip.data[..valid]);
            for (stage, length) in lengths.iter_mut().zip(stage_lengths(clip.valid)) {
                stage.push(length as i32);
            }
        }
        (mel, lengths)
    }
}
