//! Chinese glyphs as Cangjie codes: what the multilingual tokenizer has tokens for (`[cj_a]` … `[cj_.]`) in place of
//! some ten thousand glyphs. The table is that of the model's folder, `Cangjie5_TC.json`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::OnceLock;

use super::error::SpeechError;
use crate::bpe::classes::ranges;

/// Larger than any table of codes for all of Unicode.
const MAX_BYTES: u64 = 64 << 20;

/// Codes by glyph. The default has none.
#[derive(Debug, Clone, Default)]
pub struct Cangjie {
    /// Code, and which of the glyphs with this code it is.
    codes: HashMap<char, (String, usize)>,
}

impl Cangjie {
    /// Takes rows of a glyph, a tab, its code, and perhaps more behind another tab. Of several rows for a glyph the last
    /// counts; glyphs of one code are numbered in the order of the rows.
    ///
    /// # Errors
    /// [`SpeechError::Cangjie`] for a row without a tab, or no rows.
    pub fn from_rows(rows: &[String]) -> Result<Cangjie, SpeechError> {
        if rows.is_empty() {
            return Err(SpeechError::Cangjie { what: "it has no rows".to_owned() });
        }
        let mut sizes: HashMap<&str, usize> = HashMap::new();
        let mut places: HashMap<(&str, &str), usize> = HashMap::new();
        let mut last: HashMap<char, (&str, &str)> = HashMap::new();
        for (at, row) in rows.iter().enumerate() {
            let mut fields = row.split('\t');
            let (Some(glyph), Some(code)) = (fields.next(), fields.next()) else {
                return Err(SpeechError::Cangjie { what: format!("row {at}, {row:?}, has no tab") });
            };
            let size = sizes.entry(code).or_default();
            places.entry((code, glyph)).or_insert(*size);
            *size += 1;
            // Texts are looked up character by character, so other rows only take a number.
            let mut chars = glyph.chars();
            if let (Some(glyph_char), None) = (chars.next(), chars.next()) {
                last.insert(glyph_char, (code, glyph));
            }
        }
        let codes = last
            .into_iter()
            .map(|(glyph, key)| (glyph, (key.0.to_owned(), places.get(&key).copied().unwrap_or_default())));
        Ok(Cangjie { codes: codes.collect() })
    }

    /// Reads `Cangjie5_TC.json`: a JSON list of rows.
    ///
    /// # Errors
    /// [`SpeechError::Cangjie`].
    pub fn from_json(json: &str) -> Result<Cangjie, SpeechError> {
        Cangjie::from_rows(&Cangjie::rows(json)?)
    }

    /// The rows of `Cangjie5_TC.json`, for those who put them into a file.
    ///
    /// # Errors
    /// [`SpeechError::Cangjie`].
    pub fn rows(json: &str) -> Result<Vec<String>, SpeechError> {
        serde_json::from_str(json).map_err(|error| SpeechError::Cangjie { what: error.to_string() })
    }

    /// Reads the table from a file.
    ///
    /// # Errors
    /// [`SpeechError::Cangjie`].
    pub fn from_file(path: &Path) -> Result<Cangjie, SpeechError> {
        let broken = |what: String| SpeechError::Cangjie { what: format!("{}: {what}", path.display()) };
        let size = std::fs::metadata(path).map_err(|error| broken(error.to_string()))?.len();
        if size > MAX_BYTES {
            return Err(broken(format!("{size} bytes are more than any table has")));
        }
        let json = std::fs::read_to_string(path).map_err(|error| broken(error.to_string()))?;
        Cangjie::from_json(&json)
    }

    /// The text with every letter without case that has a code spelt as `[cj_a][cj_b][cj_.]`; a number behind the code
    /// tells glyphs of one code apart. Words are not cut apart: the reference does so with a segmenter (pkuseg) if that
    /// is installed, and there is none here.
    pub(super) fn spell(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match self.codes.get(&c).filter(|_| is_other_letter(c)) {
                None => out.push(c),
                Some((code, place)) => {
                    let number = if *place > 0 { place.to_string() } else { String::new() };
                    for letter in code.chars().chain(number.chars()).chain(['.']) {
                        // Writing to a string cannot fail.
                        let _ = write!(out, "[cj_{letter}]");
                    }
                }
            }
        }
        out
    }
}

/// `\p{Lo}`
fn is_other_letter(c: char) -> bool {
    static TABLE: OnceLock<Vec<(u32, u32)>> = OnceLock::new();
    let table = TABLE.get_or_init(|| ranges(r"\p{Lo}"));
    let code = u32::from(c);
    let after = table.partition_point(|&(first, _)| first <= code);
    after.checked_sub(1).and_then(|at| table.get(at)).is_some_and(|&(_, last)| code <= last)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a table that should be read")]
    use super::*;

    fn table(rows: &[&str]) -> Result<Cangjie, SpeechError> {
        Cangjie::from_rows(&rows.iter().map(|&row| row.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn glyphs_of_one_code_are_numbered() {
        let table =
            table(&["日\ta", "曰\ta\t9", "明\tab", "日月\ta", "昌\ta", "x\tzz", "明\tab", "木\td", "木\te"])
                .unwrap();
        assert_eq!(
            table.spell("日,曰!x"),
            "[cj_a][cj_.],[cj_a][cj_1][cj_.]!x",
            "x is no letter without case"
        );
        assert_eq!(table.spell("昌明木"), "[cj_a][cj_3][cj_.][cj_a][cj_b][cj_.][cj_e][cj_.]");
        assert_eq!(table.spell("水か"), "水か");
    }

    #[test]
    fn broken_tables() {
        for (json, part) in [("[]", "no rows"), ("[\"日\"]", "no tab"), ("{}", "invalid type"), ("[", "EOF")]
        {
            let error = Cangjie::from_json(json).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert!(Cangjie::from_file(Path::new("/nowhere")).is_err());
    }
}
