"""NeMo's FastConformer encoder with random weights, and its ONNX exports, kept in a folder between runs.

    python encoder.py --shape tdt-0.6b-v3 --cache FOLDER

Random weights of the true shapes compute as long as real ones. The exports take minutes and gigabytes; `run.py` makes what
is missing by itself.
"""

import argparse
from pathlib import Path

SHAPES = {
    # name: (mels, d_model, layers, heads, bias)
    "tdt_ctc-110m": (80, 512, 17, 8, True),
    "tdt-0.6b-v2": (128, 1024, 24, 8, False),
    "tdt-0.6b-v3": (128, 1024, 24, 8, False),
    "tdt-1.1b": (80, 1024, 42, 8, True),
}


def build(shape):
    """The encoder, weights as NeMo initialises them, the same on every call."""
    import torch
    from nemo.collections.asr.modules import ConformerEncoder

    torch.manual_seed(0)
    mels, d_model, layers, heads, bias = SHAPES[shape]
    model = ConformerEncoder(
        feat_in=mels, n_layers=layers, d_model=d_model, n_heads=heads, use_bias=bias, xscaling=False,
        subsampling="dw_striding", subsampling_factor=8, subsampling_conv_channels=256, ff_expansion_factor=4,
        self_attention_model="rel_pos", conv_kernel_size=9, conv_norm_type="batch_norm",
        dropout=0.0, dropout_pre_encoder=0.0, dropout_emb=0.0, dropout_att=0.0,
    )
    return model.eval()


def features(shape, seconds):
    """Noise shaped like normalised log-mel features `[1, mels, frames]`, and the number of frames."""
    import torch

    torch.manual_seed(1)
    frames = int(seconds * 100)
    return torch.randn(1, SHAPES[shape][0], frames), torch.tensor([frames])


def onnx_path(cache, shape, kind):
    return Path(cache) / shape / kind / "encoder.onnx"


def export(cache, shape):
    """Makes the exports that are missing: `f32`, and `int8` with its matrix products quantised dynamically."""
    plain, small = onnx_path(cache, shape, "f32"), onnx_path(cache, shape, "int8")
    if not plain.exists():
        plain.parent.mkdir(parents=True, exist_ok=True)
        part = plain.with_name("part.onnx")
        build(shape).export(str(part))
        part.rename(plain)
    if not small.exists():
        from onnxruntime.quantization import QuantType, quantize_dynamic

        small.parent.mkdir(parents=True, exist_ok=True)
        part = small.with_name("part.onnx")
        # One file: the model's matrices in bytes stay below the two gigabytes that protobuf allows.
        quantize_dynamic(plain, part, op_types_to_quantize=["MatMul"], weight_type=QuantType.QInt8)
        part.rename(small)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="tdt-0.6b-v3")
    parser.add_argument("--cache", type=Path, required=True)
    arguments = parser.parse_args()
    export(arguments.cache, arguments.shape)
