//! The loop: sampler and backbone by turns, for one text or for several in the same steps.

use super::align::{Alignment, Verdict};
use super::conditioning::Conditioning;
use super::config::T3Config;
use super::error::T3Error;
use super::model::T3;
use super::sample::{Order, Sampling};
use super::sequence::Sequence;
use std::ops::ControlFlow;

/// Tokens of silence that Turbo's speech ends with.
pub(super) const TRAILING: usize = 3;
/// What the analyser moves logits to; as in Python, where it had to fit into 16 bits.
const FAR: f32 = 32768.0;

/// Speech that ends before it can have begun is drawn again (chatterbox.cpp; Python doesn't).
///
/// A new attempt begins with the logits behind the text and goes on in the stream of random numbers where the last one stopped, so one
/// seed gives one result. Of attempts that all end early the longest is kept. Tokens are held back until there are `least` of them. At
/// temperature 0 every attempt would be the same, and there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Tokens that there must be.
    pub least: usize,
    /// Attempts after the first.
    pub attempts: usize,
}

impl Retry {
    /// As chatterbox.cpp has it for a text of so many tokens: five each and eight at least, three more attempts.
    pub fn for_text(tokens: usize) -> Self {
        Self { least: tokens.saturating_mul(5).max(8), attempts: 3 }
    }
}

/// How speech is made of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct T3Options {
    /// How a token is drawn.
    pub sampling: Sampling,
    /// Tokens drawn at most, the one that ends speech among them.
    pub max_tokens: usize,
    /// Whether to follow the text and to end speech that goes astray ([`Alignment`]). Python 0.1.7 does for Multilingual v2; its
    /// successor does not for v3, since it also cuts speech that was sound.
    pub align: bool,
    /// Whether to draw speech again that ends too early.
    pub retry: Option<Retry>,
}

impl T3Options {
    /// Python's, without the analyser.
    pub fn of(config: &T3Config) -> Self {
        // Turbo draws one token before its loop begins to count.
        let max_tokens = if config.llama().is_some() { 1000 } else { 1001 };
        Self { sampling: Sampling::of(config), max_tokens, align: false, retry: None }
    }
}

/// A text to be said.
pub struct Request<'a> {
    /// The voice.
    pub conditioning: &'a Conditioning,
    /// The text as token ids, without start and stop.
    pub text: &'a [u32],
    /// How.
    pub options: T3Options,
    /// Random numbers in `[0, 1)`; each token takes one, in order.
    pub draws: &'a mut dyn FnMut() -> f64,
    /// Is given each audio token as it comes, Turbo's silence at the end among them. Breaking off ends the request.
    pub on_token: &'a mut dyn FnMut(i32) -> ControlFlow<()>,
}

/// Why a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// Speech has ended.
    Stopped,
    /// There may be no more tokens.
    Length,
    /// `on_token` broke off.
    Cancelled,
}

/// What was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speech {
    /// Audio tokens, 25 a second: what lies behind a start of speech and before the end, without what is no audio, and with Turbo's
    /// silence. They are those that `on_token` was given, unless start of speech was drawn again on the way.
    pub tokens: Vec<i32>,
    /// Every token that was drawn, the one that ended speech among them.
    pub drawn: Vec<i32>,
    /// Why it ended.
    pub finish: Finish,
}

/// A request under way.
struct Job<'r, 'a> {
    request: &'r mut Request<'a>,
    sequence: Sequence,
    order: Order,
    /// Of the next token, `[rows, V]`.
    logits: Vec<f32>,
    /// Those behind the text.
    first: Vec<f32>,
    drawn: Vec<i32>,
    /// The longest of the attempts that ended early.
    longest: Vec<i32>,
    attempts: usize,
    /// Drawn tokens that `on_token` has had its turn with.
    given: usize,
    /// Tokens of silence that it was given.
    silent: usize,
    alignment: Option<Alignment>,
    text: usize,
    finish: Option<Finish>,
}

impl T3 {
    /// Says a text with a voice. One random number is drawn for each token; at temperature 0 none is.
    ///
    /// # Errors
    /// An option outside its range, more tokens than the tables of positions have room for, what [`T3::start`] reports, or logits that
    /// can't be drawn from.
    pub fn generate(
        &mut self,
        conditioning: &Conditioning,
        text: &[u32],
        options: T3Options,
        draws: &mut dyn FnMut() -> f64,
        on_token: &mut dyn FnMut(i32) -> ControlFlow<()>,
    ) -> Result<Speech, T3Error> {
        let mut request = [Request { conditioning, text, options, draws, on_token }];
        let mut speech = self.generate_together(&mut request)?;
        speech.pop().ok_or(T3Error::NoText)
    }

    /// Says several texts in the same steps, so that weights are read once for all. Each comes out as it would alone.
    ///
    /// # Errors
    /// As [`T3::generate`], for the first request that has something wrong; nothing is then returned of the others.
    pub fn generate_together(&mut self, requests: &mut [Request<'_>]) -> Result<Vec<Speech>, T3Error> {
        let mut jobs = Vec::with_capacity(requests.len());
        let done = self.run(requests, &mut jobs);
        let mut speech = Vec::with_capacity(jobs.len());
        for job in jobs {
            let (said, sequence) = job.into_speech(&self.config);
            self.finish(sequence);
            speech.push(said);
        }
        done.map(|()| speech)
    }

    fn run<'r, 'a>(
        &mut self,
        requests: &'r mut [Request<'a>],
        jobs: &mut Vec<Job<'r, 'a>>,
    ) -> Result<(), T3Error> {
        for request in requests {
            jobs.push(self.job(request)?);
        }
        loop {
            let mut next = Vec::new();
            let mut waiting = Vec::new();
            for job in jobs.iter_mut() {
                if job.finish.is_some() {
                    continue;
                }
                if let Some(token) = job.turn(&self.config)? {
                    next.push((&mut job.sequence, token));
                    waiting.push(&mut job.logits);
                }
            }
            if next.is_empty() {
                return Ok(());
            }
            let mut rest = self.advance(&mut next)?;
            for logits in waiting {
                let Some((own, others)) = rest.split_at_checked(logits.len()) else { break };
                logits.copy_from_slice(own);
                rest = others;
            }
        }
    }

    fn job<'r, 'a>(&mut self, request: &'r mut Request<'a>) -> Result<Job<'r, 'a>, T3Error> {
        let T3Options { sampling, max_tokens, align, .. } = request.options;
        sampling.check()?;
        // Behind a text that is too long there is room for no token, which is not what is wrong.
        self.check_text(request.conditioning, request.text)?;
        if !request.conditioning.exaggeration.is_finite() {
            let found = request.conditioning.exaggeration.to_string();
            return Err(T3Error::Option { option: "exaggeration", found, reason: "it must be a number" });
        }
        if max_tokens == 0 {
            let (option, found) = ("max_tokens", "0".to_owned());
            return Err(T3Error::Option { option, found, reason: "one token at least is drawn" });
        }
        let limit = self.room(request.conditioning, request.text.len());
        if max_tokens > limit {
            let (what, unit) = ("speech of max_tokens", "tokens");
            return Err(T3Error::TooLong { what, unit, found: max_tokens, limit });
        }
        let (sequence, logits) =
            self.start(request.conditioning, request.text, sampling.cfg_weight > 0.0, align)?;
        // The analyser counts start and stop.
        let text = request.text.len() + 2;
        Ok(Job {
            order: Order::of(&self.config),
            first: logits.clone(),
            logits,
            sequence,
            request,
            drawn: Vec::new(),
            longest: Vec::new(),
            attempts: 0,
            given: 0,
            silent: 0,
            alignment: align.then(|| Alignment::new(text)),
            text,
            finish: None,
        })
    }
}

impl Job<'_, '_> {
    /// Draws a token, and gives it if the backbone is to read it. An attempt that ended early is followed by the next one at once.
    fn turn(&mut self, config: &T3Config) -> Result<Option<i32>, T3Error> {
        loop {
            let token = self.draw(config)?;
            self.drawn.push(token);
            let stopped = token == config.stop_speech;
            if !stopped && self.drawn.len() < self.request.options.max_tokens {
                self.give(config, self.request.options.retry.map_or(0, |retry| retry.least));
                return Ok(self.finish.is_none().then_some(token));
            }
            if stopped && self.again() {
                continue;
            }
            if self.longest.len() > self.drawn.len() {
                self.drawn = std::mem::take(&mut self.longest);
            }
            self.give(config, 0);
            self.silence(config);
            let end = if stopped { Finish::Stopped } else { Finish::Length };
            self.finish.get_or_insert(end);
            return Ok(None);
        }
    }

    fn draw(&mut self, config: &T3Config) -> Result<i32, T3Error> {
        let sampling = self.request.options.sampling;
        let mut logits = guided(config, &sampling, &self.logits);
        if let Some(alignment) = &mut self.alignment {
            let last = self.drawn.last().copied().unwrap_or(config.start_speech);
            let stop = usize::try_from(config.stop_speech).unwrap_or(usize::MAX);
            match alignment.step(&self.sequence.attention, last) {
                Verdict::Keep => {}
                Verdict::Hold => logits.iter_mut().skip(stop).take(1).for_each(|x| *x = -FAR),
                Verdict::Force => {
                    logits.fill(-FAR);
                    logits.iter_mut().skip(stop).take(1).for_each(|x| *x = FAR);
                }
            }
        }
        let before = before(config, self.order, &self.drawn);
        sampling.token(self.order, &mut logits, &before, &mut *self.request.draws)
    }

    /// Whether an attempt that has ended is to be followed by another one, which is then prepared.
    fn again(&mut self) -> bool {
        let Some(retry) = self.request.options.retry else { return false };
        // The token that ended it doesn't count.
        let early = self.drawn.len() <= retry.least;
        if !early || self.attempts >= retry.attempts || self.request.options.sampling.temperature == 0.0 {
            return false;
        }
        self.attempts += 1;
        if self.drawn.len() > self.longest.len() {
            self.longest = std::mem::take(&mut self.drawn);
        }
        self.drawn.clear();
        self.logits.clone_from(&self.first);
        self.sequence.rewind();
        self.alignment = self.alignment.take().map(|_| Alignment::new(self.text));
        true
    }

    /// Gives `on_token` what it hasn't had, once there are `least` tokens.
    fn give(&mut self, config: &T3Config, least: usize) {
        if self.drawn.len() < least {
            return;
        }
        while let Some(&token) = self.drawn.get(self.given) {
            self.given += 1;
            if config.is_audio(token) && self.finish.is_none() {
                self.hand(token);
            }
        }
    }

    fn silence(&mut self, config: &T3Config) {
        for token in config.silence().into_iter().flat_map(|token| [token; TRAILING]) {
            if self.finish.is_none() {
                self.silent += 1;
                self.hand(token);
            }
        }
    }

    fn hand(&mut self, token: i32) {
        if (self.request.on_token)(token).is_break() {
            self.finish = Some(Finish::Cancelled);
            // What was held back and isn't wanted any more.
            self.drawn.truncate(self.given);
        }
    }

    fn into_speech(self, config: &T3Config) -> (Speech, Sequence) {
        let finish = self.finish.unwrap_or(Finish::Cancelled);
        let mut tokens = audio(config, &self.drawn);
        tokens.extend(config.silence().into_iter().flat_map(|token| vec![token; self.silent]));
        (Speech { tokens, drawn: self.drawn, finish }, self.sequence)
    }
}

/// Of a sequence's logits `[rows, V]` what the sampler gets, `[V]`.
pub(super) fn guided(config: &T3Config, sampling: &Sampling, logits: &[f32]) -> Vec<f32> {
    let mut with = logits.to_vec();
    let without = with.split_off(config.speech_vocabulary.min(with.len()));
    sampling.guide(&mut with, &without);
    with
}

/// The tokens that the penalty knows of when `drawn` have been drawn.
pub(super) fn before(config: &T3Config, order: Order, drawn: &[i32]) -> Vec<i32> {
    // The Llama's loop counts start of speech among its tokens, Turbo only before the first of them.
    let start = (order == Order::Llama || drawn.is_empty()).then_some(config.start_speech);
    start.into_iter().chain(drawn.iter().copied()).collect()
}

/// What of the drawn tokens is audio: `drop_invalid_tokens` for the Llama, what is below start of speech for both.
pub(super) fn audio(config: &T3Config, drawn: &[i32]) -> Vec<i32> {
    let mut drawn = drawn;
    if config.llama().is_some() {
        // Python has no answer where start of speech comes twice; here the first one counts.
        let start = drawn.iter().position(|&t| t == config.start_speech);
        drawn = start.and_then(|at| drawn.get(at + 1..)).unwrap_or(drawn);
        let stop = drawn.iter().position(|&t| t == config.stop_speech);
        drawn = stop.and_then(|at| drawn.get(..at)).unwrap_or(drawn);
    }
    drawn.iter().copied().filter(|&t| config.is_audio(t)).collect()
}
