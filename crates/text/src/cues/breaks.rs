//! Where one cue ends and the next begins: the cheapest way through all words.
//!
//! A greedy fill leaves single words behind and breaks between an article and its noun; a shortest path over "a cue from
//! word i to word j" weighs all of it at once and is linear in the words, because a cue holds few of them.

use std::ops::Range;

use super::CueOptions;
use super::units::{Edge, Unit};
use crate::segment::is_pause;

/// What a cue costs by being there: fewer cues are better.
const CUE: f64 = 10.0;
/// A sentence end inside a cue: two sentences belong apart …
const SENTENCE_INSIDE: f64 = 14.0;
/// … unless one of them would flash by faster than the least time.
const FLASH: f64 = 20.0;
/// What ending a cue elsewhere than at a sentence end costs.
const AFTER_CLAUSE: f64 = 3.0;
const AT_BREATH: f64 = 4.0;
const MID_PHRASE: f64 = 12.0;
const INSIDE_WORD: f64 = 25.0;
/// A gap that can be heard as a breath, in seconds.
const BREATH_SECONDS: f64 = 0.3;
/// Emptiness, squared: two half-full cues are better than a full one and a crumb.
const UNEVEN: f64 = 3.0;

/// Cuts `units` into cues: ranges that cover all units, each once, in order. Each fits the lines and the time of a cue,
/// unless a single unit does not.
pub(super) fn groups(units: &[Unit], options: &CueOptions) -> Vec<Range<usize>> {
    // best[j]: cost of the cheapest layout of units[..j], and where its last cue starts.
    let mut best: Vec<(f64, usize)> = Vec::with_capacity(units.len() + 1);
    best.push((0.0, 0));
    for end in 1..=units.len() {
        best.push(cheapest(units, end, &best, options));
    }
    let mut groups = Vec::new();
    let mut end = units.len();
    while end > 0 {
        let start = best.get(end).map_or(0, |&(_, start)| start);
        groups.push(start..end);
        end = start;
    }
    groups.reverse();
    groups
}

/// The cheapest last cue that ends before unit `end` (at least 1), walking its start backwards while it still fits.
fn cheapest(units: &[Unit], end: usize, best: &[(f64, usize)], options: &CueOptions) -> (f64, usize) {
    let mut found = (f64::INFINITY, end - 1);
    let Some(last) = units.get(end - 1) else { return found };
    let next = units.get(end);
    let closing = end_cost(last, next);
    // Lines are filled from the last one up, which needs as few lines as filling them from the first one down.
    let (mut lines, mut line, mut total) = (1usize, 0usize, 0usize);
    let mut sentences = 0u32;
    for start in (0..end).rev() {
        let (Some(unit), Some(&(before, _))) = (units.get(start), best.get(start)) else { break };
        let single = start + 1 == end;
        if let Some(after) = units.get(start + 1).filter(|_| !single) {
            let joined = line + unit.width + usize::from(after.spaced);
            if joined > options.max_line {
                lines += 1;
                line = unit.width;
            } else {
                line = joined;
            }
            let pause = is_pause(unit.end, after.start, options.pause_seconds);
            let long = last.end - unit.start > options.max_seconds;
            if lines > options.max_lines.max(1) || pause || long {
                break;
            }
            sentences += u32::from(unit.edge == Edge::Sentence);
        } else {
            line = unit.width;
        }
        total += unit.width;
        let room = next.map_or(f64::INFINITY, |next| next.start - unit.start);
        let flash = if room < options.min_seconds { FLASH } else { 0.0 };
        let full = total as f64 / (options.max_line.max(1) * options.max_lines.max(1)) as f64;
        let uneven = UNEVEN * (1.0 - full.min(1.0)).powi(2);
        let cost = before + CUE + closing + flash + uneven + SENTENCE_INSIDE * f64::from(sentences);
        if cost < found.0 {
            found = (cost, start);
        }
    }
    found
}

fn end_cost(last: &Unit, next: Option<&Unit>) -> f64 {
    let Some(next) = next else { return 0.0 };
    let by_edge = match last.edge {
        Edge::Sentence => 0.0,
        Edge::Clause => AFTER_CLAUSE,
        Edge::Word => MID_PHRASE,
        Edge::InsideWord => INSIDE_WORD,
    };
    if is_pause(last.end, next.start, BREATH_SECONDS) { AT_BREATH.min(by_edge) } else { by_edge }
}
