"""Writes the sentence lists that are spoken: OUT/train.txt and OUT/heldout.txt, one transcript a line.

    python -m corpus.build WORK/text OUT

A sentence belongs to the held-out list by a hash of its words, before long sentences are cut into clauses, so no clause
of a held-out sentence is ever trained on. Lines are `source<TAB>transcript`.
"""

import collections
import hashlib
import random
import re
import sys
from pathlib import Path

from corpus import sources, templates
from corpus.normalize import WORD, Lexicon, clean, spoken_key, transcript

HELDOUT_ONE_IN = 100
SHORTEST, LONGEST = 2, 28
TEMPLATE_SENTENCES = 45_000
WORD_SALADS = 45_000
NAME_COUNT = 8


def read_words(path):
    return [w for w in Path(path).read_text("utf-8").split("\n") if re.fullmatch(r"[A-Za-z]+(?:'[A-Za-z]+)?", w)]


def names_of(raw, known):
    """Capitalised words that the sources use often enough inside a sentence to be learnt."""
    counts = collections.Counter()
    for source, text in raw:
        for match in re.finditer(r"(?<=[a-z,] )[A-Z][a-z]{2,}\b", text):
            counts[match.group().lower()] += 1
    return {w for w, n in counts.items() if n >= NAME_COUNT and w not in known}


def is_heldout(text):
    digest = hashlib.sha256(spoken_key(text).encode()).digest()
    return int.from_bytes(digest[:4], "big") % HELDOUT_ONE_IN == 0


def clauses(text):
    """A sentence too long to speak at once, cut at marks into pieces of at most LONGEST words."""
    piece = []
    for part in re.split(r"(?<=[,;:])\s+|\s*--+\s*", text):
        words = part.split()
        if piece and len(piece) + len(words) > LONGEST:
            yield " ".join(piece)
            piece = []
        piece += words
    if piece:
        yield " ".join(piece)


def main(text_root, out):
    dictionary = Path(text_root) / "usr/share/dict"
    american = read_words(dictionary / "american-english")
    british = read_words(dictionary / "british-english")
    raw = list(sources.all_sources(text_root))
    known = {w.lower() for w in american} | {w.lower() for w in british}
    lexicon = Lexicon(american, british, names_of(raw, known))

    rng = random.Random(20260)
    for _ in range(TEMPLATE_SENTENCES):
        raw.append(("template", templates.sentence(rng)))
    common = [w for w in american if len(w) > 2 and "'" not in w and not w.isupper()]
    for _ in range(WORD_SALADS):
        raw.append(("salad", templates.word_salad(rng, common)))

    seen, lists, counts = set(), {True: [], False: []}, collections.Counter()
    for source, text in raw:
        cleaned = clean(text)
        if cleaned is None:
            continue
        heldout = source != "salad" and is_heldout(text)
        for piece in clauses(text):
            sentence = transcript(piece, lexicon, SHORTEST, LONGEST)
            if sentence is None or (key := spoken_key(sentence)) in seen:
                continue
            seen.add(key)
            lists[heldout].append((source, sentence))
            counts[source, heldout] += 1
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for heldout, name in ((False, "train.txt"), (True, "heldout.txt")):
        rng.shuffle(lists[heldout])
        (out / name).write_text("".join(f"{s}\t{t}\n" for s, t in lists[heldout]), "utf-8")
    words = sum(len(WORD.findall(t)) for _, t in lists[False])
    print(f"train {len(lists[False])} sentences, {words} words; held out {len(lists[True])}")
    for (source, heldout), n in sorted(counts.items()):
        print(f"  {source:10} {'heldout' if heldout else 'train':8} {n}")


if __name__ == "__main__":
    main(*sys.argv[1:])
