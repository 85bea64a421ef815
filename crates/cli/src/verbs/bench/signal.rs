//! Something like speech, for measuring without a recording. Silence or pure noise would let a decoder off with blanks
//! and mislead any figure; this has voiced syllables with moving formants, hisses and pauses.

use mynah_audio::SAMPLE_RATE;
use mynah_tensor::Rng;
use std::f32::consts::TAU;

/// A two-pole resonator.
#[derive(Clone, Copy, Default)]
struct Formant {
    past: [f32; 2],
    feedback: [f32; 2],
    gain: f32,
}

impl Formant {
    fn tune(&mut self, hertz: f32, width: f32) {
        let rate = SAMPLE_RATE as f32;
        let radius = (-TAU / 2.0 * width / rate).exp();
        self.feedback = [2.0 * radius * (TAU * hertz / rate).cos(), -radius * radius];
        self.gain = 1.0 - radius;
    }

    fn next(&mut self, x: f32) -> f32 {
        let y = self.gain * x + self.feedback[0] * self.past[0] + self.feedback[1] * self.past[1];
        self.past = [y, self.past[0]];
        y
    }
}

/// That many seconds at 16 kHz; the same for the same seed.
pub(super) fn speech_like(seconds: f64, seed: u64) -> Vec<f32> {
    let rate = SAMPLE_RATE as f32;
    let wanted = (seconds.max(0.0) * f64::from(SAMPLE_RATE)) as usize;
    let mut rng = Rng::new(seed);
    let mut between = |low: f32, high: f32| low + (high - low) * rng.uniform();
    let mut samples: Vec<f32> = Vec::with_capacity(wanted);
    let mut formants = [Formant::default(); 3];
    let mut phase = 0.0f32;
    while samples.len() < wanted {
        // A syllable: perhaps a pause, perhaps a hiss, then a vowel.
        if between(0.0, 1.0) < 0.12 {
            let pause = (between(0.15, 0.6) * rate) as usize;
            samples.extend((0..pause).map(|_| between(-2e-4, 2e-4)));
        }
        if between(0.0, 1.0) < 0.5 {
            let hiss = (between(0.04, 0.11) * rate) as usize;
            let mut last = 0.0;
            for i in 0..hiss {
                let noise = between(-0.12, 0.12);
                let envelope = (TAU / 2.0 * i as f32 / hiss as f32).sin();
                // A difference keeps the high frequencies.
                samples.push(envelope * (noise - last));
                last = noise;
            }
        }
        let vowel = (between(0.08, 0.2) * rate) as usize;
        let centres = [between(280.0, 780.0), between(850.0, 2300.0), between(2400.0, 3200.0)];
        for (formant, (hertz, width)) in
            formants.iter_mut().zip(centres.into_iter().zip([80.0, 110.0, 160.0]))
        {
            formant.tune(hertz, width);
        }
        let (from, to, loudness) = (between(95.0, 190.0), between(95.0, 190.0), between(2.0, 5.0));
        for i in 0..vowel {
            let along = i as f32 / vowel as f32;
            phase += (from + (to - from) * along) / rate;
            let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
            phase -= phase.floor();
            let sum: f32 = formants.iter_mut().map(|f| f.next(pulse)).sum();
            samples.push((loudness * (TAU / 2.0 * along).sin() * sum).clamp(-0.9, 0.9));
        }
    }
    samples.truncate(wanted);
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_long_as_asked_the_same_each_time_and_mostly_loud() {
        let samples = speech_like(10.0, 1);
        assert_eq!(samples.len(), 160_000);
        assert_eq!(samples, speech_like(10.0, 1));
        assert_ne!(samples, speech_like(10.0, 2));
        assert!(samples.iter().all(|s| s.is_finite()));
        let speech = mynah_audio::speech_activity(&samples);
        let total: f64 = 10.0;
        let active: f64 = speech.iter().map(|s| s.1 - s.0).sum();
        assert!(active > 0.3 * total && active < total, "{active}");
    }
}
