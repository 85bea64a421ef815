"""Build the fixtures: `python -m parakeet ../fixtures/parakeet` (all cases) or `--case NAME` for some."""

import argparse
import collections
import importlib.metadata
import json
import logging
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch

from . import clips as clip_module
from . import export, features, heads, huggingface, reference, tokenizer
from .cases import CASES, Case, build
from .decode import configure, decode

TOKENIZER = Path("tokenizer")  # inside the output folder
SHORT = ["mod0", "mod1", "mod7", "hop", "tenth"]
BATCH = ["mod0", "mod1", "mod7", "tenth"]
# Largest difference allowed, relative to the largest magnitude of the reference tensor; features absolute.
TOLERANCES = {"mel.exact": 1e-5, "mel": 2e-4, "subsampling": 1e-4, "layer": 1e-4, "encoder": 1e-4,
              "ctc.log_probs": 1e-4, "confidence": 1e-3, "token_margin": 1e-3}


def keep_of(clip: str) -> str:
    return {"long15": "encoder", "tile70": "sample", "zeros": "encoder"}.get(clip, "all")


def settle_heads(model, case: Case, runs: dict, first: dict[str, int]) -> dict[str, tuple[int, dict]]:
    """Redraw every head until it pleases, from draw `first` on; returns head -> (draw, clip -> Decoded)."""
    encoded = {name: run.encoded for name, run in runs.items()}
    basis = {name: rows for name, rows in encoded.items() if name not in ("hop", "zeros", "tile70")}
    settled = {}
    for head in case.heads:
        reasons = collections.Counter()
        for draw in range(first.get(head, 0), heads.DRAWS):
            generator = torch.Generator().manual_seed(case.seed * 100_000 + draw)
            heads.redraw(model, case, head, basis, generator)
            reason = heads.complaint(model, case, head, encoded)
            if reason is None:
                try:
                    settled[head] = (draw, decode_clips(model, case, head, encoded))
                    break
                except RuntimeError:  # NeMo finds another number of words than of word confidences
                    reason = "words and confidences do not match"
            reasons[reason] += 1
        print(f"{case.name} {head}: draw {draw}, refused {dict(reasons)}", file=sys.stderr)
        if head not in settled:
            raise SystemExit("no draw pleases")
    return settled


def decode_clips(model, case: Case, head: str, encoded: dict[str, torch.Tensor]) -> dict:
    return {name: decode(model, case, head, rows, heads.ctc_log_probs(model, case, rows) if head == "ctc" else None)
            for name, rows in encoded.items()}


def batch_difference(model, case: Case, audio: dict, runs: dict) -> float:
    """Largest encoder difference between a padded batch and the same clips alone."""
    batch = reference.run_batch(model, case, [audio[name] for name in BATCH])
    return max(float((b.encoded - runs[name].encoded).abs().max()) for name, b in zip(BATCH, batch))


def make_case(case: Case, root: Path, audio: dict, pieces: list[str], first: dict[str, int]) -> dict:
    started = time.time()
    folder = root / case.name
    folder.mkdir(parents=True, exist_ok=True)
    model = build(case, TOKENIZER)
    configure(model, case)
    names = [*SHORT, *case.long_clips, "zeros"]
    runs = {name: reference.run_batch(model, case, [audio[name]])[0] for name in names}
    with torch.no_grad():
        settled = settle_heads(model, case, runs, first)
    for name, run in runs.items():
        if "ctc" in case.heads:
            with torch.no_grad():
                run.log_probs = heads.ctc_log_probs(model, case, run.encoded)
        decoded = {head: results[name] for head, (_, results) in settled.items()}
        reference.write_reference(case, name, len(audio[name]), run, decoded, keep_of(name),
                                  folder / f"{name}.ref.gguf")
    tensors = export.write_model(model, case, pieces, folder / "model.gguf")
    entry = {
        "arch": case.arch, "options": case.options(), "tensors": tensors,
        "draws": {head: draw for head, (draw, _) in settled.items()},
        "batch": {"clips": BATCH, "largest_difference_from_single": batch_difference(model, case, audio, runs)},
        "clips": {name: clip_entry(name, audio, runs, settled) for name in names},
    }
    if case.archive:
        model.save_to(str(folder / "model.nemo"))
    if case.huggingface:
        entry["huggingface"] = huggingface.write_folder(
            model, case, TOKENIZER / "tokenizer.model", len(pieces), folder / "hf", audio, runs)
    print(f"{case.name}: {time.time() - started:.0f} s", file=sys.stderr)
    return entry


def clip_entry(name: str, audio: dict, runs: dict, settled: dict) -> dict:
    heads_entry = {}
    for head, (_, results) in settled.items():
        result = results[name]
        heads_entry[head] = {"tokens": len(result.tokens), "text": result.text,
                             "smallest_margin": result.steps.smallest_margin() if result.steps.margin else None,
                             "forced": result.steps.forced}
    return {"samples": len(audio[name]), "mel_frames": runs[name].mel.shape[0],
            "encoder_frames": runs[name].encoded.shape[0], "kept": keep_of(name), "heads": heads_entry}


def write_features(root: Path, audio: dict) -> dict:
    """Features per mel count, from a case that has it; returns NeMo's largest and rms distance from the exact ones."""
    distance = {}
    for mels in sorted({case.mels for case in CASES}):
        case = next(c for c in CASES if c.mels == mels)
        model = build(case, TOKENIZER)
        (root / "mel").mkdir(exist_ok=True)
        for name in SHORT:
            run = reference.run_batch(model, case, [audio[name]])[0]
            front = model.preprocessor.featurizer
            exact = features.exact(audio[name], front.window.numpy(), front.fb.numpy()[0])
            off = run.mel.numpy() - exact
            distance[f"{mels}.{name}"] = [float(np.abs(off).max()), float(np.sqrt((off**2).mean()))]
            reference.write_mel(run, exact, name, len(audio[name]), root / "mel" / f"{mels}.{name}.ref.gguf")
    return distance


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder to write, e.g. ../fixtures/parakeet")
    parser.add_argument("--case", action="append", choices=[c.name for c in CASES], help="only this case (repeatable)")
    parser.add_argument("--known-draws", action="store_true",
                        help="start the search for output heads at the draws in the manifest (the same result, sooner)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.INFO)
    root = arguments.out.resolve()
    root.mkdir(parents=True, exist_ok=True)
    os.chdir(root)  # NeMo writes the tokenizer's path into the archives: keep it relative
    if not (TOKENIZER / "tokenizer.model").exists():
        tokenizer.train(TOKENIZER)
    pieces = tokenizer.load_pieces(TOKENIZER)
    clip_module.write_all(root / "clips")
    audio = clip_module.load_all(root / "clips")
    manifest_path = root / "manifest.json"
    manifest = json.loads(manifest_path.read_text()) if manifest_path.exists() else {"cases": {}}
    manifest["nemo_mel_off_exact_max_rms"] = write_features(root, audio)
    for case in CASES:
        if not arguments.case or case.name in arguments.case:
            first = manifest["cases"].get(case.name, {}).get("draws", {}) if arguments.known_draws else {}
            manifest["cases"][case.name] = make_case(case, root, audio, pieces, first)
    tiled = np.round(audio["tile70"].astype(np.float64) * 32768).astype(np.int64)
    versions = ["nemo_toolkit", "torch", "transformers", "gguf", "numpy", "sentencepiece"]
    manifest |= {
        "made_by": "python -m parakeet ../fixtures/parakeet (in oracles/)",
        "versions": {name: importlib.metadata.version(name) for name in versions},
        "threads": 1, "tolerances": TOLERANCES,
        "tile70": {"samples": clip_module.TILE70_SAMPLES, "gains": clip_module.TILE70_GAINS, "rotation": 7919,
                   "sum": int(tiled.sum()), "sum_of_squares": int((tiled**2).sum()),
                   "rule": "k = i / n; (long15[(i % n + k * rotation) % n] * gains[k]) >> 3, n = samples of long15"},
    }
    manifest_path.write_text(json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
