//! The lines of one cue: as few as it needs, of even length, broken after punctuation where that is near.

use super::units::{Edge, Unit};

/// Squared columns that breaking a line mid-phrase is worth: about five columns of unevenness.
const MID_PHRASE: f64 = 30.0;
/// Inside a word: only if nothing else fits.
const INSIDE_WORD: f64 = 1000.0;

/// Wraps `units` into at most `max_lines` lines of at most `max_line` columns, if they fit that; a unit that does not
/// fit has a line of its own.
pub(super) fn wrap(units: &[Unit], max_line: usize, max_lines: usize) -> Vec<String> {
    let count = fewest_lines(units, max_line).min(max_lines.max(1));
    if count <= 1 {
        return vec![line(units)];
    }
    let ideal = width(units) as f64 / count as f64;
    // best[k][j]: cost of units[..j] in k + 1 lines, and where the last of them starts.
    let mut best: Vec<Vec<(f64, usize)>> = Vec::with_capacity(count);
    for k in 0..count {
        let mut row = vec![(f64::INFINITY, 0); units.len() + 1];
        for (end, cell) in row.iter_mut().enumerate().skip(1) {
            for start in (0..end).rev() {
                let Some(part) = units.get(start..end) else { break };
                let columns = width(part);
                if columns > max_line && end - start > 1 {
                    break;
                }
                let before = match k.checked_sub(1).and_then(|above| best.get(above)) {
                    Some(above) => above.get(start).map_or(f64::INFINITY, |&(cost, _)| cost),
                    None if start == 0 => 0.0,
                    None => f64::INFINITY,
                };
                let cost = before + (columns as f64 - ideal).powi(2) + break_cost(units, end);
                if cost < cell.0 {
                    *cell = (cost, start);
                }
            }
        }
        best.push(row);
    }
    let mut lines = Vec::with_capacity(count);
    let mut end = units.len();
    for row in best.iter().rev() {
        let start = row.get(end).map_or(0, |&(_, start)| start);
        lines.push(line(units.get(start..end).unwrap_or_default()));
        end = start;
    }
    lines.reverse();
    lines
}

fn break_cost(units: &[Unit], end: usize) -> f64 {
    match units.get(end - 1) {
        Some(last) if end < units.len() => match last.edge {
            Edge::Sentence | Edge::Clause => 0.0,
            Edge::Word => MID_PHRASE,
            Edge::InsideWord => INSIDE_WORD,
        },
        _ => 0.0,
    }
}

fn fewest_lines(units: &[Unit], max_line: usize) -> usize {
    let (mut lines, mut columns) = (0, 0);
    for unit in units {
        let joined = columns + unit.width + usize::from(unit.spaced);
        if lines == 0 || joined > max_line {
            lines += 1;
            columns = unit.width;
        } else {
            columns = joined;
        }
    }
    lines
}

/// Columns of `units` on one line.
fn width(units: &[Unit]) -> usize {
    let spaces = units.iter().skip(1).filter(|unit| unit.spaced).count();
    units.iter().map(|unit| unit.width).sum::<usize>() + spaces
}

fn line(units: &[Unit]) -> String {
    let mut line = String::new();
    for unit in units {
        if unit.spaced && !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&unit.text);
    }
    line
}
