"""Ours and the peers on the same clip, in turn, several rounds in one run.

    python run.py --mynah target/release/mynah --models v3-q8_0.gguf,v3-f32.gguf --audio CLIP.wav --cache FOLDER

Every peer is a process that loads once and waits (`worker.py`); ours is a fresh `mynah bench asr` a turn. A round gives each
engine one turn, so that whatever the machine does over the minutes, it does to all. A turn is one run that isn't counted and
`--reps` that are. `--python` is the interpreter with `requirements.txt` installed; the driver itself needs nothing.

Prints a table and writes every time measured to a dated JSON in `bench/results`. A row is either the whole pipeline, from
samples to text, or the encoder with its subsampling alone, which is all that PyTorch and ONNX Runtime are given to do.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import wave
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = ["torch-f32", "torch-bf16", "ort-f32", "ort-int8", "transcribe-cpp"]
TYPES = {"torch-f32": "F32", "torch-bf16": "BF16", "ort-f32": "F32", "ort-int8": "int8", "transcribe-cpp": None}
WHOLE, ENCODER = "whole pipeline", "encoder"
# Threads of an engine that has just run may still spin; the next one waits until they have parked.
REST = 0.5


class Peer:
    """A waiting process."""

    def __init__(self, name, arguments, threads, model):
        self.name, self.type = name, TYPES[name] or model["type"]
        command = [arguments.python, str(HERE / "worker.py"), name, "--threads", str(threads)]
        command += ["--shape", arguments.shape, "--seconds", str(arguments.seconds)]
        if name == "transcribe-cpp":
            command += ["--model", str(transcribe_file(arguments, model)), "--audio", str(arguments.audio)]
        else:
            command += ["--cache", str(arguments.cache)]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        log = open(arguments.cache / f"{name}.log", "w")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=environment
        )
        self.version = self.answer()["ready"]

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended; see {self.name}.log in the cache folder")
        return json.loads(line)

    def turn(self, reps):
        print(reps, file=self.process.stdin, flush=True)
        found = self.answer()
        part = WHOLE if found["encoder"] else ENCODER
        times = {part: found["times"]} | ({ENCODER: found["encoder"]} if found["encoder"] else {})
        return times, found["peak_rss_bytes"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Ours:
    """A command a turn."""

    def __init__(self, arguments, threads, model):
        exact = " exact" if model["exact"] else ""
        self.name, self.type, self.version = "mynah", model["type"] + exact, f"Mynah {model['version']}"
        self.command = [str(arguments.mynah), "bench", "asr", "-m", str(model["path"]), "-t", str(threads), "--json"]
        self.command += ["--audio", str(arguments.audio), "--chunk", "0", "--no-peaks", "-q"]
        if exact:
            self.command += ["--precision", "exact"]

    def turn(self, reps):
        found = mynah_json([*self.command, "--reps", str(reps)])["results"][0]
        encoder = found["stages"]["subsample"] + found["stages"]["encoder"]
        return {WHOLE: found["seconds"]["each"], ENCODER: [encoder]}, found["peak_rss_bytes"]

    def close(self):
        pass


def mynah_json(command):
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def transcribe_file(arguments, model):
    """Our file in the peer's layout, written once."""
    path = arguments.cache / f"{model['path'].stem}-transcribe.gguf"
    if not path.exists() or path.stat().st_mtime < model["path"].stat().st_mtime:
        subprocess.run([arguments.python, str(HERE / "transcribe_layout.py"), str(model["path"]), str(path)], check=True)
    return path


def inspect(arguments, path, exact=False):
    """A model file of ours with its type, and the version that runs it."""
    command = [str(arguments.mynah), "bench", "asr", "-m", str(path), "--seconds", "1", "--reps", "1", "--json"]
    found = mynah_json([*command, "--no-peaks", "-q"])["results"][0]
    version = subprocess.run([str(arguments.mynah), "--version"], check=True, stdout=subprocess.PIPE, text=True)
    return {"path": path, "type": found["type"], "name": found["model"], "version": version.stdout.split()[-1],
            "exact": exact}


def machine(arguments):
    """What our command measures of the machine, and what Python knows of the system."""
    counts = ",".join(map(str, arguments.threads))
    command = [str(arguments.mynah), "bench", "asr", "--seconds", "1", "--reps", "1", "--threads-list", counts]
    found = mynah_json([*command, "--json", "-q"])["machine"]
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return found | {"cores": os.cpu_count(), "memory_bytes": pages, "system": platform.platform()}


def row(engine, threads, part, rounds, peak, seconds):
    times = sorted(t for each in rounds for t in each)
    median = statistics.median(times)
    quartiles = statistics.quantiles(times, n=4) if len(times) > 1 else [median] * 3
    return {
        "engine": engine.name, "version": engine.version, "type": engine.type, "part": part, "threads": threads,
        "median_seconds": median, "min_seconds": times[0], "max_seconds": times[-1],
        "spread": (quartiles[2] - quartiles[0]) / median, "rtfx": seconds / median,
        "rtfx_per_core": seconds / median / threads, "peak_rss_bytes": peak, "rounds": rounds,
    }


def measure(arguments, threads, models):
    """All engines with that many threads."""
    engines = [Ours(arguments, threads, model) for model in models]
    engines += [Peer(name, arguments, threads, models[0]) for name in arguments.peers]
    found = [({}, 0) for _ in engines]
    try:
        for number in range(arguments.rounds):
            for index, engine in enumerate(engines):
                time.sleep(REST)
                times, peak = engine.turn(arguments.reps)
                parts, most = found[index]
                for part, each in times.items():
                    parts.setdefault(part, []).append(each)
                found[index] = (parts, max(most, peak))
                shown = ", ".join(f"{part} {arguments.seconds / statistics.median(each):.1f}" for part, each in times.items())
                print(f"{threads} thread(s), round {number + 1}: {engine.name} {engine.type}: {shown}", file=sys.stderr)
    finally:
        for engine in engines:
            engine.close()
    return [
        row(engine, threads, part, rounds, peak, arguments.seconds)
        for engine, (parts, peak) in zip(engines, found)
        for part, rounds in parts.items()
    ]


def table(rows):
    lines = ["| engine | type | threads | part | RTFx | per core | median | spread | peak RSS |"]
    lines.append("|---|---|---:|---|---:|---:|---:|---:|---:|")
    for r in sorted(rows, key=lambda r: (r["threads"], r["part"], -r["rtfx"])):
        lines.append(
            f"| {r['version']} | {r['type']} | {r['threads']} | {r['part']} | {r['rtfx']:.1f} | {r['rtfx_per_core']:.1f} "
            f"| {1e3 * r['median_seconds']:.0f} ms | {100 * r['spread']:.1f} % | {r['peak_rss_bytes'] / 2**20:.0f} MiB |"
        )
    return "\n".join(lines)


def numbers(text):
    return [int(n) for n in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mynah", type=Path, required=True, help="our command, a release build")
    parser.add_argument("--models", required=True, help="GGUF files of ours, with commas; peers with a file take the first")
    parser.add_argument("--exact", default="", help="GGUF files of ours that run with --precision exact as well")
    parser.add_argument("--audio", type=Path, required=True, help="a WAV file, 16 kHz mono in 16 bits")
    parser.add_argument("--cache", type=Path, required=True, help="where exports are kept between runs")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has the peers")
    parser.add_argument("--shape", default="tdt-0.6b-v3", help="the shape of the peers' encoder (encoder.py)")
    parser.add_argument("--peers", type=lambda t: [p for p in t.split(",") if p], default=PEERS, help=",".join(PEERS))
    parser.add_argument("--threads", type=numbers, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--label", default="peers", help="the middle of the result's name")
    parser.add_argument("--out", type=Path, default=HERE.parent / "results")
    arguments = parser.parse_args()
    if unknown := [p for p in arguments.peers if p not in PEERS]:
        parser.error(f"unknown peers: {', '.join(unknown)}; known: {', '.join(PEERS)}")
    arguments.cache.mkdir(parents=True, exist_ok=True)
    with wave.open(str(arguments.audio)) as clip:
        arguments.seconds = clip.getnframes() / clip.getframerate()
    models = [inspect(arguments, Path(path)) for path in arguments.models.split(",")]
    models += [inspect(arguments, Path(path), exact=True) for path in arguments.exact.split(",") if path]
    if any(peer.startswith("ort") for peer in arguments.peers):
        command = [arguments.python, str(HERE / "encoder.py"), "--shape", arguments.shape, "--cache", str(arguments.cache)]
        subprocess.run(command, check=True, stdout=sys.stderr)
    began = datetime.datetime.now(datetime.timezone.utc)
    about = machine(arguments)
    rows = [r for threads in arguments.threads for r in measure(arguments, threads, models)]
    result = {
        "date": began.strftime("%Y-%m-%dT%H:%M:%SZ"), "machine": about, "shape": arguments.shape,
        "models": [model["name"] for model in models], "audio_seconds": arguments.seconds,
        "rounds": arguments.rounds, "reps": arguments.reps, "results": rows,
    }
    print(table(rows))
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"{began.strftime('%Y-%m-%d')}-{arguments.label}-{arguments.shape}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written: {path.name}", file=sys.stderr)


if __name__ == "__main__":
    main()
