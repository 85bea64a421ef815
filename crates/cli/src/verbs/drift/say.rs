//! Chatterbox: says one piece of text and keeps every stage from logits to samples.
//!
//! Text, voice, seed and noise are the same for all settings, and all speak the tokens of the run beside: one token drawn otherwise and
//! two waveforms have nothing in common. The stages after it inherit what the stages before did, so two of the vocoder's are also
//! computed from what the run beside gave it: what `own` stages lack is their own fault.

use super::setting::Setting;
use super::subject::{LOGITS, Run, Step, Subject, no_kind, widen};
use super::workbench::Workbench;
use crate::notes::Volume;
use crate::verbs::speak;
use anyhow::Context as _;
use mynah::{SpeakOptions, Speaker, Voice};
use mynah_audio::features::BandExtractor;
use mynah_models::chatterbox::t3::T3Config;
use mynah_models::chatterbox::voice::prompt_bands;
use std::path::PathBuf;

const MEL: &str = "mel";
const F0: &str = "f0";
const SOURCE: &str = "source";
const PCM: &str = "pcm";
const LOG_MEL: &str = "log-mel";

/// A text and a voice.
pub(super) struct Talker {
    bench: Workbench,
    text: String,
    options: SpeakOptions,
    /// S3Gen's file, if not the one beside T3's.
    s3gen: Option<PathBuf>,
    /// Where the voice comes from, and the voice, made by the first run.
    named: Option<PathBuf>,
    voice: Option<Voice>,
    /// Log-mel frames of what is heard.
    bands: BandExtractor,
    volume: Volume,
}

impl Talker {
    /// A talker of a text, in the voice that is named or the model's own.
    ///
    /// # Errors
    /// None that flags could cause.
    pub(super) fn new(
        bench: Workbench,
        text: String,
        options: SpeakOptions,
        [s3gen, named]: [Option<PathBuf>; 2],
        volume: Volume,
    ) -> anyhow::Result<Self> {
        let bands = BandExtractor::new(prompt_bands(), None)?;
        Ok(Self { bench, text, options, s3gen, named, voice: None, bands, volume })
    }

    /// The models of a setting.
    fn speaker(&mut self, setting: &Setting) -> anyhow::Result<Speaker> {
        let (devices, options) = self.bench.place(setting)?;
        let model = self.bench.model(setting).context("no model was given")?;
        let t3 = speak::t3_of(&model);
        let wrong = || format!("can't use the model {}", t3.display());
        let first = self.bench.file(Some(&t3), setting.dtype)?;
        // Which family it is comes before where its other half is.
        T3Config::read(&first).map_err(mynah::Error::from).with_context(wrong)?;
        // What the flag names lies beside the flag's T3; another T3 has its own.
        let flag = self.s3gen.as_deref().filter(|_| setting.model.is_none());
        let s3gen = speak::s3gen_of(&t3, setting.s3gen.as_deref().or(flag))?;
        let second = self.bench.file(Some(&s3gen), setting.dtype)?;
        let speaker = Speaker::on([first, second], devices, &options);
        speaker.with_context(|| format!("can't use the model {} with {}", t3.display(), s3gen.display()))
    }
}

impl Subject for Talker {
    fn run(&mut self, setting: &Setting, beside: Option<&Run>) -> anyhow::Result<Run> {
        let mut speaker = self.speaker(setting)?;
        let voice = match self.voice.take() {
            Some(voice) => voice,
            None => speak::voice(&speaker, self.named.as_deref(), self.volume)?,
        };
        let ready = speaker.ready(&voice);
        self.voice = Some(voice);
        let ready = match ready {
            Err(error @ mynah::Error::VoiceKind { .. }) if beside.is_some() => {
                return Err(no_kind(&error.to_string()).into());
            }
            ready => ready?,
        };
        let along: Option<Vec<i32>> =
            beside.map(|run| run.tokens.iter().map(|step| step.token.cast_signed()).collect());
        let trace = speaker.trace(&self.text, &ready, &self.options, along.as_deref())?;
        let sound = trace.s3gen;
        let mut stages = vec![
            ("voice".to_owned(), widen(ready.conditioning().rows())),
            (LOGITS.to_owned(), widen(&trace.t3.logits)),
            ("mu".to_owned(), widen(&sound.mu)),
        ];
        let steps = sound.steps.iter().enumerate();
        stages.extend(steps.map(|(i, x)| (format!("x {}", i + 1), widen(x))));
        let (mel, source) = match beside {
            Some(run) => (run.floats(MEL), run.floats(SOURCE)),
            None => (sound.mel.clone(), sound.source.clone()),
        };
        let model = speaker.s3gen();
        let (f0, pcm) = (model.pitch(&mel)?, model.vocode(&mel, &source)?);
        let log_mel = self.bands.extract(&sound.samples).data;
        let last = [
            (MEL, &sound.mel),
            (F0, &sound.f0),
            (SOURCE, &sound.source),
            ("own f0", &f0),
            ("own pcm", &pcm),
            (PCM, &sound.samples),
            (LOG_MEL, &log_mel),
        ];
        stages.extend(last.map(|(name, values)| (name.to_owned(), widen(values))));
        let drawn = trace.t3.drawn.iter().zip(0..);
        let tokens = drawn.map(|(&token, at)| Step { token: token.cast_unsigned(), at }).collect();
        let width = trace.vocabulary;
        Ok(Run { stages, tokens, led: beside.is_some(), width, choices: width })
    }

    fn bench(&mut self) -> &mut Workbench {
        &mut self.bench
    }

    /// Tokens are given, so T3 is to blame for its logits alone, and S3Gen for all that follows.
    fn blamed(&self) -> &'static [&'static str] {
        &[LOGITS, MEL, F0, "own pcm", PCM, LOG_MEL]
    }

    fn row(&self) -> &'static str {
        "step"
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]
mod tests {
    use super::super::blame::blame;
    use super::super::setting::Spec;
    use super::*;
    use mynah::{Device, DeviceChoice, Devices, Options, Precision};
    use mynah_cpu::{CpuDevice, CpuOptions};
    use mynah_lab::{Fault, FaultyDevice};
    use std::path::Path;
    use std::sync::Arc;

    fn cpu() -> Arc<dyn Device> {
        Arc::new(CpuDevice::new(CpuOptions { threads: Some(2), simd: None }).unwrap())
    }

    /// A tiny random model that says a few tokens on a device.
    fn talker(model: &Path, device: &Arc<dyn Device>) -> Talker {
        let mut bench = Workbench::new(Some(model.to_path_buf()), &Options::default());
        bench.install(DeviceChoice::Cpu, Devices { device: Arc::clone(device), fallback: None });
        let options = SpeakOptions { max_tokens: Some(5), seed: 1, ..SpeakOptions::default() };
        Talker::new(bench, "Few words.".into(), options, [None, None], Volume::Quiet).unwrap()
    }

    #[test]
    fn a_route_that_was_made_worse_is_named_for_every_stage() {
        let dir = tempfile::tempdir().unwrap();
        let options = mynah_convert::Options::default();
        mynah_convert::random_model("chatterbox-tiny", &dir.path().join("tiny"), 3, &options, &|_| {})
            .unwrap();
        let model = dir.path().join("tiny-t3.gguf");
        for route in cpu().routes() {
            let fault = Fault::Route { name: route.name, factor: 1.05 };
            let device: Arc<dyn Device> = Arc::new(FaultyDevice::new(cpu(), fault));
            let side = |precision| {
                let spec = Spec { precision: Some(precision), ..Spec::default() };
                Setting::of(&spec, DeviceChoice::Cpu, precision, device.as_ref()).unwrap()
            };
            let (a, b) = (side(Precision::Exact), side(Precision::Fast));
            let mut talker = talker(&model, &device);
            let exact = talker.run(&a, None).unwrap();
            let found = blame(&mut talker, &a, &b, &exact).unwrap();
            assert_eq!(found.len(), talker.blamed().len());
            for (stage, found) in &found {
                // The mistake is in matrix products. The pitch never takes a fast route, and the vocoder is made of convolutions.
                if stage.starts_with("own") {
                    assert!(found.total < 1e-3, "{stage}: {found:?}");
                    continue;
                }
                assert_eq!(found.switches[0].name, format!("{}=on", route.name), "{stage}: {found:?}");
                assert!(found.switches[0].share > 0.9, "{stage}: {found:?}");
                assert_eq!(found.responsible().count(), 1, "{stage}: {found:?}");
            }
        }
    }
}
