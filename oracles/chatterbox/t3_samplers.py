"""What transformers' logits processors and Chatterbox's alignment analyser make of given numbers."""

from types import SimpleNamespace

import torch
from transformers.generation.logits_process import (LogitsProcessorList, MinPLogitsWarper, RepetitionPenaltyLogitsProcessor,
                                                    TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper)

VOCABULARY = 40


def numbers(x: torch.Tensor) -> list:
    """Elements as JSON has them: null for minus infinity."""
    return [None if v == float("-inf") else round(v, 7) for v in x.tolist()]


def multilingual(ids, cond, uncond, temperature, penalty, min_p, top_p, weight):
    """The order of T3.inference."""
    logits = cond + weight * (cond - uncond)
    logits = RepetitionPenaltyLogitsProcessor(penalty=float(penalty))(ids, logits)
    if temperature != 1.0:
        logits = logits / temperature
    logits = MinPLogitsWarper(min_p=min_p)(ids, logits)
    return TopPLogitsWarper(top_p=top_p)(ids, logits)


def turbo(ids, logits, temperature, top_k, top_p, penalty):
    """The order of T3.inference_turbo."""
    chain = LogitsProcessorList()
    if temperature > 0 and temperature != 1.0:
        chain.append(TemperatureLogitsWarper(temperature))
    if top_k > 0:
        chain.append(TopKLogitsWarper(top_k))
    if top_p < 1.0:
        chain.append(TopPLogitsWarper(top_p))
    if penalty != 1.0:
        chain.append(RepetitionPenaltyLogitsProcessor(penalty))
    return chain(ids, logits)


def chains() -> list[dict]:
    """Logits, ids and options with what is left of the logits."""
    g = torch.Generator().manual_seed(7)
    found = []
    for n in range(24):
        cond, uncond = (3 * torch.randn(1, VOCABULARY, generator=g).half().float() for _ in range(2))
        ids = torch.randint(VOCABULARY, (1, 1 + 3 * (n % 5)), generator=g)
        if n % 3 == 0:
            ids = torch.cat([ids, ids], 1)  # repeated tokens are penalised once
        if n % 2 == 0:
            options = dict(temperature=[0.8, 1.0, 0.3][n % 3], penalty=[2.0, 1.2, 1.0, 0.7][n % 4],
                           min_p=[0.05, 0.0, 0.2][n % 3], top_p=[1.0, 0.95, 0.6][n // 2 % 3], weight=[0.5, 0.0, 1.5][n % 3])
            left = multilingual(ids, cond, uncond, **options)
        else:
            options = dict(temperature=[0.8, 1.0, 0.3][n % 3], top_k=[1000, 0, 5, 1][n // 2 % 4], top_p=[0.95, 1.0, 0.5][n % 3],
                           penalty=[1.2, 1.0, 2.0][n // 2 % 3])
            left = turbo(ids, cond, **options)
        found.append({"kind": "multilingual" if n % 2 == 0 else "turbo", "options": options, "ids": ids[0].tolist(),
                      "cond": numbers(cond[0]), "uncond": numbers(uncond[0]), "left": numbers(left[0])})
    return found


def attention(kind: str, text: int, frames: int, g: torch.Generator) -> torch.Tensor:
    """Rows of attention over the text, `[frames + 1, text]`: the first step brings two."""
    rows = 0.02 * torch.rand(frames + 1, text, generator=g)
    for f in range(frames + 1):
        place = {"steady": f * 0.7, "stuck": min(f * 0.7, text - 1), "back": f * 0.7 if f * 0.7 < text else f * 0.5 % text,
                 "jump": (f * 5) % text, "still": 0, "end": text - 1}[kind]
        if int(place) < text:
            rows[f, int(place)] += 0.6
    return rows.half().float()


def analyses(analyser) -> list[dict]:
    """For each step what the analyser does to logits of zero: nothing, hold the stop token back, or force it."""
    found, g = [], torch.Generator().manual_seed(9)
    for kind, text, tokens in [("steady", 12, "distinct"), ("stuck", 12, "distinct"), ("back", 14, "distinct"),
                               ("jump", 11, "distinct"), ("still", 9, "twice"), ("steady", 6, "distinct"), ("end", 8, "distinct"),
                               ("back", 9, "twice")]:
        frames, start, stop = 45, 3, 1
        rows = attention(kind, text, frames, g)
        layers = [SimpleNamespace(self_attn=SimpleNamespace(register_forward_hook=lambda hook: None)) for _ in range(14)]
        a = analyser(SimpleNamespace(layers=layers), None, text_tokens_slice=(start, start + text), eos_idx=stop)
        steps, ids = [], []
        for f in range(frames):
            if f == 0:
                chunk = torch.zeros(start + text + 2, start + text + 2)
                chunk[-2:, start:start + text] = rows[:2]
            else:
                chunk = torch.zeros(1, start + text + 2 + f)
                chunk[0, start:start + text] = rows[f + 1]
            a.last_aligned_attns = [chunk] * 3
            token = f if tokens == "distinct" else [5, 6, 7, 8, 9, 9, 4][f % 7] if f > 8 else f
            logits = a.step(torch.zeros(1, 4), next_token=token)[0].tolist()
            ids.append(token)
            steps.append({(0.0, 0.0): "keep", (0.0, -32768.0): "hold", (-32768.0, 32768.0): "force"}[logits[0], logits[stop]])
        found.append({"kind": kind, "text": text, "rows": [round(v, 7) for v in rows.flatten().tolist()], "tokens": ids, "steps": steps})
    return found
