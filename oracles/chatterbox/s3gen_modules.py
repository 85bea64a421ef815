"""Tiny S3Gen modules of chatterbox-tts, and which tensor of the GGUF layout each of their parameters is."""

import torch
from torch import nn
from torch.nn.utils import parametrize

from chatterbox.models.s3gen.configs import CFM_PARAMS
from chatterbox.models.s3gen.decoder import ConditionalDecoder
from chatterbox.models.s3gen.f0_predictor import ConvRNNF0Predictor
from chatterbox.models.s3gen.flow import CausalMaskedDiffWithXvec
from chatterbox.models.s3gen.flow_matching import CausalConditionalCFM
from chatterbox.models.s3gen.hifigan import HiFTGenerator
from chatterbox.models.s3gen.transformer.upsample_encoder import (
    PreLookaheadLayer,
    Upsample1D,
    UpsampleConformerEncoder,
)

from s3gen_weights import scale_of, weights

WIDTH, HEADS, FEED_FORWARD, BLOCKS, UP_BLOCKS = 32, 2, 64, 2, 2
VOCABULARY = 120
CHANNELS, CFM_HEADS, MID_BLOCKS, TRANSFORMERS = 32, 2, 2, 2
BASE, COND = 32, 32


def flow(meanflow: bool) -> CausalMaskedDiffWithXvec:
    encoder = UpsampleConformerEncoder(
        input_size=WIDTH, output_size=WIDTH, attention_heads=HEADS, linear_units=FEED_FORWARD, num_blocks=BLOCKS,
        input_layer="linear", pos_enc_layer_type="rel_pos_espnet", selfattention_layer_type="rel_selfattn",
        use_cnn_module=False, macaron_style=False)
    # The class has these at width 512 whatever it is told, and always four blocks after upsampling.
    encoder.pre_lookahead_layer = PreLookaheadLayer(WIDTH, 3)
    encoder.up_layer = Upsample1D(WIDTH, WIDTH, 2)
    encoder.up_encoders = encoder.up_encoders[:UP_BLOCKS]
    estimator = ConditionalDecoder(
        channels=[CHANNELS], attention_head_dim=64, n_blocks=TRANSFORMERS, num_mid_blocks=MID_BLOCKS, num_heads=CFM_HEADS,
        act_fn="gelu", meanflow=meanflow)
    decoder = CausalConditionalCFM(spk_emb_dim=80, cfm_params=CFM_PARAMS, estimator=estimator)
    return CausalMaskedDiffWithXvec(
        input_size=WIDTH, vocab_size=VOCABULARY, encoder=encoder, decoder=decoder).eval()


def vocoder() -> HiFTGenerator:
    hift = HiFTGenerator(
        base_channels=BASE, sampling_rate=24000, upsample_rates=[8, 5, 3], upsample_kernel_sizes=[16, 11, 7],
        source_resblock_kernel_sizes=[7, 7, 11], source_resblock_dilation_sizes=[[1, 3, 5]] * 3,
        f0_predictor=ConvRNNF0Predictor(cond_channels=COND))
    for module in hift.modules():
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")
    return hift.eval()


def flow_names(module: nn.Module) -> dict[str, str]:
    """Parameter of the flow → tensor of the file."""
    names = {}
    short = {"weight": "w", "bias": "b"}
    for name, _ in module.named_parameters():
        stem, _, kind = name.rpartition(".")
        if name == "input_embedding.weight":
            names[name] = "flow/input_embedding"
        elif name.startswith("decoder.estimator."):
            names[name] = "cfm/" + name.removeprefix("decoder.estimator.").replace(".", "/")
        elif name.startswith("encoder."):
            parts = (name if kind.startswith("pos_bias") else stem).split(".")[1:]
            if parts[0] in ("embed", "up_embed"):
                path = [parts[0], {"0": "linear", "1": "norm"}[parts[2]]]
            elif parts[0] in ("encoders", "up_encoders"):
                block = parts[0].removesuffix("encoders") + "block" + parts[1]
                inner = {"self_attn": "attn", "feed_forward": "ff"}.get(parts[2], parts[2])
                linear = {"linear_q": "q", "linear_k": "k", "linear_v": "v", "linear_out": "o", "linear_pos": "pos",
                          "w_1": "w1", "w_2": "w2"}
                path = [block, inner, *[linear.get(p, p) for p in parts[3:]]]
            else:
                path = [{"pre_lookahead_layer": "pre_lookahead"}.get(parts[0], parts[0]), *parts[1:]]
            tail = [] if kind.startswith("pos_bias") else [short[kind]]
            names[name] = "/".join(["flow/encoder", *path, *tail])
        else:
            names[name] = "flow/" + stem.removesuffix("_layer") + "/" + short[kind]
    return names


def hift_names(module: nn.Module) -> dict[str, str]:
    return {name: "hift/" + name.replace(".", "/") for name, _ in module.named_parameters()}


def draw(name: str, shape: tuple[int, ...]) -> tuple[float, float]:
    """Scale and offset of a tensor."""
    gains = ("norm_mha/w", "norm_ff/w", "norm/w", "block/2/weight", "norm1/weight", "norm3/weight")
    if name.endswith("alpha"):
        return 0.5, 1.0
    if name.endswith(gains):
        return 0.25, 1.0
    if name == "hift/f0_predictor/classifier/weight":
        return 64.0, 0.0
    if name == "hift/f0_predictor/classifier/bias":
        return 0.0, 60.0
    if name.startswith("hift/conv_post"):
        return 2.0**-6, 0.0
    if name == "hift/m_source/l_linear/weight":
        return 1.0, 0.0
    if name == "flow/input_embedding":
        return 1.0, 0.0
    if len(shape) == 1 or "pos_bias" in name:
        return 0.125, 0.0
    if name.startswith("hift/ups"):
        # Of the taps of a transposed convolution, stride apart, about two meet at a sample.
        return scale_of(2 * shape[0]), 0.0
    return scale_of(shape[1] * (shape[2] if len(shape) == 3 else 1)), 0.0


def fill(module: nn.Module, names: dict[str, str]) -> list[dict]:
    """Gives every parameter its weights; what the file's tensors are, in order."""
    table = []
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            tensor = names[name]
            scale, offset = draw(tensor, tuple(parameter.shape))
            parameter.copy_(torch.from_numpy(weights(tensor, tuple(parameter.shape), scale, offset)))
            table.append({"name": tensor, "shape": list(parameter.shape), "scale": scale, "offset": offset})
    return table
