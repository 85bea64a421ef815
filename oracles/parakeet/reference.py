"""Run a model stage by stage and write what came out: one small GGUF file per case and clip.

All arrays are float32, time-major (rows = frames), valid frames only. Features do not depend on the weights, so they
are written once per mel count. Keys of a file are listed in ../README.md.
"""

from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import torch

from .cases import Case
from .decode import Decoded

ROW_STRIDE = 8
NEMO_MEL_KEPT = ("mod1", "tenth", "hop")  # the others would only repeat it


@dataclass
class Run:
    """The stages of one clip, torch tensors, invalid frames cut off."""

    mel: torch.Tensor  # (F, mels), normalised
    subsampling: torch.Tensor  # (T, d), before xscaling
    layers: list[torch.Tensor]  # each (T, d)
    encoded: torch.Tensor  # (T, d)
    log_probs: torch.Tensor | None  # (T, V + 1)


def run_batch(model, case: Case, clips: list[np.ndarray]) -> list[Run]:
    """Forward several clips as one padded batch; a single clip is a batch of one."""
    lengths = torch.tensor([len(c) for c in clips])
    audio = torch.zeros(len(clips), int(lengths.max()))
    for row, clip in zip(audio, clips):
        row[: len(clip)] = torch.from_numpy(clip)
    captured: dict[str, torch.Tensor] = {}

    def keep(name):
        def hook(_module, _inputs, output):
            captured[name] = output[0] if isinstance(output, tuple) else output
        return hook

    hooks = [model.encoder.pre_encode.register_forward_hook(keep("subsampling"))]
    hooks += [layer.register_forward_hook(keep(f"layer.{i}")) for i, layer in enumerate(model.encoder.layers)]
    try:
        with torch.no_grad():
            mel, mel_lengths = model.preprocessor(input_signal=audio, length=lengths)
            # Silence has equal log-mels, so its normalised features are 0; NeMo's f32 mean is off by rounding, and
            # dividing that by the 1e-5 epsilon gives -0.16. The reference is what exact arithmetic gives.
            mel = torch.where((audio == 0).all(dim=1)[:, None, None], torch.zeros_like(mel), mel)
            encoded, encoded_lengths = model.encoder(audio_signal=mel, length=mel_lengths)
            log_probs = None
            if "ctc" in case.heads:
                head = model.decoder if case.transducer is None else model.ctc_decoder
                log_probs = head(encoder_output=encoded)
    finally:
        for hook in hooks:
            hook.remove()
    runs = []
    for i in range(len(clips)):
        frames, rows = int(mel_lengths[i]), int(encoded_lengths[i])
        runs.append(Run(
            mel=mel[i, :, :frames].T.contiguous(),
            subsampling=captured["subsampling"][i, :rows],
            layers=[captured[f"layer.{n}"][i, :rows] for n in range(case.layers)],
            encoded=encoded[i, :, :rows].T.contiguous(),
            log_probs=None if log_probs is None else log_probs[i, :rows]))
    return runs


class Container:
    """A GGUF file used as a bag of arrays and lists. An empty list is left out: GGUF has no type for it."""

    def __init__(self, path: Path):
        self.writer = gguf.GGUFWriter(str(path), "mynah-reference")

    def array(self, name: str, value: torch.Tensor | np.ndarray) -> None:
        value = value.detach().numpy() if isinstance(value, torch.Tensor) else value
        self.writer.add_tensor(name, np.ascontiguousarray(value, dtype=np.float32))

    def list(self, name: str, values: list) -> None:
        if values:
            self.writer.add_array(name, values)

    def count(self, name: str, value: int) -> None:
        self.writer.add_uint32(name, value)

    def text(self, name: str, value: str) -> None:
        self.writer.add_string(name, value)

    def close(self) -> None:
        self.writer.write_header_to_file()
        self.writer.write_kv_data_to_file()
        self.writer.write_tensors_to_file()
        self.writer.close()


def write_mel(run: Run, exact: np.ndarray, clip: str, samples: int, path: Path) -> None:
    out = Container(path)
    out.text("ref.clip", clip)
    out.count("ref.samples", samples)
    out.count("ref.frames", run.mel.shape[0])
    out.array("mel.exact", exact)
    if clip in NEMO_MEL_KEPT:
        out.array("mel", run.mel)
    out.close()


def column_statistics(rows: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    wide = rows.double().numpy()
    return wide.mean(axis=0), np.sqrt((wide**2).mean(axis=0))


def write_reference(case: Case, clip: str, samples: int, run: Run, decoded: dict[str, Decoded], keep: str,
                    path: Path) -> None:
    """`keep`: "all" stages, the "encoder" output only, or a "sample" of its rows."""
    out = Container(path)
    out.text("ref.case", case.name)
    out.text("ref.clip", clip)
    out.count("ref.samples", samples)
    out.count("ref.mel_frames", run.mel.shape[0])
    out.count("ref.encoder_frames", run.encoded.shape[0])
    if keep == "all":
        out.array("subsampling", run.subsampling)
        for index, layer in enumerate(run.layers):
            out.array(f"layer.{index}", layer)
        if run.log_probs is not None:
            out.array("ctc.log_probs", run.log_probs)
    if keep in ("all", "encoder"):
        out.array("encoder", run.encoded)
    else:
        out.count("ref.row_stride", ROW_STRIDE)
        out.array("encoder.rows", run.encoded[::ROW_STRIDE])
    if keep != "all":
        mean, rms = column_statistics(run.encoded)
        out.array("encoder.column_mean", mean)
        out.array("encoder.column_rms", rms)
    for head, result in decoded.items():
        write_decoded(out, head, result, steps=clip != "tile70")
    out.close()


def write_decoded(out: Container, head: str, result: Decoded, steps: bool) -> None:
    out.text(f"{head}.text", result.text)
    out.list(f"{head}.tokens", result.tokens)
    out.list(f"{head}.frames", result.frames)
    out.list(f"{head}.durations", result.durations)
    out.list(f"{head}.confidence", result.confidence)
    for kind, spans in (("words", result.words), ("segments", result.segments)):
        out.list(f"{head}.{kind}", [span.text for span in spans])
        out.list(f"{head}.{kind}.start", [span.start for span in spans])
        out.list(f"{head}.{kind}.end", [span.end for span in spans])
    out.list(f"{head}.words.confidence", result.word_confidence)
    out.count(f"{head}.forced", result.steps.forced)
    if steps:
        out.list(f"{head}.steps.frame", result.steps.frame)
        out.list(f"{head}.steps.token", result.steps.token)
        out.list(f"{head}.steps.duration", result.steps.duration)
        out.list(f"{head}.steps.margin", result.steps.margin)
        out.list(f"{head}.steps.duration_margin", result.steps.duration_margin)
