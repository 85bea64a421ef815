"""Build the fixtures of everything between a reference recording and a voice: `python chatterbox/voice.py ../fixtures/chatterbox/voice`.

The reference is chatterbox-tts' own code: its feature extractors, its encoders (with the weights of `voice_weights.py`), and the
order of its `prepare_conditionals`. Recordings are clips of `assets/samples`.
"""

import argparse
import importlib.metadata
import json
import os
import sys
import types
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import gguf
import librosa
import numpy as np
import pyloudnorm
import soundfile
import torch
import torchaudio
from chatterbox.models.s3gen.s3gen import S3Token2Mel
from chatterbox.models.s3gen.utils.mel import mel_spectrogram
from chatterbox.models.s3gen.xvector import CAMPPlus, extract_feature
from chatterbox.models.s3tokenizer.s3tokenizer import S3Tokenizer
from chatterbox.models.voice_encoder.config import VoiceEncConfig
from chatterbox.models.voice_encoder.melspec import melspectrogram
from chatterbox.models.voice_encoder.voice_encoder import VoiceEncoder, stride_as_partials
from s3tokenizer.model_v2 import ModelConfig, S3TokenizerV2
from s3tokenizer.utils import merge_tokenized_segments
from voice_weights import Tensors, fill

SAMPLES = Path(__file__).resolve().parents[2] / "assets" / "samples"


def clip(name: str) -> np.ndarray:
    """A sample clip at its 16 kHz, in ±1."""
    samples, rate = soundfile.read(SAMPLES / f"{name}.wav", dtype="int16")
    assert rate == 16_000
    return samples.astype(np.float32) / 32768


def write(path: Path, tensors: dict[str, np.ndarray], numbers: dict[str, list] | None = None):
    w = gguf.GGUFWriter(str(path), "mynah-reference")
    for name, values in (numbers or {}).items():
        w.add_array(f"ref.{name}", [v.item() if isinstance(v, np.generic) else v for v in values])
    for name, x in tensors.items():
        w.add_tensor(name, np.ascontiguousarray(np.asarray(x)))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def features(out: Path):
    """The four front ends, the two resamplers, loudness and trimming. Some hear the 16 kHz clip as if it were one of 24 kHz. Kaldi's
    filter banks are computed in double precision: in single precision torchaudio's filters are off by 1e-4 in places."""
    x = clip("mr-allen")[8000:8000 + 2 * 16_000 + 77]
    wave = torch.from_numpy(x)
    names = ["mr-allen", "so-kind", "noisy-clock"]
    loudness, trims = [], []
    for name in names:
        y = clip(name)
        loudness += [pyloudnorm.Meter(rate).integrated_loudness(y) for rate in (16_000, 24_000)]
        trims += [int(n) for n in librosa.effects.trim(np.concatenate([np.zeros(4000, np.float32), y]), top_db=20)[1]]
    quarter = torchaudio.functional.resample(wave, 24_000, 16_000)[:8000]
    to24 = librosa.resample(clip("mr-allen"), orig_sr=16_000, target_sr=24_000)
    back = librosa.resample(to24, orig_sr=24_000, target_sr=16_000)
    torch.set_default_dtype(torch.float64)
    fbank = torchaudio.compliance.kaldi.fbank(wave[None].double(), num_mel_bins=80)
    torch.set_default_dtype(torch.float32)
    write(out / "features.ref.gguf", {
        "voice_encoder": melspectrogram(x, VoiceEncConfig()).T,
        "s3_tokenizer": S3Tokenizer().log_mel_spectrogram(wave).T.numpy(),
        "prompt": mel_spectrogram(wave)[0].T.numpy(),
        "fbank": fbank.float().numpy(),
        "sinc_hann": quarter.numpy(),
        "soxr_24k": to24[24_000:36_000],
        "soxr_16k": back[16_000:24_000],
    }, {"loudness": loudness, "trims": trims})


def encoder(name: str, config, out: Path) -> VoiceEncoder:
    tensors = Tensors()
    keys = {"n_mels": config.num_mels, "hidden_size": config.ve_hidden_size, "num_layers": 3,
            "embedding_size": config.speaker_embed_size, "partial_frames": config.ve_partial_frames,
            "sample_rate": config.sample_rate, "n_fft": config.n_fft, "hop_size": config.hop_size, "win_size": config.win_size}
    for key, value in keys.items():
        tensors.key(f"voice_encoder.{key}", value)
    for key, value in {"overlap": 0.5, "rate": 1.3, "min_coverage": 0.8}.items():
        tensors.key(f"voice_encoder.{key}", value)
    model = VoiceEncoder(config)
    fill(model, "voice_encoder/", tensors, {"weight_ih_l0": 2.0, "weight_hh_l0": 1.5, "weight_hh_l1": 1.5, "weight_hh_l2": 1.5,
                                            "bias": 3.0})
    tensors.write(out / f"{name}.tensors")
    return model


def voice_encoders(out: Path) -> VoiceEncoder:
    class Small(VoiceEncConfig):
        ve_hidden_size = 48
        speaker_embed_size = 32
        ve_partial_frames = 120

    full = encoder("voice_encoder", VoiceEncConfig(), out)
    small = encoder("voice_encoder_small", Small(), out)
    references = {}
    for name, model, recording in [("full", full, clip("the-town")), ("small", small, clip("so-kind")),
                                   ("short", full, clip("price")[20_000:32_000])]:
        trimmed = librosa.effects.trim(recording, top_db=20)[0]
        partials = stride_as_partials(melspectrogram(trimmed, model.hp).T, model.hp, rate=1.3)
        with torch.inference_mode():
            references[f"{name}.partials"] = model(torch.from_numpy(partials.copy())).numpy()
        references[f"{name}.embedding"] = model.embeds_from_wavs([recording], sample_rate=16_000)[0]
    write(out / "voice_encoder.ref.gguf", references)
    return full


def speaker_encoders(out: Path) -> CAMPPlus:
    models, references = {}, {}
    cases = {"campplus": {}, "campplus_small": {"embedding_size": 24, "growth_rate": 8, "bn_size": 2, "init_channels": 32}}
    for name, options in cases.items():
        tensors = Tensors()
        keys = {"feat_dim": 80, "embedding_size": 192, "growth_rate": 32, "bn_size": 4, "init_channels": 128}
        for key, value in (keys | options).items():
            tensors.key(f"campplus.{key}", value)
        for key, value in {"block1_layers": 12, "block2_layers": 24, "block3_layers": 16, "block1_dilation": 1,
                           "block2_dilation": 2, "block3_dilation": 2, "kernel_size": 3, "seg_pool_len": 100,
                           "sample_rate": 16_000}.items():
            tensors.key(f"campplus.{key}", value)
        models[name] = model = CAMPPlus(memory_efficient=False, **options)
        fill(model, "campplus/", tensors, {".weight": 2**0.5, "linear1.bias": 1.0})
        tensors.write(out / f"{name}.tensors")
        for samples in [16_000 * 5 // 2 + 33] if name == "campplus" else [7000, 16_000, 16_000 * 4]:
            x = torch.from_numpy(clip("the-town")[9000:9000 + samples])
            with torch.inference_mode():
                references[f"{name}.{samples}"] = model.inference([x])[0].numpy()
            if name == "campplus_small" and samples == 7000:
                references["features"] = extract_feature([x])[0][0].numpy()
    write(out / "campplus.ref.gguf", references)
    return models["campplus"]


def tokenizer(out: Path) -> S3Tokenizer:
    config = ModelConfig(n_audio_state=128, n_audio_head=2, n_audio_layer=2)
    tensors = Tensors()
    for key, value in {"n_mels": 128, "n_audio_state": 128, "n_audio_head": 2, "n_audio_layer": 2, "head_dim": 64, "mlp_ratio": 4,
                       "fsmn_kernel": 31, "fsq_levels": 3, "fsq_dim": 8, "codebook_size": 6561, "conv_stride": 2, "n_fft": 400,
                       "hop": 160, "sample_rate": 16_000, "rope_theta": 10_000.0, "rope_max_pos": 2048}.items():
        tensors.key(f"s3tokv2.{key}", value)
    # chatterbox' class has no size but its own; the package's has.
    model = S3TokenizerV2("speech_tokenizer_v2_25hz", config)
    fill(model, "s3tokv2/", tensors, {"query.weight": 2.0, "key.weight": 2.0, "project_down.weight": 0.5, "project_down.bias": 2.0})
    whole = S3Tokenizer()
    model.n_fft = whole.n_fft
    model.register_buffer("_mel_filters", whole._mel_filters)
    model.register_buffer("window", whole.window)
    model.__class__ = S3Tokenizer
    tensors.write(out / "s3tokenizer.tensors")
    return model


def tokens(model: S3Tokenizer, out: Path) -> dict:
    """Tokens of several clips, and how far each is from being another: the distance of the nearest of its eight numbers to a tie."""
    seen = []
    codebook = model.quantizer._codebook
    plain = type(codebook).encode

    def encode(self, x):
        h = self.project_down(x).tanh() * 0.9990000128746033
        seen.append((h.abs() - 0.5).abs().amin(-1))
        return plain(self, x)

    type(codebook).encode = encode
    arrays, report = {}, {}
    for name, samples, max_len in [("short", clip("mr-allen")[:48_000], None), ("odd", clip("so-kind")[:50_123], None),
                                   ("cut", clip("the-town"), 150), ("long", clip("minute"), None)]:
        seen.clear()
        found = model([samples], max_len=max_len)[0][0].numpy()
        if name == "long":
            frames = 1 + len(samples) // 160 - 1
            lengths = [min(3000, frames - start) for start in range(0, frames, 2600)]
            rows = [row[:((n - 1) // 2) // 2 + 1].tolist() for row, n in zip(seen[0], lengths, strict=True)]
            margins = np.array(merge_tokenized_segments(rows, overlap=4, token_rate=25), np.float32)
        else:
            margins = seen[0][0].numpy()
        assert len(margins) == len(found), (name, len(margins), len(found))
        arrays[f"{name}.tokens"], arrays[f"{name}.margins"] = found.astype(np.int32), margins
        report[name] = {"tokens": len(found), "different": len(set(found.tolist())), "smallest_margin": float(margins.min()),
                        "margins_below_1e-3": int((margins < 1e-3).sum())}
    type(codebook).encode = plain
    write(out / "s3tokenizer.ref.gguf", arrays)
    return report


def voices(encoder: VoiceEncoder, speaker: CAMPPlus, tokenizer: S3Tokenizer, out: Path) -> dict:
    """The order of `prepare_conditionals` of ChatterboxMultilingualTTS and ChatterboxTurboTTS."""
    gen = types.SimpleNamespace(device=torch.device("cpu"), dtype=torch.float32, mel_extractor=mel_spectrogram,
                                speaker_encoder=speaker, tokenizer=tokenizer)
    report = {}
    for kind, seconds, longest, target in [("multilingual", 6, 150, None), ("turbo", 15, 375, -27)]:
        wave, rate = librosa.load(SAMPLES / "the-town.wav", sr=24_000)
        if target is not None:
            wave = wave * 10.0 ** ((target - pyloudnorm.Meter(rate).integrated_loudness(wave)) / 20.0)
        wave16 = librosa.resample(wave, orig_sr=24_000, target_sr=16_000)
        with torch.inference_mode():
            ref = S3Token2Mel.embed_ref(gen, wave[:10 * 24_000], 24_000, device=torch.device("cpu"))
            t3_tokens = tokenizer.forward([wave16[:seconds * 16_000]], max_len=longest)[0]
        speaker_embedding = encoder.embeds_from_wavs([wave16], sample_rate=16_000).mean(axis=0)
        arrays = {"speaker_emb": speaker_embedding, "cond_prompt_speech_tokens": t3_tokens[0].numpy().astype(np.int32),
                  "embedding": ref["embedding"][0].numpy(), "prompt_token": ref["prompt_token"][0].numpy().astype(np.int32),
                  "prompt_feat": ref["prompt_feat"][0].numpy()}
        folder = out / kind
        folder.mkdir(exist_ok=True)
        for name, x in arrays.items():
            if kind == "multilingual" or name != "prompt_feat":
                np.save(folder / f"{name}.npy", x)
        report[kind] = {name: [str(x.dtype), list(x.shape)] for name, x in arrays.items()}
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder to write, e.g. ../fixtures/chatterbox/voice")
    out = parser.parse_args().out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    features(out)
    ve, campplus, s3 = voice_encoders(out), speaker_encoders(out), tokenizer(out)
    report = {"tokens": tokens(s3, out), "voices": voices(ve, campplus, s3, out)}
    versions = ["chatterbox-tts", "gguf", "librosa", "numpy", "pyloudnorm", "s3tokenizer", "soxr", "torch", "torchaudio"]
    manifest = {"made_by": "python chatterbox/voice.py ../fixtures/chatterbox/voice (in oracles/)", "threads": 1, **report,
                "versions": {name: importlib.metadata.version(name) for name in versions}}
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    print(json.dumps(report, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
