"""Build the fixtures of speech tokens → waveform: `python chatterbox/s3gen.py ../fixtures/chatterbox`.

Weights, prompts and noise follow the rule of `s3gen_weights.py` and are not stored; what is stored is which tensors there are
and what chatterbox-tts makes of them, stage by stage.
"""

import argparse
import importlib.metadata
import json
from pathlib import Path

import gguf
import numpy as np
import torch

import s3gen_modules
from s3gen_weights import weights

PROMPT, TOKENS = 7, 11
VOCODER_FRAMES = 9
CASES = {"mtl": {"meanflow": False, "steps": [10, 4]}, "turbo": {"meanflow": True, "steps": [2, 3]}}


def integers(name: str, count: int, below: int) -> np.ndarray:
    return np.floor((weights(name, (count,), 0.5, 0.5)) * below).astype(np.int64)


def kept(store: dict, name: str, channels_first: bool = False):
    """A hook that keeps a module's output, time-major."""
    def hook(_, __, output):
        value = output[0] if isinstance(output, tuple) else output
        store[name] = (value.transpose(1, 2) if channels_first else value).squeeze(0).numpy().copy()
    return hook


def relative(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.linalg.norm(found.astype(np.float64) - wanted) / np.linalg.norm(wanted))


def flow_case(name: str, meanflow: bool, steps: list[int], out: Path, vocode) -> dict:
    flow = s3gen_modules.flow(meanflow)
    table = s3gen_modules.fill(flow, s3gen_modules.flow_names(flow))
    refs = {}
    prompt = integers("input/prompt_tokens", PROMPT, s3gen_modules.VOCABULARY)
    tokens = integers("input/tokens", TOKENS, s3gen_modules.VOCABULARY)
    frames = 2 * (PROMPT + TOKENS)
    feat = weights("input/prompt_mel", (2 * PROMPT, 80), 2.0)
    embedding = weights("input/embedding", (192,), 1.0)
    z = weights("input/noise", (frames, 80), 2.0)
    overlay = weights("input/noise_target", (2 * TOKENS, 80), 2.0)

    encoder, estimator = flow.encoder, flow.decoder.estimator
    hooks = [
        encoder.embed.register_forward_hook(kept(refs, "flow.embed")),
        encoder.pre_lookahead_layer.register_forward_hook(kept(refs, "flow.lookahead")),
        encoder.up_layer.register_forward_hook(kept(refs, "flow.up", True)),
        encoder.up_embed.register_forward_hook(kept(refs, "flow.up_embed")),
        encoder.register_forward_hook(kept(refs, "flow.after_norm")),
        flow.encoder_proj.register_forward_hook(kept(refs, "flow.mu")),
        flow.spk_embed_affine_layer.register_forward_hook(kept(refs, "flow.spks")),
    ]
    hooks += [b.register_forward_hook(kept(refs, f"flow.block.{i}")) for i, b in enumerate(encoder.encoders)]
    hooks += [b.register_forward_hook(kept(refs, f"flow.up_block.{i}")) for i, b in enumerate(encoder.up_encoders)]

    # Every evaluation of the first solve; of the first of them also what is inside.
    evaluations, inner = [], {}
    forward = estimator.forward

    def recorded(*given, **named):
        output = forward(*given, **named)
        evaluations.append(output.numpy().copy())
        return output

    estimator.forward = recorded  # The solvers call it past its hooks.
    times = []
    last = estimator.time_embed_mixer if meanflow else estimator.time_mlp
    hooks.append(last.register_forward_hook(lambda _, __, output: times.append(output[0].numpy().copy())))

    def once(key: str):
        def hook(_, __, output):
            inner.setdefault(key, output.numpy().copy())
        return hook

    hooks.append(estimator.down_blocks[0][0].register_forward_hook(once("cfm.down.resnet")))
    hooks.append(estimator.down_blocks[0][2].register_forward_hook(once("cfm.down")))
    hooks += [m[0].register_forward_hook(once(f"cfm.mid.{i}.resnet")) for i, m in enumerate(estimator.mid_blocks)]
    hooks.append(estimator.up_blocks[0][2].register_forward_hook(once("cfm.up")))

    drawn = torch.from_numpy(np.ascontiguousarray(z.T))[None]
    randn_like = torch.randn_like
    torch.randn_like = lambda like: drawn[..., :like.shape[-1]].clone()
    arguments = {
        "token": torch.from_numpy(tokens)[None], "token_len": torch.tensor([TOKENS]),
        "prompt_token": torch.from_numpy(prompt)[None], "prompt_token_len": torch.tensor([PROMPT]),
        "prompt_feat": torch.from_numpy(feat)[None], "prompt_feat_len": None,
        "embedding": torch.from_numpy(embedding)[None], "finalize": True, "meanflow": meanflow,
        "noised_mels": torch.from_numpy(np.ascontiguousarray(overlay.T))[None] if meanflow else None,
    }
    mels = {}
    for n in steps:
        before = len(evaluations)
        mels[n] = flow.inference(n_timesteps=n, **arguments)[0]
        refs[f"mel.{n}"] = mels[n][0].T.numpy().copy()
        if n == steps[0]:
            refs["cfm.first"] = evaluations[0].transpose(0, 2, 1)
            assert len(evaluations) - before == n
            # The reference embeds t and r one after the other and mixes them, so each evaluation leaves one vector.
            refs["cfm.times"] = np.stack(times)
    for key, value in inner.items():
        refs[key] = value.transpose(0, 2, 1)

    # The released class can't decode an open chunk (its mask keeps the frames that it drops), so the same steps by hand.
    with torch.no_grad():
        keep = frames - 6
        mu = torch.from_numpy(refs["flow.mu"])[None].transpose(1, 2)[..., :keep]
        cond = torch.zeros(1, 80, keep)
        cond[..., :2 * PROMPT] = torch.from_numpy(feat.T)
        noised = arguments["noised_mels"]
        mel, _ = flow.decoder(
            mu=mu.contiguous(), mask=torch.ones(1, 1, keep), n_timesteps=steps[0],
            spks=torch.from_numpy(refs["flow.spks"])[None], cond=cond, meanflow=meanflow,
            noised_mels=None if noised is None else noised[..., :-6])
        refs["mel.open"] = mel[0, :, 2 * PROMPT:].T.numpy().copy()
    torch.randn_like = randn_like
    estimator.forward = forward
    for hook in hooks:
        hook.remove()
    refs["pcm"] = vocode(mels[steps[0]])

    writer = gguf.GGUFWriter(str(out / f"{name}.gguf"), "mynah-reference")
    writer.add_array("ref.prompt_tokens", [int(t) for t in prompt])
    writer.add_array("ref.tokens", [int(t) for t in tokens])
    save(writer, refs)
    return {"tensors": table, "steps": steps, "meanflow": meanflow}


def save(writer: gguf.GGUFWriter, refs: dict) -> None:
    for name, value in refs.items():
        writer.add_tensor(name, np.ascontiguousarray(value, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class Vocoder:
    def __init__(self):
        self.hift = s3gen_modules.vocoder()
        self.table = s3gen_modules.fill(self.hift, s3gen_modules.hift_names(self.hift))

    def source(self, f0: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """The harmonic source `[1, 1, samples]` of f0 `[1, frames]` with pinned phases and noise, in a precision."""
        samples = 480 * f0.shape[1]
        uniform = weights("input/source_phase", (9,), 0.5, 0.5)
        phase = torch.from_numpy(-np.pi + 2 * np.pi * uniform.astype(np.float64)).to(dtype).reshape(1, 9, 1)
        noise = torch.from_numpy(weights("input/source_noise", (samples, 9), 2.0).T.copy()).to(dtype)[None]
        sample, randn_like = torch.distributions.Uniform.sample, torch.randn_like
        torch.distributions.Uniform.sample = lambda self, sample_shape: phase.clone()
        torch.randn_like = lambda like: noise if like.shape[1] == 9 else torch.zeros_like(like)
        torch.set_default_dtype(dtype)
        module = self.hift.m_source.to(dtype)
        with torch.no_grad():
            raised = self.hift.f0_upsamp(f0.to(dtype)[:, None]).transpose(1, 2)
            source, _, _ = module(raised)
        torch.set_default_dtype(torch.float32)
        self.hift.m_source.to(torch.float32)
        torch.distributions.Uniform.sample, torch.randn_like = sample, randn_like
        return source.transpose(1, 2)

    def run(self, mel: torch.Tensor, refs: dict | None = None, note: dict | None = None) -> np.ndarray:
        """Samples of mel `[1, 80, frames]`."""
        refs = {} if refs is None else refs
        with torch.no_grad():
            f0 = self.hift.f0_predictor(mel)
            exact = self.source(f0, torch.float64)
            source = exact.float()
            hooks = []
            stages = {"hift.pre": self.hift.conv_pre, "hift.post": self.hift.conv_post}
            stages |= {f"hift.up.{i}": up for i, up in enumerate(self.hift.ups)}
            stages |= {f"hift.source.{i}": block for i, block in enumerate(self.hift.source_resblocks)}
            stages |= {f"hift.block.{i}": self.hift.resblocks[i] for i in (0, 4, 8)}
            for name, module in stages.items():
                hooks.append(module.register_forward_hook(kept(refs, name, True)))
            real, imag = self.hift._stft(source.squeeze(1))
            refs["hift.spectrum"] = torch.cat([real, imag], dim=1)[0].T.numpy().copy()
            pcm = self.hift.decode(mel, source)[0].numpy().copy()
            for hook in hooks:
                hook.remove()
        refs |= {"hift.f0": f0[0].numpy().copy(), "hift.source": source[0, 0].numpy().copy(), "hift.pcm": pcm}
        if note is not None:
            single = self.source(f0, torch.float32)
            note["source_of_float32"] = relative(single[0, 0].numpy(), exact[0, 0].numpy())
            note["f0_range"] = [float(f0.min()), float(f0.max())]
            note["magnitude_max"] = float(np.exp(refs["hift.post"][:, :9].max()))
            note["pcm_rms"] = float(np.sqrt((pcm**2).mean()))
            note["pcm_peak"] = float(np.abs(pcm).max())
        return pcm


def faded(pcm: np.ndarray) -> np.ndarray:
    fade = torch.zeros(960)
    fade[480:] = (torch.cos(torch.linspace(torch.pi, 0, 480)) + 1) / 2
    pcm = pcm.copy()
    pcm[:960] *= fade.numpy()
    return pcm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out / "s3gen"
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    vocoder, notes = Vocoder(), {}
    refs = {}
    mel = torch.from_numpy(weights("input/mel", (VOCODER_FRAMES, 80), 2.0).T.copy())[None]
    vocoder.run(mel, refs, notes)
    writer = gguf.GGUFWriter(str(out / "hift.gguf"), "mynah-reference")
    save(writer, refs)
    manifest = {"hift": notes | {"tensors": vocoder.table}}
    for name, case in CASES.items():
        manifest[name] = flow_case(name, case["meanflow"], case["steps"], out, lambda mel: faded(vocoder.run(mel)))
    versions = {p: importlib.metadata.version(p) for p in ("chatterbox-tts", "torch", "diffusers", "numpy", "gguf")}
    lines = ['{"versions": ' + json.dumps(versions)]
    for name, entry in manifest.items():
        tensors = entry.pop("tensors")
        rows = ",\n".join(json.dumps([t["name"], t["shape"], t["scale"], t["offset"]]) for t in tensors)
        lines.append(f'"{name}": {json.dumps(entry)},\n"{name}.tensors": [\n{rows}]')
    (out / "manifest.json").write_text(",\n".join(lines) + "}\n")
    print(json.dumps(manifest, indent=1))


if __name__ == "__main__":
    main()
