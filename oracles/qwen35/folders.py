"""Tiny random models as Hugging Face folders: the input of llama.cpp's converter, and of ours.

The three architectures, and between them every form that released checkpoints come in: weights of the text part below a
wrapper with vision, predicting layers (MTP), experts one by one and fused, one file and shards, tied and separate heads.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, pre_tokenizers
from transformers import (
    Qwen3_5ForCausalLM, Qwen3_5MoeForCausalLM, Qwen3_5MoeTextConfig, Qwen3_5TextConfig, Qwen3NextConfig, Qwen3NextForCausalLM,
)
from transformers.models.qwen2.tokenization_qwen2 import Qwen2Tokenizer
from transformers.models.qwen3_5.tokenization_qwen3_5 import Qwen3_5Tokenizer

KINDS = {
    "qwen3_5": (Qwen3_5TextConfig, Qwen3_5ForCausalLM, Qwen3_5Tokenizer, "qwen35"),
    "qwen3_5_moe": (Qwen3_5MoeTextConfig, Qwen3_5MoeForCausalLM, Qwen3_5Tokenizer, "qwen35"),
    "qwen3_next": (Qwen3NextConfig, Qwen3NextForCausalLM, Qwen2Tokenizer, "qwen2"),
}
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|image_pad|>"]
# Not special to the tokenizer, but those between bars are control tokens to llama.cpp.
TAGS = ["<|fim_pad|>", "<think>", "</think>", "<tool_call>", "</tool_call>"]
MERGES = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("i", "n"), ("Ġ", "a"), ("Ã", "¤")]


@dataclass(frozen=True)
class Folder:
    """One tiny model."""

    name: str
    kind: str
    seed: int
    wrapped: bool = False  # the text part of a model with vision
    predicting: bool = False  # with an MTP layer
    fused: bool = False  # experts in one tensor
    shards: int = 1
    tied: bool = False
    dtype: torch.dtype = torch.bfloat16
    sizes: dict = field(default_factory=dict)

    def config(self):
        values = dict(
            vocab_size=272, hidden_size=32, num_hidden_layers=4, num_attention_heads=2, num_key_value_heads=1, head_dim=32,
            linear_conv_kernel_dim=4, linear_key_head_dim=8, linear_value_head_dim=8, linear_num_key_heads=2,
            linear_num_value_heads=4, max_position_embeddings=4096, rms_norm_eps=1e-6, tie_word_embeddings=self.tied)
        rope = {"rope_type": "default", "rope_theta": 1e7, "partial_rotary_factor": 0.25}
        if self.kind != "qwen3_next":
            rope |= {"mrope_section": [2, 1, 1], "mrope_interleaved": True}
        if self.kind != "qwen3_5":
            values |= dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16, shared_expert_intermediate_size=24)
        if self.kind != "qwen3_5_moe":
            values["intermediate_size"] = 48
        return KINDS[self.kind][0](**(values | self.sizes), rope_parameters=rope)


FOLDERS = [
    # As Qwen3.5 is released: text below a wrapper, MTP beside it.
    Folder("dense", "qwen3_5", 11, wrapped=True, predicting=True),
    # Three value heads to a key head, so that the permutation is no swap; fused experts; shards.
    Folder("moe", "qwen3_5_moe", 12, fused=True, shards=3, sizes={"linear_num_value_heads": 6}),
    Folder("next", "qwen3_next", 13, predicting=True, sizes={"num_hidden_layers": 2, "full_attention_interval": 2}),
]


def normal(generator, *shape, scale=1.0):
    return scale * torch.randn(*shape, generator=generator)


def build(folder: Folder):
    """The model with norms, steps and rates away from where training starts, in the precision of the folder."""
    torch.manual_seed(folder.seed)
    model = KINDS[folder.kind][1](folder.config()).eval()
    generator = torch.Generator().manual_seed(5000 + folder.seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("linear_attn.norm.weight"):
                value = 1 + normal(generator, *weight.shape, scale=0.3)
            elif name.endswith("norm.weight"):
                value = normal(generator, *weight.shape, scale=0.3)
            elif name.endswith("dt_bias"):
                value = normal(generator, *weight.shape) - 1
            elif name.endswith("A_log"):
                value = normal(generator, *weight.shape, scale=0.7)
            elif name.endswith("conv1d.weight"):
                value = normal(generator, *weight.shape, scale=0.5)
            elif "embed_tokens" in name:
                value = normal(generator, *weight.shape)
            else:
                value = normal(generator, *weight.shape, scale=weight.shape[-1] ** -0.5)
            weight.copy_(value.to(folder.dtype))
    return model


def predicting(folder: Folder, state: dict) -> dict:
    """An MTP layer: one more layer of full attention, its inputs' norms and their projection."""
    generator = torch.Generator().manual_seed(7000 + folder.seed)
    config = folder.config()
    last = f"model.layers.{config.num_hidden_layers - 1}."
    assert config.layer_types[-1] == "full_attention"
    extra = {f"mtp.layers.0.{name.removeprefix(last)}": normal(generator, *value.shape, scale=0.2)
             for name, value in state.items() if name.startswith(last)}
    hidden = config.hidden_size
    extra["mtp.fc.weight"] = normal(generator, hidden, 2 * hidden, scale=0.2)
    for name in ("pre_fc_norm_embedding", "pre_fc_norm_hidden", "norm"):
        extra[f"mtp.{name}.weight"] = normal(generator, hidden, scale=0.3)
    return extra


def separate(state: dict) -> dict:
    """Fused experts as single ones, as Qwen3-Next is released."""
    out = {}
    for name, value in state.items():
        stem, _, part = name.rpartition(".")
        if part == "gate_up_proj":
            gates, ups = value.chunk(2, dim=1)
            for index in range(value.shape[0]):
                out[f"{stem}.{index}.gate_proj.weight"] = gates[index]
                out[f"{stem}.{index}.up_proj.weight"] = ups[index]
        elif part == "down_proj" and stem.endswith("experts"):
            for index in range(value.shape[0]):
                out[f"{stem}.{index}.down_proj.weight"] = value[index]
        else:
            out[name] = value
    return out


def write_weights(folder: Folder, model, path: Path) -> None:
    state = {name: value for name, value in model.state_dict().items() if not (folder.tied and name == "lm_head.weight")}
    if folder.predicting:
        state |= predicting(folder, state)
    if not folder.fused:
        state = separate(state)
    if folder.wrapped:
        state = {f"model.language_{name}" if name.startswith("model.") else name: value for name, value in state.items()}
        state["model.visual.patch_embed.proj.weight"] = torch.ones(4, 3)
    state = {name: value.to(folder.dtype).contiguous() for name, value in state.items()}
    names = sorted(state)
    if folder.shards == 1:
        save_file(state, path / "model.safetensors", metadata={"format": "pt"})
        return
    index = {"metadata": {"total_size": sum(value.nbytes for value in state.values())}, "weight_map": {}}
    for shard in range(folder.shards):
        file = f"model-{shard + 1:05}-of-{folder.shards:05}.safetensors"
        part = names[shard::folder.shards]
        index["weight_map"] |= {name: file for name in part}
        save_file({name: state[name] for name in part}, path / file, metadata={"format": "pt"})
    (path / "model.safetensors.index.json").write_text(json.dumps(index, indent=1, sort_keys=True) + "\n")


def write_config(folder: Folder, path: Path) -> None:
    config = folder.config()
    text = config.to_dict() | {"architectures": [KINDS[folder.kind][1].__name__]}
    if folder.predicting and folder.kind != "qwen3_next":
        text["mtp_num_hidden_layers"] = 1
    if folder.wrapped:
        text = {"architectures": ["Qwen3_5ForConditionalGeneration"], "model_type": "qwen3_5", "text_config": text,
                "tie_word_embeddings": folder.tied, "vision_config": {"depth": 1}}
    text.pop("transformers_version", None)
    (path / "config.json").write_text(json.dumps(text, indent=1, sort_keys=True, default=str) + "\n")


def write_tokenizer(folder: Folder, path: Path) -> None:
    vocabulary = {letter: index for index, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    for left, right in MERGES:
        vocabulary[left + right] = len(vocabulary)
    tokenizer = KINDS[folder.kind][2](
        vocab=vocabulary, merges=list(MERGES), unk_token=None, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.add_special_tokens({"additional_special_tokens": CONTROL})
    tokenizer.add_tokens([AddedToken(tag, normalized=False, special=False) for tag in TAGS])
    tokenizer.chat_template = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    tokenizer.save_pretrained(path)


def write(folder: Folder, path: Path):
    """Writes the folder and returns the model."""
    path.mkdir(parents=True, exist_ok=True)
    model = build(folder)
    write_weights(folder, model, path)
    write_config(folder, path)
    write_tokenizer(folder, path)
    return model
