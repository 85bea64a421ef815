"""Weights that need no file: every element is an integer hash of its tensor's name and its index, which the Rust tests compute too.

    seed   = FNV-1a, 64 bits, of the name in the GGUF file
    z      = seed + (index + 1) · 0x9E3779B97F4A7C15                       (all arithmetic modulo 2^64)
    z      = (z ^ z >> 30) · 0xBF58476D1CE4E5B9;  z = (z ^ z >> 27) · 0x94D049BB133111EB;  z = z ^ z >> 31
    u      = (z >> 40) / 2^23 - 1                                          (24 bits, in [-1, 1))
    value  = float32(offset + scale · u)                                   (in float64 before it is rounded)
"""

from pathlib import Path

import numpy as np
import torch


def hashed(name: str, shape: tuple[int, ...], scale: float, offset: float) -> np.ndarray:
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    u = (z >> np.uint64(40)).astype(np.float64) / 2**23 - 1
    return (offset + scale * u).astype(np.float32).reshape(shape)


class Tensors:
    """What a GGUF file of the case holds, as the lines of its list."""

    def __init__(self):
        self.lines: list[str] = []

    def key(self, name: str, value):
        kind = {int: "u32", float: "f32", str: "str"}[type(value)]
        self.lines.append(f"key {name} {kind} {value}")

    def make(self, name: str, shape: tuple[int, ...], scale: float, offset: float = 0.0) -> torch.Tensor:
        scale, offset = float(f"{scale:.6g}"), float(f"{offset:.6g}")
        self.lines.append(f"tensor {name} {','.join(map(str, shape))} {scale:g} {offset:g}")
        return torch.from_numpy(hashed(name, tuple(shape), scale, offset))

    def write(self, path: Path):
        path.write_text("\n".join(self.lines) + "\n")


def fan_in(x: torch.Tensor) -> int:
    return max(1, x.numel() // x.shape[0])


def fill(module: torch.nn.Module, prefix: str, tensors: Tensors, gains: dict[str, float]):
    """Gives a module hashed weights under the names that the converter of chatterbox.cpp would give them. Batch norms are stored
    folded: their statistics are made such that scale and shift are the affine parameters. `gains` are by the end of a name."""
    state, filled = module.state_dict(), {}
    norms = {name.rsplit(".", 1)[0] for name in state if name.endswith("running_var")}

    def gain(name: str) -> float:
        return next((g for end, g in gains.items() if name.endswith(end)), 1.0)

    for name, x in state.items():
        stem, last = name.rsplit(".", 1) if "." in name else ("", name)
        path = prefix + name.replace(".", "/")
        if last in ("num_batches_tracked", "_mel_filters", "window", "similarity_weight", "similarity_bias"):
            filled[name] = x
        elif stem in norms:
            base = prefix + stem.replace(".", "/")
            affine = f"{stem}.weight" in state
            if last == "running_var":
                # s = 1 / sqrt(var + eps) without an affine part; with one, s is the weight itself.
                s = tensors.make(f"{base}/s", x.shape, 0.2, 1.0)
                filled[name] = torch.full_like(x, 1 - 1e-5) if affine else (1 / s.double() ** 2 - 1e-5).float()
                b = tensors.make(f"{base}/b", x.shape, 0.1)
                filled[f"{stem}.running_mean"] = torch.zeros_like(x) if affine else -b / s
                if affine:
                    filled[f"{stem}.weight"], filled[f"{stem}.bias"] = s, b
        elif x.ndim == 1 and "ln" in stem.rsplit(".", 1)[-1] and last == "weight":
            filled[name] = tensors.make(path, x.shape, 0.2, 1.0)
        elif x.ndim == 1:
            filled[name] = tensors.make(path, x.shape, 0.1 * gain(name))
        else:
            filled[name] = tensors.make(path, x.shape, gain(name) * (3 / fan_in(x)) ** 0.5)
    module.load_state_dict(filled, strict=True)
    module.eval()
