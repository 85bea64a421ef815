"""Draws the speeds of a results file of `peers/run.py` as an SVG beside it: bars of RTFx per core.

    python plot.py results/2026-11-21-peers-tdt-0.6b-v3.json

A panel for each number of threads and part of the work; ours are filled with colour. Reads well on light and dark paper: the
colours follow what the viewer asks for.
"""

import argparse
import json
from html import escape
from pathlib import Path

WIDTH, LABEL, MARGIN = 760, 250, 20
BAR, GAP, HEAD = 20, 8, 46
STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #24292f }
  .title { font-size: 16px; font-weight: 600 } .panel { font-weight: 600 } .small { font-size: 11px; fill: #57606a }
  .end { text-anchor: end } .ours { fill: #0a7d5a } .peer { fill: #8c959f } .axis { stroke: #d0d7de }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 }
    .ours { fill: #2fbf8f } .peer { fill: #6e7681 } .axis { stroke: #3d444d }
  }
"""
PARTS = {"whole pipeline": "from samples to text", "encoder": "encoder and subsampling alone"}


def panels(result):
    """Rows by threads and part, the fastest first."""
    found = {}
    for row in result["results"]:
        found.setdefault((row["threads"], row["part"]), []).append(row)
    order = list(PARTS)
    for key in sorted(found, key=lambda k: (k[0], order.index(k[1]))):
        yield key, sorted(found[key], key=lambda row: -row["rtfx_per_core"])


def text(x, y, words, kind=""):
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}">{escape(words)}</text>'


def draw(result):
    groups = list(panels(result))
    most = max(row["rtfx_per_core"] for _, rows in groups for row in rows)
    scale = (WIDTH - LABEL - MARGIN - 60) / most
    machine = result["machine"]
    about = f"{machine['processor']} ({' '.join(machine['features'])}), {machine['cores']} cores, {result['date'][:10]}"
    body = [text(MARGIN, 28, f"Times realtime per core, Parakeet {result['shape']}, {result['audio_seconds']:.0f} s", "title")]
    body.append(text(MARGIN, 46, about, "small"))
    y = 56
    for (threads, part), rows in groups:
        noun = "thread" if threads == 1 else "threads"
        body.append(text(MARGIN, y + 24, f"{threads} {noun}, {PARTS[part]}", "panel"))
        top = y + HEAD - 10
        y = top
        for row in rows:
            ours = "ours" if row["engine"] == "mynah" else "peer"
            length = max(row["rtfx_per_core"] * scale, 1)
            # The library's name without those it brings.
            name = f"{row['version'].split(',')[0]}, {row['type']}"
            body.append(text(LABEL - 8, y + BAR - 5, name, "end"))
            body.append(f'<rect x="{LABEL}" y="{y:.0f}" width="{length:.1f}" height="{BAR}" rx="2" class="{ours}"/>')
            body.append(text(LABEL + length + 6, y + BAR - 5, f"{row['rtfx_per_core']:.1f}"))
            y += BAR + GAP
        body.append(f'<line x1="{LABEL - 0.5}" x2="{LABEL - 0.5}" y1="{top - 4}" y2="{y - 4}" class="axis"/>')
    height = y + MARGIN
    note = f"Median of {result['rounds'] * result['reps']} runs in {result['rounds']} rounds, engines in turn; larger is better."
    body.append(text(MARGIN, height - 6, note, "small"))
    inner = "\n".join(body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height + 6}" width="{WIDTH}" height="{height + 6}" '
        f'role="img" aria-label="Speed of Mynah and its peers">\n<style>{STYLE}</style>\n{inner}\n</svg>\n'
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    arguments = parser.parse_args()
    result = json.loads(arguments.results.read_text())
    path = arguments.results.with_suffix(".svg")
    path.write_text(draw(result))
    print(path.name)


if __name__ == "__main__":
    main()
