"""Times the encoders of PyTorch and ONNX Runtime on a Parakeet of random weights.

    python encoder.py --shape tdt-0.6b-v3 --seconds 11 --threads 1 --reps 3 [--peers torch-f32,ort-int8]

Random weights of the true shapes compute as long as real ones. The input is noise shaped like log-mel features, never
zeros. Prints one JSON line a peer: RTFx is audio seconds over the median time of the encoder alone (no features, no
decoder), so a whole pipeline that beats it beats it by more.
"""

import argparse
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path

SHAPES = {
    # name: (mels, d_model, layers, heads, bias)
    "tdt_ctc-110m": (80, 512, 17, 8, True),
    "tdt-0.6b-v2": (128, 1024, 24, 8, False),
    "tdt-0.6b-v3": (128, 1024, 24, 8, False),
    "tdt-1.1b": (80, 1024, 42, 8, True),
}
PEERS = ["torch-f32", "torch-bf16", "ort-f32", "ort-int8"]


def encoder(shape):
    """NeMo's FastConformer encoder of that shape, weights as NeMo initialises them."""
    from nemo.collections.asr.modules import ConformerEncoder

    mels, d_model, layers, heads, bias = SHAPES[shape]
    model = ConformerEncoder(
        feat_in=mels, n_layers=layers, d_model=d_model, n_heads=heads, use_bias=bias, xscaling=False,
        subsampling="dw_striding", subsampling_factor=8, subsampling_conv_channels=256, ff_expansion_factor=4,
        self_attention_model="rel_pos", conv_kernel_size=9, conv_norm_type="batch_norm",
        dropout=0.0, dropout_pre_encoder=0.0, dropout_emb=0.0, dropout_att=0.0,
    )
    return model.eval()


def median_time(run, reps):
    run()
    times = []
    for _ in range(reps):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def torch_run(model, features, lengths, dtype):
    import torch

    model = model.to(dtype)
    features = features.to(dtype)

    def run():
        with torch.inference_mode():
            model(audio_signal=features, length=lengths)

    return run


def ort_run(path, features, lengths, threads):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    feed = {names[0]: features.numpy(), names[1]: lengths.numpy()}
    return lambda: session.run(None, feed)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="tdt-0.6b-v3")
    parser.add_argument("--seconds", type=float, default=11.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--peers", default=",".join(PEERS))
    args = parser.parse_args()

    import torch

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model = encoder(args.shape)
    frames = int(args.seconds * 100)
    features = torch.randn(1, SHAPES[args.shape][0], frames)
    lengths = torch.tensor([frames])
    wanted = args.peers.split(",")
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / "encoder.onnx"
        if any(peer.startswith("ort") for peer in wanted):
            model.export(str(exported))
        for peer in wanted:
            if peer == "torch-f32":
                run = torch_run(model, features, lengths, torch.float32)
            elif peer == "torch-bf16":
                run = torch_run(model, features, lengths, torch.bfloat16)
            elif peer == "ort-f32":
                run = ort_run(exported, features, lengths, args.threads)
            elif peer == "ort-int8":
                from onnxruntime.quantization import QuantType, quantize_dynamic

                small = Path(folder) / "int8.onnx"
                quantize_dynamic(
                    exported, small, op_types_to_quantize=["MatMul"], weight_type=QuantType.QInt8,
                    use_external_data_format=True,
                )
                run = ort_run(small, features, lengths, args.threads)
            else:
                parser.error(f"unknown peer '{peer}'")
            seconds = median_time(run, args.reps)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            row = {"peer": peer, "shape": args.shape, "audio_s": args.seconds, "threads": args.threads,
                   "encoder_s": round(seconds, 4), "rtfx": round(args.seconds / seconds, 2), "peak_mb": round(peak)}
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
