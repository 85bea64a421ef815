"""Redraw the output heads until the clips decode to varied tokens with wide margins.

A freshly initialised head says the same one or two tokens whatever it hears, so a token check would pass with a broken
encoder, and near ties would make it fail with a right one. Here each output row is standardised over what the head
really sees (mean 0, a chosen spread), blank and duration 0 get an offset, and draws go on until every clip's smallest
top-2 margin, tokens' variety and the share of blanks are good.
"""

from dataclasses import dataclass

import torch

from .cases import Case
from .decode import Decoded

SPREAD = 4.0
DURATION_SPREAD = 2.5
SMALLEST_MARGIN = 2e-3
DRAWS = 4000
# Offsets added to the blank logit, in units of a logit's spread, chosen for a lively mix.
BLANK_OFFSET = {"ctc": 1.6, "rnnt": 1.9, "tdt": 1.2}
ZERO_DURATION_OFFSET = -0.4


@dataclass
class Stages:
    """What the encoder gives for every clip: (T, d) rows, valid frames only."""

    encoded: dict[str, torch.Tensor]


def standardised(generator: torch.Generator, samples: torch.Tensor, rows: int, spread: float):
    """A weight (rows, features) and bias whose outputs over the samples have mean 0 and the given deviation."""
    weight = torch.randn(rows, samples.shape[1], generator=generator)
    weight *= spread / (samples @ weight.T).std(dim=0, keepdim=True).T
    return weight, -(samples.mean(dim=0) @ weight.T)


def redraw_ctc(model, case: Case, stages: Stages, generator: torch.Generator) -> None:
    decoder = model.decoder if case.transducer is None else model.ctc_decoder
    layer = decoder.decoder_layers[0]
    samples = torch.cat(list(stages.encoded.values()))
    weight, bias = standardised(generator, samples, layer.weight.shape[0], SPREAD)
    bias[-1] += BLANK_OFFSET["ctc"] * SPREAD
    bias[0] -= 100.0  # never <unk>
    layer.weight.data.copy_(weight.unsqueeze(-1))
    layer.bias.data.copy_(bias)


def scale_joint_inputs(model, case: Case, stages: Stages, generator: torch.Generator) -> None:
    """Bring both inputs of the joint network to unit spread, so that sound and history weigh alike."""
    joint = model.joint
    samples = torch.cat(list(stages.encoded.values()))
    weight, bias = standardised(generator, samples, joint.enc.weight.shape[0], 1.3)
    joint.enc.weight.data.copy_(weight)
    joint.enc.bias.data.copy_(bias)
    history = prediction_samples(model, generator)
    weight, bias = standardised(generator, history, joint.pred.weight.shape[0], 0.9)
    joint.pred.weight.data.copy_(weight)
    joint.pred.bias.data.copy_(bias)


def prediction_samples(model, generator: torch.Generator) -> torch.Tensor:
    """Prediction-network outputs along 16 random label histories, (N, pred_hidden)."""
    blank = model.decoding.blank_id
    labels = torch.randint(1, blank, (16, 12), generator=generator)
    out, _ = model.decoder.predict(labels, None, add_sos=True, batch_size=16)
    return out.reshape(-1, out.shape[-1])


def redraw_transducer(model, case: Case, stages: Stages, generator: torch.Generator) -> None:
    scale_joint_inputs(model, case, stages, generator)
    joint, blank = model.joint, model.decoding.blank_id
    sound = torch.cat([joint.project_encoder(rows.unsqueeze(0))[0] for rows in stages.encoded.values()])
    history = joint.project_prednet(prediction_samples(model, generator).unsqueeze(0))[0]
    pairs = torch.randint(0, history.shape[0], (sound.shape[0],), generator=generator)
    samples = torch.relu(sound + history[pairs])
    weight, bias = standardised(generator, samples, blank + 1, SPREAD)
    bias[blank] += BLANK_OFFSET[case.transducer] * SPREAD
    bias[0] -= 100.0
    if case.transducer == "tdt":
        spans, span_bias = standardised(generator, samples, len(case.durations), DURATION_SPREAD)
        span_bias[0] += ZERO_DURATION_OFFSET * DURATION_SPREAD
        weight, bias = torch.cat([weight, spans]), torch.cat([bias, span_bias])
    final = joint.joint_net[-1]
    final.weight.data.copy_(weight)
    final.bias.data.copy_(bias)


def redraw(model, case: Case, head: str, stages: Stages, generator: torch.Generator) -> None:
    (redraw_ctc if head == "ctc" else redraw_transducer)(model, case, stages, generator)


def complaint(case: Case, head: str, results: dict[str, Decoded]) -> str | None:
    """Why a draw is not good enough, or None. `results` holds the clips decoded so far."""
    spoken = {name: r for name, r in results.items() if name not in ("zeros", "hop", "tenth")}
    for name, result in results.items():
        if result.smallest_margin() < SMALLEST_MARGIN:
            return f"margin {result.smallest_margin():.1e} in {name}"
        if result.tokens and len(result.word_confidence) != len(result.words):
            return f"{len(result.word_confidence)} word confidences for {len(result.words)} words in {name}"
    tokens = [t for r in spoken.values() for t in r.tokens]
    steps = [t for r in spoken.values() for t in r.steps.token]
    if len(set(tokens)) < 14 * len(spoken) ** 0.5:
        return f"only {len(set(tokens))} different tokens"
    blank = 64
    share = steps.count(blank) / max(1, len(steps))
    if not 0.15 < share < 0.8:
        return f"{share:.0%} blanks"
    if head == "tdt" and len({d for r in spoken.values() for d in r.durations}) < len(case.durations):
        return "a duration is missing"
    return None
