"""Raw English sentences out of the text packages that fetch_sources.sh unpacks.

Every generator yields (source name, raw text); `normalize.py` turns the text into what may be spoken and transcribed.
All of it is public domain or under a permissive licence, so that the weights carry no obligation: of the GCIDE, whose
compilation is GPL, only paragraphs marked as Webster's of 1913 or not marked at all are taken.
"""

import gzip
import os
import re
import subprocess
import zlib
from pathlib import Path

SENTENCE_END = re.compile(r"(?<=[.!?])[\"')]*\s+(?=[\"'(]?[A-Z])")
ABBREVIATION = re.compile(r"\b(Mr|Mrs|Ms|Dr|St|Esq|Messrs|Rev|Hon|Capt|Col|Gen|Lieut|No|viz|etc|vol|i\.e|e\.g)\.", re.I)


def sentences_of(text):
    """Splits running prose into sentences; abbreviation dots do not end one."""
    text = ABBREVIATION.sub(lambda m: m.group(1), re.sub(r"\s+", " ", text))
    return SENTENCE_END.split(text)


def austen(root):
    """The novels sit in an R lazy-load database: zlib chunks of XDR-serialised strings (CHARSXP, flags 0x..09)."""
    data = (root / "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb").read_bytes()
    lines = []
    at = 0
    while at + 4 < len(data):
        for skip in (4, 5):
            try:
                chunk = zlib.decompressobj()
                raw = chunk.decompress(data[at + skip :])
                at = len(data) - len(chunk.unused_data)
                break
            except zlib.error:
                continue
        else:
            at += 1
            continue
        for match in re.finditer(rb"\x00\x04[\x00-\x0f]\x09", raw):
            start = match.end()
            length = int.from_bytes(raw[start : start + 4], "big")
            if length < 200:
                lines.append(raw[start + 4 : start + 4 + length].decode("utf-8", "replace"))
    paragraph = []
    for line in lines:
        if line.strip():
            paragraph.append(line)
            continue
        for sentence in sentences_of(" ".join(paragraph).replace("--", ", ")):
            yield "austen", sentence
        paragraph = []


def world_english_bible(root):
    env = {**os.environ, "SWORD_PATH": str(root / "usr/share/sword")}
    modules = subprocess.run(
        ["diatheke", "-b", "system", "-k", "modulelistnames"], env=env, capture_output=True, text=True, check=True
    ).stdout.split()
    for module in modules:
        out = subprocess.run(
            ["diatheke", "-b", module, "-f", "plain", "-k", "Gen-Rev"], env=env, capture_output=True, text=True
        ).stdout
        verses = [re.sub(r"^.*?\d+:\d+:\s*", "", line) for line in out.splitlines()]
        for sentence in sentences_of(" ".join(verses)):
            # One name in thousands of verses would take BPE pieces of its own.
            yield "web", re.sub(r"(?:[Tt]he )?Yahweh", "the Lord", sentence)


def wordnet(root):
    for part in ("noun", "verb", "adj", "adv"):
        for line in (root / f"usr/share/wordnet/data.{part}").read_text("latin-1").splitlines():
            if " | " not in line:
                continue
            gloss = line.split(" | ", 1)[1]
            for example in re.findall(r'"([^"]+)"', gloss):
                yield "wordnet", example
            definition = re.sub(r'"[^"]*"', "", gloss).split(";")[0]
            definition = re.sub(r"\([^)]*\)", "", definition).strip()
            if part == "noun" and definition:
                yield "wordnet", definition
            elif definition and len(definition.split()) >= 4:
                yield "wordnet", definition


def webster_1913(root):
    text = gzip.open(root / "usr/share/dictd/gcide.dict.dz", "rt", encoding="utf-8", errors="replace").read()
    for paragraph in re.split(r"\n\s*\n|\[1913 Webster\]", text):
        if "\\" in paragraph or "[" in paragraph or "{" in paragraph or len(paragraph) < 20:
            continue
        paragraph = re.sub(r"--\s*[A-Z][\w. ]+$", "", paragraph.strip())
        paragraph = re.sub(r"^\(?[0-9a-z]{1,2}[.)]\s*", "", paragraph)
        for sentence in sentences_of(re.sub(r"\([A-Z][^)]*\)", "", paragraph)):
            yield "webster", sentence


def dictionary(root, name):
    text = gzip.open(root / f"usr/share/dictd/{name}.dict.dz", "rt", encoding="utf-8", errors="replace").read()
    for paragraph in re.split(r"\n\s*\n", text):
        paragraph = re.sub(r"\{([^}]*)\}", r"\1", paragraph)
        for sentence in sentences_of(paragraph):
            yield name, sentence


def all_sources(root):
    root = Path(root)
    yield from austen(root)
    yield from world_english_bible(root)
    yield from wordnet(root)
    yield from webster_1913(root)
    yield from dictionary(root, "devil")
    yield from dictionary(root, "jargon")
