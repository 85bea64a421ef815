//! What came of an answer, for people and programs.

use crate::units;
use mynah::{Generated, StopReason};

/// Why an answer is over, as programs read it.
pub(crate) fn reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::End | StopReason::Stop => "stop",
        StopReason::Length => "length",
        StopReason::Context => "context",
        StopReason::Cancelled => "interrupted",
    }
}

/// Tokens a second while writing; nothing for fewer than two.
pub(crate) fn speed(answer: &Generated) -> Option<f64> {
    let seconds = answer.answer_time.as_secs_f64();
    (answer.choices.len() > 1 && seconds > 0.0).then(|| (answer.choices.len() - 1) as f64 / seconds)
}

/// One line for people.
pub(crate) fn summary(answer: &Generated) -> String {
    let mut text = units::count(answer.choices.len(), "token", "tokens");
    if let Some(speed) = speed(answer) {
        text += &format!(" at {speed:.1} tokens/s");
    }
    text += &format!("; prompt of {}", units::count(answer.prompt_tokens, "token", "tokens"));
    if answer.reused_tokens > 0 {
        text += &format!(", {} of them known", answer.reused_tokens);
    }
    let (read, seconds) = (answer.prompt_tokens - answer.reused_tokens, answer.prompt_time.as_secs_f64());
    if seconds > 0.0 {
        text += &format!(", at {:.1} tokens/s", read as f64 / seconds);
    }
    if answer.drafted_tokens > 0 {
        let (drafted, accepted) = (answer.drafted_tokens, answer.accepted_tokens);
        let part = 100.0 * accepted as f64 / drafted as f64;
        text += &format!("; {accepted} of {drafted} drafts right ({part:.0} %)");
    }
    if answer.reason == StopReason::Context {
        text += "; the context is full";
    }
    text
}
