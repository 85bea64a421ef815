"""Write a transformers model as llama.cpp's converter does: its keys, names, element types and order of value heads."""

from pathlib import Path

import gguf
import numpy as np
import torch

from .cases import Case

FULL = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm"}
LINEAR = {"linear_attn.in_proj_qkv": "attn_qkv", "linear_attn.in_proj_z": "attn_gate", "linear_attn.in_proj_a": "ssm_alpha",
          "linear_attn.in_proj_b": "ssm_beta", "linear_attn.conv1d": "ssm_conv1d", "linear_attn.norm": "ssm_norm",
          "linear_attn.out_proj": "ssm_out"}
EXPERTS = {"mlp.gate": "ffn_gate_inp", "mlp.experts.down_proj": "ffn_down_exps", "mlp.shared_expert_gate": "ffn_gate_inp_shexp",
           "mlp.shared_expert.gate_proj": "ffn_gate_shexp", "mlp.shared_expert.up_proj": "ffn_up_shexp",
           "mlp.shared_expert.down_proj": "ffn_down_shexp"}
PREDICTOR = {"fc": "nextn.eh_proj", "pre_fc_norm_embedding": "nextn.enorm", "pre_fc_norm_hidden": "nextn.hnorm",
             "norm": "nextn.shared_head_norm"}
BOTH = {"input_layernorm": "attn_norm", "post_attention_layernorm": "post_attention_norm", "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
GLOBAL = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
          "lm_head.weight": "output.weight"}


def tiled(x: torch.Tensor, axis: int, case: Case, width: int) -> torch.Tensor:
    """Value heads from the order of their key heads (k0v0 k0v1 k1v0 k1v1) to tiles of key heads (k0v0 k1v0 k0v1 k1v1)."""
    each = case.value_heads // case.key_heads
    parts = x.unflatten(axis, (case.key_heads, each, width))
    return parts.transpose(axis, axis + 1).flatten(axis, axis + 2).contiguous()


def value_rows(x: torch.Tensor, case: Case) -> torch.Tensor:
    """The same for the last of q, k and v along the first axis."""
    keys = 2 * case.key_heads * case.linear_dim
    return torch.cat([x[:keys], tiled(x[keys:], 0, case, case.linear_dim)])


def split(x: torch.Tensor, case: Case) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows of q, k, v and z of each key head, to those of all q, all k and all v, and those of all z."""
    own = case.value_heads // case.key_heads * case.linear_dim
    parts = x.unflatten(0, (case.key_heads, -1)).split([case.linear_dim, case.linear_dim, own, own], dim=1)
    q, k, v, z = (part.flatten(0, 1) for part in parts)
    return torch.cat([q, k, v]), z


def converted(name: str, x: torch.Tensor, case: Case) -> list[tuple[str, torch.Tensor]]:
    """Names and elements in the file."""
    if name in GLOBAL:
        return [(GLOBAL[name], x + 1 if name == "model.norm.weight" else x)]
    _, _, layer, part = name.split(".", 3)
    stem = part.removesuffix(".weight")
    grouped = case.architecture == "qwen3next"

    def heads(x: torch.Tensor, axis: int, width: int) -> torch.Tensor:
        return x if grouped else tiled(x, axis, case, width)

    def named(new: str, x: torch.Tensor) -> list[tuple[str, torch.Tensor]]:
        return [(f"blk.{layer}.{new}", x)]

    if part == "linear_attn.A_log":
        return named("ssm_a", heads(-torch.exp(x), 0, 1))
    if part == "linear_attn.dt_bias":
        return named("ssm_dt.bias", heads(x, 0, 1))
    if stem == "linear_attn.in_proj_qkvz":
        qkv, z = split(x, case)
        return named("attn_qkv.weight", qkv) + named("attn_gate.weight", z)
    if stem == "linear_attn.in_proj_ba":
        return named("ssm_ba.weight", x)
    if stem == "mlp.experts.gate_up_proj":
        gate, up = x.chunk(2, dim=1)
        return named("ffn_gate_exps.weight", gate) + named("ffn_up_exps.weight", up)
    new = (FULL | LINEAR | BOTH | EXPERTS | PREDICTOR)[stem] + ".weight"
    if stem == "linear_attn.in_proj_qkv":
        return named(new, value_rows(x, case))
    if stem == "linear_attn.conv1d":
        return named(new, x.squeeze(1) if grouped else value_rows(x.squeeze(1), case))
    if stem == "linear_attn.in_proj_z":
        return named(new, heads(x, 0, case.linear_dim))
    if stem in ("linear_attn.in_proj_a", "linear_attn.in_proj_b"):
        return named(new, heads(x, 0, 1))
    if stem == "linear_attn.out_proj":
        return named(new, heads(x, 1, case.linear_dim))
    if stem.startswith("pre_fc_norm") or stem.endswith("norm") and stem != "linear_attn.norm":
        return named(new, x + 1)
    return named(new, x)


def write_model(model, predictor, case: Case, path: Path) -> int:
    """Write the file and return its number of tensors."""
    w = gguf.GGUFWriter(str(path), case.architecture)
    w.add_name(f"mynah-fixture/{case.name}")
    w.add_block_count(case.layers + case.predicts)
    if case.predicts:
        w.add_nextn_predict_layers(1)
    w.add_context_length(4096)
    w.add_embedding_length(case.hidden)
    if case.experts:
        w.add_expert_count(case.experts)
        w.add_expert_used_count(case.used)
        w.add_expert_feed_forward_length(case.feed_forward)
        w.add_expert_shared_feed_forward_length(case.shared)
    else:
        w.add_feed_forward_length(case.feed_forward)
    w.add_head_count(case.heads)
    w.add_head_count_kv(case.kv_heads)
    w.add_key_length(case.head_dim)
    w.add_value_length(case.head_dim)
    w.add_layer_norm_rms_eps(case.eps)
    w.add_full_attention_interval(case.interval)
    w.add_rope_dimension_count(int(case.head_dim * case.rotary))
    if case.architecture != "qwen3next":
        w.add_rope_dimension_sections([*case.sections, 0])
    w.add_rope_freq_base(case.theta)
    w.add_ssm_conv_kernel(case.conv_kernel)
    w.add_ssm_state_size(case.linear_dim)
    w.add_ssm_group_count(case.key_heads)
    w.add_ssm_time_step_rank(case.value_heads)
    w.add_ssm_inner_size(case.linear_dim * case.value_heads)
    count = 0
    state = dict(model.state_dict())
    if predictor is not None:
        # The block's own names, and those of what comes before and after it, as of one more layer.
        state |= {f"model.layers.{case.layers}.{name.removeprefix('layers.0.')}": x for name, x in predictor.state_dict().items()}
    for name, value in state.items():
        if name == "lm_head.weight" and case.tied:
            continue
        for new, x in converted(name, value.detach().float(), case):
            w.add_tensor(new, np.ascontiguousarray(x.numpy()))
            count += 1
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return count
