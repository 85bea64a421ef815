//! What a pre-split rule asks about a character: letter, mark, number, white space. One table, built once from the
//! Unicode data that `regex-syntax` carries, so that classes mean what they mean in a regex.

use std::sync::OnceLock;

use regex_syntax::hir::{Class as HirClass, HirKind};

/// The classes a pre-split rule tells apart. General categories are disjoint and no white space is a letter, mark or
/// number, so a character has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// `\p{L}`
    Letter,
    /// `\p{M}`
    Mark,
    /// `\p{N}`
    Number,
    /// `\s`, the property White_Space
    Space,
    /// Everything else: punctuation, symbols, controls, unassigned code points.
    Other,
}

/// How many code points have an entry of their own: the basic multilingual plane, where nearly all text is.
const DIRECT: usize = 0x1_0000;

pub(super) struct Classes {
    direct: Vec<Class>,
    /// Ranges above the direct part, ascending: first, last, class.
    above: Vec<(u32, u32, Class)>,
}

impl Classes {
    /// The one table of the process.
    pub(super) fn get() -> &'static Classes {
        static TABLE: OnceLock<Classes> = OnceLock::new();
        TABLE.get_or_init(Classes::build)
    }

    pub(super) fn of(&self, c: char) -> Class {
        let code = u32::from(c);
        if let Some(&class) = self.direct.get(code as usize) {
            return class;
        }
        let after = self.above.partition_point(|&(first, _, _)| first <= code);
        match after.checked_sub(1).map(|at| self.above[at]) {
            Some((_, last, class)) if code <= last => class,
            _ => Class::Other,
        }
    }

    fn build() -> Classes {
        let mut direct = vec![Class::Other; DIRECT];
        let mut above = Vec::new();
        let classes = [
            (r"\p{L}", Class::Letter),
            (r"\p{M}", Class::Mark),
            (r"\p{N}", Class::Number),
            (r"\s", Class::Space),
        ];
        for (pattern, class) in classes {
            for (first, last) in ranges(pattern) {
                for code in first..=last.min(DIRECT as u32 - 1) {
                    direct[code as usize] = class;
                }
                if last as usize >= DIRECT {
                    above.push((first.max(DIRECT as u32), last, class));
                }
            }
        }
        above.sort_unstable_by_key(|&(first, _, _)| first);
        Classes { direct, above }
    }
}

/// The code points of a regex class. The patterns are fixed, so that they parse is a matter of the tests below.
pub(crate) fn ranges(pattern: &str) -> Vec<(u32, u32)> {
    let Ok(hir) = regex_syntax::parse(pattern) else { return Vec::new() };
    match hir.kind() {
        HirKind::Class(HirClass::Unicode(class)) => {
            class.ranges().iter().map(|range| (u32::from(range.start()), u32::from(range.end()))).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_have_their_class() {
        let classes = Classes::get();
        for (c, class) in [
            ('a', Class::Letter),
            ('日', Class::Letter),
            ('\u{10400}', Class::Letter),
            ('\u{2a6d6}', Class::Letter),
            ('\u{301}', Class::Mark),
            ('\u{1d165}', Class::Mark),
            ('\u{e0100}', Class::Mark),
            ('7', Class::Number),
            ('½', Class::Number),
            ('Ⅷ', Class::Number),
            ('\u{1d7ce}', Class::Number),
            (' ', Class::Space),
            ('\u{85}', Class::Space),
            ('\u{3000}', Class::Space),
            ('\u{200b}', Class::Other),
            ('\u{1f600}', Class::Other),
            ('\0', Class::Other),
            ('\u{10ffff}', Class::Other),
        ] {
            assert_eq!(classes.of(c), class, "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn white_space_is_the_same_for_std() {
        let classes = Classes::get();
        for c in '\0'..=char::MAX {
            assert_eq!(classes.of(c) == Class::Space, c.is_whitespace(), "U+{:04X}", u32::from(c));
        }
    }
}
