"""Build T3's fixtures: `python chatterbox/t3.py ../fixtures/chatterbox/t3` (a script, since the package `chatterbox` must be the
installed one).

The reference is `chatterbox.models.t3.t3.T3`, run by its own `inference` and `inference_turbo`. Only `torch.multinomial` is replaced:
by the largest probability, or by the inverse of the cumulative sum in float64 at numbers that are recorded.
"""

import argparse
import importlib.metadata
import json
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from chatterbox.models.t3.inference.alignment_stream_analyzer import AlignmentStreamAnalyzer
from chatterbox.models.t3.modules.cond_enc import T3Cond

import t3_samplers
from t3_cases import CASES, Case, build
from t3_export import write_model

MULTINOMIAL = torch.multinomial


class Draws:
    """Stands in for torch.multinomial; keeps what it was given, and how far the best is above the next."""

    def __init__(self, uniforms):
        self.uniforms, self.used, self.margin = uniforms, [], float("inf")

    def __call__(self, probs, num_samples):
        p = probs[0].double()
        if self.uniforms is None:
            best = p.topk(2).values
            self.margin = min(self.margin, float((best[0] / best[1]).log()) if best[1] > 0 else self.margin)
            return probs.argmax(-1, keepdim=True)
        u = self.uniforms[len(self.used)]
        self.used.append(u)
        sums = p.cumsum(0)
        return torch.searchsorted(sums, torch.tensor([u * sums[-1].item()], dtype=torch.float64), right=True)[None]


def run(model, case: Case, voice: dict, draws: Draws, **options) -> dict:
    """Tokens as the model returns them, the rows it reads before the first, and the logits of every step, `[steps, rows, V]`."""
    logits, first = [], []
    cond = T3Cond(speaker_emb=voice["speaker"][None], cond_prompt_speech_tokens=torch.tensor([voice["prompt"]]),
                  emotion_adv=options.pop("exaggeration", 0.5) * torch.ones(1, 1, 1))
    hooks = [model.speech_head.register_forward_hook(lambda _, __, y: logits.append(y[:, -1].clone())),
             model.tfmr.register_forward_pre_hook(lambda _, __, kw: first.append(kw["inputs_embeds"].clone()), with_kwargs=True)]
    torch.multinomial = draws
    try:
        with torch.inference_mode():
            if case.is_gpt:
                tokens = model.inference_turbo(cond, torch.tensor([voice["text"]]), max_gen_len=case.steps - 1, **options)
            else:
                text = torch.tensor([[case.start_text, *voice["text"], case.stop_text]] * 2)
                tokens = model.inference(t3_cond=cond, text_tokens=text, max_new_tokens=case.steps, **options)
    finally:
        torch.multinomial = MULTINOMIAL
        for hook in hooks:
            hook.remove()
    for layer in getattr(model.tfmr, "layers", []):
        # The analyser never takes its own away.
        layer.self_attn._forward_hooks.clear()
    return {"tokens": tokens[0].tolist(), "prefix": first[0], "logits": torch.stack(logits)}


def runs(case: Case) -> dict[str, dict]:
    """The options of each run; `sampled` means with random numbers."""
    if case.is_gpt:
        # Nothing is cut before the penalty, which comes last.
        whole = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}
        return {"greedy": whole, "greedy_unpenalised": whole | {"repetition_penalty": 1.0},
                "sampled": {"sampled": True}, "sampled_tight": {"sampled": True, "temperature": 0.6, "top_k": 9, "top_p": 0.8}}
    if case.name == "aligned":
        return {"greedy": {"repetition_penalty": 1.2}, "sampled": {"sampled": True, "repetition_penalty": 1.2, "top_p": 1.0}}
    multilingual = {"repetition_penalty": 2.0, "top_p": 1.0, "min_p": 0.05, "cfg_weight": 0.5}
    return {"greedy": multilingual, "greedy_unguided": multilingual | {"cfg_weight": 0.0},
            "greedy_excited": {"repetition_penalty": 1.2, "cfg_weight": 0.8, "exaggeration": 0.9},
            "sampled": {"sampled": True, **multilingual},
            "sampled_tight": {"sampled": True, "temperature": 0.5, "repetition_penalty": 1.2, "top_p": 0.8, "min_p": 0.1}}


def make_case(case: Case, root: Path) -> dict:
    folder = root / case.name
    folder.mkdir(parents=True, exist_ok=True)
    model = build(case)
    g = torch.Generator().manual_seed(2000 + case.seed)
    voice = {"speaker": torch.randn(case.speaker, generator=g),
             "prompt": torch.randint(case.start_speech, (case.prompt,), generator=g).tolist(),
             "text": torch.randint(1, case.text_vocabulary, (case.text,), generator=g).tolist()}
    tensors = write_model(model, case, voice, folder / "model.gguf")
    w = gguf.GGUFWriter(str(folder / "reference.gguf"), "mynah-reference")
    w.add_array("ref.text", voice["text"])
    report = {}
    for name, options in runs(case).items():
        options = dict(options)
        uniforms = None
        if options.pop("sampled", False):
            uniforms = torch.rand(case.steps + 1, generator=torch.Generator().manual_seed(3000 + case.seed), dtype=torch.float32).tolist()
        draws = Draws(uniforms)
        found = run(model, case, voice, draws, **options)
        w.add_array(f"{name}.tokens", found["tokens"])
        if uniforms is not None:
            w.add_array(f"{name}.uniforms", draws.used)
        if name == "greedy":
            w.add_tensor("prefix", found["prefix"].numpy())
            w.add_tensor("logits", found["logits"].numpy())
        report[name] = {"options": options, "tokens": len(found["tokens"]), "distinct": len(set(found["tokens"]))}
        if uniforms is None:
            report[name]["smallest_margin"] = draws.margin
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return {"options": case.options(), "seed": case.seed, "tensors": tensors, "runs": report}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder to write, e.g. ../fixtures/chatterbox/t3")
    root = parser.parse_args().out.resolve()
    torch.set_num_threads(1)
    manifest = {"cases": {case.name: make_case(case, root) for case in CASES},
                "made_by": "python chatterbox/t3.py ../fixtures/chatterbox/t3 (in oracles/)", "threads": 1,
                "versions": {name: importlib.metadata.version(name)
                             for name in ["chatterbox-tts", "torch", "transformers", "gguf", "numpy"]}}
    (root / "samplers.json").write_text(json.dumps(t3_samplers.chains()) + "\n")
    (root / "analyser.json").write_text(json.dumps(t3_samplers.analyses(AlignmentStreamAnalyzer)) + "\n")
    (root / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    print(json.dumps({name: entry["runs"] for name, entry in manifest["cases"].items()}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
