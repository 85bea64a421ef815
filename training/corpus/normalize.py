"""Turns raw text into a transcript: words, apostrophes inside words, and the marks `. , ?`.

What cannot be spoken unambiguously (digits, symbols, brackets, abbreviations, unknown words) rejects the sentence:
dropping a sentence costs nothing, a transcript that differs from the speech teaches the model to guess.
"""

import re

ALLOWED = re.compile(r"^[A-Za-z' .,?]+$")
WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*")
TITLES = re.compile(r"\b(Mr|Mrs|Ms|Dr)\.")
SINGLE_LETTERS = {"a", "i", "o"}
# Written alike or not at all: speech cannot tell which spelling was meant, or synthesizers disagree how to say it.
REJECTED = {"etc", "ie", "eg", "viz", "cf", "esp", "obs", "fig", "pl", "vs", "pp", "isbn", "www", "http", "html", "st"}
BRITISH = (
    (re.compile(r"our(?=$|s$|ed$|ing$|er$|ers$|ite$|ites$|able$|ably$|less$|ful$|fully$|y$|hood$)"), "or"),
    (re.compile(r"is(?=e$|es$|ed$|ing$|er$|ers$|ation$|ations$|able$)"), "iz"),
    (re.compile(r"ys(?=e$|es$|ed$|ing$)"), "yz"),
    (re.compile(r"re(?=$|s$|d$)"), "er"),
    (re.compile(r"ll(?=ed$|ing$|er$|ers$|or$|ors$|ous$)"), "l"),
    (re.compile(r"l(?=ment$|ments$|ful$|fully$)"), "ll"),
    (re.compile(r"c(?=e$|es$)"), "s"),
    (re.compile(r"(?<=[a-z])ogue(?=$|s$)"), "og"),
    (re.compile(r"ae"), "e"),
    (re.compile(r"oe"), "e"),
    (re.compile(r"grey"), "gray"),
    (re.compile(r"plough"), "plow"),
    (re.compile(r"e(?=ment$|ments$)"), ""),
)


class Lexicon:
    """The words a transcript may hold, and the one (American) spelling used for each."""

    def __init__(self, american, british, names):
        self.american = {w.lower() for w in american}
        self.british = {w.lower() for w in british} - self.american
        self.names = names
        self.spelling = {w: s for w in self.british if (s := self._american_of(w))}
        self.spelling |= {"grey": "gray", "greyish": "grayish", "o": "oh", "mamma": "mama"}

    def _american_of(self, word):
        for pattern, replacement in BRITISH:
            candidate = pattern.sub(replacement, word)
            if candidate != word and candidate in self.american:
                return candidate
        return None

    def accepts(self, word):
        lower = word.lower()
        if lower in REJECTED or (len(lower) == 1 and lower not in SINGLE_LETTERS):
            return False
        return lower in self.american or lower in self.british or lower in self.names

    def respell(self, word):
        new = self.spelling.get(word.lower())
        if new is None:
            return word
        return new.capitalize() if word[0].isupper() else new


def clean(text):
    """Unifies marks and drops quotes; returns None when something unspeakable is left."""
    text = text.replace("\u2019", "'").replace("\u2018", "'").replace("`", "'").replace("_", "")
    text = re.sub(r"[\"\u201c\u201d]", "", text)
    text = re.sub(r"\s*(--+|\u2014|\u2013|;|:)\s*", ", ", text)
    text = TITLES.sub(r"\1", text).replace("!", ".")
    text = re.sub(r"(?<=[A-Za-z])-(?=[A-Za-z])", " ", text)
    text = re.sub(r"(?<![A-Za-z])'+|'+(?![A-Za-z])", "", text)
    text = re.sub(r"\s+", " ", text).strip(" ,.-")
    text = re.sub(r"\s+([.,?])", r"\1", text)
    text = re.sub(r"([.,?])[.,?]+", r"\1", text)
    return text if text and ALLOWED.match(text) else None


def transcript(text, lexicon, shortest, longest):
    """The normalised sentence, or None."""
    question = text.rstrip("\"' )\u201d\u2019").endswith("?")
    text = clean(text)
    if text is None:
        return None
    words = WORD.findall(text)
    if not shortest <= len(words) <= longest:
        return None
    for word in words:
        if not lexicon.accepts(word) or (len(word) > 1 and word.isupper()):
            return None
    text = WORD.sub(lambda m: lexicon.respell(m.group()), text)
    text = re.sub(r"(?:^|(?<=[.?] ))[a-z]", lambda m: m.group().upper(), text)
    return text.rstrip(".,? ") + ("?" if question else ".")


def spoken_key(text):
    """What scoring compares: lower case words only."""
    return " ".join(WORD.findall(text.lower()))
