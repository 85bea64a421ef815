"""Reference conversions of Chatterbox checkpoints (writes fixtures/chatterbox/convert/).

State dicts get their names and shapes from the original classes, made narrow and shallow, and random values. They are
saved in the files of a released folder, which chatterbox.cpp's own converters then turn into GGUF. What those files hold
is written down: keys, and for each tensor its type, shape and three sums over its values.

    pip install -r requirements-chatterbox.txt
    git clone https://github.com/GustavoA1604/chatterbox.cpp && git -C chatterbox.cpp checkout 3c20209
    python chatterbox_convert.py chatterbox.cpp/scripts ../fixtures/chatterbox/convert
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import gguf
import numpy as np
import torch
from safetensors.torch import save_file

from chatterbox.models.s3gen import S3Gen
from chatterbox.models.t3 import T3
from chatterbox.models.t3.modules.t3_config import T3Config
from chatterbox.models.voice_encoder import VoiceEncoder

TEXT = Path(__file__).parent.parent / "fixtures/chatterbox/text"
SEED = 20261122
# Sizes of the released models and what they become. 64 stays: it is the width of a head, which no tensor tells.
NARROW = {50276: 41, 8196: 13, 8194: 33, 6563: 31, 6561: 29, 5120: 80, 4100: 12, 4096: 96, 3072: 192, 2454: 37, 2050: 10,
          2048: 24, 1280: 64, 1024: 64, 512: 16, 320: 20, 256: 8, 192: 6, 150: 5, 128: 4, 80: 5, 40: 6, 32: 4}  # fmt: skip
# In S3Gen 1024 is no residual stream and 64 no head, but for the tokenizer and the position biases.
NARROW_S3GEN = NARROW | {2048: 12, 1024: 16, 512: 8, 256: 4, 64: 2, 18: 4, 16: 3}
TOKENIZER = {1280: 64, 5120: 80, 128: 4, 31: 5}
KEPT_LAYERS = [
    (r"tfmr\.(?:layers|h)\.(\d+)\.", 2),
    (r"estimator\.mid_blocks\.(\d+)\.", 1),
    (r"estimator\.\w+_blocks\.\d+\.1\.(\d+)\.", 1),
    (r"tokenizer\.encoder\.blocks\.(\d+)\.", 1),
    (r"xvector\.block\d\.tdnnd(\d+)\.", 2),
    (r"mel2wav\.resblocks\.(\d+)\.", 4),
    (r"resblocks\.\d+\.\w+\.(\d+)\.", 1),
]


def kept(name):
    found = ((re.search(pattern, name), limit) for pattern, limit in KEPT_LAYERS)
    return all(match is None or int(match[1]) < limit for match, limit in found)


def shrunk(module, narrow, generator):
    """A state dict of random values with some of a module's names and narrower shapes."""
    state = {}
    for name, tensor in module.state_dict().items():
        if not kept(name):
            continue
        heads = "pos_bias" in name
        shape = [2, 4] if heads else [narrow.get(size, size) for size in tensor.shape]
        if name.startswith("tokenizer.") and len(shape) > 1 and "_mel_filters" not in name:
            # This one has heads of 64, and its width tells how many.
            shape = [TOKENIZER.get(size, size) for size in tensor.shape]
        if tensor.dtype == torch.int64:
            state[name] = torch.zeros(shape, dtype=torch.int64)
        elif name.endswith(("running_var", "original0")):
            state[name] = torch.rand(shape, generator=generator) + 0.5
        else:
            state[name] = torch.randn(shape, generator=generator)
    return state


def modules():
    with torch.device("meta"):
        multilingual = T3(T3Config.multilingual())
        config = T3Config(text_tokens_dict_size=50276)
        config.llama_config_name = "GPT2_medium"
        config.speech_tokens_dict_size = 6563
        config.input_pos_emb = None
        config.use_perceiver_resampler = False
        config.emotion_adv = False
        turbo = T3(config)
    return {"mtl": (multilingual, S3Gen()), "turbo": (turbo, S3Gen(meanflow=True))}


def conditions(narrow, prompt, generator):
    """A built-in voice as `Conditionals.save` writes it."""
    size = lambda original: NARROW_S3GEN[original]
    random = lambda *shape: torch.randn(shape, generator=generator)
    tokens = lambda count: torch.randint(0, 6561, (1, count), generator=generator)
    return {
        "t3": {
            "speaker_emb": random(1, narrow[256]),
            "clap_emb": None,
            "cond_prompt_speech_tokens": tokens(prompt),
            "cond_prompt_speech_emb": None,
            "emotion_adv": torch.full((1, 1, 1), 0.5),
        },
        "gen": {
            "prompt_token": tokens(4).to(torch.int32),
            "prompt_token_len": torch.tensor([4]),
            "prompt_feat": random(1, 8, size(80)),
            "prompt_feat_len": None,
            "embedding": random(1, size(192)),
        },
    }


def sums(array):
    """Plain, absolute, and weighted by a ramp of period 997 that tells orders apart."""
    values = np.asarray(array, dtype=np.float64).reshape(-1)
    ramp = (np.arange(values.size) % 997 + 1) / 997
    return [float(values.sum()), float(np.abs(values).sum()), float((values * ramp).sum())]


def described(path):
    reader = gguf.GGUFReader(path)
    tensors = {
        tensor.name: {
            "type": tensor.tensor_type.name,
            "shape": [int(size) for size in reversed(tensor.shape)],
            "sums": sums(tensor.data),
        }
        for tensor in reader.tensors
    }
    keys = {}
    for name, field in reader.fields.items():
        if name.startswith("GGUF."):
            continue
        value = field.contents()
        value = {"items": len(value)} if isinstance(value, list) else value
        keys[name] = [field.types[0].name, "text" if isinstance(value, str) and len(value) > 200 else value]
    return {"keys": keys, "tensors": tensors}


def converted(scripts, script, constants, *arguments):
    """Runs a converter in this process, with other sizes where it has constants for them."""
    spec = importlib.util.spec_from_file_location(script.replace("-", "_"), scripts / f"{script}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, value in constants.items():
        assert hasattr(module, name), name
        setattr(module, name, value)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.gguf"
        sys.argv = [script, *map(str, arguments), "--out", str(out)]
        module.main()
        return described(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scripts", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(SEED)
    encoder = shrunk(VoiceEncoder(), NARROW, generator)
    for name, (t3, s3gen) in modules().items():
        folder = options.out / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        t3, s3gen = shrunk(t3, NARROW, generator), shrunk(s3gen, NARROW_S3GEN, generator)
        torch.save(conditions(NARROW, 5 if name == "mtl" else 7, generator), folder / "conds.pt")
        width, common = NARROW[1024], {"SPEAKER_EMBED_SIZE": NARROW[256], "N_EMBD": NARROW[1024], "N_HEAD": 1, "N_LAYER": 2}
        if name == "mtl":
            save_file({name: tensor.bfloat16() for name, tensor in t3.items()}, folder / "t3_mtl23ls_v2.safetensors")
            torch.save(s3gen, folder / "s3gen.pt")
            torch.save(encoder, folder / "ve.pt")
            shutil.copy(TEXT / "multilingual.json", folder / "grapheme_mtl_merged_expanded_v1.json")
            shutil.copy(TEXT / "cangjie.json", folder / "Cangjie5_TC.json")
            sizes = common | {
                "N_KV_HEAD": 1, "INTERMEDIATE_SIZE": NARROW[4096], "TEXT_VOCAB_SIZE": NARROW[2454],
                "SPEECH_VOCAB_SIZE": NARROW[8194], "MAX_TEXT_TOKENS": NARROW[2050] - 2,
                "MAX_SPEECH_TOKENS": NARROW[4100] - 4, "N_CTX": NARROW[2050] - 2 + NARROW[4100],
                "PERCEIVER_QUERY_TOKENS": NARROW[32], "PERCEIVER_QUERY_SIZE": width,
            }  # fmt: skip
            script = "convert-t3-mtl-to-gguf"
        else:
            save_file({name: tensor.half() for name, tensor in t3.items()}, folder / "t3_turbo_v1.safetensors")
            save_file(s3gen, folder / "s3gen_meanflow.safetensors")
            save_file(encoder, folder / "ve.safetensors")
            for file in (TEXT / "turbo").iterdir():
                shutil.copy(file, folder)
            sizes = common | {"TEXT_VOCAB_SIZE": NARROW[50276], "SPEECH_VOCAB_SIZE": NARROW[6563], "N_CTX": NARROW[8196]}
            script = "convert-t3-turbo-to-gguf"
        expected = {
            "t3": converted(options.scripts, script, sizes, "--ckpt-dir", folder),
            "s3gen": converted(options.scripts, "convert-s3gen-to-gguf", {}, "--variant", name, "--ckpt-dir", folder),
        }
        (folder / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")
    names = ["chatterbox-tts", "gguf", "torch", "safetensors", "librosa"]
    manifest = {
        "script": "oracles/chatterbox_convert.py",
        "converters": "GustavoA1604/chatterbox.cpp 3c20209",
        "versions": {name: importlib.metadata.version(name) for name in names},
    }
    (options.out / "manifest.json").write_text(json.dumps(manifest) + "\n")


if __name__ == "__main__":
    main()
