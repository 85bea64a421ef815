//! Name patterns: `*` stands for any run of characters, dots included, `?` for any one.

use std::fmt;

/// A pattern for tensor names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Whether the whole name fits.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut p, mut n) = (0, 0);
        // Where to go on if what follows the last star does not fit: give the star one more character. Earlier stars
        // need no second try, so this is quadratic at worst.
        let mut retry: Option<(usize, usize)> = None;
        while n < name.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    retry = Some((p + 1, n));
                    p += 1;
                }
                Some(&c) if c == b'?' || c == name[n] => {
                    p += 1;
                    n += 1;
                }
                _ => {
                    let Some((after, from)) = retry else { return false };
                    retry = Some((after, from + 1));
                    (p, n) = (after, from + 1);
                }
            }
        }
        pattern[p..].iter().all(|&c| c == b'*')
    }
}

impl From<&str> for Glob {
    fn from(pattern: &str) -> Glob {
        Glob(pattern.to_owned())
    }
}

impl From<String> for Glob {
    fn from(pattern: String) -> Glob {
        Glob(pattern)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        let fits = |pattern: &str, name: &str| Glob::from(pattern).matches(name);
        assert!(fits("encoder.layers.*.weight", "encoder.layers.11.self_attn.linear_q.weight"));
        assert!(fits("*", "") && fits("*", "joint.enc.weight") && fits("", ""));
        assert!(fits("*feed_forward?.linear?*", "encoder.layers.0.feed_forward1.linear2.weight"));
        assert!(fits("*.weight", "a.weight.weight"));
        assert!(fits("a*b*c", "aXbYbZc") && !fits("a*b*c", "aXbYbZ"));
        assert!(!fits("encoder.*", "decoder.x") && !fits("a?", "a") && !fits("", "a"));
        // Quadratic, not exponential.
        assert!(!fits(&"*a".repeat(40), &"a".repeat(39).replace('a', "ab")));
    }
}
