"""Writes a checkpoint as an F32 GGUF in parakeet.cpp's layout, without going through `.nemo`.

    python -m export.gguf_file CHECKPOINT TOKENIZER.model OUT.gguf          (needs the PyPI package gguf)
"""

import sys

import gguf
import numpy as np
import sentencepiece

from learn.evaluate import load
from model.frontend import HOP, LOG_GUARD, N_FFT, PREEMPHASIS, SAMPLE_RATE, WINDOW

NAME = "mynah-ears-en"


def main(checkpoint, tokenizer, out):
    model = load(checkpoint)
    config = model.config
    processor = sentencepiece.SentencePieceProcessor(model_file=tokenizer)
    pieces = [processor.id_to_piece(i) for i in range(processor.get_piece_size())]
    writer = gguf.GGUFWriter(out, "parakeet")
    writer.add_name(NAME)
    writer.add_string("parakeet.arch", "hybrid_tdt_ctc")
    for key, value in {
        "encoder.feat_in": config.mels, "encoder.d_model": config.d_model, "encoder.n_layers": config.layers,
        "encoder.n_heads": config.heads, "encoder.ff_dim": config.ff, "encoder.conv_kernel": config.conv_kernel,
        "encoder.subsampling_factor": 8, "encoder.subsampling_conv_channels": config.subsampling_channels,
        "encoder.pos_emb_max_len": 5000, "preprocessor.sample_rate": SAMPLE_RATE, "preprocessor.n_mels": config.mels,
        "preprocessor.n_fft": N_FFT, "preprocessor.win_length": WINDOW, "preprocessor.hop_length": HOP,
        "vocab_size": config.vocab, "blank_id": config.blank, "decoder.pred_hidden": config.pred_hidden,
        "decoder.pred_rnn_layers": 1, "joint.joint_hidden": config.joint_hidden,
        "decoding.max_symbols": config.max_symbols,
    }.items():
        writer.add_uint32(f"parakeet.{key}", value)
    for key, value in {"preemph": PREEMPHASIS, "mag_power": 2.0, "log_zero_guard": LOG_GUARD}.items():
        writer.add_float32(f"parakeet.preprocessor.{key}", value)
    writer.add_string("parakeet.preprocessor.normalize", "per_feature")
    writer.add_string("parakeet.encoder.conv_norm_type", "batch_norm")
    writer.add_bool("parakeet.encoder.xscaling", False)
    writer.add_bool("parakeet.encoder.use_bias", True)
    writer.add_string("parakeet.joint.activation", "relu")
    writer.add_array("parakeet.tdt.durations", list(config.durations))
    writer.add_array("parakeet.tokenizer.pieces", pieces)
    count = 0
    for name, tensor in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            writer.add_tensor(name, np.ascontiguousarray(tensor.numpy(), np.float32))
            count += 1
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print(f"{out}: {count} tensors")


if __name__ == "__main__":
    main(*sys.argv[1:])
