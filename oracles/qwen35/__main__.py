"""Build the fixtures: `python -m qwen35 ../fixtures/qwen35`.

The reference is transformers' float32 logits of a prompt in one piece (its chunked delta rule). How far its own other paths
are from that, pieces and single tokens, is in the manifest.
"""

import argparse
import importlib.metadata
import json
import sys
from pathlib import Path

import gguf
import numpy as np
import torch

from . import draft, export
from .cases import CASES, Case, build

TOKENS = 150
PIECES = {"whole": [TOKENS], "pieces": [1, 7, 64, 78], "tokens": [1] * TOKENS}


def logits(model, tokens: torch.Tensor, pieces: list[int]) -> np.ndarray:
    """Logits of every position, `[tokens, vocabulary]`, with the cache carried from piece to piece."""
    found, cache, at = [], None, 0
    with torch.no_grad():
        for n in pieces:
            out = model(input_ids=tokens[None, at:at + n], past_key_values=cache, use_cache=True)
            cache, at = out.past_key_values, at + n
            found.append(out.logits[0])
    return torch.cat(found).double().numpy()


def nmse(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(((found - wanted) ** 2).sum() / (wanted**2).sum())


def make_case(case: Case, root: Path) -> dict:
    folder = root / case.name
    folder.mkdir(parents=True, exist_ok=True)
    model, predictor = build(case)
    generator = torch.Generator().manual_seed(2000 + case.seed)
    tokens = torch.randint(case.vocabulary, (TOKENS,), generator=generator)
    tensors = export.write_model(model, predictor, case, folder / "model.gguf")
    single = {name: logits(model, tokens, pieces) for name, pieces in PIECES.items()}
    wanted = single["whole"]
    margins = np.sort(wanted, axis=1)
    w = gguf.GGUFWriter(str(folder / "logits.gguf"), "mynah-reference")
    w.add_array("ref.tokens", [int(t) for t in tokens])
    w.add_tensor("logits", wanted.astype(np.float32))
    if predictor is not None:
        for name, x in draft.references(model, predictor, tokens).items():
            w.add_tensor(name, x)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return {"options": case.options(), "seed": case.seed, "tensors": tensors, "tokens": TOKENS,
            "logit_rms": float(np.sqrt((wanted**2).mean())),
            "smallest_margin": float((margins[:, -1] - margins[:, -2]).min()),
            "nmse_of_transformers": {name: nmse(found, wanted) for name, found in single.items() if name != "whole"}}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder to write, e.g. ../fixtures/qwen35")
    root = parser.parse_args().out.resolve()
    torch.set_num_threads(1)
    manifest = {"cases": {case.name: make_case(case, root) for case in CASES},
                "made_by": "python -m qwen35 ../fixtures/qwen35 (in oracles/)", "threads": 1,
                "versions": {name: importlib.metadata.version(name) for name in ["torch", "transformers", "gguf", "numpy"]}}
    (root / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    print(json.dumps({name: entry["nmse_of_transformers"] for name, entry in manifest["cases"].items()}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
