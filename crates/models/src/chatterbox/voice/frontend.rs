//! What each encoder hears of a clip, with the filters of the model's files where they have some.

use super::arrays::table;
use super::config::{CampplusConfig, ENCODER_RATE, S3TokenizerConfig, VoiceEncoderConfig};
use super::profile::PROMPT_MELS;
use crate::error::ModelError;
use mynah_audio::Features;
use mynah_audio::features::{BandConfig, BandExtractor, Compression, FbankConfig, KaldiFbank, Magnitude};
use mynah_gguf::GgufFile;

/// Rate of the prompt's mel frames in Hz.
pub const PROMPT_RATE: u32 = 24_000;
/// Upper end of all bands in Hz.
const HIGH: f64 = 8000.0;

/// The log-mel spectrogram that S3Gen goes on from and makes more of (`s3gen.utils.mel` of resemble-ai/chatterbox): 50 frames a second.
pub fn prompt_bands() -> BandConfig {
    BandConfig {
        sample_rate: PROMPT_RATE,
        n_fft: 1920,
        hop_length: 480,
        n_mels: PROMPT_MELS,
        high_hz: HIGH,
        pad: 720,
        magnitude: Magnitude::Amplitude { guard: 1e-9 },
        compression: Compression::Ln { floor: 1e-5 },
        drop_last: false,
    }
}

/// The four front ends.
#[derive(Clone, Debug)]
pub(super) struct FrontEnds {
    /// Mel energies without a logarithm, for the voice encoder.
    pub(super) voice_encoder: BandExtractor,
    /// Whisper's log-mel, for the tokenizer.
    pub(super) tokenizer: BandExtractor,
    /// Kaldi's filter banks, for CAMPPlus.
    pub(super) campplus: KaldiFbank,
    /// Log-mel frames at 24 kHz, which S3Gen goes on from.
    pub(super) prompt: BandExtractor,
}

impl FrontEnds {
    pub(super) fn new(
        [t3, s3gen]: [&GgufFile; 2],
        ve: &VoiceEncoderConfig,
        s3: &S3TokenizerConfig,
        campplus: &CampplusConfig,
    ) -> Result<Self, ModelError> {
        let centred = |n_fft: usize, hop_length: usize, n_mels: usize, compression, drop_last| BandConfig {
            sample_rate: ENCODER_RATE,
            n_fft,
            hop_length,
            n_mels,
            high_hz: HIGH,
            pad: n_fft / 2,
            magnitude: Magnitude::Power,
            compression,
            drop_last,
        };
        let bank = |file: &GgufFile, name: &str, config: &BandConfig| {
            table(file, name, [config.n_mels, config.n_fft / 2 + 1])
        };
        let band = |file: &GgufFile, name: &str, config: BandConfig| {
            let filters = bank(file, name, &config)?;
            Ok::<_, ModelError>(BandExtractor::new(config, filters.as_deref())?)
        };
        let fbank = FbankConfig::kaldi(ENCODER_RATE, campplus.n_mels);
        let bins = fbank.win_length.next_power_of_two() / 2 + 1;
        let kaldi = table(s3gen, "campplus/mel_fb_kaldi_80", [campplus.n_mels, bins])?;
        Ok(Self {
            voice_encoder: band(
                t3,
                "voice_encoder/mel_fb",
                centred(ve.n_fft, ve.hop, ve.n_mels, Compression::None, false),
            )?,
            tokenizer: band(
                s3gen,
                "s3tokv2/mel_fb",
                centred(s3.n_fft, s3.hop, s3.n_mels, Compression::Whisper, true),
            )?,
            campplus: KaldiFbank::new(fbank, kaldi.as_deref())?,
            prompt: band(s3gen, "s3gen/mel_fb/24k_80", prompt_bands())?,
        })
    }

    /// Filter banks of a clip, each band freed of its mean, as bands of frames `[n_mels, frames]`; and the frames.
    pub(super) fn campplus(&self, samples: &[f32]) -> (Vec<f32>, usize) {
        let Features { data, frames, n_mels, .. } = self.campplus.extract(samples);
        let mut bands = Vec::with_capacity(data.len());
        for band in 0..n_mels {
            let own = || data.iter().skip(band).step_by(n_mels).copied();
            let mean = own().map(f64::from).sum::<f64>() / frames.max(1) as f64;
            bands.extend(own().map(|x| (f64::from(x) - mean) as f32));
        }
        (bands, frames)
    }
}
