//! Aligns what two pieces heard around a seam: which words are the same word, which are two readings of one sound.

use crate::transcript::Word;

/// Words farther apart than this in time are never the same utterance of a word.
const SAME_GAP: f64 = 0.3;

/// One step of an alignment, in time order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Step<'a> {
    /// Both heard this word.
    Same(&'a Word, &'a Word),
    /// Both heard something at this time, and wrote it differently.
    Other(&'a Word, &'a Word),
    /// Only the left side heard it.
    Left(&'a Word),
    /// Only the right side heard it.
    Right(&'a Word),
}

/// The alignment with the best sum of scores; deterministic, order-preserving on both sides.
pub(super) fn align<'a>(a: &'a [Word], b: &'a [Word]) -> Vec<Step<'a>> {
    let width = b.len() + 1;
    let keys: Vec<String> = b.iter().map(|word| key(&word.text)).collect();
    // score[i * width + j]: the best for a[i..] against b[j..].
    let mut score = vec![0.0f64; (a.len() + 1) * width];
    let mut paired = vec![0.0f64; a.len() * width];
    for (i, left) in a.iter().enumerate().rev() {
        let left_key = key(&left.text);
        for (j, right) in b.iter().enumerate().rev() {
            let pair = pair_score(left, right, left_key == keys[j]);
            let skip = score[(i + 1) * width + j].max(score[i * width + j + 1]);
            paired[i * width + j] = pair;
            score[i * width + j] =
                if pair > 0.0 { skip.max(pair + score[(i + 1) * width + j + 1]) } else { skip };
        }
    }

    let (mut i, mut j) = (0, 0);
    let mut steps = Vec::with_capacity(a.len() + b.len());
    while let (Some(left), Some(right)) = (a.get(i), b.get(j)) {
        let (here, pair) = (score[i * width + j], paired[i * width + j]);
        let (skip_left, skip_right) = (score[(i + 1) * width + j], score[i * width + j + 1]);
        if pair > 0.0 && here > skip_left.max(skip_right) {
            steps.push(if key(&left.text) == keys[j] {
                Step::Same(left, right)
            } else {
                Step::Other(left, right)
            });
            (i, j) = (i + 1, j + 1);
        } else if here > skip_right || (here == skip_left && left.midpoint() <= right.midpoint()) {
            steps.push(Step::Left(left));
            i += 1;
        } else {
            steps.push(Step::Right(right));
            j += 1;
        }
    }
    steps.extend(a.iter().skip(i).map(Step::Left));
    steps.extend(b.iter().skip(j).map(Step::Right));
    steps
}

/// What makes two spellings one word: letters and digits, lower case. A word of marks only keeps its marks.
fn key(text: &str) -> String {
    let letters: String = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    if letters.is_empty() { text.to_owned() } else { letters }
}

/// How much two words speak for being one. The same letters count up to 1 and fade with the distance of the middles,
/// so that in "no no no" one close pair beats two far ones; different letters count a little if they share their time.
fn pair_score(left: &Word, right: &Word, same: bool) -> f64 {
    if same {
        let gap = left.start.max(right.start) - left.end.min(right.end);
        if gap >= SAME_GAP {
            return 0.0;
        }
        let tenths = (left.midpoint() - right.midpoint()) / 0.1;
        return 1.0 / (1.0 + tenths * tenths);
    }
    if covers(left, right) || covers(right, left) { 0.01 * overlap(left, right).max(0.01) } else { 0.0 }
}

/// Whether `over` fills more than half of the time of `word`.
pub(super) fn covers(over: &Word, word: &Word) -> bool {
    let length = word.end - word.start;
    length > 0.0 && overlap(over, word) > 0.5 * length
}

fn overlap(a: &Word, b: &Word) -> f64 {
    (a.end.min(b.end) - a.start.max(b.start)).max(0.0)
}
