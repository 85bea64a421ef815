"""Batches out of the growing pool of synthesized shards, in a few fixed shapes so that each is one CUDA graph.

A row is a stretch of neighbouring utterances of a shard (mostly one voice) with pauses between them, as long as its
bucket allows; so clips of every length up to half a minute are seen without padding half of the batch away.
"""

import queue
import random
import threading
import time
from pathlib import Path

import numpy as np
import torch

RATE = 16000
# Seconds (whole multiples of 80 ms), share of the batches, most tokens a row may have.
BUCKETS = ((4.0, 0.16, 40), (7.2, 0.26, 64), (11.2, 0.22, 92), (16.0, 0.18, 124), (30.4, 0.18, 224))
SHORT_ONLY = (0.5, 0.5, 0.0, 0.0, 0.0)


class Pool:
    """The complete shards of a folder; `refresh` picks up new ones."""

    def __init__(self, folder):
        self.folder, self.shards, self.known, self.samples = Path(folder), [], set(), 0

    def refresh(self):
        for index in self.folder.glob("*_*.npy"):
            if index.name in self.known or ".part" in index.name:
                continue
            self.known.add(index.name)
            audio = np.memmap(index.with_suffix(".pcm"), np.int16, "r")
            self.shards.append((audio, np.load(index)))
            self.samples += len(audio)

    @property
    def hours(self):
        return self.samples / RATE / 3600


class Batch:
    """Pinned host buffers of one batch."""

    def __init__(self, bucket, rows, samples, tokens):
        self.bucket = bucket
        pin = torch.cuda.is_available()
        self.audio = torch.zeros(rows, samples, dtype=torch.int16, pin_memory=pin)
        self.targets = torch.zeros(rows, tokens, dtype=torch.int32, pin_memory=pin)
        self.lengths = torch.zeros(rows, dtype=torch.int32, pin_memory=pin)
        self.counts = torch.zeros(rows, dtype=torch.int32, pin_memory=pin)


class Loader:
    """Threads that fill batches; `next` hands one out, `done` takes it back for refilling."""

    def __init__(self, folder, tokens, batch_seconds, seed, threads=3):
        self.pool, self.tokens = Pool(folder), tokens
        self.shapes = [(max(1, int(batch_seconds / s)), int(s * RATE), most) for s, _, most in BUCKETS]
        self.shares = SHORT_ONLY
        self.free = [queue.Queue() for _ in BUCKETS]
        for bucket, shape in enumerate(self.shapes):
            for _ in range(4):
                self.free[bucket].put(Batch(bucket, *shape))
        self.ready = queue.Queue(8)
        self.stopped = False
        while not self.pool.shards:
            time.sleep(0.5)
            self.pool.refresh()
        for i in range(threads):
            threading.Thread(target=self._fill_forever, args=(random.Random(seed + i), i == 0), daemon=True).start()

    def next(self):
        return self.ready.get()

    def done(self, batch):
        self.free[batch.bucket].put(batch)

    def _fill_forever(self, rng, refreshes):
        last = 0.0
        while not self.stopped:
            if refreshes and time.time() - last > 2:
                self.pool.refresh()
                last = time.time()
            bucket = rng.choices(range(len(BUCKETS)), self.shares)[0]
            batch = self.free[bucket].get()
            self.fill(batch, rng)
            self.ready.put(batch)

    def fill(self, batch, rng):
        audio, targets = batch.audio.numpy(), batch.targets.numpy()
        lengths, counts = batch.lengths.numpy(), batch.counts.numpy()
        for row in range(len(audio)):
            used = 0
            while used == 0:
                used = self._fill_row(audio[row], targets[row], counts, row, rng)
            audio[row, used:] = 0
            lengths[row] = used

    def _fill_row(self, audio, targets, counts, row, rng):
        samples, index = rng.choice(self.pool.shards)
        at = rng.randrange(len(index))
        room = len(audio) - int(rng.uniform(0, 0.15) * RATE)
        position, token_count, run = int(rng.triangular(0.02, 0.6, 0.1) * RATE), 0, index[at][3]
        audio[:position] = 0
        end, skipped = 0, 0
        while at < len(index):
            first, length, line, this_run = index[at]
            if this_run != run and rng.random() < 0.4:
                break
            tokens = self.tokens[line]
            if position + length > room or token_count + len(tokens) > len(targets):
                skipped += 1
                at += 1
                if skipped > 3:
                    break
                continue
            run = this_run
            audio[position : position + length] = samples[first : first + length]
            targets[token_count : token_count + len(tokens)] = tokens
            token_count += len(tokens)
            end = position + length
            pause = int(rng.triangular(0.1, 1.0, 0.3) * RATE)
            audio[end : min(end + pause, len(audio))] = 0
            position = end + pause
            at += 1
        if end == 0:
            return 0
        counts[row] = token_count
        return min(len(audio), end + int(rng.triangular(0.02, 0.6, 0.1) * RATE))
