//! Loudness over time: the one measure that both pause search and speech detection use.

/// Samples of one frame, 10 ms at 16 kHz.
pub(super) const FRAME: usize = 160;

/// Loudness of digital silence, and of everything quieter, in dB relative to full scale.
pub(super) const SILENCE_DB: f32 = -90.0;

/// Frames on each side that are averaged with a frame: 50 ms in all, so that the closure of a stop consonant does not
/// look like a pause and a click not like speech.
const SMOOTH: usize = 2;

/// Smoothed mean-square level per 10 ms frame in dB, of whole frames and a last partial one. The mean of each frame is
/// taken out, since an offset is not sound.
pub(super) fn levels(samples: &[f32]) -> Vec<f32> {
    let power: Vec<f64> = samples.chunks(FRAME).map(variance).collect();
    (0..power.len())
        .map(|i| {
            let around = &power[i.saturating_sub(SMOOTH)..(i + SMOOTH + 1).min(power.len())];
            let mean = around.iter().sum::<f64>() / around.len() as f64;
            // NaN and overflow cannot come from audio streams; they would count as loud.
            ((10.0 * mean.log10()) as f32).max(SILENCE_DB)
        })
        .collect()
}

fn variance(frame: &[f32]) -> f64 {
    let count = frame.len() as f64;
    let (sum, squares) =
        frame.iter().fold((0.0, 0.0), |(s, q), &x| (s + f64::from(x), q + f64::from(x) * f64::from(x)));
    (squares / count - (sum / count).powi(2)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_scale_sine_is_minus_three_db() {
        let sine: Vec<f32> = (0..1600).map(|n| (n as f32 * std::f32::consts::TAU / 16.0).sin()).collect();
        for level in levels(&sine) {
            assert!((level + 3.01).abs() < 0.01, "{level}");
        }
    }

    #[test]
    fn silence_and_offset_are_the_floor() {
        assert_eq!(levels(&[0.0; 300]), [SILENCE_DB; 2]);
        assert_eq!(levels(&[0.25; 320]), [SILENCE_DB; 2]);
        assert!(levels(&[]).is_empty());
    }
}
