//! A loaded pair of Chatterbox files: text in, samples out.
//!
//! ```text
//! text ─► split ─► ids ─► T3 ─► speech tokens ─► S3Gen ─► samples ─► joined ─► `each`
//!                  once for each piece; with chunks S3Gen begins before T3 has ended
//! ```

mod join;
mod options;
mod said;
mod trace;
mod voice;

pub use mynah_models::chatterbox::s3gen::ChunkRule as Chunks;
pub use options::SpeakOptions;
pub use said::{Said, SpeakTimes};
pub use trace::SpeakTrace;
pub use voice::SpeakerVoice;
use voice::kind_name;

use crate::device::{Devices, open_devices};
use crate::error::Error;
use crate::transcriber::Options;
use join::Joiner;
use mynah_gguf::GgufFile;
use mynah_models::chatterbox::noise::{Noise, NoiseStream, Philox};
use mynah_models::chatterbox::s3gen::{self, Request, S3Gen, S3GenConfig, S3Stream, Speed};
use mynah_models::chatterbox::t3::{self, Finish, Retry, Speech, T3, T3Config, T3Options};
use mynah_text::speech::{Blank, Encoded, FrontEnd, split};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Samples a second of everything that is said.
pub const SPEECH_RATE: u32 = 24_000;

/// A speech synthesiser.
pub struct Speaker {
    t3: T3,
    s3gen: S3Gen,
    front: FrontEnd,
    /// T3's and S3Gen's.
    files: [Arc<GgufFile>; 2],
    devices: Devices,
    executor: mynah_plan::Options,
}

/// Takes sound as it is made; breaking off ends the speech.
pub type Listener<'a> = &'a mut dyn FnMut(&[f32]) -> ControlFlow<()>;

impl Speaker {
    /// Loads T3's file and S3Gen's; the attention of the options doesn't count.
    ///
    /// # Errors
    /// What is wrong with a file, the options or the device.
    pub fn open(t3: impl AsRef<Path>, s3gen: impl AsRef<Path>, options: &Options) -> Result<Self, Error> {
        let devices = open_devices(options.device, options.threads)?;
        Self::on([GgufFile::open(t3)?, GgufFile::open(s3gen)?], devices, options)
    }

    /// Loads T3's file and S3Gen's on devices that are open already.
    ///
    /// # Errors
    /// [`Error::Pair`] for files of two kinds of Chatterbox; what is wrong with a file or the options.
    pub fn on(files: [GgufFile; 2], devices: Devices, options: &Options) -> Result<Self, Error> {
        let Devices { device, fallback } = devices.clone();
        let executor = options.executor(device.as_ref())?;
        let [t3, s3gen] = files.map(Arc::new);
        // A file of another family is to be called that, not one with a strange tokenizer.
        let (kind, sound) = (T3Config::read(&t3)?.variant(), S3GenConfig::read(&s3gen)?.variant);
        if kind != sound {
            return Err(Error::Pair { t3: kind_name(kind), s3gen: kind_name(sound) });
        }
        let front = FrontEnd::from_metadata(t3.metadata())?;
        let loaded = T3::load(
            Arc::clone(&t3),
            Arc::clone(&device),
            fallback.clone(),
            t3::LoadOptions { executor: executor.clone(), ..t3::LoadOptions::default() },
        )?;
        // What the host does by itself is beside a GPU a good part of the whole.
        let host_threads = fallback.as_ref().unwrap_or(&device).report().parallelism;
        let options = s3gen::LoadOptions { executor: executor.clone(), host_threads };
        let vocoder = S3Gen::load(Arc::clone(&s3gen), device, fallback, options)?;
        Ok(Self { t3: loaded, s3gen: vocoder, front, files: [t3, s3gen], devices, executor })
    }

    /// Where it runs, for whatever is to run beside it.
    pub fn devices(&self) -> Devices {
        self.devices.clone()
    }

    /// The text side of the model: its languages, how it spells.
    pub fn front_end(&mut self) -> &mut FrontEnd {
        &mut self.front
    }

    /// The model that makes speech tokens of text, for tools that look inside.
    pub fn t3(&mut self) -> &mut T3 {
        &mut self.t3
    }

    /// The model that makes samples of speech tokens.
    pub fn s3gen(&mut self) -> &mut S3Gen {
        &mut self.s3gen
    }

    /// Says a text of any length. `each` is given the samples in order as they are made, at [`SPEECH_RATE`], between −1 and 1. The same
    /// text, voice, options and files give the same samples, whatever was said before and with any number of threads.
    ///
    /// # Errors
    /// A text that the model can't spell, an option outside its range, what running the models reports.
    pub fn say(
        &mut self,
        text: &str,
        voice: &SpeakerVoice,
        options: &SpeakOptions,
        each: Listener<'_>,
    ) -> Result<Said, Error> {
        let began = Instant::now();
        let speed = Speed::new(options.speed.into())?;
        let pieces = self.pieces(text, options)?;
        let mut said = Said { pieces: pieces.len(), ..Said::default() };
        let mut joiner = Joiner::new(options.join_samples());
        for (index, ids) in pieces.iter().enumerate() {
            said.unknown.extend(ids.unknown.iter().filter(|c| !said.unknown.contains(c)).collect::<Vec<_>>());
            let noise = Philox::new(options.seed.wrapping_add(index as u64));
            let mut hand = |samples: &[f32], last: bool| {
                let sound = joiner.take(samples, last && index + 1 == pieces.len());
                if !sound.is_empty() && said.samples == 0 {
                    said.times.first = began.elapsed();
                }
                said.samples += sound.len();
                if sound.is_empty() { ControlFlow::Continue(()) } else { each(&sound) }
            };
            let piece = match options.chunks {
                None => self.whole(&ids.ids, voice, options, speed, &noise, &mut hand)?,
                Some(rule) => self.chunked(&ids.ids, voice, options, (rule, speed), &noise, &mut hand)?,
            };
            joiner.next();
            said.add(&piece);
            if piece.finish == Finish::Cancelled {
                break;
            }
        }
        // If the last piece had no sound, the end of the one before is still held back.
        let rest = if said.cancelled { Vec::new() } else { joiner.take(&[], true) };
        if !rest.is_empty() {
            said.samples += rest.len();
            said.cancelled = each(&rest).is_break();
        }
        said.times.total = began.elapsed();
        Ok(said)
    }

    /// The ids of each piece.
    fn pieces(&self, text: &str, options: &SpeakOptions) -> Result<Vec<Encoded>, Error> {
        let language = options.language.as_deref();
        let texts = match options.split {
            Some(limits) if !text.trim().is_empty() => split(text, limits),
            _ => vec![text],
        };
        texts.into_iter().map(|piece| Ok(self.front.tokens(piece, language, Blank::Refuse)?)).collect()
    }

    /// A piece from its first token to its last sample.
    fn whole(
        &mut self,
        ids: &[u32],
        voice: &SpeakerVoice,
        options: &SpeakOptions,
        speed: Speed,
        noise: &Philox,
        hand: &mut dyn FnMut(&[f32], bool) -> ControlFlow<()>,
    ) -> Result<Piece, Error> {
        let began = Instant::now();
        let settings = self.settings(voice, options, ids.len());
        let speech = self.t3.generate(&voice.conditioning, ids, settings, &mut draws(noise), &mut |_| {
            ControlFlow::Continue(())
        })?;
        let mut piece = Piece { t3: began.elapsed(), finish: speech.finish, ..Piece::new(&speech) };
        let tokens = audio(&speech.tokens);
        if tokens.is_empty() {
            return Ok(piece);
        }
        let request = Request { voice: &voice.s3gen, tokens: &tokens, noise };
        for spoken in self.s3gen.synthesize_at(&[(request, speed)], options.steps)? {
            piece.times += spoken.times;
            if hand(&spoken.samples, true).is_break() {
                piece.finish = Finish::Cancelled;
            }
        }
        Ok(piece)
    }

    /// A piece whose sound begins while its tokens are still being made.
    fn chunked(
        &mut self,
        ids: &[u32],
        voice: &SpeakerVoice,
        options: &SpeakOptions,
        (rule, speed): (Chunks, Speed),
        noise: &Philox,
        hand: &mut dyn FnMut(&[f32], bool) -> ControlFlow<()>,
    ) -> Result<Piece, Error> {
        let shared: Arc<dyn Noise> = Arc::new(*noise);
        let mut stream = S3Stream::new(voice.s3gen.clone(), shared, options.steps).at_speed(speed);
        let mut piece = Piece::default();
        let (mut tokens, mut done, mut failed) = (Vec::new(), 0, None);
        let began = Instant::now();
        let mut vocode = |s3gen: &mut S3Gen, piece: &mut Piece, tokens: &[u32], last| -> Result<_, Error> {
            let spoken = stream.push(s3gen, tokens, last)?;
            piece.times += spoken.times;
            Ok(hand(&spoken.samples, last))
        };
        let settings = self.settings(voice, options, ids.len());
        let (t3, s3gen) = (&mut self.t3, &mut self.s3gen);
        let mut draws = draws(noise);
        let speech = t3.generate(&voice.conditioning, ids, settings, &mut draws, &mut |token| {
            tokens.extend(u32::try_from(token));
            let Some(end) = rule.next(done, tokens.len(), false) else { return ControlFlow::Continue(()) };
            done = end;
            match vocode(s3gen, &mut piece, &tokens[..end], false) {
                Ok(go_on) => go_on,
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        (piece.finish, piece.tokens, piece.steps) = (speech.finish, speech.tokens.len(), speech.drawn.len());
        let mut ended = tokens.is_empty();
        while piece.finish != Finish::Cancelled && !ended {
            // A chunk may have taken all there are before that was known; the stream still has its end to give.
            let end = rule.next(done, tokens.len(), true).unwrap_or(tokens.len());
            (done, ended) = (end, end == tokens.len());
            if vocode(s3gen, &mut piece, &tokens[..end], ended)?.is_break() {
                piece.finish = Finish::Cancelled;
            }
        }
        piece.t3 = began.elapsed().saturating_sub(piece.times.total());
        Ok(piece)
    }

    /// What the options don't say is as in the reference.
    fn settings(&self, voice: &SpeakerVoice, options: &SpeakOptions, text: usize) -> T3Options {
        let mut settings = T3Options::of(self.t3.config());
        let s = &mut settings.sampling;
        s.temperature = options.temperature.unwrap_or(s.temperature);
        s.top_k = options.top_k.unwrap_or(s.top_k);
        s.top_p = options.top_p.unwrap_or(s.top_p);
        s.min_p = options.min_p.unwrap_or(s.min_p);
        s.repetition_penalty = options.repetition_penalty.unwrap_or(s.repetition_penalty);
        s.cfg_weight = options.cfg_weight.unwrap_or(s.cfg_weight);
        settings.align = options.align;
        settings.retry = options.retry.then(|| Retry::for_text(text));
        let room = self.t3.room(&voice.conditioning, text);
        settings.max_tokens = options.max_tokens.unwrap_or_else(|| settings.max_tokens.min(room));
        settings
    }
}

/// The uniform numbers that tokens are drawn with.
fn draws(noise: &Philox) -> impl FnMut() -> f64 {
    let (noise, mut index) = (*noise, 0);
    move || {
        let number = noise.uniform(NoiseStream::Sampling, index);
        index += 1;
        number
    }
}

/// What S3Gen takes of T3's tokens, none of which is below zero.
fn audio(tokens: &[i32]) -> Vec<u32> {
    tokens.iter().filter_map(|&token| u32::try_from(token).ok()).collect()
}

/// What a piece took.
struct Piece {
    finish: Finish,
    tokens: usize,
    steps: usize,
    t3: std::time::Duration,
    times: s3gen::StageTimes,
}

impl Default for Piece {
    fn default() -> Self {
        let (tokens, steps) = (0, 0);
        Self { finish: Finish::Stopped, tokens, steps, t3: Default::default(), times: Default::default() }
    }
}

impl Piece {
    fn new(speech: &Speech) -> Self {
        Self { tokens: speech.tokens.len(), steps: speech.drawn.len(), ..Self::default() }
    }
}
