"""One peer in a process of its own: loads, warms up, then runs as often as each line on standard input says.

    python worker.py ort-int8 --shape tdt-0.6b-v3 --seconds 11 --threads 1 --cache FOLDER
    python worker.py transcribe-cpp --model FILE.gguf --audio CLIP.wav --threads 1

Started by `run.py`. Answers are JSON lines on what was standard output when it began: `{"ready": ...}` once, then
`{"times": [...]}` for each number read. Whatever libraries print goes to standard error.
"""

import argparse
import json
import os
import resource
import sys
import time
import wave
from importlib.metadata import version
from pathlib import Path

# Libraries print where answers belong.
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def torch_engine(arguments, dtype):
    import encoder
    import torch

    torch.set_num_threads(arguments.threads)
    model = encoder.build(arguments.shape).to(dtype)
    features, lengths = encoder.features(arguments.shape, arguments.seconds)
    features = features.to(dtype)

    def run():
        with torch.inference_mode():
            model(audio_signal=features, length=lengths)

    return run, f"PyTorch {version('torch')}, NeMo {version('nemo_toolkit')}"


def ort_engine(arguments, kind):
    import encoder
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    options.inter_op_num_threads = 1
    path = encoder.onnx_path(arguments.cache, arguments.shape, kind)
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    features, lengths = encoder.features(arguments.shape, arguments.seconds)
    names = [i.name for i in session.get_inputs()]
    feed = {names[0]: features.numpy(), names[1]: lengths.numpy()}

    def run():
        session.run(None, feed)

    return run, f"ONNX Runtime {version('onnxruntime')}"


def transcribe_cpp_engine(arguments):
    import numpy as np
    import transcribe_cpp

    transcribe_cpp.set_log_callback(None)
    with wave.open(str(arguments.audio)) as clip:
        if (clip.getframerate(), clip.getnchannels(), clip.getsampwidth()) != (16000, 1, 2):
            raise SystemExit(f"{arguments.audio}: not 16 kHz mono in 16 bits")
        samples = np.frombuffer(clip.readframes(clip.getnframes()), dtype=np.int16).astype(np.float32) / 32768
    session = transcribe_cpp.Model(arguments.model, backend="cpu").session(n_threads=arguments.threads)

    def run():
        """The seconds of the encoder."""
        return session.run(samples).timings.encode_ms / 1e3

    return run, f"transcribe.cpp {version('transcribe-cpp')}"


ENGINES = {
    "torch-f32": lambda a: torch_engine(a, __import__("torch").float32),
    "torch-bf16": lambda a: torch_engine(a, __import__("torch").bfloat16),
    "ort-f32": lambda a: ort_engine(a, "f32"),
    "ort-int8": lambda a: ort_engine(a, "int8"),
    "transcribe-cpp": transcribe_cpp_engine,
}


def answer(value):
    print(json.dumps(value), file=ANSWERS, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("--shape", default="tdt-0.6b-v3")
    parser.add_argument("--seconds", type=float, default=11.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--audio", type=Path)
    arguments = parser.parse_args()
    run, name = ENGINES[arguments.engine](arguments)
    run()
    answer({"ready": name})
    for line in sys.stdin:
        times, parts = [], []
        for _ in range(int(line)):
            begin = time.perf_counter()
            part = run()
            times.append(time.perf_counter() - begin)
            if part is not None:
                parts.append(part)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        answer({"times": times, "encoder": parts, "peak_rss_bytes": peak})


if __name__ == "__main__":
    main()
