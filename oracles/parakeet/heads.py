"""Redraw the output heads until the clips decode to varied tokens with wide margins.

A freshly initialised head says the same one or two tokens whatever it hears, so a token check would pass with a broken
encoder, and near ties would make it fail with a right one. Here each output row is standardised over what the head
really sees (mean 0, a chosen spread), blank and duration 0 get an offset, and draws go on until every clip's smallest
top-2 margin, tokens' variety and the share of blanks are good.
"""

import torch

from .cases import Case
from .decode import Steps, walk_ctc, walk_transducer

SPREAD = 4.0
DURATION_SPREAD = 2.5
SOUND_SPREAD, HISTORY_SPREAD = 1.2, 1.8
REPEAT_PENALTY = 5.0
SMALLEST_MARGIN = 2e-3
DRAWS = 3000
# Offsets added to the blank logit, in units of a logit's spread, chosen for a lively mix.
BLANK_OFFSET = {"ctc": 1.6, "rnnt": 2.2, "tdt": 1.2}
ZERO_DURATION_OFFSET = -0.4


# In what follows `encoded` holds the encoder rows (T, d) of every clip, valid frames only.


def standardised(generator: torch.Generator, samples: torch.Tensor, rows: int, spread: float):
    """A weight (rows, features) and bias whose outputs over the samples have mean 0 and the given deviation."""
    weight = torch.randn(rows, samples.shape[1], generator=generator)
    weight *= spread / (samples @ weight.T).std(dim=0, keepdim=True).T
    return weight, -(samples.mean(dim=0) @ weight.T)


def ctc_log_probs(model, case: Case, encoded: torch.Tensor) -> torch.Tensor:
    """(T, V + 1) log-probabilities of the CTC head for valid encoder rows (T, d)."""
    head = model.decoder if case.transducer is None else model.ctc_decoder
    return head(encoder_output=encoded.T.unsqueeze(0))[0]


def redraw_ctc(model, case: Case, encoded: dict[str, torch.Tensor], generator: torch.Generator) -> None:
    decoder = model.decoder if case.transducer is None else model.ctc_decoder
    layer = decoder.decoder_layers[0]
    samples = torch.cat(list(encoded.values()))
    weight, bias = standardised(generator, samples, layer.weight.shape[0], SPREAD)
    bias[-1] += BLANK_OFFSET["ctc"] * SPREAD
    bias[0] -= 100.0  # never <unk>
    layer.weight.data.copy_(weight.unsqueeze(-1))
    layer.bias.data.copy_(bias)


def scale_joint_inputs(model, case: Case, encoded: dict[str, torch.Tensor], generator: torch.Generator) -> None:
    """Bring both inputs of the joint network to like spreads, lest one drown the other."""
    joint = model.joint
    samples = torch.cat(list(encoded.values()))
    weight, bias = standardised(generator, samples, joint.enc.weight.shape[0], SOUND_SPREAD)
    joint.enc.weight.data.copy_(weight)
    joint.enc.bias.data.copy_(bias)
    history = prediction_samples(model, generator)
    weight, bias = standardised(generator, history, joint.pred.weight.shape[0], HISTORY_SPREAD)
    joint.pred.weight.data.copy_(weight)
    joint.pred.bias.data.copy_(bias)


def prediction_samples(model, generator: torch.Generator) -> torch.Tensor:
    """Prediction-network outputs along 16 random label histories, (N, pred_hidden)."""
    blank = model.decoding.blank_id
    labels = torch.randint(1, blank, (16, 12), generator=generator)
    out, _ = model.decoder.predict(labels, None, add_sos=True, batch_size=16)
    return out.reshape(-1, out.shape[-1])


def discourage_repeats(model, weight, bias, sound: torch.Tensor, generator: torch.Generator) -> None:
    """Lower each label's own logit after it was said, in place; a random network else repeats it to the limit.

    Label v leaves the joint's hidden layer around m_v. A step along m_v - mean is taken off v's row, sized so that the
    logit at m_v falls by REPEAT_PENALTY and the mean logit stays.
    """
    joint, blank = model.joint, model.decoding.blank_id
    last = torch.arange(1, blank).repeat(8)
    labels = torch.cat([torch.randint(1, blank, (len(last), 3), generator=generator), last.unsqueeze(1)], dim=1)
    said = model.decoder.predict(labels, None, add_sos=True, batch_size=len(last))[0][:, -1]
    said = joint.project_prednet(said.unsqueeze(0))[0]
    heard = sound[torch.randint(0, len(sound), (len(last),), generator=generator)]
    hidden = torch.relu(heard + said)
    centre = hidden.mean(dim=0)
    for label in range(1, blank):
        direction = hidden[last == label].mean(dim=0) - centre
        step = REPEAT_PENALTY * direction / direction.square().sum()
        weight[label] -= step
        bias[label] += step @ centre


def redraw_transducer(model, case: Case, encoded: dict[str, torch.Tensor], generator: torch.Generator) -> None:
    scale_joint_inputs(model, case, encoded, generator)
    joint, blank = model.joint, model.decoding.blank_id
    sound = torch.cat([joint.project_encoder(rows.unsqueeze(0))[0] for rows in encoded.values()])
    history = joint.project_prednet(prediction_samples(model, generator).unsqueeze(0))[0]
    pairs = torch.randint(0, history.shape[0], (sound.shape[0],), generator=generator)
    samples = torch.relu(sound + history[pairs])
    weight, bias = standardised(generator, samples, blank + 1, SPREAD)
    discourage_repeats(model, weight, bias, sound, generator)
    bias[blank] += BLANK_OFFSET[case.transducer] * SPREAD
    bias[0] -= 100.0
    if case.transducer == "tdt":
        spans, span_bias = standardised(generator, samples, len(case.durations), DURATION_SPREAD)
        span_bias[0] += ZERO_DURATION_OFFSET * DURATION_SPREAD
        weight, bias = torch.cat([weight, spans]), torch.cat([bias, span_bias])
    final = joint.joint_net[-1]
    final.weight.data.copy_(weight)
    final.bias.data.copy_(bias)


def redraw(model, case: Case, head: str, encoded: dict[str, torch.Tensor], generator: torch.Generator) -> None:
    (redraw_ctc if head == "ctc" else redraw_transducer)(model, case, encoded, generator)


def walk(model, case: Case, head: str, encoded: torch.Tensor) -> tuple[list[int], Steps]:
    """Tokens and steps of one clip with the present head."""
    if head == "ctc":
        tokens, _, steps = walk_ctc(ctc_log_probs(model, case, encoded))
    else:
        tokens, _, _, steps = walk_transducer(model, case, encoded)
    return tokens, steps


def complaint(model, case: Case, head: str, encoded: dict[str, torch.Tensor]) -> str | None:
    """Why a draw is not good enough, or None. Clips are tried shortest first."""
    spoken: list[tuple[list[int], Steps]] = []
    for name, rows in sorted(encoded.items(), key=lambda item: len(item[1])):
        tokens, steps = walk(model, case, head, rows)
        if name != "zeros" and steps.smallest_margin() < SMALLEST_MARGIN:
            return "a margin is narrow"
        if name not in ("zeros", "hop", "tenth"):
            spoken.append((tokens, steps))
            if reason := dull(model, case, head, spoken):
                return reason
    return None


def dull(model, case: Case, head: str, spoken: list[tuple[list[int], Steps]]) -> str | None:
    """Why the clips so far say too little."""
    tokens = {t for said, _ in spoken for t in said}
    if len(tokens) < (6, 11, 16, 20, 20)[len(spoken) - 1]:
        return "few different tokens"
    said = spoken[-1][0]
    if sum(a == b for a, b in zip(said, said[1:])) > 0.3 * len(said):
        return "repeats"
    if len(set(said)) < 0.25 * min(len(said), 80):
        return "few different tokens"
    steps = [t for _, walked in spoken for t in walked.token]
    if not 0.15 < steps.count(len(model.tokenizer.vocab)) / len(steps) < 0.8:
        return "share of blanks"
    if len(spoken) >= 3:
        if head == "tdt" and len({d for _, walked in spoken for d in walked.duration}) < len(case.durations):
            return "a duration is missing"
        if case.max_symbols < 10 and head != "ctc" and not any(walked.forced for _, walked in spoken):
            return "max_symbols is never reached"
    return None
