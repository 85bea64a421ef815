"""Ours and llama.cpp on the same files, in turn, several rounds in one run.

    python llama.py --mynah target/release/mynah --llama LLAMA_BUILD/bin/llama-bench --models a.gguf,b.gguf

Both read a prompt of `-p` tokens and write `-n`, at each depth and number of threads. A turn is a fresh process that measures
every length `--reps` times after a run that isn't counted; a round gives each program one turn a file, so that whatever the
machine does over the minutes, it does to both. llama.cpp rearranges some types' weights at load (`--repack 1`), which speeds
up one of reading and writing and slows down the other; it gets a turn with and one without, and the better one counts.

Prints tokens a second, medians over all repetitions of all rounds, and ours over theirs; writes every time measured to a
dated JSON in `bench/results`. Needs the standard library only.
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
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Threads of a program that has just run may still spin, and the machine's average load takes a while to fall.
REST = 1.0


def busy() -> int:
    """Processes that are running, this one not among them: any beside the one that is measured makes its figures worthless."""
    own = f"/{os.getpid()}/"
    running = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            running += own not in str(stat) and stat.read_text().rpartition(")")[2].split()[0] == "R"
        except OSError:
            continue
    return running


def numbers(text: str) -> list[int]:
    return [int(n) for n in text.split(",")]


def call(command: list[str]) -> dict | list:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def ours(arguments, model: Path, threads: int) -> dict[tuple, list[float]]:
    found = call([arguments.mynah, "bench", "llm", "-m", str(model), "-t", str(threads), "-p", arguments.prompt,
                  "-n", arguments.write, "-d", arguments.depth, "--reps", str(arguments.reps), "--no-peaks", "--json"])
    return {(r["kind"], r["tokens"], r["depth"]): r["tokens_per_second"]["each"] for r in found["results"]}


def theirs(arguments, model: Path, threads: int, repack: int) -> dict[tuple, list[float]]:
    found = call([arguments.llama, "-m", str(model), "-t", str(threads), "-p", arguments.prompt, "-n", arguments.write,
                  "-d", arguments.depth, "-r", str(arguments.reps), "--repack", str(repack), "-o", "json"])
    tests = {}
    for r in found:
        kind = "pp" if r["n_prompt"] else "tg"
        tests[kind, r["n_prompt"] or r["n_gen"], r["n_depth"]] = r["samples_ts"]
    return tests


def version(command: list[str]) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = done.stdout.strip().splitlines()
    return next((line for line in lines if "version" in line), lines[-1] if lines else "unknown")


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def measure(arguments) -> tuple[list[dict], int]:
    """Every turn's figures, and how many turns were disturbed."""
    rows: dict[tuple, list[float]] = {}
    disturbed = 0
    for number in range(arguments.rounds):
        for model in arguments.models:
            for threads in arguments.threads:
                turns = [("mynah", lambda: ours(arguments, model, threads))]
                turns += [(f"llama.cpp repack={r}", lambda r=r: theirs(arguments, model, threads, r)) for r in arguments.repack]
                # Who goes first changes from round to round.
                for name, turn in turns[number % len(turns):] + turns[:number % len(turns)]:
                    time.sleep(REST)
                    disturbed += busy() > 0
                    print(f"round {number + 1}: {model.name}, {threads} threads, {name}", file=sys.stderr)
                    for test, rates in turn().items():
                        rows.setdefault((model.name, threads, name, *test), []).extend(rates)
    fields = ["model", "threads", "program", "kind", "tokens", "depth"]
    return [dict(zip(fields, key)) | {"tokens_per_second": rates} for key, rates in rows.items()], disturbed


def table(rows: list[dict]) -> str:
    """A line for each file, number of threads and length: both programs, and ours over theirs."""
    medians: dict[tuple, dict[str, float]] = {}
    for row in rows:
        test = (row["model"], row["threads"], row["kind"], row["tokens"], row["depth"])
        medians.setdefault(test, {})[row["program"]] = statistics.median(row["tokens_per_second"])
    lines = ["| file | threads | test | mynah | llama.cpp | repack | ours / theirs |", "|---|---|---|---|---|---|---|"]
    for (model, threads, kind, tokens, depth), programs in medians.items():
        own = programs.pop("mynah", None)
        best = max(programs, key=programs.get, default=None)
        at = f" @ {depth}" if depth else ""
        ratio = f"{own / programs[best]:.2f}" if own and best else "–"
        peer = f"{programs[best]:.1f}" if best else "–"
        mine = f"{own:.1f}" if own else "–"
        repack = {"0": "off", "1": "on"}.get(best[-1], "–") if best else "–"
        lines.append(f"| {model} | {threads} | {kind}{tokens}{at} | {mine} | {peer} | {repack} | {ratio} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mynah", required=True, help="our program")
    parser.add_argument("--llama", required=True, help="llama-bench")
    parser.add_argument("--models", required=True, type=lambda text: [Path(p) for p in text.split(",")], help="GGUF files, with commas")
    parser.add_argument("--threads", default=[os.cpu_count() or 1], type=numbers, help="numbers of threads, with commas (default: all)")
    parser.add_argument("-p", "--prompt", default="512", help="tokens to read, with commas")
    parser.add_argument("-n", "--write", default="128", help="tokens to write, with commas")
    parser.add_argument("-d", "--depth", default="0", help="tokens that are there before, with commas")
    parser.add_argument("--rounds", default=3, type=int)
    parser.add_argument("--reps", default=3, type=int, help="repetitions of a length in a turn")
    parser.add_argument("--repack", default=[1, 0], type=numbers, help="llama.cpp's settings to try, with commas (default: 1,0)")
    parser.add_argument("--out", type=Path, default=HERE.parent / "results", help="folder for the JSON")
    arguments = parser.parse_args()
    rows, disturbed = measure(arguments)
    print(table(rows))
    if disturbed:
        print(f"{disturbed} turns began while other processes ran: the figures are not worth much", file=sys.stderr)
    today = datetime.date.today().isoformat()
    path = arguments.out / f"{today}-llama-{arguments.models[0].stem}.json"
    machine = {"processor": processor(), "threads": os.cpu_count(), "system": platform.platform()}
    versions = {"mynah": version([arguments.mynah, "--version"]), "llama.cpp": version([arguments.llama, "--version"])}
    entry = {"date": today, "machine": machine, "versions": versions, "disturbed_turns": disturbed, "results": rows}
    path.write_text(json.dumps(entry, indent=1) + "\n")
    print(f"wrote {path}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
