"""Word error rate per voice of a checkpoint on a folder that speech/make_eval.py wrote.

    python -m learn.evaluate CHECKPOINT TOKENIZER.model FOLDER [--show]
"""

import argparse
import collections
import wave
from pathlib import Path

import numpy as np
import sentencepiece
import torch

from learn.decode import ctc_greedy, tdt_greedy, word_errors, words_of
from model.config import Config
from model.network import HybridModel


def read_wav(path):
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2), path
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def read_manifest(folder):
    rows = [line.split("\t") for line in (Path(folder) / "manifest.tsv").read_text("utf-8").splitlines()]
    return [(Path(folder) / name, voice, text) for name, voice, text in rows]


@torch.inference_mode()
def transcribe(model, clips, device, batch=64):
    """Token lists of both heads for int16 clips."""
    order = sorted(range(len(clips)), key=lambda i: len(clips[i]))
    tdt, ctc = [None] * len(clips), [None] * len(clips)
    for start in range(0, len(order), batch):
        part = order[start : start + batch]
        samples = -(-max(len(clips[i]) for i in part) // 1280) * 1280
        audio = np.zeros((len(part), samples), np.float32)
        for row, i in enumerate(part):
            audio[row, : len(clips[i])] = clips[i] / 32768.0
        lengths = torch.tensor([len(clips[i]) for i in part], device=device)
        encoded, frames = model.encoder(*model.features(torch.from_numpy(audio).to(device), lengths))
        for i, a, b in zip(part, tdt_greedy(model, encoded, frames), ctc_greedy(model, encoded, frames)):
            tdt[i], ctc[i] = a, b
    return tdt, ctc


def score(model, tokenizer, manifest, device, show=False):
    """{voice: [words, TDT errors, CTC errors]}"""
    clips = [read_wav(path) for path, _, _ in manifest]
    tdt, ctc = transcribe(model, clips, device)
    totals = collections.OrderedDict()
    for (path, voice, text), a, b in zip(manifest, tdt, ctc):
        reference = words_of(text)
        total = totals.setdefault(voice, [0, 0, 0])
        total[0] += len(reference)
        for column, tokens in ((1, a), (2, b)):
            total[column] += word_errors(reference, words_of(tokenizer.decode(tokens)))
        if show:
            print(f"{path.name}\t{voice}\n  ref {text}\n  tdt {tokenizer.decode(a)}\n  ctc {tokenizer.decode(b)}")
    return totals


def load(checkpoint, device="cpu"):
    saved = torch.load(checkpoint, map_location=device, weights_only=True)
    config = Config(**{k: tuple(v) if isinstance(v, list) else v for k, v in saved["config"].items()})
    model = HybridModel(config, dropout=0.0).to(device)
    model.load_state_dict({k: v.float() for k, v in saved["model"].items()})
    return model.eval()


def report(totals, heldout=lambda voice: False):
    lines = [f"{'voice':28} {'words':>6} {'TDT %':>7} {'CTC %':>7}"]
    groups = collections.OrderedDict()
    for voice, counts in totals.items():
        group = groups.setdefault("held-out voices" if heldout(voice) else "training voices", [0, 0, 0])
        for i, n in enumerate(counts):
            group[i] += n
        lines.append(f"{voice:28} {counts[0]:6} {100 * counts[1] / counts[0]:7.2f} {100 * counts[2] / counts[0]:7.2f}")
    for name, counts in groups.items():
        lines.append(f"{name:28} {counts[0]:6} {100 * counts[1] / counts[0]:7.2f} {100 * counts[2] / counts[0]:7.2f}")
    return "\n".join(lines)


def is_heldout_voice(voice):
    from speech import voices

    return voice in voices.HELDOUT_ESPEAK or voice.startswith("festival:")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint")
    parser.add_argument("tokenizer")
    parser.add_argument("folder")
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = sentencepiece.SentencePieceProcessor(args.tokenizer)
    totals = score(load(args.checkpoint, device), tokenizer, read_manifest(args.folder), device, args.show)
    print(report(totals, is_heldout_voice))


if __name__ == "__main__":
    main()
