"""Greedy decoding twice over: NeMo's own decoders, and a plain walk that also records every step's top-2 margin.

The walk shares NeMo's prediction and joint modules and nothing else; its tokens, frames and durations must be NeMo's
(checked on every clip), so the margins it stores belong to the path that NeMo took.
"""

from dataclasses import dataclass, field

import torch
from omegaconf import OmegaConf

from .cases import Case

# parakeet.cpp's confidence: NeMo's max_prob with alpha 1, that is (N p - 1) / (N - 1), minimum over a word's tokens.
CONFIDENCE = {
    "preserve_frame_confidence": True, "preserve_token_confidence": True, "preserve_word_confidence": True,
    "exclude_blank": True, "aggregation": "min", "method_cfg": {"name": "max_prob", "alpha": 1.0},
}


@dataclass
class Span:
    """A word or a segment in encoder frames, end exclusive as NeMo counts it."""

    text: str
    start: int
    end: int


@dataclass
class Steps:
    """Every decision of the walk, blanks included."""

    frame: list[int] = field(default_factory=list)
    token: list[int] = field(default_factory=list)
    duration: list[int] = field(default_factory=list)
    margin: list[float] = field(default_factory=list)
    duration_margin: list[float] = field(default_factory=list)
    forced: int = 0  # times max_symbols ended a frame

    def smallest_margin(self) -> float:
        margins = self.margin + self.duration_margin
        return min(margins) if margins else float("inf")


@dataclass
class Decoded:
    tokens: list[int]
    frames: list[int]
    durations: list[int]
    confidence: list[float]
    text: str
    words: list[Span]
    word_confidence: list[float]
    segments: list[Span]
    steps: Steps


def configure(model, case: Case) -> None:
    """Greedy strategies with timestamps and confidence, for every head of the model."""
    if case.transducer is not None:
        config = {"strategy": "greedy_batch", "compute_timestamps": True, "preserve_alignments": False,
                  "confidence_cfg": CONFIDENCE, "rnnt_timestamp_type": "all",
                  "greedy": {"max_symbols": case.max_symbols, "loop_labels": True, "use_cuda_graph_decoder": False}}
        if case.transducer == "tdt":
            config |= {"model_type": "tdt", "durations": list(case.durations)}
        model.change_decoding_strategy(OmegaConf.create(config), verbose=False)
    if "ctc" in case.heads:
        config = OmegaConf.create({"strategy": "greedy", "compute_timestamps": True, "ctc_timestamp_type": "all",
                                   "confidence_cfg": CONFIDENCE, "greedy": {"preserve_frame_confidence": True}})
        if case.transducer is None:
            model.change_decoding_strategy(config, verbose=False)
        else:
            model.change_decoding_strategy(config, decoder_type="ctc", verbose=False)
            model.cur_decoder = "rnnt"


def top2(logits: torch.Tensor) -> tuple[int, float]:
    values, indices = logits.topk(2)
    return int(logits.argmax()), float(values[0] - values[1])


def walk_transducer(model, case: Case, encoded: torch.Tensor) -> tuple[list[int], list[int], list[int], Steps]:
    """Greedy RNN-T or TDT over valid encoder rows (T, d): emitted tokens, their frames, durations, all steps."""
    joint, decoder, blank = model.joint, model.decoder, model.decoding.blank_id
    durations = list(case.durations) if case.transducer == "tdt" else None
    projected = joint.project_encoder(encoded.unsqueeze(0))

    def predict(label, state):
        out, state = decoder.predict(torch.tensor([[label]]), state, add_sos=False, batch_size=1)
        return joint.project_prednet(out), state

    prediction, state = predict(blank, decoder.initialize_state(projected))
    tokens, frames, spans, steps = [], [], [], Steps()
    t, emitted_here = 0, 0
    while t < encoded.shape[0]:
        logits = joint.joint_after_projection(projected[:, t : t + 1], prediction).flatten()
        token_logits = logits[: blank + 1]
        token, margin = top2(token_logits)
        jump = 0
        steps.frame.append(t)
        steps.token.append(token)
        steps.margin.append(margin)
        if durations is not None:
            index, duration_margin = top2(logits[blank + 1 :])
            jump = durations[index]
            steps.duration.append(jump)
            steps.duration_margin.append(duration_margin)
        if token == blank:
            t, emitted_here = t + max(jump, 1), 0
            continue
        tokens.append(token)
        frames.append(t)
        spans.append(jump)
        prediction, state = predict(token, state)
        emitted_here += 1
        if jump > 0:
            t, emitted_here = t + jump, 0
        elif emitted_here >= case.max_symbols:
            steps.forced += 1
            t, emitted_here = t + 1, 0
    return tokens, frames, spans, steps


def walk_ctc(log_probs: torch.Tensor) -> tuple[list[int], list[int], Steps]:
    """Greedy CTC over valid rows (T, V + 1): collapsed tokens, the first frame of each run, the per-frame argmax."""
    blank = log_probs.shape[1] - 1
    best = log_probs.argmax(dim=1)
    values = log_probs.topk(2, dim=1).values
    steps = Steps(frame=list(range(len(best))), token=best.tolist(), margin=(values[:, 0] - values[:, 1]).tolist())
    frames = [t for t, token in enumerate(steps.token)
              if token != blank and (t == 0 or token != steps.token[t - 1])]
    return [steps.token[t] for t in frames], frames, steps


def spans_of(entries: list[dict], key: str) -> list[Span]:
    return [Span(e[key], int(e["start_offset"]), int(e["end_offset"])) for e in entries]


def decode(model, case: Case, head: str, encoded: torch.Tensor, log_probs: torch.Tensor | None) -> Decoded:
    """NeMo's result for one clip, checked against the walk.

    encoded: (T, d) and log_probs: (T, V + 1), valid rows only.
    """
    length = torch.tensor([encoded.shape[0]])
    if head == "ctc":
        decoding = model.decoding if case.transducer is None else model.ctc_decoding
        hypothesis = decoding.ctc_decoder_predictions_tensor(
            log_probs.unsqueeze(0), decoder_lengths=length, return_hypotheses=True)[0]
        tokens, frames, steps = walk_ctc(log_probs)
        durations = []
        if [int(t) for t in hypothesis.y_sequence] != steps.token:
            raise AssertionError(f"{case.name}: the walk and NeMo disagree on a frame's token")
        for offset, frame in zip(hypothesis.timestamp["char"], frames, strict=True):
            # NeMo closes a token at its own first frame; punctuation, moved to the peak before, has no width.
            moved = offset["start_offset"] == offset["end_offset"]
            if int(offset["end_offset"]) != frame and not moved:
                raise AssertionError(f"{case.name}: CTC run starts differ from NeMo's peaks")
    else:
        hypothesis = model.decoding.rnnt_decoder_predictions_tensor(
            encoded.T.unsqueeze(0), length, return_hypotheses=True)[0]
        tokens, frames, durations, steps = walk_transducer(model, case, encoded)
        sequence = [int(t) for t in hypothesis.y_sequence]
        times = [int(t) for t in hypothesis.timestamp["timestep"]]
        if sequence != tokens or times != frames:
            raise AssertionError(f"{case.name}: the walk and NeMo disagree on tokens or frames")
        if head == "tdt" and [int(d) for d in hypothesis.token_duration] != durations:
            raise AssertionError(f"{case.name}: the walk and NeMo disagree on durations")
        if head == "rnnt":
            durations = []
    return Decoded(
        tokens=tokens, frames=frames, durations=durations,
        confidence=[float(c) for c in hypothesis.token_confidence or []], text=hypothesis.text,
        words=spans_of(hypothesis.timestamp["word"], "word"),
        word_confidence=[float(c) for c in hypothesis.word_confidence or []],
        segments=spans_of(hypothesis.timestamp["segment"], "segment"), steps=steps)
