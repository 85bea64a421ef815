"""Greedy decoding of both heads over a batch, and word error rate."""

import re

import torch

WORD = re.compile(r"[a-z]+(?:'[a-z]+)*")


def words_of(text):
    """What is scored: lower-case words without punctuation."""
    return WORD.findall(text.lower())


def word_errors(reference, hypothesis):
    """Edit distance between two lists of words."""
    row = list(range(len(hypothesis) + 1))
    for i, word in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(hypothesis, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1]


@torch.inference_mode()
def ctc_greedy(model, encoded, lengths):
    best = model.ctc_logits(encoded).argmax(-1).tolist()
    out = []
    for row, length in zip(best, lengths.tolist()):
        row = row[:length]
        out.append([t for i, t in enumerate(row) if t != model.config.blank and (i == 0 or row[i - 1] != t)])
    return out


@torch.inference_mode()
def tdt_greedy(model, encoded, lengths):
    """NeMo's rules: blank moves at least one frame, at most max_symbols tokens a frame, stop at the valid length."""
    config = model.config
    rows, device = len(encoded), encoded.device
    projected = model.joint.enc(encoded.float()).float()
    prediction, head = model.decoder["prediction"], model.joint.joint_net[2]
    durations = torch.tensor(config.durations, device=device)
    t = torch.zeros(rows, dtype=torch.long, device=device)
    symbols = torch.zeros_like(t)
    h = torch.zeros(1, rows, config.pred_hidden, device=device)
    c = torch.zeros_like(h)
    out, state = prediction(torch.full((rows, 1), config.blank, device=device), (h, c))
    predicted = model.joint.pred(out[:, 0])
    emitted = [[] for _ in range(rows)]
    index = torch.arange(rows, device=device)
    while True:
        active = t < lengths
        if not bool(active.any()):
            return emitted
        logits = head(torch.relu(projected[index, t.clamp(max=encoded.shape[1] - 1)] + predicted))
        token = logits[:, : config.vocab + 1].argmax(-1)
        jump = durations[logits[:, config.vocab + 1 :].argmax(-1)]
        blank = token == config.blank
        speak = active & ~blank
        for row, value in zip(speak.nonzero()[:, 0].tolist(), token[speak].tolist()):
            emitted[row].append(value)
        out, (nh, nc) = prediction(token[:, None], state)
        keep = speak[None, :, None]
        state = torch.where(keep, nh, state[0]), torch.where(keep, nc, state[1])
        predicted = torch.where(speak[:, None], model.joint.pred(out[:, 0]), predicted)
        symbols = torch.where(speak & (jump == 0), symbols + 1, torch.zeros_like(symbols))
        jump = torch.where(blank & (jump == 0), 1, jump)
        stuck = symbols >= config.max_symbols
        jump = torch.where(stuck, 1, jump)
        symbols = torch.where(stuck, 0, symbols)
        t = torch.where(active, t + jump, t)
