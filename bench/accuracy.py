"""One table of what every fast route costs, per weight type: NMSE and tokens against exact, and word error rates.

    python accuracy.py --mynah target/release/mynah --model ears-f32.gguf --types F32,F16,Q8_0,Q4_K \\
        --audio assets/samples --manifest eval/manifest.tsv

Each type is made of `--model` by `mynah quantize` (its own type is taken as it is). Then for `fast` and each route of the device
by itself, as `mynah doctor` lists them: the normalised mean square error of the encoder's output against `exact` with the same
weights (the worst of all clips), the tokens that differ over all clips (`mynah drift`), and the word error rate over the
manifest (`mynah wer`), with that of `exact` beside it. Without `--manifest` the clips themselves are the manifest, with the
words in the `.txt` beside each. Per-op errors are `mynah ops`. Prints Markdown and writes a dated JSON to `bench/results`.
"""

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
from pathlib import Path


def call(command):
    return subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE, text=True).stdout


def model_of_type(arguments, dtype, folder):
    """The model in that type."""
    path = folder / f"{dtype}.gguf"
    found = json.loads(call([arguments.mynah, "inspect", "--json", arguments.model]))
    if max(found["totals"], key=lambda total: total["elements"])["type"] == dtype:
        return arguments.model
    call([arguments.mynah, "quantize", arguments.model, path, dtype, "-q"])
    return path


def drift(arguments, model, clips):
    """Of each column of `mynah drift`: the largest NMSE of the encoder's output, tokens apart and tokens in all."""
    columns = {}
    for clip in clips:
        command = [arguments.mynah, "drift", clip, "-m", model, "--json", "-q", "-t", arguments.threads]
        for column in json.loads(call(command))["columns"]:
            worst, apart, tokens = columns.get(column["name"], (0.0, 0, 0))
            error = column["nmse"]["encoded"]
            columns[column["name"]] = (max(worst, error), apart + column["tokens_apart"], tokens + column["tokens"])
    return columns


def rate(arguments, model, manifest, flags):
    """The word error rate, 0 to 1, and the words counted."""
    command = [arguments.mynah, "wer", manifest, "-m", model, "--json", "-q", "-t", arguments.threads, *flags]
    found = json.loads(call(command))
    if found["failed"]:
        raise SystemExit(f"{found['failed']} recordings could not be read")
    return found["all"]["wer"], found["all"]["words"]


def manifest_of(clips, folder):
    """A manifest of the clips that have their words beside them."""
    lines = [f"{clip.resolve()}\tsamples\t{clip.with_suffix('.txt').read_text().strip()}" for clip in clips]
    path = folder / "manifest.tsv"
    path.write_text("\n".join(" ".join(line.splitlines()) for line in lines) + "\n")
    return path


def measure(arguments, clips, folder):
    manifest = arguments.manifest or manifest_of(clips, folder)
    rows = []
    for dtype in arguments.types:
        model = model_of_type(arguments, dtype, folder)
        exact, words = rate(arguments, model, manifest, ["--precision", "exact"])
        for name, (nmse, apart, tokens) in drift(arguments, model, clips).items():
            flags = ["--precision", "fast"] if name == "fast" else ["--precision", "exact", "--route", f"{name}=on"]
            # A route that changes nothing for these weights can't change a word.
            wer = exact if nmse == 0.0 and apart == 0 else rate(arguments, model, manifest, flags)[0]
            rows.append({
                "type": dtype, "route": name, "nmse": nmse, "tokens_apart": apart, "tokens": tokens, "words": words,
                "wer_exact": exact, "wer": wer,
            })
            print(f"{dtype} {name}: NMSE {nmse:.1e}, {apart}/{tokens} tokens, WER {100 * wer:.2f} %", file=sys.stderr)
    return rows


def table(rows):
    lines = ["| type | route | NMSE of the encoder | tokens apart | WER exact | WER |", "|---|---|---:|---:|---:|---:|"]
    for r in rows:
        nmse = f"{r['nmse']:.1e}" if r["nmse"] else "0"
        lines.append(
            f"| {r['type']} | {r['route']} | {nmse} | {r['tokens_apart']} of {r['tokens']} "
            f"| {100 * r['wer_exact']:.2f} % | {100 * r['wer']:.2f} % |"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mynah", type=Path, required=True, help="our command, a release build")
    parser.add_argument("--model", type=Path, required=True, help="a GGUF file, best in F32")
    parser.add_argument("--types", type=lambda t: t.split(","), default=["F32", "F16", "BF16", "Q8_0", "Q5_0", "Q4_0"])
    parser.add_argument("--audio", type=Path, required=True, help="a folder of WAV files for drift")
    parser.add_argument("--manifest", type=Path, help="for mynah wer: lines of PATH, VOICE, WORDS with tabs")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent / "results")
    arguments = parser.parse_args()
    clips = sorted(arguments.audio.glob("*.wav"))
    if not clips:
        parser.error(f"{arguments.audio} holds no WAV files")
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(arguments, clips, Path(folder))
    doctor = json.loads(call([arguments.mynah, "doctor", "--json"]))
    now = datetime.datetime.now(datetime.timezone.utc)
    result = {
        "date": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "version": doctor["version"], "processor": doctor["processor"],
        "features": doctor["features"], "model": arguments.model.name, "results": rows,
    }
    print(table(rows))
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"{now.strftime('%Y-%m-%d')}-accuracy-{arguments.model.stem}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written: {path.name}", file=sys.stderr)


if __name__ == "__main__":
    main()
