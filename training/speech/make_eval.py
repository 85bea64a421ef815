"""Speaks held-out sentences with every reported voice into 16 kHz WAV files and a manifest.

    TTS_PREFIX=... python -m speech.make_eval HELDOUT.txt OUT --per-voice 20 [--festival]

OUT/manifest.tsv has one line a clip: file name, voice, transcript. Voices are those of voices.REPORTED (heard in training,
though never with these sentences) and the held-out ones; --festival adds the festival voices (apt: festival,
festvox-kdlpc16k, festvox-us-slt-hts), whose engine training never hears.
"""

import argparse
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np

from speech import voices
from speech.engines import Espeak, Flite, default_prefix
from speech.resample import to_16k
from speech.synthesize import read_sentences, trim


def write_wav(path, samples):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.astype("<i2").tobytes())


def festival(voice, text):
    with tempfile.NamedTemporaryFile(suffix=".wav") as out:
        subprocess.run(["text2wave", "-eval", f"({voice})", "-o", out.name], input=text, text=True, check=True)
        with wave.open(out.name) as file:
            return np.frombuffer(file.readframes(file.getnframes()), np.int16), file.getframerate()


class Speaker:
    """Says a text in a voice named as in voices.py (`flite:rms`, `festival:ked_diphone`, `en-us+m1`)."""

    def __init__(self):
        self.espeak, self.flite = Espeak(default_prefix()), Flite(default_prefix(), list(voices.FLITE))

    def say(self, voice, text, words_per_minute=165):
        engine, _, name = voice.rpartition(":")
        if engine == "festival":
            samples, rate = festival(voices.HELDOUT_FESTIVAL[name], text)
        elif engine == "flite":
            self.flite.set_voice(name)
            samples, rate = self.flite.say(text)
        else:
            self.espeak.set_voice(voice, words_per_minute)
            samples, rate = self.espeak.say(text)
        # The engines' own silence is cut and 0.25 s of it put back, so every voice starts alike.
        return np.pad(to_16k(trim(samples), rate), 4000)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("heldout")
    parser.add_argument("out", type=Path)
    parser.add_argument("--per-voice", type=int, default=20)
    parser.add_argument("--festival", action="store_true")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    sentences = [s for s in read_sentences(args.heldout) if 4 <= len(s.split()) <= 20]
    speaker = Speaker()
    names = [*voices.REPORTED, *voices.HELDOUT_ESPEAK]
    if args.festival:
        names += [f"festival:{name}" for name in voices.HELDOUT_FESTIVAL]
    lines, at = [], 0
    for voice in names:
        for n in range(args.per_voice):
            text = sentences[at % len(sentences)]
            at += 1
            name = f"{voice.replace(':', '_').replace('+', '_')}_{n:03}.wav"
            # A little noise: exact digital silence does not occur in recordings.
            samples = speaker.say(voice, text)
            noise = np.random.default_rng(at).normal(0, 3, len(samples))
            write_wav(args.out / name, np.clip(np.rint(samples + noise), -32768, 32767))
            lines.append(f"{name}\t{voice}\t{text}\n")
    (args.out / "manifest.tsv").write_text("".join(lines), "utf-8")
    print(f"{len(lines)} clips in {args.out}")


if __name__ == "__main__":
    main()
