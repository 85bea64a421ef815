//! Made-up vocabularies that look like SentencePiece's: single letters, then syllables, half of them word starts.

const LETTERS: &str = "etaoinsrhldcumfpgwybvkxjqz'.,?-";
const ONSETS: [&str; 20] =
    ["b", "c", "d", "f", "g", "h", "l", "m", "n", "p", "r", "s", "t", "v", "w", "st", "tr", "ch", "sh", "pl"];
const VOWELS: [&str; 10] = ["a", "e", "i", "o", "u", "ai", "ea", "ou", "ie", "oo"];
const CODAS: [&str; 22] = [
    "", "n", "r", "s", "t", "l", "d", "m", "ng", "st", "nd", "rs", "ck", "sh", "th", "p", "b", "g", "f", "x",
    "nt", "ll",
];

/// Marks the start of a word.
const SPACE: char = '\u{2581}';

/// `count` different pieces, the first of them `<unk>`.
pub(super) fn pieces(count: usize) -> Vec<String> {
    let letters = LETTERS.chars().flat_map(|letter| [letter.to_string(), format!("{SPACE}{letter}")]);
    // The coda varies slowest, so that short vocabularies have short pieces.
    let syllables = CODAS.iter().flat_map(|coda| {
        VOWELS.iter().flat_map(move |vowel| ONSETS.iter().map(move |onset| format!("{onset}{vowel}{coda}")))
    });
    let syllables = syllables.flat_map(|syllable| [format!("{SPACE}{syllable}"), syllable]);
    // Beyond the syllables there is no end of numbers.
    let numbers = (0..).map(|n: usize| format!("{SPACE}{n}"));
    let head = ["<unk>".to_owned(), SPACE.to_string()];
    head.into_iter().chain(letters).chain(syllables).chain(numbers).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn pieces_differ() {
        for count in [1, 64, 1024, 8192, 13_087] {
            let pieces = pieces(count);
            assert_eq!(pieces.iter().collect::<HashSet<_>>().len(), count);
            assert_eq!(pieces[0], "<unk>");
        }
        assert!(pieces(8192).iter().skip(2).any(|piece| piece.starts_with(SPACE)));
    }
}
