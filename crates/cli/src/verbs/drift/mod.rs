//! `mynah drift`: where and how far two ways to compute part.
//!
//! ```text
//! setting (device, type, routes) ─► listen (every stage of one recording) ─┬► routes: exact against each route, a table
//!                                                                          ├► pair: two settings side by side
//!                                                                          ├► blame: which difference does how much
//!                                                                          └► dump: all stages as safetensors
//! ```

mod blame;
mod dump;
mod listen;
mod pair;
mod routes;
mod setting;

use crate::exit::{Exit, Usage};
use crate::flags::{HearingFlags, ModelFlags, TalkFlags};
use crate::{notes::Volume, out};
use anyhow::Context as _;
use clap::Args;
use listen::Listener;
use mynah::{AudioStream, Options, Precision};
use mynah_audio::PieceReader;
use pair::Pair;
use setting::{Setting, Spec};
use std::path::PathBuf;

pub(crate) const EXAMPLES: &str = "\
Without --a, --b, --bisect and --dump it compares exact with fast and with every route alone, stage by stage. A side is
a list of device=, precision=, type= (quantise the model first) and ROUTE=on|off; what it leaves out is --device, and
exact for --a and fast for --b.

Examples:
  mynah drift talk.wav                                       every route of the CPU
  mynah drift talk.wav --bisect                              which of them is to blame
  mynah drift talk.wav --a device=cpu --b device=vulkan,precision=exact
  mynah drift talk.wav -m f32.gguf --a precision=exact --b precision=exact,type=q4_0 --dump stages.safetensors";

/// Flags of `mynah drift`.
#[derive(Args, Debug)]
pub(crate) struct Drift {
    /// A recording; its first piece is used (see --chunk)
    #[arg(value_name = "AUDIO")]
    audio: PathBuf,

    /// The reference side, such as device=cpu,precision=exact
    #[arg(long, value_name = "SETTING")]
    a: Option<Spec>,

    /// The other side, such as device=vulkan,precision=fast,f16-matrix=off,type=Q8_0
    #[arg(long, value_name = "SETTING")]
    b: Option<Spec>,

    /// Throw every difference between the sides by itself: device, type and each route, and name the responsible ones
    #[arg(long)]
    bisect: bool,

    /// Write every stage of both sides to a safetensors file
    #[arg(long, value_name = "FILE")]
    dump: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    hearing: HearingFlags,

    #[command(flatten)]
    model: ModelFlags,

    #[command(flatten)]
    talk: TalkFlags,
}

impl Drift {
    /// Runs the verb.
    ///
    /// # Errors
    /// A recording, model or device that can't be used.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        if self.model.precision != Precision::Fast || !self.model.route.is_empty() {
            let hint = "leave --precision and --route out; --a and --b take precision=exact and ROUTE=on|off";
            return Err(Usage::new("drift sets the routes itself", hint).into());
        }
        let audio =
            AudioStream::open(&self.audio).with_context(|| format!("can't read {}", self.audio.display()))?;
        let piece = PieceReader::new(audio, self.hearing.options().pieces).next_piece()?;
        let samples = piece.map(|p| p.samples).unwrap_or_default();
        if self.model.model.is_none() && self.talk.volume() >= Volume::Normal && mynah::has_builtin() {
            self.talk
                .volume()
                .note(&format!("no -m given, using the built-in model {}", mynah::BUILTIN_NAME));
        }
        let attention = self.hearing.attention.map(|a| a.0);
        let options = Options { attention, ..self.model.options() };
        let mut listener = Listener::new(self.model.model.clone(), samples, &options, self.hearing.decoder);
        if self.a.is_some() || self.b.is_some() || self.bisect || self.dump.is_some() {
            self.compare(&mut listener)
        } else {
            routes::run(&mut listener, self.model.device, self.json)
        }
    }

    /// Two settings.
    fn compare(&self, listener: &mut Listener) -> anyhow::Result<Exit> {
        let a = self.side(listener, self.a.as_ref(), Precision::Exact)?;
        let b = self.side(listener, self.b.as_ref(), Precision::Fast)?;
        let from = listener.hear(&a, None)?;
        let to = listener.hear(&b, Some(&from.tokens))?;
        let pair = Pair::of((&a, &from), (&b, &to));
        let found = if self.bisect { Some(blame::blame(listener, &a, &b, &from.tokens)?) } else { None };
        if let Some(path) = &self.dump {
            dump::write(path, (&a, &from), (&b, &to))?;
            self.talk.volume().detail(&format!("wrote {}", path.display()));
        }
        if self.json {
            let mut value = pair.json();
            value["bisect"] = found.as_ref().map(blame::json).unwrap_or_default();
            out::write_json(&value)?;
        } else {
            out::write(&format!("{}{}", pair.text(), found.as_ref().map(blame::text).unwrap_or_default()))?;
        }
        Ok(Exit::Success)
    }

    fn side(
        &self,
        listener: &mut Listener,
        spec: Option<&Spec>,
        usual: Precision,
    ) -> anyhow::Result<Setting> {
        let spec = spec.cloned().unwrap_or_default();
        let choice = spec.device.unwrap_or(self.model.device).resolve();
        let devices = listener.devices(choice)?;
        Setting::of(&spec, choice, usual, devices.device.as_ref())
    }
}
