"""Averages checkpoints of one lineage (a run and its continuation) into one that keeps the strengths of both.

    python -m learn.average OUT CHECKPOINT...
"""

import sys

import torch


def main(out, *paths):
    saved = [torch.load(path, map_location="cpu", weights_only=True) for path in paths]
    first = saved[0]
    for name, value in first["model"].items():
        if value.is_floating_point():
            first["model"][name] = torch.stack([s["model"][name].float() for s in saved]).mean(0)
    torch.save(first, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
