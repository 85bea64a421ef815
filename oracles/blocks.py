"""Reference bytes and values for the GGUF block formats (writes fixtures/blocks/).

Decoding: every <TYPE>.bin holds random but valid block bytes and <TYPE>.f32 what the PyPI package `gguf` makes of
them; a decoder has to give the same bits. Encoding: input.f32 goes through the package's own quantiser where it has
one and through ggml's `ggml_quantize_chunk`; manifest.json keeps the root-mean-square errors that an encoder must not
exceed.

    pip install -r requirements-blocks.txt
    python blocks.py ../fixtures/blocks
"""

import argparse
import ctypes
import importlib.metadata
import json
import sys
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants

SEED = 20260521
BLOCKS = 64
ROWS, COLUMNS = 32, 512
FINITE_MAX = 4.0

# Byte offsets, inside one block, of the half-precision scale fields: these get sane values, all other bytes are random.
HALF_FIELDS = {
    "Q4_0": [0],
    "Q4_1": [0, 2],
    "Q5_0": [0],
    "Q5_1": [0, 2],
    "Q8_0": [0],
    "Q2_K": [80, 82],
    "Q3_K": [108],
    "Q4_K": [0, 2],
    "Q5_K": [0, 2],
    "Q6_K": [208],
    "IQ2_XXS": [0],
    "IQ4_NL": [0],
    "MXFP4": [],
}
DECODED = ["F16", "BF16", *HALF_FIELDS]
ENCODED = ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "MXFP4"]
GGML_DEQUANTIZE = {
    "F16": "ggml_fp16_to_fp32_row",
    "BF16": "ggml_bf16_to_fp32_row",
    "IQ2_XXS": "dequantize_row_iq2_xxs",
    "IQ4_NL": "dequantize_row_iq4_nl",
    "MXFP4": "dequantize_row_mxfp4",
}


def half_patterns(rng: np.random.Generator) -> np.ndarray:
    """2048 half-precision bit patterns: the edges (zeros, subnormals, largest, infinities), then random finite ones."""
    edges = np.array([0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x0400, 0x3C00, 0xBC00, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00])
    random = rng.integers(0, 1 << 16, size=4096)
    random = random[(random & 0x7C00) != 0x7C00]
    return np.concatenate([edges, random])[:2048].astype(np.uint16)


def brain_patterns(rng: np.random.Generator) -> np.ndarray:
    """2048 bfloat16 bit patterns, edges first. No NaN: its payload is nobody's contract."""
    edges = np.array([0x0000, 0x8000, 0x0001, 0x8001, 0x007F, 0x0080, 0x3F80, 0xBF80, 0x7F7F, 0xFF7F, 0x7F80, 0xFF80])
    random = rng.integers(0, 1 << 16, size=4096)
    random = random[(random & 0x7F80) != 0x7F80]
    return np.concatenate([edges, random])[:2048].astype(np.uint16)


def block_bytes(name: str, rng: np.random.Generator) -> np.ndarray:
    """BLOCKS blocks of a format, shape (BLOCKS, bytes per block): random payload, finite scales of both signs."""
    if name == "F16":
        return half_patterns(rng).view(np.uint8).reshape(1, -1)
    if name == "BF16":
        return brain_patterns(rng).view(np.uint8).reshape(1, -1)
    _, size = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    blocks = rng.integers(0, 256, size=(BLOCKS, size), dtype=np.uint8)
    for offset in HALF_FIELDS[name]:
        scale = rng.standard_normal(BLOCKS).astype(np.float16)
        scale[0] = 0.0
        scale[1] = np.float16(6e-8)  # the smallest subnormal
        scale[2] = np.float16(FINITE_MAX)
        blocks[:, offset : offset + 2] = scale.view(np.uint8).reshape(BLOCKS, 2)
    if name == "MXFP4":
        # An exponent of 2^(e-127): the two subnormal powers, one, and a spread that stays finite times 12.
        exponents = rng.integers(100, 150, size=BLOCKS, dtype=np.uint8)
        exponents[:4] = [0, 1, 2, 127]
        blocks[:, 0] = exponents
    return blocks


def sample_weights(rng: np.random.Generator) -> np.ndarray:
    """ROWS x COLUMNS float32 like a weight matrix: gaussian rows of several scales, outliers, zeros, constants."""
    rows = rng.standard_normal((ROWS, COLUMNS)) * np.exp(rng.uniform(-5, 0, size=(ROWS, 1)))
    rows[20:24] = rng.standard_t(3, size=(4, COLUMNS)) * 0.05  # heavy tails
    rows[24, ::64] *= 20.0  # one outlier per block of 32, every other block
    rows[25] = 0.0
    rows[26] = 0.125
    rows[27] = np.abs(rows[27])  # one sign only
    rows[28, :256] = 0.0  # half a row of zeros
    rows[29] *= 1e-6  # scales near the half-precision subnormals
    rows[30] = np.linspace(-1.0, 1.0, COLUMNS)
    return rows.astype(np.float32)


def rounding_edges(rng: np.random.Generator) -> np.ndarray:
    """256 float32 on and beside the rounding ties of half and bfloat16, subnormals and overflow included."""
    halves = half_patterns(rng)[12:44].view(np.float16).astype(np.float64)
    after = np.nextafter(halves.astype(np.float16), np.float16(np.inf)).astype(np.float64)
    ties = ((halves + after) / 2).astype(np.float32)
    brains = (brain_patterns(rng)[12:44].astype(np.uint32) << 16) | 0x8000
    values = np.concatenate([
        ties, np.nextafter(ties, np.float32(np.inf)), np.nextafter(ties, np.float32(-np.inf)),
        brains.view(np.float32), (brains + 1).view(np.float32), (brains - 1).view(np.float32),
        np.array([65504.0, 65519.996, 65520.0, -65520.0, 1e30, 2**-24, 2**-25, 2**-25 * 1.0001, 2**-26, 0.0, -0.0,
                  3.4e38, 3.3961776e38, -3.4e38, 1e-40, -1e-45], dtype=np.float32),
    ])
    fill = rng.standard_normal(256 - values.size).astype(np.float32)
    return np.concatenate([values, fill]).astype(np.float32)


class Ggml:
    """ggml's reference quantisers, out of the shared library that the pywhispercpp wheel carries."""

    def __init__(self, path: str | None):
        if path is None:
            files = importlib.metadata.files("pywhispercpp") or []
            libraries = [f for f in files if "pywhispercpp.libs/libggml-base" in str(f)]
            path = str(libraries[0].locate())
        self.path = path
        self.library = ctypes.CDLL(path)
        self.library.ggml_quantize_chunk.restype = ctypes.c_size_t
        self.library.ggml_quantize_chunk.argtypes = [
            ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 3, ctypes.c_void_p]
        self.library.ggml_version.restype = ctypes.c_char_p

    def version(self) -> str:
        return self.library.ggml_version().decode()

    def quantize(self, rows: np.ndarray, qtype: GGMLQuantizationType) -> np.ndarray:
        block, size = GGML_QUANT_SIZES[qtype]
        out = np.zeros((rows.shape[0], rows.shape[1] // block * size), dtype=np.uint8)
        written = self.library.ggml_quantize_chunk(
            int(qtype), rows.ctypes.data, out.ctypes.data, 0, rows.shape[0], rows.shape[1], None)
        if written != out.size:
            raise RuntimeError(f"ggml wrote {written} bytes of {qtype.name}, expected {out.size}")
        return out

    def dequantize(self, blocks: np.ndarray, qtype: GGMLQuantizationType) -> np.ndarray:
        block, size = GGML_QUANT_SIZES[qtype]
        out = np.empty(blocks.size // size * block, dtype=np.float32)
        name = GGML_DEQUANTIZE.get(qtype.name) or f"dequantize_row_{qtype.name.replace('Q', 'q')}"
        function = getattr(self.library, name)
        function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
        function.restype = None
        function(np.ascontiguousarray(blocks).ctypes.data, out.ctypes.data, out.size)
        return out


def rmse(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)))


def row_errors(rows: np.ndarray, decoded: np.ndarray) -> dict:
    per_row = np.sqrt(np.mean((rows.astype(np.float64) - decoded.astype(np.float64)) ** 2, axis=1))
    return {"rmse": rmse(rows, decoded), "row_rmse": [float(f"{v:.6e}") for v in per_row]}


def write_decoding(out: Path, ggml: Ggml) -> dict:
    table = {}
    for index, name in enumerate(DECODED):
        qtype = GGMLQuantizationType[name]
        blocks = block_bytes(name, np.random.default_rng([SEED, index]))
        values = quants.dequantize(blocks, qtype).astype(np.float32).reshape(-1)
        (out / f"{name}.bin").write_bytes(blocks.tobytes())
        (out / f"{name}.f32").write_bytes(values.astype("<f4").tobytes())
        block, size = GGML_QUANT_SIZES[qtype]
        same = np.array_equal(values.view(np.uint32), ggml.dequantize(blocks, qtype).view(np.uint32))
        table[name] = {"ggml_type": int(qtype), "block_values": block, "block_bytes": size, "values": values.size,
                       "ggml_same_bits": same}
    return table


def write_encoding(out: Path, ggml: Ggml) -> dict:
    rows = sample_weights(np.random.default_rng([SEED, 1000]))
    (out / "input.f32").write_bytes(rows.astype("<f4").tobytes())
    table = {}
    for name in ENCODED:
        qtype = GGMLQuantizationType[name]
        entry = {}
        reference = ggml.quantize(rows, qtype)
        entry["ggml"] = row_errors(rows, quants.dequantize(reference, qtype))
        (out / f"input.{name}.ggml.bin").write_bytes(reference.tobytes())
        try:
            packaged = quants.quantize(rows, qtype)
        except NotImplementedError:
            packaged = None
        if packaged is not None:
            packaged = packaged.view(np.uint8).reshape(ROWS, -1)
            entry["gguf"] = row_errors(rows, quants.dequantize(packaged, qtype))
            entry["same_bytes"] = bool(np.array_equal(packaged, reference))
            if not entry["same_bytes"]:
                (out / f"input.{name}.gguf.bin").write_bytes(packaged.tobytes())
        table[name] = entry
    edges = rounding_edges(np.random.default_rng([SEED, 2000]))
    (out / "half_edges.f32").write_bytes(edges.astype("<f4").tobytes())
    with np.errstate(over="ignore"):
        (out / "half_edges.F16.bin").write_bytes(edges.astype(np.float16).tobytes())
    brains = quants.quantize(edges.reshape(1, -1), GGMLQuantizationType.BF16)
    (out / "half_edges.BF16.bin").write_bytes(brains.tobytes())
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write, e.g. ../fixtures/blocks")
    parser.add_argument("--ggml", help="path of a libggml-base shared library (default: the one of pywhispercpp)")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    ggml = Ggml(arguments.ggml)
    manifest = {
        "made_by": "python oracles/blocks.py fixtures/blocks",
        "seed": SEED,
        "versions": {"gguf": importlib.metadata.version("gguf"), "numpy": np.__version__, "ggml": ggml.version()},
        "decode": write_decoding(arguments.out, ggml),
        "encode": {"rows": ROWS, "columns": COLUMNS, "types": write_encoding(arguments.out, ggml)},
    }
    (arguments.out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
