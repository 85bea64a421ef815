"""Build the fixtures of the watermark: `python chatterbox/watermark.py ../fixtures/perth`.

The reference is resemble-perth's own code with a network of fewer channels and shorter transforms, whose weights are hashes
(`voice_weights.py`). Its checkpoint manager writes the checkpoint, so that the folder is like the one in the package.
"""

import argparse
import importlib.metadata
import json
import shutil
import sys
from pathlib import Path

import gguf
import librosa
import numpy as np
import soundfile
import torch
from perth.perth_net.perth_net_implicit.checkpoint_manager import CheckpointManager
from perth.perth_net.perth_net_implicit.config import default_hp
from perth.perth_net.perth_net_implicit.model.encoder import magmask
from perth.perth_net.perth_net_implicit.model.perth_net import PerthNet
from perth.perth_net.perth_net_implicit.perth_watermarker import PerthImplicitWatermarker
from voice_weights import hashed

SAMPLES = Path(__file__).resolve().parents[2] / "assets" / "samples"
# A subband of 24 of 257 bins.
HP = default_hp._replace(n_fft=512, window_size=512, hop_size=80, hidden_size=12, max_wmark_freq=1500)
# Samples of the clips; the second begins and ends with zeros.
CLIPS = {"noisy-clock": (4000, 12_345), "mr-allen": (8000, 9600)}


def clip(name: str) -> np.ndarray:
    """A stretch of a sample, in ±1, heard as if it were of another rate; the second with zeros at both ends."""
    samples, _ = soundfile.read(SAMPLES / f"{name}.wav", dtype="int16")
    first, count = CLIPS[name]
    x = samples[first:first + count].astype(np.float32) / 32768
    if name == "mr-allen":
        x[:2400] = 0
        x[-1700:] = 0
    return x


def network() -> PerthNet:
    """Residuals of some hundredths, scores around a half."""
    net = PerthNet(HP)
    state = net.state_dict()
    for name, value in state.items():
        if name.startswith("ap."):
            continue
        shape = tuple(value.shape)
        scale = np.sqrt(3 / max(1, value[0].numel())) if len(shape) > 1 else 0.1
        if name.startswith("encoder.layers.6"):
            scale *= 0.1
        if name.endswith("_layers.6.conv.weight"):
            scale *= 12
        x = torch.from_numpy(hashed(name, shape, scale, 0.0))
        if name.startswith("decoder") and name.endswith("6.conv.bias"):
            x[1] += 0.5
        state[name] = x
    net.load_state_dict(state)
    return net.eval()


def save(net: PerthNet, out: Path):
    """As in the package: the folder of a run with its hyperparameters and a checkpoint of a step."""
    folder = out / "implicit"
    shutil.rmtree(folder, ignore_errors=True)
    manager = CheckpointManager(out, "implicit", HP)
    manager.save_model(net, 7)
    (folder / "id.txt").unlink()


@torch.inference_mode()
def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder to write, e.g. ../fixtures/perth")
    out = parser.parse_args().out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    net = network()
    save(net, out)
    marker = PerthImplicitWatermarker(run_name=None, perth_net=net)
    tensors, report = {}, {}
    for name in CLIPS:
        x = clip(name)
        mag, _ = net.ap.signal_to_magphase(torch.from_numpy(x))
        subband = mag[:net.subband]
        tensors[f"{name}.levels"] = subband.T.numpy()[::4]
        tensors[f"{name}.sums"] = mag.sum(dim=0).numpy()
        mask = magmask(mag[None])[0]
        tensors[f"{name}.mask"] = mask.numpy().astype(np.int32)
        tensors[f"{name}.residual"] = (net.encoder.layers(subband[None])[0] * mask).T.numpy()[::4]
        tensors[f"{name}.marked"] = marker.apply_watermark(x, sample_rate=32_000)
        said = {}
        hooks = [getattr(net.decoder, f"{kind}_layers").register_forward_hook(
            lambda _m, _i, o, kind=kind: said.update({kind: o[0].T.numpy()})) for kind in ("slow", "normal", "fast")]
        raw = net.decoder(mag[None])[0]
        for hook in hooks:
            hook.remove()
        tensors |= {f"{name}.{kind}": y[::4] for kind, y in said.items()}
        tensors[f"{name}.raw"] = raw[None].numpy()
        report[name] = {"frames": mag.shape[1], "frames_that_count": int(mask.sum()), "raw": float(raw)}
    x = clip("noisy-clock")
    tensors["resampled.marked"] = marker.apply_watermark(x[:7200], sample_rate=24_000)
    tensors["resampled.up"] = librosa.resample(x[:7200], orig_sr=24_000, target_sr=32_000)
    rates = [8_000, 16_000, 22_050, 24_000, 44_100, 48_000]
    tensors["rates"] = np.array(rates, dtype=np.int32)
    tensors["scores"] = np.array([marker.get_watermark(x, sample_rate=r, round=False) for r in rates], dtype=np.float32)
    report["scores"] = {r: float(s) for r, s in zip(rates, tensors["scores"])}
    w = gguf.GGUFWriter(str(out / "reference.gguf"), "mynah-reference")
    for name, y in tensors.items():
        w.add_tensor(name, np.ascontiguousarray(y))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    versions = ["gguf", "librosa", "numpy", "resemble-perth", "scipy", "soxr", "torch", "torchaudio"]
    manifest = {"made_by": "python chatterbox/watermark.py ../fixtures/perth (in oracles/)", "threads": 1,
                "subband": net.subband, **report,
                "versions": {name: importlib.metadata.version(name) for name in versions}}
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    print(json.dumps(manifest, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
