//! Word error rate, for the tables of the models' cards.

use std::fmt;
use std::ops::AddAssign;

/// The words of a text as they are compared: lower case, everything but letters, digits and apostrophes inside a word
/// taken as a space.
///
/// # Examples
/// ```
/// use mynah_lab::wer::words;
/// assert_eq!(words("Well, it's a twenty-one!"), ["well", "it's", "a", "twenty", "one"]);
/// ```
pub fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase().replace('\u{2019}', "'");
    let apart = |c: char| !(c.is_alphanumeric() || c == '\'' || is_combining(c));
    let pieces = lower.split(apart).map(|piece| piece.trim_matches('\''));
    pieces.filter(|piece| !piece.is_empty()).map(str::to_owned).collect()
}

/// Accents that follow their letter in decomposed text.
fn is_combining(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}

/// The fewest edits that turn a reference into what was heard, added up over any number of texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WordErrors {
    /// Words of the reference.
    pub words: usize,
    /// Words taken for others.
    pub substitutions: usize,
    /// Words not heard.
    pub deletions: usize,
    /// Words heard that were not said.
    pub insertions: usize,
}

impl WordErrors {
    /// The errors of `heard` against `reference`, both normalised by [`words`].
    pub fn between(reference: &str, heard: &str) -> Self {
        Self::between_words(&words(reference), &words(heard))
    }

    /// The errors between two lists of words (Levenshtein, all edits costing the same).
    pub fn between_words<T: PartialEq>(reference: &[T], heard: &[T]) -> Self {
        // `row[j]` holds the edits from the reference so far to the first `j` words heard.
        let mut row: Vec<Self> =
            (0..=heard.len()).map(|insertions| Self { insertions, ..Self::default() }).collect();
        for (i, said) in reference.iter().enumerate() {
            let mut diagonal = row[0];
            row[0] = Self { deletions: i + 1, ..Self::default() };
            for (j, word) in heard.iter().enumerate() {
                let above = row[j + 1];
                let mut best = diagonal;
                best.substitutions += usize::from(said != word);
                let deleted = Self { deletions: above.deletions + 1, ..above };
                let inserted = Self { insertions: row[j].insertions + 1, ..row[j] };
                for other in [deleted, inserted] {
                    if other.errors() < best.errors() {
                        best = other;
                    }
                }
                diagonal = above;
                row[j + 1] = best;
            }
        }
        Self { words: reference.len(), ..row.last().copied().unwrap_or_default() }
    }

    /// All edits.
    pub fn errors(&self) -> usize {
        self.substitutions + self.deletions + self.insertions
    }

    /// Errors per word of the reference. Words heard in silence count as errors of one word each.
    pub fn rate(&self) -> f64 {
        self.errors() as f64 / self.words.max(1) as f64
    }
}

impl AddAssign for WordErrors {
    fn add_assign(&mut self, other: Self) {
        self.words += other.words;
        self.substitutions += other.substitutions;
        self.deletions += other.deletions;
        self.insertions += other.insertions;
    }
}

impl fmt::Display for WordErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { words, substitutions, deletions, insertions } = self;
        let percent = 100.0 * self.rate();
        write!(
            f,
            "{percent:.2} % ({substitutions} wrong, {deletions} missing, {insertions} extra of {words})"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(reference: &str, heard: &str) -> [usize; 4] {
        let e = WordErrors::between(reference, heard);
        [e.words, e.substitutions, e.deletions, e.insertions]
    }

    #[test]
    fn normalising_keeps_what_is_said() {
        assert_eq!(words("  Don\u{2019}t   STOP -- 'now', O'Neil's! "), ["don't", "stop", "now", "o'neil's"]);
        assert_eq!(words("Größe: 3,5 m\u{a0}²"), ["größe", "3", "5", "m", "²"]);
        assert_eq!(words("cafe\u{301} ÉTÉ"), ["cafe\u{301}", "été"]);
        assert!(words(" … '' - ").is_empty());
    }

    #[test]
    fn edits_by_hand() {
        assert_eq!(errors("the cat sat", "The cat sat."), [3, 0, 0, 0]);
        assert_eq!(errors("the cat sat", "the dog sat"), [3, 1, 0, 0]);
        assert_eq!(errors("the cat sat", "cat sat"), [3, 0, 1, 0]);
        assert_eq!(errors("the cat sat", "the big cat sat"), [3, 0, 0, 1]);
        assert_eq!(errors("a b c d e", "b c x e f"), [5, 1, 1, 1]);
        assert_eq!(errors("", "two words"), [0, 0, 0, 2]);
        assert_eq!(errors("two words", ""), [2, 0, 2, 0]);
        assert_eq!(errors("", ""), [0, 0, 0, 0]);
    }

    #[test]
    fn rates_add_up_over_texts() {
        let mut total = WordErrors::between("a b c", "a x c");
        total += WordErrors::between("d", "d e");
        assert_eq!((total.words, total.errors()), (4, 2));
        assert_eq!(total.rate(), 0.5);
        assert_eq!(total.to_string(), "50.00 % (1 wrong, 0 missing, 1 extra of 4)");
        assert_eq!(WordErrors::between("", "x y").rate(), 2.0);
    }

    #[test]
    fn the_distance_is_the_levenshtein_distance() {
        // kitten → sitting is the textbook's three edits.
        let letters = |s: &str| s.chars().collect::<Vec<_>>();
        assert_eq!(WordErrors::between_words(&letters("kitten"), &letters("sitting")).errors(), 3);
        assert_eq!(WordErrors::between_words(&letters("saturday"), &letters("sunday")).errors(), 3);
    }
}
