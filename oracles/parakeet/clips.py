"""Synthetic test clips: voiced, never silent, the same for every case.

Each clip is a harmonic series with a wandering pitch, three moving formants, fricative bursts and a noise floor. The
floor matters: on digitally silent bins NeMo's own f32 and f64 spectra differ by whole units of log-mel, so a silent
clip says nothing about an implementation. Lengths are chosen by floor(S / 160) mod 8, the residue that decides how
many encoder frames are valid.
"""

import wave
from pathlib import Path

import numpy as np

RATE = 16000
SEED = 41
# name -> samples
STORED = {
    "hop": 160,
    "tenth": 1600,
    "mod0": 240 * 160,
    "mod1": 201 * 160 + 80,
    "mod7": 263 * 160 + 159,
    "long15": 15 * RATE,
}
# Made by a rule from long15 (tile70) or from nothing (zeros): not stored.
TILE70_SAMPLES = 70 * RATE
TILE70_GAINS = [8, 5, 7, 4, 6]
ZEROS_SAMPLES = RATE


def _smooth_walk(rng: np.random.Generator, samples: int, knots_per_second: float, low: float,
                 high: float) -> np.ndarray:
    """A curve through uniform random knots, cosine-interpolated: a slow control signal."""
    knots = max(2, int(samples / RATE * knots_per_second) + 2)
    values = rng.uniform(low, high, knots)
    position = np.linspace(0, knots - 1.000001, samples)
    left = position.astype(int)
    blend = 0.5 - 0.5 * np.cos(np.pi * (position - left))
    return values[left] * (1 - blend) + values[left + 1] * blend


def speechlike(samples: int, rng: np.random.Generator) -> np.ndarray:
    """int16 samples of a voiced babble at 16 kHz."""
    time = np.arange(samples) / RATE
    pitch = _smooth_walk(rng, samples, 4, 95, 240)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    formants = [_smooth_walk(rng, samples, 7, low, high) for low, high in [(250, 850), (850, 2400), (2300, 3400)]]
    voiced = np.zeros(samples)
    for harmonic in range(1, 34):
        frequency = pitch * harmonic
        gain = sum(a / (1 + ((frequency - f) / w) ** 2) for f, a, w in zip(formants, [1.0, 0.6, 0.3], [90, 120, 180]))
        voiced += np.where(frequency < 7600, gain, 0) * np.sin(harmonic * phase + rng.uniform(0, 2 * np.pi))
    syllables = _smooth_walk(rng, samples, 9, -0.4, 1.0).clip(0.02, 1)
    voiced *= syllables
    noise = rng.standard_normal(samples)
    hiss = np.diff(noise, prepend=0.0)  # a first difference tilts the noise upwards, as a fricative does
    bursts = _smooth_walk(rng, samples, 11, -1.5, 1.0).clip(0, 1) ** 2
    # Pre-emphasis takes 30 dB off the lowest bins: a rumble keeps them, like the white floor the others, far above the
    # rounding of a single-precision transform.
    rumble = np.convolve(rng.standard_normal(samples + 255), np.hanning(256), "valid") / np.sqrt(96)
    signal = voiced / 3 + 0.12 * bursts * hiss + 0.03 * rng.standard_normal(samples) + 0.12 * rumble
    signal *= 0.9 + 0.1 * np.sin(2 * np.pi * 0.3 * time)
    return np.round(np.clip(signal * 0.45, -0.99, 0.99) * 32767).astype(np.int16)


def tile70(long15: np.ndarray) -> np.ndarray:
    """70 s out of long15, in integers only: block k is long15 rotated by k * 7919 samples, times GAINS[k] >> 3."""
    n = len(long15)
    index = np.arange(TILE70_SAMPLES)
    block = index // n
    source = long15[(index % n + block * 7919) % n].astype(np.int32)
    gains = np.array(TILE70_GAINS, dtype=np.int32)[block]
    return ((source * gains) >> 3).astype(np.int16)


def write_all(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index, (name, samples) in enumerate(STORED.items()):
        data = speechlike(max(samples, 800), np.random.default_rng([SEED, index]))[-samples:]
        with wave.open(str(folder / f"{name}.wav"), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(RATE)
            out.writeframes(data.astype("<i2").tobytes())


def load_all(folder: Path) -> dict[str, np.ndarray]:
    """Every clip, the rule-made ones included, as float32 in [-1, 1)."""
    clips = {}
    for name in STORED:
        with wave.open(str(folder / f"{name}.wav"), "rb") as file:
            clips[name] = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    clips["tile70"] = tile70(clips["long15"])
    clips["zeros"] = np.zeros(ZEROS_SAMPLES, dtype=np.int16)
    return {name: data.astype(np.float32) / 32768.0 for name, data in clips.items()}
