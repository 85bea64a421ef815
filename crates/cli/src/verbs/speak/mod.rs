//! `mynah speak`: says a text.

mod files;
mod mark;
mod play;
mod sink;
mod voice;

use crate::exit::{Exit, Usage};
use crate::flags::{ModelFlags, SpeechFlags, VolumeFlags};
use crate::given;
use crate::interrupt;
use crate::{notes, out};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use mark::Marked;
use mynah::{SPEECH_RATE, Said, Speaker, SpeakerVoice, Voice};
use play::Play;
use sink::{Form, Outlets, Sink};
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub(crate) use files::{open, pair, s3gen_of, t3_of};
pub(crate) use voice::voice;

pub(crate) const EXAMPLES: &str = "\
Examples:
  mynah speak -m turbo-t3.gguf 'Good morning.' -o morning.wav
  mynah speak -m mtl-t3.gguf --s3gen mtl-s3gen.gguf -l fr 'Bonjour tout le monde.' -o bonjour.wav
  mynah speak -m turbo-t3.gguf --voice me.mp3 --save-voice me.gguf
  mynah speak -m turbo-t3.gguf --voice me.gguf --file chapter.txt -o chapter.wav
  mynah speak -m turbo-t3.gguf --speed 1.2 'A little faster.' -o faster.flac
  mynah speak -m turbo-t3.gguf --watermark perth.gguf 'Marked.' -o marked.wav
  mynah speak -m turbo-t3.gguf --stream --play 'Heard while it is made.'
  mynah speak -m turbo-t3.gguf --stream 'Now.' -o - --format pcm | aplay -f S16_LE -r 24000";

/// Flags of `mynah speak`.
#[derive(Args, Debug)]
pub(crate) struct Speak {
    /// The text; without it standard input
    #[arg(value_name = "TEXT", conflicts_with = "file")]
    text: Option<String>,

    /// The file of the text; - is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<String>,

    /// Where the sound goes; - is standard output
    #[arg(short, long, value_name = "FILE", required_unless_present_any = ["save_voice", "play", "languages"])]
    output: Option<String>,

    /// How it is written; by default what the name after -o ends in, else wav
    #[arg(short, long, value_enum, value_name = "FORM")]
    format: Option<Form>,

    /// Play it, with --stream from its first chunk on; needs a build with the feature playback
    #[arg(long)]
    play: bool,

    /// List the languages that the model speaks, and say nothing
    #[arg(long)]
    languages: bool,

    /// The file of S3Gen; by default the one beside T3's whose name has s3gen in place of t3
    #[arg(long, value_name = "FILE")]
    s3gen: Option<PathBuf>,

    /// Whose voice: a recording of 10 s or more, or a voice that was saved; by default the models' own
    #[arg(long, value_name = "FILE|FOLDER")]
    voice: Option<PathBuf>,

    /// Keep the voice, as a file if the name ends in .gguf, else as a folder that chatterbox.cpp reads, too; without -o and --play nothing is said
    #[arg(long, value_name = "FILE|FOLDER")]
    save_voice: Option<PathBuf>,

    /// Put a watermark on the speech: the GGUF file of a PerTh network. Without it there is none; not with --stream
    #[arg(long, value_name = "FILE")]
    watermark: Option<PathBuf>,

    #[command(flatten)]
    speech: SpeechFlags,

    #[command(flatten)]
    model: ModelFlags,

    #[command(flatten)]
    volume: VolumeFlags,
}

impl Speak {
    /// Runs the verb.
    ///
    /// # Errors
    /// A text, model or voice that can't be used, a file that can't be written.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let volume = self.volume.volume();
        mark::check(self.watermark.as_deref(), self.speech.stream)?;
        if self.languages {
            out::write(&files::languages(&self.model)?)?;
            return Ok(Exit::Success);
        }
        if self.output.is_none() && !self.play {
            let speaker = open(&self.model, self.s3gen.as_deref(), volume)?;
            self.voice(&speaker)?;
            return Ok(Exit::Success);
        }
        let output =
            self.output.as_deref().map(|output| Ok::<_, anyhow::Error>((output, self.form(output)?)));
        let output = output.transpose()?;
        let hint = "mynah speak TEXT, --file FILE, or a pipe";
        let text = given::text(self.text.as_deref(), self.file.as_deref(), hint)?;
        if text.trim().is_empty() {
            return Err(Usage::new("there is nothing to say", "give a text, --file FILE, or a pipe").into());
        }
        // Before anything is loaded: a build or a machine without speakers.
        let play = if self.play { Some(Play::open(SPEECH_RATE)?) } else { None };
        let mut speaker = open(&self.model, self.s3gen.as_deref(), volume)?;
        let voice = self.voice(&speaker)?;
        let mut voice = speaker.ready(&voice)?;
        if let Some(exaggeration) = self.speech.exaggeration {
            voice.exaggerate(exaggeration);
        }
        let marked = Marked::open(self.watermark.as_deref(), &speaker, &self.model, volume)?;
        let sink = output.map(|(output, form)| Sink::open(output, form, SPEECH_RATE)).transpose()?;
        let said = self.say(&mut speaker, &voice, &text, Outlets { marked, sink, play })?;
        if !said.unknown.is_empty() {
            let unknown: String = said.unknown.iter().collect();
            notes::warn(&format!("the model has no token for {unknown:?} and guesses there"));
        }
        if said.cut_off {
            notes::warn("a piece was cut off after as many tokens as it may have; --max-tokens allows more");
        }
        volume.note(&summary(&said));
        Ok(if said.cancelled { Exit::Interrupted } else { Exit::Success })
    }

    /// The voice, kept if that was asked for.
    fn voice(&self, speaker: &Speaker) -> anyhow::Result<Voice> {
        let voice = voice(speaker, self.voice.as_deref(), self.volume.volume())?;
        if let Some(path) = &self.save_voice {
            voice::save(&voice, path)?;
            self.volume.volume().detail(&format!("the voice was saved to {}", path.display()));
        }
        Ok(voice)
    }

    fn say(
        &self,
        speaker: &mut Speaker,
        voice: &SpeakerVoice,
        text: &str,
        mut outlets: Outlets,
    ) -> anyhow::Result<Said> {
        let bar = bar(self.volume.quiet);
        let (options, began) = (self.speech.options(), Instant::now());
        let (mut samples, mut failed) = (0, None);
        interrupt::interruptible(|pressed| {
            let said = speaker.say(text, voice, &options, &mut |sound| {
                samples += sound.len();
                bar.set_message(made(samples, began.elapsed()));
                failed = outlets.take(sound).err();
                if failed.is_some() || pressed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            bar.finish_and_clear();
            if let Some(error) = failed.take() {
                return Err(error);
            }
            let mut said = said?;
            // What was said until Ctrl-C is kept.
            outlets.finish()?;
            said.cancelled |= pressed();
            Ok(said)
        })
    }

    /// What the flag says, or the name after `-o`.
    fn form(&self, output: &str) -> anyhow::Result<Form> {
        let ending = std::path::Path::new(output).extension().and_then(|e| e.to_str());
        match (self.format, ending) {
            (Some(form), _) => Ok(form),
            (None, None) => Ok(Form::Wav),
            (None, Some(ending)) => Form::of_ending(ending).ok_or_else(|| {
                let hint = "name a .wav, .flac or .pcm file, or say --format";
                Usage::new(format!("sound can't be written as .{ending}"), hint).into()
            }),
        }
    }
}

/// A line that tells how much was said; of terminals only.
fn bar(hidden: bool) -> ProgressBar {
    if hidden || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn made(samples: usize, time: Duration) -> String {
    let seconds = samples as f64 / f64::from(SPEECH_RATE);
    format!("{seconds:.1} s said, {:.2} × realtime", seconds / time.as_secs_f64().max(1e-9))
}

/// What was said, how fast, and where the time went.
fn summary(said: &Said) -> String {
    let t = &said.times;
    let (all, seconds) = (t.total.as_secs_f64(), said.seconds());
    let pieces = if said.pieces == 1 { String::new() } else { format!(" in {} pieces", said.pieces) };
    let factor = if seconds > 0.0 { all / seconds } else { 0.0 };
    let (t3, flow) = (t.t3.as_secs_f64(), (t.s3gen.encoder + t.s3gen.cfm).as_secs_f64());
    let vocoder = (t.s3gen.pitch + t.s3gen.source + t.s3gen.vocoder).as_secs_f64();
    format!(
        "{seconds:.2} s{pieces} in {all:.2} s (real-time factor {factor:.2}): tokens {t3:.2} s, flow {flow:.2} s, \
         vocoder {vocoder:.2} s; first sound after {:.2} s",
        t.first.as_secs_f64()
    )
}
