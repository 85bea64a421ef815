//! `mynah drift`: where and how far two ways to compute part.
//!
//! ```text
//! setting (device, file, type, routes) ─► subject, every stage of one input ─┬► routes: exact against each route, a table
//!                listen: Parakeet, a recording                               ├► pair: two settings side by side
//!                say: Chatterbox, a text said                                ├► blame: which difference does how much
//!                read: Qwen3.5, a text read                                  └► dump: all stages as safetensors
//! ```

mod blame;
mod dump;
mod family;
mod flags;
mod listen;
mod pair;
mod read;
mod routes;
mod say;
mod setting;
mod subject;
mod workbench;

use crate::exit::{Exit, Usage};
use crate::flags::{HearingFlags, ModelFlags, TalkFlags};
use crate::out;
use clap::Args;
use flags::SayingFlags;
use mynah::Precision;
use pair::Pair;
use setting::{Setting, Spec};
use std::path::PathBuf;
use subject::Subject;

pub(crate) const EXAMPLES: &str = "\
Without --a, --b, --bisect and --dump it compares exact with fast and with every route alone, stage by stage. A side is
a list of device=, precision=, type= (quantise the model first), model= (another file of it), s3gen= and ROUTE=on|off; what
it leaves out is --device and -m, and exact for --a and fast for --b.

Examples:
  mynah drift talk.wav                                       every route of the CPU
  mynah drift talk.wav --bisect                              which of them is to blame
  mynah drift talk.wav --a device=cpu --b device=vulkan,precision=exact
  mynah drift talk.wav -m f32.gguf --a precision=exact --b precision=exact,type=q4_0 --dump stages.safetensors
  mynah drift 'Good morning.' -m turbo-t3.gguf -n 100 --b device=vulkan --bisect
  mynah drift 'Good morning.' -m f16-t3.gguf --b model=q8_0-t3.gguf";

/// Flags of `mynah drift`.
#[derive(Args, Debug)]
pub(crate) struct Drift {
    /// A recording for Parakeet, a text for Chatterbox and Qwen3.5; the first piece of a recording (see --chunk) or of a long text to be
    /// said is used
    #[arg(value_name = "AUDIO|TEXT")]
    input: PathBuf,

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
    saying: SayingFlags,

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
        let mut subject = self.subject()?;
        if self.a.is_some() || self.b.is_some() || self.bisect || self.dump.is_some() {
            self.compare(subject.as_mut())
        } else {
            routes::run(subject.as_mut(), self.model.device, self.json)
        }
    }

    /// Two settings.
    fn compare(&self, subject: &mut dyn Subject) -> anyhow::Result<Exit> {
        let a = self.side(subject, self.a.as_ref(), Precision::Exact)?;
        let b = self.side(subject, self.b.as_ref(), Precision::Fast)?;
        let from = subject.run(&a, None)?;
        let to = subject.run(&b, Some(&from))?;
        to.comparable(&from)?;
        let pair = Pair::of((&a, &from), (&b, &to), subject.row());
        let found = if self.bisect { Some(blame::blame(subject, &a, &b, &from)?) } else { None };
        if let Some(path) = &self.dump {
            dump::write(path, (&a, &from), (&b, &to))?;
            self.talk.volume().detail(&format!("wrote {}", path.display()));
        }
        if self.json {
            let mut value = pair.json();
            value["bisect"] = found.as_deref().map(blame::json).unwrap_or_default();
            out::write_json(&value)?;
        } else {
            out::write(&format!("{}{}", pair.text(), found.as_deref().map(blame::text).unwrap_or_default()))?;
        }
        Ok(Exit::Success)
    }

    fn side(
        &self,
        subject: &mut dyn Subject,
        spec: Option<&Spec>,
        usual: Precision,
    ) -> anyhow::Result<Setting> {
        let spec = spec.cloned().unwrap_or_default();
        let choice = spec.device.unwrap_or(self.model.device).resolve();
        let devices = subject.bench().devices(choice)?;
        Setting::of(&spec, choice, usual, devices.device.as_ref())
    }
}
