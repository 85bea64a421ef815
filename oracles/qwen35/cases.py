"""The tiny models: one for each way in which the shapes of the family differ."""

from dataclasses import asdict, dataclass

from transformers import (Qwen3_5ForCausalLM, Qwen3_5MoeForCausalLM, Qwen3_5MoeTextConfig, Qwen3_5TextConfig, Qwen3NextConfig,
                          Qwen3NextForCausalLM)


@dataclass(frozen=True)
class Case:
    """A Qwen3.5 or Qwen3-Next with random weights."""

    name: str
    seed: int
    architecture: str = "qwen35"
    vocabulary: int = 256
    hidden: int = 64
    feed_forward: int = 96
    layers: int = 4
    interval: int = 4  # every so many layers one of full attention
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 32
    rotary: float = 0.25
    sections: tuple[int, int, int] = (2, 1, 1)
    theta: float = 1e4
    key_heads: int = 2
    value_heads: int = 4
    linear_dim: int = 16
    conv_kernel: int = 4
    tied: bool = False
    eps: float = 1e-6
    experts: int = 0
    used: int = 0
    shared: int = 0  # width of the shared expert; feed_forward is that of the others
    predicts: bool = False  # whether there is a layer that drafts

    def options(self) -> dict:
        return {k: v for k, v in asdict(self).items() if k not in ("name", "seed")}


CASES = [
    # Value heads of one key head lie apart in the file: 2 and 4 show the permutation, 2 and 6 that it is no swap.
    Case("dense", 1),
    Case("tied_odd", 2, vocabulary=131, hidden=48, feed_forward=80, layers=5, interval=2, heads=6, kv_heads=2, head_dim=24,
         rotary=0.5, sections=(3, 2, 1), key_heads=2, value_heads=6, linear_dim=12, conv_kernel=3, tied=True, eps=1e-5),
    # As many value heads as key heads: nothing is permuted, as in 0.8B and 2B.
    Case("equal_heads", 3, vocabulary=96, hidden=32, feed_forward=64, heads=2, kv_heads=1, key_heads=2, value_heads=2,
         theta=1e7, tied=True),
    Case("drafting", 4, vocabulary=80, hidden=32, feed_forward=48, layers=2, interval=2, heads=2, kv_heads=1, key_heads=2,
         value_heads=4, linear_dim=8, predicts=True),
    Case("experts", 5, architecture="qwen35moe", vocabulary=96, hidden=48, feed_forward=20, layers=3, interval=3, heads=4,
         kv_heads=2, head_dim=24, rotary=0.5, sections=(3, 2, 1), linear_dim=12, experts=6, used=2, shared=28, predicts=True),
    # Three value heads to a key head: their order in the file and a wrong repetition differ.
    Case("next", 6, architecture="qwen3next", vocabulary=96, hidden=32, feed_forward=24, layers=4, interval=2, heads=4,
         kv_heads=2, head_dim=16, rotary=0.5, key_heads=2, value_heads=6, linear_dim=8, experts=5, used=3, shared=16, tied=True),
]


def config_of(case: Case) -> Qwen3_5TextConfig | Qwen3_5MoeTextConfig | Qwen3NextConfig:
    common = dict(
        vocab_size=case.vocabulary, hidden_size=case.hidden,
        num_hidden_layers=case.layers, num_attention_heads=case.heads, num_key_value_heads=case.kv_heads,
        head_dim=case.head_dim, linear_conv_kernel_dim=case.conv_kernel, linear_key_head_dim=case.linear_dim,
        linear_value_head_dim=case.linear_dim, linear_num_key_heads=case.key_heads,
        linear_num_value_heads=case.value_heads, full_attention_interval=case.interval, rms_norm_eps=case.eps,
        tie_word_embeddings=case.tied, max_position_embeddings=4096,
        rope_parameters={"rope_type": "default", "rope_theta": case.theta, "partial_rotary_factor": case.rotary})
    routed = dict(moe_intermediate_size=case.feed_forward, shared_expert_intermediate_size=case.shared,
                  num_experts=case.experts, num_experts_per_tok=case.used)
    if case.architecture == "qwen3next":
        return Qwen3NextConfig(**common, **routed)
    common["rope_parameters"] |= {"mrope_section": list(case.sections), "mrope_interleaved": True}
    if case.architecture == "qwen35moe":
        return Qwen3_5MoeTextConfig(**common, **routed)
    return Qwen3_5TextConfig(**common, intermediate_size=case.feed_forward)


def perturb(module, generator) -> None:
    """Weights in which every trap shows: norms away from their start, steps and decays spread, routers decided."""
    import torch

    def normal(shape):
        return torch.randn(shape, generator=generator)

    with torch.no_grad():
        for name, weight in module.named_parameters():
            if name.endswith("linear_attn.norm.weight"):
                weight.copy_(1 + 0.3 * normal(weight.shape))  # multiplies as it is
            elif name.endswith("norm.weight") or name.startswith(("pre_fc_norm", "norm.")):
                weight.copy_(0.3 * normal(weight.shape))  # multiplies after 1 was added
            elif name.endswith("dt_bias"):
                weight.copy_(normal(weight.shape) - 1)
            elif name.endswith("A_log"):
                weight.copy_(0.7 * normal(weight.shape))
            elif name.endswith("conv1d.weight"):
                weight.copy_(0.5 * normal(weight.shape))
            elif "embed_tokens" in name:
                weight.copy_(normal(weight.shape))
            else:
                weight.copy_(normal(weight.shape) / weight.shape[-1] ** 0.5)


CLASSES = {"qwen35": Qwen3_5ForCausalLM, "qwen35moe": Qwen3_5MoeForCausalLM, "qwen3next": Qwen3NextForCausalLM}


def build(case: Case):
    """The model, and the layer that drafts where the case has one."""
    import torch

    from .draft import Predictor

    torch.manual_seed(case.seed)
    config = config_of(case)
    config._experts_implementation = "eager"  # one product an expert
    model = CLASSES[case.architecture](config).eval()
    generator = torch.Generator().manual_seed(1000 + case.seed)
    perturb(model, generator)
    if not case.predicts:
        return model, None
    predictor = Predictor(model).eval()
    perturb(predictor, generator)
    return model, predictor
