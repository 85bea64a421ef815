"""The case table and the NeMo model of a case.

Each case is the smallest model that has the options of a released one (or, for `odd_shapes`, options that no
rounding-up or hard-wired constant survives). Weights are NeMo's own initialisation plus what it leaves trivial:
batch-norm statistics, norm scales, position biases.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from omegaconf import OmegaConf

SAMPLE_RATE = 16000


@dataclass(frozen=True)
class Case:
    name: str
    heads: tuple[str, ...]  # of "ctc", "rnnt", "tdt"; the first is the default decoder
    like: str  # the released model with these options
    mels: int = 80
    d_model: int = 32
    layers: int = 2
    attention_heads: int = 4
    ff_factor: int = 4
    conv_kernel: int = 9
    conv_norm: str = "batch_norm"
    conv_channels: int = 32
    bias: bool = True
    xscaling: bool = False
    local_attention: tuple[int, int] | None = None
    lstm_layers: int = 1
    pred_hidden: int = 32
    joint_hidden: int = 32
    durations: tuple[int, ...] = (0, 1, 2, 3, 4)
    max_symbols: int = 10
    seed: int = 0
    long_clips: tuple[str, ...] = ("long15",)
    archive: bool = False  # keep the .nemo
    huggingface: bool = False  # keep a transformers folder
    notes: str = ""

    @property
    def arch(self) -> str:
        """parakeet.cpp's label."""
        if len(self.heads) == 2:
            return f"hybrid_{self.heads[0]}_ctc"
        return self.heads[0]

    @property
    def transducer(self) -> str | None:
        return next((head for head in self.heads if head != "ctc"), None)

    def options(self) -> dict:
        return asdict(self)


CASES = [
    Case("hybrid_tdt_ctc", ("tdt", "ctc"), "tdt_ctc-110m", d_model=64, seed=1,
         long_clips=("long15", "tile70")),
    Case("ctc", ("ctc",), "ctc-0.6b, ctc-1.1b", xscaling=True, seed=2, archive=True, huggingface=True),
    Case("rnnt", ("rnnt",), "rnnt-0.6b, rnnt-1.1b", xscaling=True, lstm_layers=2, seed=3, archive=True,
         huggingface=True, long_clips=("long15", "tile70")),
    Case("tdt", ("tdt",), "tdt-0.6b-v2, tdt-0.6b-v3", mels=128, bias=False, lstm_layers=2, seed=4,
         huggingface=True),
    Case("tdt_ctc_local", ("tdt", "ctc"), "tdt_ctc-1.1b", lstm_layers=2, local_attention=(16, 16), seed=5, archive=True,
         long_clips=("long15", "tile70"), notes="rel_pos_local_attn from the start"),
    Case("tdt_local_uneven", ("tdt",), "tdt-0.6b-v3 with another window", mels=128, bias=False,
         local_attention=(9, 5), seed=6, notes="left and right windows differ and are no power of two"),
    Case("ctc_layer_norm", ("ctc",), "the LayerNorm conv module of the streaming nets, offline", mels=128, bias=False,
         conv_norm="layer_norm", seed=7),
    Case("hybrid_rnnt_ctc", ("rnnt", "ctc"), "hybrid rnnt-ctc", bias=False, xscaling=True, seed=8, max_symbols=3,
         notes="max_symbols 3 is reached"),
    Case("odd_shapes", ("tdt",), "none", mels=128, d_model=36, layers=3, attention_heads=3, ff_factor=3, conv_kernel=5,
         conv_channels=20, xscaling=True, lstm_layers=2, pred_hidden=40, joint_hidden=28, durations=(0, 1, 2, 4),
         max_symbols=2, seed=9, notes="durations are a table, not their own index; no width is a multiple of 16"),
]


def nemo_config(case: Case, tokenizer: Path):
    """The OmegaConf model section that NeMo's training recipes would write for the case."""
    vocabulary_free = {"_target_": "nemo.collections.asr.modules.ConvASRDecoder", "feat_in": case.d_model,
                       "num_classes": -1, "vocabulary": []}
    ctc_decoding = {"strategy": "greedy"}
    config = {
        "sample_rate": SAMPLE_RATE,
        "log_prediction": False,
        "model_defaults": {"enc_hidden": case.d_model, "pred_hidden": case.pred_hidden,
                           "joint_hidden": case.joint_hidden},
        "tokenizer": {"dir": str(tokenizer), "type": "bpe"},
        "preprocessor": {
            "_target_": "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor",
            "sample_rate": SAMPLE_RATE, "normalize": "per_feature", "window_size": 0.025, "window_stride": 0.01,
            "window": "hann", "features": case.mels, "n_fft": 512, "log": True, "frame_splicing": 1,
            "dither": 0.0, "pad_to": 0, "pad_value": 0.0},
        "spec_augment": {"_target_": "nemo.collections.asr.modules.SpectrogramAugmentation", "freq_masks": 0,
                         "time_masks": 0, "freq_width": 27, "time_width": 0.05},
        "encoder": {
            "_target_": "nemo.collections.asr.modules.ConformerEncoder",
            "feat_in": case.mels, "feat_out": -1, "n_layers": case.layers, "d_model": case.d_model,
            "use_bias": case.bias, "subsampling": "dw_striding", "subsampling_factor": 8,
            "subsampling_conv_channels": case.conv_channels, "causal_downsampling": False,
            "ff_expansion_factor": case.ff_factor,
            "self_attention_model": "rel_pos_local_attn" if case.local_attention else "rel_pos",
            "n_heads": case.attention_heads, "att_context_size": list(case.local_attention or (-1, -1)),
            "att_context_style": "regular", "xscaling": case.xscaling, "untie_biases": True,
            "pos_emb_max_len": 5000, "conv_kernel_size": case.conv_kernel, "conv_norm_type": case.conv_norm,
            "conv_context_size": None, "dropout": 0.1, "dropout_pre_encoder": 0.1, "dropout_emb": 0.0,
            "dropout_att": 0.1},
        "optim": {"name": "adamw", "lr": 1e-3},
    }
    if case.transducer is None:
        config |= {"decoder": vocabulary_free, "ctc_reduction": "mean_batch", "decoding": ctc_decoding}
        return OmegaConf.create({"model": config}).model
    decoding = {"strategy": "greedy_batch", "greedy": {"max_symbols": case.max_symbols}, "beam": {"beam_size": 2}}
    loss = {"loss_name": "default", "warprnnt_numba_kwargs": {"fastemit_lambda": 0.0, "clamp": -1.0}}
    extra_outputs = 0
    if case.transducer == "tdt":
        durations = list(case.durations)
        extra_outputs = len(durations)
        decoding |= {"model_type": "tdt", "durations": durations}
        loss = {"loss_name": "tdt", "tdt_kwargs": {"fastemit_lambda": 0.0, "clamp": -1.0, "durations": durations,
                                                   "sigma": 0.02, "omega": 0.1}}
        config["model_defaults"] |= {"tdt_durations": durations, "num_tdt_durations": extra_outputs}
    config |= {
        "decoder": {"_target_": "nemo.collections.asr.modules.RNNTDecoder", "normalization_mode": None,
                    "random_state_sampling": False, "blank_as_pad": True,
                    "prednet": {"pred_hidden": case.pred_hidden, "pred_rnn_layers": case.lstm_layers, "t_max": None,
                                "dropout": 0.2}},
        "joint": {"_target_": "nemo.collections.asr.modules.RNNTJoint", "log_softmax": None,
                  "preserve_memory": False, "fuse_loss_wer": True, "fused_batch_size": 4,
                  "num_extra_outputs": extra_outputs,
                  "jointnet": {"joint_hidden": case.joint_hidden, "activation": "relu", "dropout": 0.2,
                               "encoder_hidden": case.d_model, "pred_hidden": case.pred_hidden}},
        "decoding": decoding, "loss": loss, "variational_noise": {"start_step": 0, "std": 0.0},
    }
    if len(case.heads) == 2:
        config["aux_ctc"] = {"ctc_loss_weight": 0.3, "use_cer": False, "ctc_reduction": "mean_batch",
                             "decoder": vocabulary_free, "decoding": ctc_decoding}
    return OmegaConf.create({"model": config}).model


def build(case: Case, tokenizer: Path):
    """The NeMo model of a case, in eval mode, heads not yet redrawn (see heads.py)."""
    from nemo.collections.asr import models

    torch.manual_seed(case.seed)
    if case.transducer is None:
        kind = models.EncDecCTCModelBPE
    elif len(case.heads) == 2:
        kind = models.EncDecHybridRNNTCTCBPEModel
    else:
        kind = models.EncDecRNNTBPEModel
    model = kind(cfg=nemo_config(case, tokenizer))
    disturb(model, torch.Generator().manual_seed(1000 + case.seed))
    model.eval()
    model.requires_grad_(False)
    return model


def disturb(model, generator: torch.Generator) -> None:
    """Give every parameter that NeMo initialises to 0 or 1 a value whose loss would show."""
    def normal(shape, scale):
        return torch.randn(shape, generator=generator) * scale

    for name, value in list(model.named_parameters()) + list(model.named_buffers()):
        if name.endswith("running_mean"):
            value.data.copy_(normal(value.shape, 0.3))
        elif name.endswith("running_var"):
            value.data.copy_(torch.rand(value.shape, generator=generator) * 1.5 + 0.3)
        elif ".norm_" in name or "batch_norm" in name:
            if name.endswith("weight"):
                value.data.copy_(1 + normal(value.shape, 0.2))
            elif name.endswith("bias"):
                value.data.copy_(normal(value.shape, 0.2))
        elif "pos_bias" in name:
            value.data.copy_(normal(value.shape, 0.5))
        elif "pre_encode" in name:
            # Default gains shrink the audio to a ripple on the biases; keep the sound the larger part.
            value.data.mul_(0.3 if name.endswith("bias") else 2.5)
        elif "linear_q" in name or "linear_k" in name or "linear_pos" in name:
            value.data.mul_(2.0)  # sharper attention: a flat one hides wrong scores
        elif name.endswith("bias") and ("linear" in name or "conv" in name):
            value.data.add_(normal(value.shape, 0.1))
        elif ".lstm.weight_ih" in name:
            value.data.mul_(5.0)  # the last label should show at once
        elif ".lstm." in name:
            value.data.mul_(2.0)
