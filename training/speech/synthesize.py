"""One process per core speaks the training sentences into shards for train.py, until told to stop.

    TTS_PREFIX=... python -m speech.synthesize SENTENCES OUT --workers 14 --hours 700

A worker speaks runs of sentences in one voice, so that train.py can join neighbours into longer clips of one speaker.
Shard k of worker w is OUT/w_k.pcm (int16, 16 kHz, one utterance after another) with OUT/w_k.npy (columns: first sample,
samples, sentence line, run). The .npy appears last and marks the shard as complete.
"""

import argparse
import os
import random
import time
from multiprocessing import Process
from pathlib import Path

import numpy as np

from speech import voices
from speech.engines import Espeak, Flite, default_prefix
from speech.resample import to_16k

RUN = 6
SHARD_SAMPLES = 16000 * 900
SHORTEST, LONGEST = 0.4, 30.0


def draw_voice(rng, espeak, flite):
    """Sets a random voice; returns (engine, tempo)."""
    tempo = rng.choice((1.0, 1.0, rng.uniform(0.86, 1.16), rng.uniform(0.8, 1.25)))
    if rng.random() < voices.FLITE_SHARE:
        voice = rng.choices(*zip(*voices.FLITE.items()))[0]
        flite.set_voice(voice, rng.uniform(0.75, 1.25), rng.uniform(*voices.FLITE_PITCH[voice]))
        return flite, tempo
    while True:
        accent = rng.choices(*zip(*voices.ACCENTS.items()))[0]
        voice = accent if rng.random() < 0.15 else f"{accent}+{rng.choice(voices.VARIANTS)}"
        if voice not in voices.HELDOUT_ESPEAK:
            break
    espeak.set_voice(voice, rng.triangular(115, 230, 165), rng.triangular(15, 85, 50), rng.triangular(20, 90, 50))
    return espeak, tempo


def trim(samples, level=40, keep=800):
    """Cuts the engines' own silence at both ends: train.py adds its own, of random length."""
    loud = np.flatnonzero(np.abs(samples) > level)
    if len(loud) == 0:
        return samples[:0]
    return samples[max(0, loud[0] - keep) : loud[-1] + keep]


def work(worker, workers, sentences, out, hours, seed):
    os.nice(10)
    rng = random.Random(seed * 1000 + worker)
    espeak, flite = Espeak(default_prefix()), Flite(default_prefix(), list(voices.FLITE))
    mine = list(range(worker, len(sentences), workers))
    budget = int(hours * 3600 * 16000 / workers)
    shard, run, written = 0, 0, 0
    pieces, index, at = [], [], 0

    def flush():
        nonlocal shard, pieces, index, at
        name = out / f"{worker}_{shard}"
        np.concatenate(pieces).tofile(f"{name}.pcm")
        np.save(f"{name}.part.npy", np.array(index, np.int64))
        os.rename(f"{name}.part.npy", f"{name}.npy")
        shard, pieces, index, at = shard + 1, [], [], 0

    # The first shard of every worker is small, so that training can start within seconds.
    limit = SHARD_SAMPLES // 8
    while written < budget and not (out / "stop").exists():
        rng.shuffle(mine)
        for first in range(0, len(mine), RUN):
            engine, tempo = draw_voice(rng, espeak, flite)
            run += 1
            for line in mine[first : first + RUN]:
                samples, rate = engine.say(sentences[line])
                samples = to_16k(trim(samples), rate, tempo)
                if not SHORTEST <= len(samples) / 16000 <= LONGEST:
                    continue
                pieces.append(samples)
                index.append((at, len(samples), line, run))
                at += len(samples)
            if at >= limit:
                written += at
                flush()
                limit = SHARD_SAMPLES
                if written >= budget or (out / "stop").exists():
                    return


def read_sentences(path):
    return [line.split("\t", 1)[1] for line in Path(path).read_text("utf-8").splitlines()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("sentences")
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=14)
    parser.add_argument("--hours", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    sentences = read_sentences(args.sentences)
    start = time.time()
    processes = [
        Process(target=work, args=(w, args.workers, sentences, args.out, args.hours, args.seed)) for w in range(args.workers)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    print(f"synthesis done after {time.time() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
