"""Files that llama.cpp wrote, and its logits: `python -m qwen35.llamacpp --source SDIST --build BUILD ../fixtures/llamacpp`.

SDIST is the unpacked source distribution of llama-cpp-python, which carries llama.cpp with its converter; BUILD is a
build of that tree with shared libraries (see README.md). What is written:

- `folders/`: Hugging Face folders, each with the file that llama.cpp's converter makes of it.
- `files/`: tiny models in further types, converted and quantised by llama.cpp.
- `logits.gguf`: transformers' logits of every model before it was converted, and llama.cpp's of every file.
"""

import argparse
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np
import torch

from .folders import FOLDERS, KINDS, Folder, write

TOKENS = 12
# Widths that allow blocks of 256 everywhere but in one projection, which shows what is taken instead.
WIDE = Folder("wide", "qwen3_5", 21, tied=True, sizes=dict(
    hidden_size=256, intermediate_size=256, num_hidden_layers=2, full_attention_interval=2, linear_key_head_dim=16,
    linear_value_head_dim=16))
QUANTISED = ["Q8_0", "Q4_0", "Q4_K_M", "Q5_K_M", "Q6_K", "IQ4_NL"]

CONVERT = """
import sys
sys.path[:0] = sys.argv[1:3]
import conversion.base
name = sys.argv[3]
del sys.argv[1:4]
# The hash of a released vocabulary names the pre-split rule; no tiny vocabulary has such a hash.
conversion.base.TextModel.get_vocab_base_pre = lambda self, tokenizer: name
import convert_hf_to_gguf
convert_hf_to_gguf.main()
"""


def convert(source: Path, folder: Folder, path: Path, out: Path, outtype: str, *flags: str) -> None:
    tree = source / "vendor/llama.cpp"
    command = [sys.executable, "-c", CONVERT, tree, tree / "gguf-py", KINDS[folder.kind][3], path,
               "--outtype", outtype, "--outfile", out, *flags]
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def quantize(build: Path, source: Path, out: Path, name: str) -> None:
    subprocess.run([build / "bin/llama-quantize", source, out, name, "1"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def llama_logits(path: Path, tokens: list[int]) -> np.ndarray:
    """Logits of every position in one piece, keys and values in F32."""
    import llama_cpp

    model = llama_cpp.Llama(str(path), n_ctx=64, n_batch=64, n_ubatch=64, n_threads=1, n_threads_batch=1, n_gpu_layers=0,
                            logits_all=True, type_k=0, type_v=0, flash_attn=False, verbose=False)
    model.eval(tokens)
    return np.array(model.scores[:len(tokens)], dtype=np.float32)


def torch_logits(model, tokens: list[int]) -> np.ndarray:
    with torch.no_grad():
        return model(input_ids=torch.tensor([tokens])).logits[0].float().numpy()


def nmse(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(((found - wanted).astype(np.float64) ** 2).sum() / (wanted.astype(np.float64) ** 2).sum())


def tokens_of(folder: Folder) -> list[int]:
    rng = np.random.default_rng(folder.seed)
    return [int(t) for t in rng.integers(folder.config().vocab_size, size=TOKENS)]


def compare(folder: Folder, model, files: dict[str, Path], logits: dict) -> dict:
    """Logits of transformers, and of llama.cpp at every type; how far they are apart."""
    tokens = tokens_of(folder)
    wanted = torch_logits(model, tokens)
    logits[f"{folder.name}.torch"] = wanted
    entries = {}
    for name, path in files.items():
        found = llama_logits(path, tokens)
        if name != "F32":
            logits[f"{folder.name}.{name}"] = found
        entries[name] = nmse(found, wanted)
    return {"tokens": tokens, "nmse_of_llama": entries}


def write_all(source: Path, build: Path, out: Path, work: Path) -> dict:
    manifest, logits = {}, {}
    (out / "files").mkdir(parents=True, exist_ok=True)
    for folder in FOLDERS:
        path = out / "folders" / folder.name
        model = write(folder, path)
        made = {"BF16": out / "folders" / f"{folder.name}.gguf", "F32": work / f"{folder.name}.gguf"}
        # The predicting layer stays in the file where there is one.
        convert(source, folder, path, made["BF16"], "bf16", *([] if folder.predicting else ["--no-mtp"]))
        convert(source, folder, path, made["F32"], "f32", "--no-mtp")
        if folder.name == "dense":
            made["F16"] = out / "files" / "dense-F16.gguf"
            convert(source, folder, path, made["F16"], "f16", "--no-mtp")
        manifest[folder.name] = compare(folder, model, made, logits) | {"kind": folder.kind}
    model = write(WIDE, work / WIDE.name)
    made = {"F32": work / f"{WIDE.name}.gguf"}
    convert(source, WIDE, work / WIDE.name, made["F32"], "f32", "--no-mtp")
    for name in QUANTISED:
        made[name] = out / "files" / f"{WIDE.name}-{name}.gguf"
        quantize(build, made["F32"], made[name], name)
    manifest[WIDE.name] = compare(WIDE, model, made, logits) | {"kind": WIDE.kind}
    w = gguf.GGUFWriter(str(out / "logits.gguf"), "mynah-reference")
    for name, value in logits.items():
        w.add_tensor(name, np.ascontiguousarray(value, dtype=np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return manifest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write, e.g. ../fixtures/llamacpp")
    parser.add_argument("--source", type=Path, required=True, help="the unpacked source distribution of llama-cpp-python")
    parser.add_argument("--build", type=Path, required=True, help="a build of its llama.cpp with shared libraries")
    arguments = parser.parse_args()
    out, source, build = arguments.out.resolve(), arguments.source.resolve(), arguments.build.resolve()
    os.environ["LLAMA_CPP_LIB_PATH"] = str(build / "bin")
    sys.path.append(str(source))
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as work:
        models = write_all(source, build, out, Path(work))
    manifest = {
        "models": models,
        "made_by": "python -m qwen35.llamacpp --source SDIST --build BUILD ../fixtures/llamacpp (in oracles/)",
        "versions": {name: importlib.metadata.version(name) for name in ["torch", "transformers", "gguf", "numpy", "safetensors"]}
        | {"llama-cpp-python": source.name.removeprefix("llama_cpp_python-")},
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
