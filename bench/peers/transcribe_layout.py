"""Writes one of our Parakeet files in the layout of transcribe.cpp, so that both run the same weights.

    python transcribe_layout.py v3-q8_0.gguf v3-q8_0-transcribe.gguf

Names, keys and types are those its converter and its quantizer give (`scripts/convert-parakeet.py` and
`docs/tools/quantization.md` of github.com/handy-computer/transcribe.cpp): matrices keep their type and their very bytes,
pointwise convolutions become F16 (it has no quantised ones), the predictor and the joint take the type of the encoder's
matrices, and everything else is F32. The two bias vectors of each LSTM layer become their sum. Only models with a TDT head
and full attention are written; a CTC head is left out.
"""

import argparse
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf.quants import dequantize, quantize

BLOCK = {
    # NeMo's name: transcribe.cpp's name
    "norm_feed_forward1.weight": "norm_ff1.weight",
    "norm_feed_forward1.bias": "norm_ff1.bias",
    "feed_forward1.linear1.weight": "ff1.linear1.weight",
    "feed_forward1.linear2.weight": "ff1.linear2.weight",
    "norm_self_att.weight": "norm_attn.weight",
    "norm_self_att.bias": "norm_attn.bias",
    "self_attn.linear_q.weight": "attn.linear_q.weight",
    "self_attn.linear_k.weight": "attn.linear_k.weight",
    "self_attn.linear_v.weight": "attn.linear_v.weight",
    "self_attn.linear_out.weight": "attn.linear_out.weight",
    "self_attn.linear_pos.weight": "attn.linear_pos.weight",
    "self_attn.pos_bias_u": "attn.pos_bias_u",
    "self_attn.pos_bias_v": "attn.pos_bias_v",
    "norm_conv.weight": "norm_conv.weight",
    "norm_conv.bias": "norm_conv.bias",
    "conv.pointwise_conv1.weight": "conv.pointwise1.weight",
    "conv.depthwise_conv.weight": "conv.depthwise.weight",
    "conv.pointwise_conv2.weight": "conv.pointwise2.weight",
    "conv.batch_norm.weight": "conv.bn.weight",
    "conv.batch_norm.bias": "conv.bn.bias",
    "conv.batch_norm.running_mean": "conv.bn.running_mean",
    "conv.batch_norm.running_var": "conv.bn.running_var",
    "norm_feed_forward2.weight": "norm_ff2.weight",
    "norm_feed_forward2.bias": "norm_ff2.bias",
    "feed_forward2.linear1.weight": "ff2.linear1.weight",
    "feed_forward2.linear2.weight": "ff2.linear2.weight",
    "norm_out.weight": "norm_out.weight",
    "norm_out.bias": "norm_out.bias",
}
# Of models with biases in the blocks.
BIASES = {
    "feed_forward1.linear1.bias": "ff1.linear1.bias",
    "feed_forward1.linear2.bias": "ff1.linear2.bias",
    "self_attn.linear_q.bias": "attn.linear_q.bias",
    "self_attn.linear_k.bias": "attn.linear_k.bias",
    "self_attn.linear_v.bias": "attn.linear_v.bias",
    "self_attn.linear_out.bias": "attn.linear_out.bias",
    "conv.pointwise_conv1.bias": "conv.pointwise1.bias",
    "conv.depthwise_conv.bias": "conv.depthwise.bias",
    "conv.pointwise_conv2.bias": "conv.pointwise2.bias",
    "feed_forward2.linear1.bias": "ff2.linear1.bias",
    "feed_forward2.linear2.bias": "ff2.linear2.bias",
}
JOINT = {
    "joint.enc.weight": "joint.enc.weight",
    "joint.enc.bias": "joint.enc.bias",
    "joint.pred.weight": "joint.pred.weight",
    "joint.pred.bias": "joint.pred.bias",
    "joint.joint_net.2.weight": "joint.out.weight",
    "joint.joint_net.2.bias": "joint.out.bias",
}
NORMAL, UNKNOWN, CONTROL = 1, 2, 3


class Source:
    """Our file."""

    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        self.fields = reader.fields
        self.tensors = {t.name: t for t in reader.tensors}

    def key(self, name):
        return self.fields[f"parakeet.{name}"].contents()

    def floats(self, name):
        """The tensor as F32 in the shape of the checkpoint."""
        tensor = self.tensors[name]
        values = dequantize(tensor.data, tensor.tensor_type)
        return np.ascontiguousarray(values, dtype=np.float32).reshape([int(n) for n in tensor.shape][::-1])


class Target:
    """Theirs."""

    def __init__(self, source, path, matrices):
        self.source, self.matrices = source, matrices
        self.writer = gguf.GGUFWriter(path, "parakeet")

    def plain(self, theirs, values, dtype=np.float32):
        self.writer.add_tensor(theirs, np.ascontiguousarray(values, dtype=dtype))

    def matrix(self, theirs, name):
        """The bytes as they are where the type fits, else quantised from F32."""
        tensor = self.source.tensors[name]
        if tensor.tensor_type == self.matrices:
            self.writer.add_tensor(theirs, np.ascontiguousarray(tensor.data), raw_dtype=self.matrices)
        else:
            self.writer.add_tensor(theirs, quantize(self.source.floats(name), self.matrices), raw_dtype=self.matrices)

    def tensors(self, layers, lstm_layers):
        source = self.source
        for index in (0, 2, 3, 5, 6):
            for part in ("weight", "bias"):
                self.plain(f"enc.pre_encode.conv.{index}.{part}", source.floats(f"encoder.pre_encode.conv.{index}.{part}"))
        self.matrix("enc.pre_encode.out.weight", "encoder.pre_encode.out.weight")
        self.plain("enc.pre_encode.out.bias", source.floats("encoder.pre_encode.out.bias"))
        for layer in range(layers):
            biases = BIASES if source.key("encoder.use_bias") else {}
            for ours, theirs in (BLOCK | biases).items():
                ours, theirs = f"encoder.layers.{layer}.{ours}", f"enc.blocks.{layer}.{theirs}"
                if ours.endswith("bias"):
                    self.plain(theirs, source.floats(ours))
                elif "pointwise" in ours:
                    # A convolution of width one has a dimension more there.
                    self.plain(theirs, source.floats(ours)[..., None], np.float16)
                elif ".linear" in ours:
                    self.matrix(theirs, ours)
                else:
                    self.plain(theirs, source.floats(ours))
        self.matrix("pred.embed.weight", "decoder.prediction.embed.weight")
        for layer in range(lstm_layers):
            prefix = "decoder.prediction.dec_rnn.lstm"
            self.matrix(f"pred.lstm.{layer}.Wx", f"{prefix}.weight_ih_l{layer}")
            self.matrix(f"pred.lstm.{layer}.Wh", f"{prefix}.weight_hh_l{layer}")
            bias = source.floats(f"{prefix}.bias_ih_l{layer}") + source.floats(f"{prefix}.bias_hh_l{layer}")
            self.plain(f"pred.lstm.{layer}.bias", bias)
        for ours, theirs in JOINT.items():
            if theirs.endswith("weight"):
                self.matrix(theirs, ours)
            else:
                self.plain(theirs, source.floats(ours))

    def keys(self):
        key, w = self.source.key, self.writer
        w.add_string("general.name", self.source.fields["general.name"].contents())
        w.add_string("general.basename", "parakeet-tdt")
        w.add_array("general.languages", ["en"])
        w.add_string("stt.variant", "tdt-0.6b-v3")
        w.add_bool("stt.capability.streaming", False)
        w.add_string("stt.parakeet.head_kind", "tdt")
        pieces = key("tokenizer.pieces")
        w.add_string("tokenizer.ggml.model", "bpe")
        w.add_array("tokenizer.ggml.tokens", [*pieces, "<blank>"])
        w.add_array("tokenizer.ggml.scores", [-float(i) for i in range(len(pieces))] + [0.0])
        w.add_array("tokenizer.ggml.token_type", [UNKNOWN if p == "<unk>" else NORMAL for p in pieces] + [CONTROL])
        w.add_uint32("tokenizer.ggml.unknown_token_id", 0)
        w.add_uint32("tokenizer.ggml.blank_token_id", len(pieces))
        for theirs, ours in {
            "n_layers": "n_layers", "d_model": "d_model", "n_heads": "n_heads", "d_ff": "ff_dim",
            "conv_kernel": "conv_kernel", "subsampling_factor": "subsampling_factor",
            "subsampling_channels": "subsampling_conv_channels", "pos_emb_max_len": "pos_emb_max_len",
        }.items():
            w.add_uint32(f"stt.parakeet.encoder.{theirs}", key(f"encoder.{ours}"))
        for name in ("use_bias", "xscaling"):
            w.add_bool(f"stt.parakeet.encoder.{name}", key(f"encoder.{name}"))
        for name in ("att_context_left", "att_context_right", "conv_context_left", "conv_context_right"):
            w.add_int32(f"stt.parakeet.encoder.{name}", -1)
        w.add_string("stt.parakeet.encoder.att_context_style", "regular")
        w.add_string("stt.parakeet.encoder.conv_norm_type", key("encoder.conv_norm_type"))
        w.add_uint32("stt.parakeet.predictor.hidden", key("decoder.pred_hidden"))
        w.add_uint32("stt.parakeet.predictor.n_layers", key("decoder.pred_rnn_layers"))
        w.add_uint32("stt.parakeet.predictor.vocab", len(pieces) + 1)
        durations = [int(d) for d in key("tdt.durations")]
        w.add_uint32("stt.parakeet.joint.hidden", key("joint.joint_hidden"))
        w.add_uint32("stt.parakeet.joint.num_extra_outputs", len(durations))
        w.add_string("stt.parakeet.joint.activation", key("joint.activation"))
        w.add_array("stt.parakeet.tdt.durations", durations)
        w.add_uint32("stt.parakeet.tdt.max_symbols", key("decoding.max_symbols"))
        w.add_string("stt.frontend.type", "mel")
        for theirs, ours in {
            "num_mels": "n_mels", "sample_rate": "sample_rate", "n_fft": "n_fft", "win_length": "win_length",
            "hop_length": "hop_length",
        }.items():
            w.add_uint32(f"stt.frontend.{theirs}", key(f"preprocessor.{ours}"))
        w.add_string("stt.frontend.window", "hann")
        w.add_string("stt.frontend.normalize", key("preprocessor.normalize"))
        w.add_float32("stt.frontend.dither", 0.0)
        w.add_float32("stt.frontend.pre_emphasis", key("preprocessor.preemph"))
        w.add_float32("stt.frontend.f_min", 0.0)
        w.add_float32("stt.frontend.f_max", key("preprocessor.sample_rate") / 2)


def write(ours, theirs):
    """Writes `theirs` from `ours`."""
    source = Source(ours)
    if "tdt" not in source.key("arch"):
        raise SystemExit(f"{ours}: only models with a TDT head are written")
    matrices = source.tensors["encoder.layers.0.feed_forward1.linear1.weight"].tensor_type
    if matrices not in (Type.F32, Type.F16, Type.Q8_0):
        raise SystemExit(f"{ours}: {matrices.name} can't be encoded in Python; use F32, F16 or Q8_0")
    target = Target(source, theirs, matrices)
    target.keys()
    target.tensors(source.key("encoder.n_layers"), source.key("decoder.pred_rnn_layers"))
    target.writer.write_header_to_file()
    target.writer.write_kv_data_to_file()
    target.writer.write_tensors_to_file()
    target.writer.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ours", type=Path)
    parser.add_argument("theirs", type=Path)
    arguments = parser.parse_args()
    write(arguments.ours, arguments.theirs)
