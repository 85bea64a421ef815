"""The tiny T3 models: one for each way in which the shapes of the family differ."""

from dataclasses import asdict, dataclass

import torch
from chatterbox.models.t3 import llama_configs
from chatterbox.models.t3.modules.perceiver import Perceiver
from chatterbox.models.t3.modules.t3_config import T3Config
from chatterbox.models.t3.t3 import T3


@dataclass(frozen=True)
class Case:
    """A T3 with random weights."""

    name: str
    seed: int
    backbone: str  # "llama" or "gpt2"
    hidden: int
    layers: int
    heads: int
    text_vocabulary: int
    speech_vocabulary: int  # the last two ids are start and stop of speech
    kv_heads: int = 0  # as many as heads
    feed_forward: int = 0
    speaker: int = 24
    max_text: int = 40
    max_speech: int = 100
    positions: int = 160  # rows of GPT-2's table
    prompt: int = 12
    queries: int = 5
    text: int = 14
    steps: int = 40
    theta: float = 5e5
    factor: float = 8.0
    low: float = 1.0
    high: float = 4.0
    original: int = 96  # small, so that every range of the scaling is met
    half: bool = False  # weights are rounded to F16, and stored as such
    sharpness: float = 1.0  # multiplies queries, so that attention has peaks

    @property
    def is_gpt(self) -> bool:
        return self.backbone == "gpt2"

    @property
    def start_speech(self) -> int:
        return self.speech_vocabulary - 2

    @property
    def stop_speech(self) -> int:
        return self.speech_vocabulary - 1

    @property
    def start_text(self) -> int:
        return 17

    @property
    def stop_text(self) -> int:
        return 0

    def options(self) -> dict:
        return {k: v for k, v in asdict(self).items() if k not in ("name", "seed")}


CASES = [
    Case("mtl", 1, "llama", hidden=64, layers=3, heads=4, feed_forward=96, text_vocabulary=70, speech_vocabulary=90,
         half=True),
    # Fewer key heads than query heads, an odd vocabulary, a width that is no power of two.
    Case("english", 2, "llama", hidden=48, layers=2, heads=4, kv_heads=2, feed_forward=80, text_vocabulary=51,
         speech_vocabulary=75, prompt=9, queries=7, original=64),
    Case("turbo", 3, "gpt2", hidden=64, layers=3, heads=4, text_vocabulary=80, speech_vocabulary=91, half=True),
    Case("nano", 4, "gpt2", hidden=36, layers=2, heads=3, text_vocabulary=60, speech_vocabulary=70, prompt=7),
    # The analyser looks at heads 15 of layer 12, 11 of 13 and 2 of 9, and only where the vocabulary has 2454 tokens.
    Case("aligned", 5, "llama", hidden=32, layers=14, heads=16, feed_forward=32, text_vocabulary=2454, speech_vocabulary=60,
         prompt=6, queries=4, text=10, half=True, sharpness=3.0, steps=60),
]


def shrink(case: Case) -> str:
    """Puts the case's sizes where the T3 class looks for them, and gives the name of the entry."""
    if case.is_gpt:
        llama_configs.LLAMA_CONFIGS["GPT2_medium"].update(
            hidden_size=case.hidden, n_embd=case.hidden, n_head=case.heads, n_layer=case.layers, n_ctx=case.positions,
            n_positions=case.positions, vocab_size=8)
        return "GPT2_medium"
    llama_configs.LLAMA_CONFIGS["Llama_520M"].update(
        hidden_size=case.hidden, intermediate_size=case.feed_forward, num_hidden_layers=case.layers,
        num_attention_heads=case.heads, num_key_value_heads=case.kv_heads or case.heads,
        head_dim=case.hidden // case.heads, rope_theta=case.theta, attn_implementation="sdpa", torch_dtype="float32",
        rope_scaling=dict(factor=case.factor, high_freq_factor=case.high, low_freq_factor=case.low,
                          original_max_position_embeddings=case.original, rope_type="llama3"))
    return "Llama_520M"


def build(case: Case) -> T3:
    """The model with random weights in which every trap shows."""
    hp = T3Config(case.text_vocabulary)
    hp.llama_config_name = shrink(case)
    hp.start_text_token, hp.stop_text_token = case.start_text, case.stop_text
    hp.speech_tokens_dict_size = case.speech_vocabulary
    hp.start_speech_token, hp.stop_speech_token = case.start_speech, case.stop_speech
    hp.max_text_tokens, hp.max_speech_tokens = case.max_text, case.max_speech
    hp.speaker_embed_size, hp.speech_cond_prompt_len = case.speaker, case.prompt
    if case.is_gpt:
        hp.input_pos_emb, hp.use_perceiver_resampler, hp.emotion_adv = None, False, False
    torch.manual_seed(case.seed)
    model = T3(hp)
    if not case.is_gpt:
        # The class's own is 1024 wide whatever the rest is.
        model.cond_enc.perceiver = Perceiver(case.queries, case.hidden, case.hidden, 4)
    model = model.eval().float()
    generator = torch.Generator().manual_seed(1000 + case.seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            x = torch.randn(weight.shape, generator=generator)
            if "norm" in name and name.endswith("weight") or ".ln_" in name and name.endswith("weight"):
                x = 1 + 0.3 * x
            elif name.endswith("bias"):
                x = 0.2 * x
            elif "pos_emb" in name or "wpe" in name:
                x = 0.4 * x
            elif "_emb." in name or "query" in name or "emotion" in name:
                pass
            elif "c_attn" in name or "c_proj" in name or "c_fc" in name:
                x = x / weight.shape[0] ** 0.5  # stored transposed
            elif name.endswith("head.weight"):
                x = 3 * x / weight.shape[-1] ** 0.5
            else:
                x = x / weight.shape[-1] ** 0.5
            if "q_proj" in name:
                x = x * case.sharpness
            weight.copy_(x.half().float() if case.half and weight.ndim > 1 else x)
    return model
