"""Write a NeMo model as a GGUF file in parakeet.cpp's layout: keys of its converter, NeMo's state-dict names, F32.

One key goes beyond that layout: a model with local attention also carries `parakeet.encoder.self_attention_model` =
"rel_pos_local_attn" with att_context_left and att_context_right, which parakeet.cpp's converter loses.
"""

from pathlib import Path

import gguf
import numpy as np

from .cases import SAMPLE_RATE, Case

SKIPPED = ("num_batches_tracked", "pos_enc.pe")


def tensors(model) -> dict[str, np.ndarray]:
    """The tensors of the file, by name, in state-dict order."""
    found = {}
    for name, value in model.state_dict().items():
        if name.endswith(SKIPPED) or name.startswith(("loss.", "spec_augmentation.")):
            continue
        found[name] = np.ascontiguousarray(value.detach().to("cpu").float().numpy())
    return found


def write_model(model, case: Case, pieces: list[str], path: Path) -> int:
    """Write the file and return its number of tensors."""
    writer = gguf.GGUFWriter(str(path), "parakeet")
    writer.add_name(f"mynah-fixture/{case.name}")
    key = "parakeet.{}".format
    writer.add_string(key("arch"), case.arch)
    encoder = {
        "feat_in": case.mels, "d_model": case.d_model, "n_layers": case.layers, "n_heads": case.attention_heads,
        "ff_dim": case.d_model * case.ff_factor, "conv_kernel": case.conv_kernel, "subsampling_factor": 8,
        "subsampling_conv_channels": case.conv_channels, "pos_emb_max_len": 5000}
    for name, value in encoder.items():
        writer.add_uint32(key(f"encoder.{name}"), value)
    writer.add_string(key("encoder.conv_norm_type"), case.conv_norm)
    writer.add_bool(key("encoder.xscaling"), case.xscaling)
    writer.add_bool(key("encoder.use_bias"), case.bias)
    if case.local_attention:
        writer.add_string(key("encoder.self_attention_model"), "rel_pos_local_attn")
        writer.add_int32(key("encoder.att_context_left"), case.local_attention[0])
        writer.add_int32(key("encoder.att_context_right"), case.local_attention[1])
    front = {"sample_rate": SAMPLE_RATE, "n_mels": case.mels, "n_fft": 512, "win_length": 400, "hop_length": 160}
    for name, value in front.items():
        writer.add_uint32(key(f"preprocessor.{name}"), value)
    for name, value in {"preemph": 0.97, "mag_power": 2.0, "log_zero_guard": 2.0**-24}.items():
        writer.add_float32(key(f"preprocessor.{name}"), value)
    writer.add_string(key("preprocessor.normalize"), "per_feature")
    writer.add_uint32(key("vocab_size"), len(pieces))
    writer.add_uint32(key("blank_id"), len(pieces))
    writer.add_array(key("tokenizer.pieces"), pieces)
    if case.transducer:
        writer.add_uint32(key("decoder.pred_hidden"), case.pred_hidden)
        writer.add_uint32(key("decoder.pred_rnn_layers"), case.lstm_layers)
        writer.add_uint32(key("joint.joint_hidden"), case.joint_hidden)
        writer.add_string(key("joint.activation"), "relu")
        writer.add_uint32(key("decoding.max_symbols"), case.max_symbols)
    if case.transducer == "tdt":
        writer.add_array(key("tdt.durations"), list(case.durations))
    found = tensors(model)
    for name, value in found.items():
        writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return len(found)
