"""Speaks the sample clips of assets/samples: NAME.wav (16 kHz mono 16 bit) and NAME.txt.

    TTS_PREFIX=... python -m speech.make_samples HELDOUT.txt ../assets/samples

Every sentence is of the held-out list (checked here), three of the voices are held out too, one clip is noisy, one is a
minute long.
"""

import sys
from pathlib import Path

import numpy as np

from speech.make_eval import Speaker, write_wav
from speech.synthesize import read_sentences

NOISE_FLOOR = 3.0
# name, voice, words per minute (espeak), signal-to-noise ratio in dB or None, sentences
CLIPS = (
    ("new-houses", "en+Lee", 165, None, ["New houses are springing up on an improved tract of land near the river."]),
    ("same-house", "en-us+Henrique", 160, None,
     ["And there, in the same house, under a similar confinement, was my unfortunate sister."]),
    ("so-kind", "flite:rms", None, None, ["He had never been so kind, so very kind to her in his life."]),
    ("normans", "flite:slt", None, None,
     ["The invasion and settlement of England by the Normans following the battle of Hastings."]),
    ("mr-allen", "flite:awb", None, None,
     ["And a trifling turn of mind were all that could account for her being the choice of a sensible, intelligent man "
      "like Mr Allen."]),
    ("the-town", "en-gb-scotland+m5", 165, None,
     ["As there is nothing to admire in the buildings themselves, the remarkable situation of the town, the principal "
      "street almost hurrying into the water."]),
    ("price", "en-us+linda", 170, None, ["That will be one hundred and five dollars and thirty nine cents."]),
    ("noisy-clock", "en-us+m3", 165, 12, ["A pendulum clock enclosed in a tall narrow case.",
                                           "Remind me to open the boat at half past eleven."]),
    ("minute", "en-us+f4", 160, None, None),
)
MINUTE_SENTENCES = 14


def pink(rng, samples):
    spectrum = np.fft.rfft(rng.normal(size=samples))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 20))
    noise = np.fft.irfft(spectrum, samples)
    return noise / np.sqrt(np.mean(noise**2))


def minute(heldout):
    """The first ordinary sentences of the novels in the held-out list."""
    with open(heldout, encoding="utf-8") as lines:
        novels = [line.rstrip("\n").split("\t")[1] for line in lines if line.startswith("austen\t")]
    return [s for s in novels if 8 <= len(s.split()) <= 16][:MINUTE_SENTENCES]


def main(heldout, out):
    known = set(read_sentences(heldout))
    speaker, rng = Speaker(), np.random.default_rng(7)
    Path(out).mkdir(parents=True, exist_ok=True)
    for name, voice, pace, snr, sentences in CLIPS:
        sentences = sentences or minute(heldout)
        if missing := [s for s in sentences if s not in known]:
            raise SystemExit(f"not held out: {missing}")
        audio = np.concatenate([speaker.say(voice, s, pace) for s in sentences]).astype(np.float64)
        audio += rng.normal(0, NOISE_FLOOR, len(audio))
        if snr is not None:
            audio += pink(rng, len(audio)) * np.sqrt(np.mean(audio**2)) * 10 ** (-snr / 20)
        write_wav(Path(out) / f"{name}.wav", np.clip(np.rint(audio), -32768, 32767))
        (Path(out) / f"{name}.txt").write_text(" ".join(sentences) + "\n", "utf-8")
        print(f"{name}: {len(audio) / 16000:.1f} s, {voice}")


if __name__ == "__main__":
    main(*sys.argv[1:])
