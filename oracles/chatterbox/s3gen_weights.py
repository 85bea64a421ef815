"""Weights that Python and Rust both compute, so that only what a model makes of them is stored.

Element i of a tensor: splitmix64 of FNV-1a(name) + i, its top 24 bits as a number in [-1, 1), times a power of two, plus an
offset. Every step is exact in float32 but the last addition, which rounds as IEEE 754 says.
"""

import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def fnv1a(name: str) -> np.uint64:
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return np.uint64(value)


def weights(name: str, shape: tuple[int, ...], scale: float, offset: float = 0.0) -> np.ndarray:
    count = int(np.prod(shape))
    with np.errstate(over="ignore"):
        z = fnv1a(name) + np.arange(1, count + 1, dtype=np.uint64) * GOLDEN
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    unit = (z >> np.uint64(40)).astype(np.float32) / np.float32(2**23) - np.float32(1)
    return (unit * np.float32(scale) + np.float32(offset)).reshape(shape)


def scale_of(fan_in: int, gain: float = 1.0) -> float:
    """A power of two near the one that keeps the variance of a sum of `fan_in` products."""
    return float(2.0 ** np.round(np.log2(gain * np.sqrt(3.0 / fan_in))))
