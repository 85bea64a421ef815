"""Draws the figures of `mynah bench llm --json` as an SVG beside the file: tokens a second by depth, a line for each batch.

    mynah bench llm -m MODEL.gguf -d 0,2048,8192 -b 1,8 --draft 0,3 --json > speeds.json
    python plot_llm.py speeds.json

A panel for reading and one for writing, of each model; a line for each number of sequences, and of drafts. Points have the part of the
ceiling that was reached beside them, where one was measured: of arithmetic for reading, of the memory's bandwidth for writing. Reads
well on light and dark paper: the colours follow what the viewer asks for.
"""

import argparse
import json
import math
from html import escape
from pathlib import Path

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 240, 70, 190, 40, 44
LIGHT = ["#0a7d5a", "#8250df", "#0969da", "#bc4c00", "#cf222e", "#57606a"]
DARK = ["#2fbf8f", "#a371f7", "#58a6ff", "#f0883e", "#ff7b72", "#9198a1"]
STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #24292f }
  .title { font-size: 16px; font-weight: 600 } .panel { font-weight: 600 } .small { font-size: 11px; fill: #57606a }
  .end { text-anchor: end } .middle { text-anchor: middle } .axis { stroke: #d0d7de } polyline { fill: none; stroke-width: 2 }
"""
KINDS = {"pp": "reading", "tg": "writing"}


def style():
    """Colours of the lines for both kinds of paper."""
    of = lambda colours: "".join(f"  .l{i} {{ stroke: {c} }} .f{i} {{ fill: {c} }}\n" for i, c in enumerate(colours))
    dark = f"  text {{ fill: #e6edf3 }} .small {{ fill: #9198a1 }} .axis {{ stroke: #3d444d }}\n{of(DARK)}"
    return f"{STYLE}{of(LIGHT)}  @media (prefers-color-scheme: dark) {{\n{dark}  }}\n"


def panels(result):
    """Lines by model and kind: of each batch and number of drafts, its rows by depth."""
    found = {}
    for row in result["results"]:
        lines = found.setdefault((row["model"], row["type"], row["kind"]), {})
        lines.setdefault((row["tokens"], row["batch"], row.get("drafts", 0)), []).append(row)
    for key, lines in found.items():
        yield key, {line: sorted(rows, key=lambda row: row["depth"]) for line, rows in sorted(lines.items())}


def text(x, y, words, kind=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(words)}</text>'


def ceiling(most):
    """A round number that isn't below the largest."""
    unit = 10.0 ** math.floor(math.log10(most))
    return next(unit * n for n in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if unit * n >= most)


def panel(top, key, lines):
    """One panel, from this height on."""
    model, dtype, kind = key
    rows = [row for line in lines.values() for row in line]
    depths = sorted({row["depth"] for row in rows})
    most = ceiling(max(row["tokens_per_second"]["mean"] + row["tokens_per_second"]["deviation"] for row in rows))
    width, height, base = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM, top + HEIGHT - BOTTOM
    x = lambda depth: LEFT + (depths.index(depth) + 0.5) * width / len(depths)
    y = lambda rate: base - rate / most * height
    yield text(20, top + 20, f"{model}, {dtype}: {KINDS.get(kind, kind)}, tokens a second", "panel")
    for part in (0, 0.5, 1):
        yield f'<line x1="{LEFT}" x2="{LEFT + width}" y1="{y(part * most):.1f}" y2="{y(part * most):.1f}" class="axis"/>'
        yield text(LEFT - 6, y(part * most) + 4, f"{part * most:g}", "small end")
    for depth in depths:
        yield text(x(depth), base + 16, f"{depth}", "small middle")
    yield text(LEFT + width / 2, base + 34, "tokens that are there before", "small middle")
    for i, ((tokens, batch, drafts), line) in enumerate(lines.items()):
        colour = i % len(LIGHT)
        points = [(x(row["depth"]), row) for row in line]
        path = " ".join(f"{at:.1f},{y(row['tokens_per_second']['mean']):.1f}" for at, row in points)
        yield f'<polyline points="{path}" class="l{colour}"/>'
        for at, row in points:
            rate = row["tokens_per_second"]
            low, high = y(max(rate["mean"] - rate["deviation"], 0)), y(rate["mean"] + rate["deviation"])
            yield f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{low:.1f}" y2="{high:.1f}" class="l{colour}"/>'
            yield f'<circle cx="{at:.1f}" cy="{y(rate["mean"]):.1f}" r="3.5" class="f{colour}"/>'
            part = row.get("of_reads") if kind == "tg" else row.get("of_ceiling")
            if part is not None:
                yield text(at + 7, y(rate["mean"]) - 6, f"{100 * part:.0f} %", "small")
        name = f"{tokens} tokens" + (f" × {batch}" if batch > 1 else "") + (f", {drafts} drafts" if drafts else "")
        yield f'<circle cx="{WIDTH - RIGHT + 16}" cy="{top + TOP + 18 * i}" r="4" class="f{colour}"/>'
        yield text(WIDTH - RIGHT + 26, top + TOP + 18 * i + 4, name)


def draw(result):
    found = list(panels(result))
    body = [text(20, 28, "Language models", "title"), text(20, 46, result["results"][0]["device"], "small")]
    for n, (key, lines) in enumerate(found):
        body.extend(panel(56 + n * HEIGHT, key, lines))
    height = 56 + len(found) * HEIGHT + 24
    note = "Mean and standard deviation; in % the part of the ceiling that was reached, of arithmetic or of the memory's bandwidth."
    body.append(text(20, height - 10, note, "small"))
    inner = "\n".join(body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="Speed of language models by depth and batch">\n<style>{style()}</style>\n{inner}\n</svg>\n'
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    arguments = parser.parse_args()
    result = json.loads(arguments.results.read_text())
    if not result.get("results") or "kind" not in result["results"][0]:
        parser.error("this is not what `mynah bench llm --json` writes")
    path = arguments.results.with_suffix(".svg")
    path.write_text(draw(result))
    print(path.name)


if __name__ == "__main__":
    main()
