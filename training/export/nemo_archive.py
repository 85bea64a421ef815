"""Puts a trained checkpoint into NeMo and saves a genuine `.nemo` archive.

    python -m export.nemo_archive CHECKPOINT TOKENIZER.model OUT.nemo       (needs nemo_toolkit[asr])

NeMo itself builds the network from the configuration below, takes the weights by their names (strictly: no missing, no
unexpected tensor) and writes the archive, so what `mynah convert` reads is what NeMo's users have.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import sentencepiece
import torch
from nemo.collections.asr.models import EncDecHybridRNNTCTCBPEModel
from omegaconf import OmegaConf

from learn.evaluate import load
from learn.train import CTC_WEIGHT, SIGMA


def configuration(config, tokenizer_folder):
    """The model section of NeMo's FastConformer hybrid TDT-CTC recipe with our sizes."""
    durations = list(config.durations)
    ctc_decoder = {
        "_target_": "nemo.collections.asr.modules.ConvASRDecoder", "feat_in": config.d_model, "num_classes": -1,
        "vocabulary": [],
    }
    return OmegaConf.create({"model": {
        "sample_rate": 16000,
        "log_prediction": False,
        "model_defaults": {
            "enc_hidden": config.d_model, "pred_hidden": config.pred_hidden, "joint_hidden": config.joint_hidden,
            "tdt_durations": durations, "num_tdt_durations": len(durations),
        },
        "tokenizer": {"dir": str(tokenizer_folder), "type": "bpe"},
        "preprocessor": {
            "_target_": "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor", "sample_rate": 16000,
            "normalize": "per_feature", "window_size": 0.025, "window_stride": 0.01, "window": "hann",
            "features": config.mels, "n_fft": 512, "log": True, "frame_splicing": 1, "dither": 1e-5, "pad_to": 0,
            "pad_value": 0.0,
        },
        "spec_augment": {
            "_target_": "nemo.collections.asr.modules.SpectrogramAugmentation", "freq_masks": 2, "time_masks": 5,
            "freq_width": 16, "time_width": 0.035,
        },
        "encoder": {
            "_target_": "nemo.collections.asr.modules.ConformerEncoder", "feat_in": config.mels, "feat_out": -1,
            "n_layers": config.layers, "d_model": config.d_model, "use_bias": True, "subsampling": "dw_striding",
            "subsampling_factor": 8, "subsampling_conv_channels": config.subsampling_channels,
            "causal_downsampling": False, "ff_expansion_factor": config.ff // config.d_model,
            "self_attention_model": "rel_pos", "n_heads": config.heads, "att_context_size": [-1, -1],
            "att_context_style": "regular", "xscaling": False, "untie_biases": True, "pos_emb_max_len": 5000,
            "conv_kernel_size": config.conv_kernel, "conv_norm_type": "batch_norm", "conv_context_size": None,
            "dropout": 0.05, "dropout_pre_encoder": 0.05, "dropout_emb": 0.0, "dropout_att": 0.05,
        },
        "decoder": {
            "_target_": "nemo.collections.asr.modules.RNNTDecoder", "normalization_mode": None,
            "random_state_sampling": False, "blank_as_pad": True,
            "prednet": {"pred_hidden": config.pred_hidden, "pred_rnn_layers": 1, "t_max": None, "dropout": 0.0},
        },
        "joint": {
            "_target_": "nemo.collections.asr.modules.RNNTJoint", "log_softmax": None, "preserve_memory": False,
            "fuse_loss_wer": True, "fused_batch_size": 4, "num_extra_outputs": len(durations),
            "jointnet": {
                "joint_hidden": config.joint_hidden, "activation": "relu", "dropout": 0.2,
                "encoder_hidden": config.d_model, "pred_hidden": config.pred_hidden,
            },
        },
        "decoding": {
            "strategy": "greedy_batch", "model_type": "tdt", "durations": durations,
            "greedy": {"max_symbols": config.max_symbols}, "beam": {"beam_size": 2},
        },
        "loss": {
            "loss_name": "tdt",
            "tdt_kwargs": {
                "fastemit_lambda": 0.0, "clamp": -1.0, "durations": durations, "sigma": SIGMA, "omega": 0.0,
            },
        },
        "variational_noise": {"start_step": 0, "std": 0.0},
        "aux_ctc": {
            "ctc_loss_weight": CTC_WEIGHT, "use_cer": False, "ctc_reduction": "mean_batch", "decoder": ctc_decoder,
            "decoding": {"strategy": "greedy"},
        },
        "optim": {"name": "adamw", "lr": 2e-3},
    }}).model


def tokenizer_folder(model_file, folder):
    """NeMo's tokenizer directory: the model, its vocabulary, and vocab.txt without <unk>."""
    shutil.copy(model_file, folder / "tokenizer.model")
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model_file))
    pieces = [processor.id_to_piece(i) for i in range(processor.get_piece_size())]
    (folder / "tokenizer.vocab").write_text("".join(f"{p}\t{processor.get_score(i):g}\n" for i, p in enumerate(pieces)))
    (folder / "vocab.txt").write_text("\n".join(pieces[1:]) + "\n")


def main(checkpoint, tokenizer, out):
    ours = load(checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer_folder(Path(tokenizer), Path(folder))
        model = EncDecHybridRNNTCTCBPEModel(cfg=configuration(ours.config, folder))
        weights = {name: tensor for name, tensor in ours.state_dict().items()}
        missing, unexpected = model.load_state_dict(weights, strict=False)
        if missing or unexpected:
            raise SystemExit(f"tensor names differ from NeMo's: missing {missing}, unexpected {unexpected}")
        front = (model.preprocessor.featurizer.fb - ours.preprocessor["featurizer"].fb).abs().max()
        model.eval()
        with torch.no_grad():
            audio = torch.randn(1, 48000) * 0.1
            length = torch.tensor([48000])
            expected, frames = ours.encoder(*ours.features(audio, length))
            model.preprocessor.featurizer.dither = 0.0
            mel, mel_length = model.preprocessor(input_signal=audio, length=length)
            encoded, _ = model.encoder(audio_signal=mel, length=mel_length)
            error = (encoded.transpose(1, 2)[:, : frames[0]] - expected[:, : frames[0]]).abs().max()
        model.save_to(out)
    print(f"{out}: filter bank differs by {front:.1e}, encoder by {error:.1e} from the training code")


if __name__ == "__main__":
    main(*sys.argv[1:])
