//! Stop strings: text is given out up to the first of them, and what might be the beginning of one waits until it
//! can't be any more.

/// One stop string with the failure function of Knuth, Morris and Pratt, so that each byte is looked at once however
/// the text was cut into pieces.
#[derive(Debug, Clone)]
struct Stop {
    bytes: Vec<u8>,
    /// For each length of a matched prefix, the length of its longest border.
    borders: Vec<usize>,
    matched: usize,
}

impl Stop {
    fn new(text: &str) -> Stop {
        let bytes = text.as_bytes().to_vec();
        let mut borders = vec![0; bytes.len() + 1];
        let mut border = 0;
        for at in 1..bytes.len() {
            while border > 0 && bytes[at] != bytes[border] {
                border = borders[border];
            }
            border += usize::from(bytes[at] == bytes[border]);
            borders[at + 1] = border;
        }
        Stop { bytes, borders, matched: 0 }
    }

    /// Whether the string ends at this byte.
    fn step(&mut self, byte: u8) -> bool {
        while self.matched > 0 && self.bytes[self.matched] != byte {
            self.matched = self.borders[self.matched];
        }
        self.matched += usize::from(self.bytes[self.matched] == byte);
        self.matched == self.bytes.len()
    }
}

/// Watches a text for stop strings.
#[derive(Debug, Clone)]
pub struct StopStrings {
    stops: Vec<Stop>,
    /// Text that may yet be the beginning of a stop string.
    held: String,
    stopped: bool,
}

impl StopStrings {
    /// Empty strings are passed over.
    pub fn new<S: AsRef<str>>(stops: impl IntoIterator<Item = S>) -> StopStrings {
        let stops = stops.into_iter().filter(|stop| !stop.as_ref().is_empty());
        StopStrings {
            stops: stops.map(|stop| Stop::new(stop.as_ref())).collect(),
            held: String::new(),
            stopped: false,
        }
    }

    /// Takes the next piece and gives what is certain to be said. The first stop string to end decides, the longest of
    /// those that end together; neither it nor anything after it is given out.
    pub fn push(&mut self, text: &str) -> String {
        if self.stopped {
            return String::new();
        }
        let seen = self.held.len();
        self.held.push_str(text);
        for (at, byte) in text.bytes().enumerate() {
            let mut longest = 0;
            for stop in &mut self.stops {
                if stop.step(byte) {
                    longest = longest.max(stop.bytes.len());
                }
            }
            if longest > 0 {
                self.stopped = true;
                self.held.truncate(seen + at + 1 - longest);
                return std::mem::take(&mut self.held);
            }
        }
        // A stop string begins with the first byte of a character, so this is a character's boundary.
        let keep = self.stops.iter().map(|stop| stop.matched).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        std::mem::replace(&mut self.held, rest)
    }

    /// Ends the text: gives what was held back.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Whether a stop string came.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.stopped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn beginnings_are_held_back() {
        let mut watch = StopStrings::new(["\n\n", "END", ""]);
        assert_eq!(watch.push("one\n"), "one");
        assert_eq!(watch.push("two E"), "\ntwo ");
        assert_eq!(watch.push("N"), "");
        assert_eq!(watch.push("NEN"), "ENN");
        assert_eq!(watch.push("D and more"), "");
        assert!(watch.stopped());
        assert_eq!(watch.push("more") + &watch.finish(), "");
    }

    #[test]
    fn the_first_to_end_decides() {
        let mut watch = StopStrings::new(["bc", "abcd", "abc"]);
        assert_eq!(watch.push("xabcd"), "x");
        let mut watch = StopStrings::new(["bc", "abcd"]);
        assert_eq!(watch.push("xabcd"), "xa");
    }

    #[test]
    fn an_end_gives_what_was_held() {
        let mut watch = StopStrings::new(["ü!"]);
        assert_eq!(watch.push("aü"), "a");
        assert_eq!(watch.finish(), "ü");
        assert!(!watch.stopped());
    }

    proptest! {
        #[test]
        fn pieces_equal_the_definition(
            stops in prop::collection::vec("[abü]{1,4}", 0..4),
            pieces in prop::collection::vec("[abücx]{0,5}", 0..10),
        ) {
            let mut watch = StopStrings::new(&stops);
            let mut said: String = pieces.iter().map(|piece| watch.push(piece)).collect();
            said += &watch.finish();
            let text = pieces.concat();
            let first = (0..=text.len())
                .filter(|&end| text.is_char_boundary(end))
                .find_map(|end| stops.iter().filter(|stop| text[..end].ends_with(*stop)).map(|stop| end - stop.len()).min());
            prop_assert_eq!(watch.stopped(), first.is_some());
            prop_assert_eq!(said, &text[..first.unwrap_or(text.len())]);
        }
    }
}
