//! The smallest thing a cue can hold: a word, or a part of a word that is wider than a line (an address, or a whole
//! sentence in a script that writes no spaces).

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::formats::one_line;
use crate::punctuation::{ends_clause, ends_sentence, final_mark};
use crate::transcript::{Transcript, Word};

/// Narrower lines than this break no words.
const BREAKING_LINE: usize = 20;

/// How good a place to break the end of a unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    Sentence,
    Clause,
    Word,
    InsideWord,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Unit {
    pub(super) text: String,
    /// Columns.
    pub(super) width: usize,
    /// Seconds.
    pub(super) start: f64,
    /// Seconds.
    pub(super) end: f64,
    /// Whether a space stands between the unit before and this one, if both are on one line.
    pub(super) spaced: bool,
    pub(super) edge: Edge,
}

/// The units of all words, in order. No unit is empty; none is wider than `max_line` if that is at least 20.
pub(super) fn units(transcript: &Transcript, max_line: usize) -> Vec<Unit> {
    let mut units = Vec::with_capacity(transcript.words.len());
    for word in &transcript.words {
        let text = one_line(&word.text);
        if text.is_empty() {
            continue;
        }
        if text.width() <= max_line.max(BREAKING_LINE)
            && (text.width() <= max_line || max_line < BREAKING_LINE)
        {
            units.push(unit(text, word.start, word.end, true));
            continue;
        }
        let first = units.len();
        for (text, start, end) in parts(transcript, word, &text) {
            split(&text, start, end, max_line, &mut units);
        }
        if let Some(unit) = units.get_mut(first) {
            unit.spaced = true;
        }
        let last = units.len().saturating_sub(1);
        for unit in units.iter_mut().take(last).skip(first) {
            if unit.edge == Edge::Word {
                unit.edge = Edge::InsideWord;
            }
        }
    }
    units
}

fn unit(text: String, start: f64, end: f64, spaced: bool) -> Unit {
    let edge = match final_mark(&text) {
        Some(mark) if ends_sentence(mark) => Edge::Sentence,
        Some(mark) if ends_clause(mark) => Edge::Clause,
        _ => Edge::Word,
    };
    Unit { width: text.width(), text, start, end, spaced, edge }
}

/// The parts of a wide word by its tokens, which know their times; the word itself if they do not spell it.
fn parts(transcript: &Transcript, word: &Word, text: &str) -> Vec<(String, f64, f64)> {
    let tokens = transcript.tokens.get(word.tokens.clone()).unwrap_or_default();
    let parts: Vec<(String, f64, f64)> = tokens
        .iter()
        .map(|token| (one_line(&token.text), token.start, token.end))
        .filter(|(text, ..)| !text.is_empty())
        .collect();
    let spelled: String = parts.iter().map(|(text, ..)| text.as_str()).collect();
    if spelled == text { parts } else { vec![(text.to_owned(), word.start, word.end)] }
}

/// Pushes `text` in units of at most `max_line` columns, sharing its time evenly.
fn split(text: &str, start: f64, end: f64, max_line: usize, units: &mut Vec<Unit>) {
    let whole = text.width().max(1) as f64;
    let at = |column: usize| start + (end - start) * column as f64 / whole;
    let (mut line, mut width, mut column) = (String::new(), 0, 0);
    for c in text.chars() {
        let columns = c.width().unwrap_or(0);
        if width + columns > max_line && !line.is_empty() {
            units.push(unit(std::mem::take(&mut line), at(column), at(column + width), false));
            (column, width) = (column + width, 0);
        }
        line.push(c);
        width += columns;
    }
    let rest = line.trim();
    if !rest.is_empty() {
        units.push(unit(rest.to_owned(), at(column), at(column + width), false));
    }
}
