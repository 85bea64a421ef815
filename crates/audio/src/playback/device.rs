//! The default output device, through cpal: which of its forms fits, and the thread that asks for samples.

use super::Trouble;
use super::ring::Ring;
use crate::AudioError;
use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{ErrorKind, FromSample, OutputCallbackInfo, SampleFormat, SizedSample, SupportedStreamConfig};
use std::sync::Arc;

pub(super) use cpal::Stream;

/// A device and the form that samples are given to it in.
pub(super) struct Output {
    device: cpal::Device,
    config: SupportedStreamConfig,
}

fn refused(error: &cpal::Error) -> AudioError {
    AudioError::Playback { reason: error.to_string() }
}

impl Output {
    /// The default device; at `rate` if it can, else at its own rate.
    pub(super) fn find(rate: u32) -> Result<Self, AudioError> {
        let none = || AudioError::Playback { reason: "there is no output device".to_owned() };
        let device = cpal::default_host().default_output_device().ok_or_else(none)?;
        let own = device.default_output_config().map_err(|error| refused(&error))?;
        let fits = |config: &cpal::SupportedStreamConfigRange| {
            config.channels() == own.channels() && config.sample_format() == own.sample_format()
        };
        let at_rate = match device.supported_output_configs() {
            Ok(configs) => configs.filter(fits).find_map(|config| config.try_with_sample_rate(rate)),
            // What it can't list it may still do.
            Err(_) => None,
        };
        Ok(Self { device, config: at_rate.unwrap_or(own) })
    }

    pub(super) fn rate(&self) -> u32 {
        self.config.sample_rate()
    }

    /// Lets the device take from the ring.
    pub(super) fn start(
        self,
        ring: Arc<Ring>,
        stop: fn() -> bool,
        trouble: Arc<Trouble>,
    ) -> Result<Stream, AudioError> {
        let run = match self.config.sample_format() {
            SampleFormat::I8 => run::<i8>,
            SampleFormat::I16 => run::<i16>,
            SampleFormat::I24 => run::<cpal::I24>,
            SampleFormat::I32 => run::<i32>,
            SampleFormat::U8 => run::<u8>,
            SampleFormat::U16 => run::<u16>,
            SampleFormat::U32 => run::<u32>,
            SampleFormat::F32 => run::<f32>,
            SampleFormat::F64 => run::<f64>,
            other => {
                let reason = format!("the output device takes samples as {other} only");
                return Err(AudioError::Playback { reason });
            }
        };
        let stream = run(&self, ring, stop, trouble).map_err(|error| refused(&error))?;
        stream.play().map_err(|error| refused(&error))?;
        Ok(stream)
    }
}

fn run<T: SizedSample + FromSample<f32>>(
    output: &Output,
    ring: Arc<Ring>,
    stop: fn() -> bool,
    trouble: Arc<Trouble>,
) -> Result<Stream, cpal::Error> {
    let channels = usize::from(output.config.channels()).max(1);
    let fill = move |data: &mut [T], _: &OutputCallbackInfo| {
        if stop() {
            return data.fill(T::EQUILIBRIUM);
        }
        let mut frames = data.chunks_mut(channels);
        ring.take(frames.len(), |sample| {
            let Some(frame) = frames.next() else { return };
            frame.fill(T::EQUILIBRIUM);
            // Both sides; what more channels there are stay silent.
            frame.iter_mut().take(2).for_each(|side| *side = T::from_sample(sample));
        });
    };
    let complain = move |error: cpal::Error| match error.kind() {
        // The device's own late wake-ups pass, and a changed default goes on playing.
        ErrorKind::Xrun | ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => {}
        _ => trouble.report(error.to_string()),
    };
    output.device.build_output_stream(output.config.config(), fill, complain, None)
}
