"""Build the fixtures: `python -m parakeet ../fixtures/parakeet` (all cases) or `--case NAME` for some."""

import argparse
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
TOLERANCES = {"mel.exact": 1e-5, "mel": 2e-4, "subsampling": 1e-4, "layer": 1e-4, "encoder": 1e-4, "ctc.log_probs": 1e-4,
              "confidence": 1e-3, "token_margin": 1e-3}


def keep_of(clip: str) -> str:
    return {"long15": "encoder", "tile70": "sample", "zeros": "encoder"}.get(clip, "all")


def decode_clips(model, case: Case, head: str, runs: dict) -> tuple[dict, str | None]:
    """Decode clip after clip, shortest first, and stop at the first complaint."""
    results = {}
    for name, run in runs.items():
        try:
            log_probs = ctc_log_probs(model, case, run.encoded) if head == "ctc" else None
            results[name] = decode(model, case, head, run.encoded, log_probs)
        except RuntimeError as error:  # NeMo cannot align its own words with the confidences
            return results, str(error).strip().splitlines()[0]
        if name == "zeros":
            continue
        reason = heads.complaint(case, head, results) if len(results) >= 5 else None
        if reason:
            return results, reason
    return results, None


def ctc_log_probs(model, case: Case, encoded: torch.Tensor) -> torch.Tensor:
    head = model.decoder if case.transducer is None else model.ctc_decoder
    return head(encoder_output=encoded.T.unsqueeze(0))[0]


def settle_heads(model, case: Case, runs: dict) -> dict[str, dict]:
    """Redraw every head until its results please; returns head -> clip -> Decoded."""
    stages = heads.Stages({name: run.encoded for name, run in runs.items() if name not in ("hop", "zeros", "tile70")})
    settled = {}
    for head in case.heads:
        reasons: dict[str, int] = {}
        for draw in range(heads.DRAWS):
            generator = torch.Generator().manual_seed(case.seed * 100_000 + draw)
            heads.redraw(model, case, head, stages, generator)
            results, reason = decode_clips(model, case, head, runs)
            if reason is None:
                print(f"{case.name} {head}: draw {draw}", file=sys.stderr)
                settled[head] = (draw, results)
                break
            kind = reason.split(" in ")[0].split(".")[0]
            reasons[kind] = reasons.get(kind, 0) + 1
        else:
            raise SystemExit(f"{case.name} {head}: no draw pleases: {reasons}")
    return settled


def batch_difference(model, case: Case, audio: dict, runs: dict) -> float:
    """Largest encoder difference between a padded batch and the same clips alone."""
    batch = reference.run_batch(model, case, [audio[name] for name in BATCH])
    return max(float((b.encoded - runs[name].encoded).abs().max()) for name, b in zip(BATCH, batch))


def make_case(case: Case, root: Path, audio: dict, pieces: list[str]) -> dict:
    started = time.time()
    folder = root / case.name
    folder.mkdir(parents=True, exist_ok=True)
    model = build(case, TOKENIZER)
    configure(model, case)
    names = [*SHORT, *case.long_clips, "zeros"]
    runs = {name: reference.run_batch(model, case, [audio[name]])[0] for name in names}
    with torch.no_grad():
        settled = settle_heads(model, case, runs)
    for name, run in runs.items():
        if "ctc" in case.heads:
            with torch.no_grad():
                run.log_probs = ctc_log_probs(model, case, run.encoded)
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
        entry["huggingface"] = huggingface.write_folder(model, case, root, folder / "hf", audio, runs)
    print(f"{case.name}: {time.time() - started:.0f} s", file=sys.stderr)
    return entry


def clip_entry(name: str, audio: dict, runs: dict, settled: dict) -> dict:
    heads_entry = {}
    for head, (_, results) in settled.items():
        result = results[name]
        heads_entry[head] = {"tokens": len(result.tokens), "text": result.text,
                             "smallest_margin": result.smallest_margin() if result.steps.margin else None,
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
    if not arguments.case:
        manifest["cases"] = {}
    manifest["nemo_mel_off_exact_max_rms"] = write_features(root, audio)
    for case in CASES:
        if not arguments.case or case.name in arguments.case:
            manifest["cases"][case.name] = make_case(case, root, audio, pieces)
    versions = ["nemo_toolkit", "torch", "transformers", "gguf", "numpy", "sentencepiece"]
    manifest |= {
        "made_by": "python -m parakeet ../fixtures/parakeet (in oracles/)",
        "versions": {name: importlib.metadata.version(name) for name in versions},
        "threads": 1, "tolerances": TOLERANCES,
        "tile70": {"samples": clip_module.TILE70_SAMPLES, "gains": clip_module.TILE70_GAINS, "rotation": 7919,
                   "rule": "k = i / n; (long15[(i % n + k * rotation) % n] * gains[k]) >> 3, n = samples of long15"},
    }
    manifest_path.write_text(json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
