//! Values of flags that need more than a number: each parser says what would have been right.

use mynah::{Head, Precision};
use mynah_convert::Target;
use mynah_models::chatterbox::cfm::MAX_STEPS;
use mynah_models::chatterbox::s3gen::Speed;
use mynah_tensor::DType;
use mynah_text::Format;
use std::str::FromStr;

/// What `--attention` asks for: `None` is full, else frames to the left and right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attention(pub(crate) Option<[usize; 2]>);

impl FromStr for Attention {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "give full, or local:LEFT,RIGHT such as local:128,128".to_owned();
        if text == "full" {
            return Ok(Self(None));
        }
        let (left, right) = text.strip_prefix("local:").and_then(|w| w.split_once(',')).ok_or_else(wrong)?;
        // More frames than a day of audio has; beyond it sums of the two sides could overflow somewhere below.
        let side = |s: &str| s.trim().parse::<usize>().ok().filter(|n| *n <= 1 << 24).ok_or_else(wrong);
        Ok(Self(Some([side(left)?, side(right)?])))
    }
}

/// What `--logit-bias` adds to a token's logit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bias {
    pub(crate) token: u32,
    pub(crate) value: f32,
}

/// A token and a signed number, `15043-1`, as in llama.cpp.
pub(super) fn bias(text: &str) -> Result<Bias, String> {
    let wrong =
        || "give a token's id and what is added to its logit, such as 15043+1 or 15043-inf".to_owned();
    let sign = text.find(['+', '-']).ok_or_else(wrong)?;
    let (token, value) =
        (text[..sign].parse().map_err(|_| wrong())?, text[sign..].parse().map_err(|_| wrong())?);
    Ok(Bias { token, value })
}

pub(crate) fn on_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("give on or off".into()),
    }
}

pub(super) fn head(text: &str) -> Result<Head, String> {
    let all = [Head::Ctc, Head::Rnnt, Head::Tdt];
    let found = all.into_iter().find(|h| h.name().eq_ignore_ascii_case(text));
    found.ok_or_else(|| "the heads are ctc, rnnt and tdt".into())
}

pub(crate) fn precision(text: &str) -> Result<Precision, String> {
    match text {
        "exact" => Ok(Precision::Exact),
        "fast" => Ok(Precision::Fast),
        _ => Err("give exact or fast".into()),
    }
}

pub(super) fn format(text: &str) -> Result<Format, String> {
    text.parse().map_err(|e: mynah_text::TextError| e.to_string())
}

/// Seconds of a piece: 0 for whole, else at least 4, below which context would fill a piece.
pub(super) fn chunk(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds == 0.0 || (seconds >= 4.0 && seconds.is_finite()) => Ok(seconds),
        _ => Err("give seconds, at least 4, or 0 for the whole".into()),
    }
}

pub(crate) fn positive(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().ok().filter(|s| s.is_finite() && *s > 0.0);
    seconds.ok_or_else(|| "give seconds above 0".into())
}

/// A finite number for which `sound` holds.
fn number(text: &str, sound: fn(f32) -> bool, wanted: &str) -> Result<f32, String> {
    let number = text.parse::<f32>().ok().filter(|x| x.is_finite() && sound(*x));
    number.ok_or_else(|| wanted.to_owned())
}

pub(super) fn not_below_zero(text: &str) -> Result<f32, String> {
    number(text, |x| x >= 0.0, "give a number, 0 or more")
}

pub(super) fn above_zero(text: &str) -> Result<f32, String> {
    number(text, |x| x > 0.0, "give a number above 0")
}

/// A probability, or a part of one.
pub(super) fn part(text: &str) -> Result<f32, String> {
    number(text, |x| (0.0..=1.0).contains(&x), "give a number from 0 to 1")
}

/// One or more.
pub(super) fn count(text: &str) -> Result<usize, String> {
    text.parse::<usize>().ok().filter(|n| *n > 0).ok_or_else(|| "give a whole number, 1 or more".into())
}

/// Steps in which a flow is solved.
pub(crate) fn flow_steps(text: &str) -> Result<usize, String> {
    let steps = text.parse().ok().filter(|steps| (1..=MAX_STEPS).contains(steps));
    steps.ok_or_else(|| format!("give a whole number from 1 to {MAX_STEPS}"))
}

/// How many times as fast something is said.
pub(super) fn speed(text: &str) -> Result<f32, String> {
    let speed = text.parse::<f32>().ok().filter(|speed| Speed::new((*speed).into()).is_ok());
    speed.ok_or_else(|| format!("give a number from {} to {}", Speed::LEAST, Speed::MOST))
}

/// A tensor type by its name, in any case.
pub(crate) fn element_type(text: &str) -> Result<DType, String> {
    text.parse().map_err(|_| "the types are F32, F16, BF16, Q8_0, Q4_0, Q5_0, Q4_K, Q5_K and Q6_K".into())
}

/// A tensor type or mixture by its name, in any case.
pub(crate) fn target(text: &str) -> Result<Target, String> {
    text.parse().map_err(|_| format!("the types are {}", Target::NAMES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attention_is_full_or_two_sides() {
        assert_eq!("full".parse(), Ok(Attention(None)));
        assert_eq!("local:128,64".parse(), Ok(Attention(Some([128, 64]))));
        for wrong in ["local", "local:3", "local:a,b", "local:-1,2", "128,128", "local:99999999999,1"] {
            assert!(wrong.parse::<Attention>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn pieces_have_a_shortest_length() {
        assert_eq!(chunk("0"), Ok(0.0));
        assert_eq!(chunk("4"), Ok(4.0));
        for wrong in ["3.9", "-1", "nan", "inf", "x"] {
            assert!(chunk(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_stay_in_their_ranges() {
        assert_eq!((not_below_zero("0"), above_zero("2"), part("1")), (Ok(0.0), Ok(2.0), Ok(1.0)));
        for wrong in ["-1", "nan", "inf", "1e39", "x", ""] {
            assert!(not_below_zero(wrong).is_err() && above_zero(wrong).is_err() && part(wrong).is_err());
        }
        assert!(above_zero("0").is_err() && part("1.01").is_err());
        assert_eq!((count("1"), flow_steps("1000")), (Ok(1), Ok(1000)));
        assert!(count("0").is_err() && flow_steps("0").is_err() && flow_steps("1001").is_err());
    }

    #[test]
    fn a_bias_is_a_token_and_a_signed_number() {
        assert_eq!(bias("15043-1.5"), Ok(Bias { token: 15043, value: -1.5 }));
        assert_eq!(bias("7+2"), Ok(Bias { token: 7, value: 2.0 }));
        assert_eq!(bias("7-inf"), Ok(Bias { token: 7, value: f32::NEG_INFINITY }));
        for wrong in ["7", "-1", "7+", "7+x", "a+1", "7=1", ""] {
            assert!(bias(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_are_known_in_any_case() {
        assert_eq!(element_type("q8_0"), Ok(DType::Q8_0));
        assert_eq!(target("q8_0"), Ok(DType::Q8_0.into()));
        assert_eq!(head("TDT"), Ok(Head::Tdt));
        assert!(
            element_type("q9").is_err()
                && target("q9").is_err()
                && head("aed").is_err()
                && precision("slow").is_err()
        );
    }
}
