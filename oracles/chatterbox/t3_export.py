"""Write a T3 as chatterbox.cpp's converters do: their keys, names and layouts."""

from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type

from t3_cases import Case

GLOBAL = {"text_emb.weight": "text_emb", "speech_emb.weight": "speech_emb", "speech_head.weight": "speech_head",
          "speech_head.bias": "speech_head_bias", "text_head.weight": "text_head",
          "text_pos_emb.emb.weight": "text_pos_emb", "speech_pos_emb.emb.weight": "speech_pos_emb",
          "cond_enc.spkr_enc.weight": "cond_spkr/w", "cond_enc.spkr_enc.bias": "cond_spkr/b",
          "cond_enc.emotion_adv_fc.weight": "emotion_adv_fc/w",
          "cond_enc.perceiver.pre_attention_query": "perceiver/pre_attention_query"}
PARTS = {"weight": "w", "bias": "b"}
LLAMA = {"input_layernorm.weight": "ln_attn/g", "post_attention_layernorm.weight": "ln_mlp/g",
         "self_attn.q_proj.weight": "attn/q/w", "self_attn.k_proj.weight": "attn/k/w", "self_attn.v_proj.weight": "attn/v/w",
         "self_attn.o_proj.weight": "attn/o/w", "mlp.gate_proj.weight": "mlp/gate/w", "mlp.up_proj.weight": "mlp/up/w",
         "mlp.down_proj.weight": "mlp/down/w"}


def converted(name: str, x: torch.Tensor) -> tuple[str, torch.Tensor] | None:
    """Name and elements in the file; nothing for a tensor that isn't exported."""
    if name in GLOBAL:
        return f"chatterbox/{GLOBAL[name]}", x
    head, _, rest = name.partition("cond_enc.perceiver.attn.")
    if not head:
        module, part = rest.split(".")
        part = {"weight": "g", "bias": "b"}[part] if module == "norm" else PARTS[part]
        return f"chatterbox/perceiver/attn/{module}/{part}", x
    rest = name.removeprefix("tfmr.")
    if rest == "norm.weight":
        return "model/norm/g", x
    if rest.startswith("layers."):
        _, layer, part = rest.split(".", 2)
        return f"model/h{layer}/{LLAMA[part]}", x
    if rest.startswith("h."):
        _, layer, *module, part = rest.split(".")
        stem = "/".join(module)
        if stem.startswith("ln_"):
            return f"model/h{layer}/{stem}/{'g' if part == 'weight' else 'b'}", x
        # GPT-2's Conv1D holds [in, out].
        return f"model/h{layer}/{stem}/{PARTS[part]}", x.T if part == "weight" else x
    if rest.startswith("ln_f."):
        return f"model/ln_f/{'g' if rest.endswith('weight') else 'b'}", x
    if rest == "wpe.weight":
        return "model/wpe", x
    return None


def write_model(model, case: Case, voice: dict, path: Path) -> int:
    """Write the file and return its number of tensors."""
    w = gguf.GGUFWriter(str(path), "chatterbox")
    w.add_name(f"mynah-fixture/{case.name}")
    numbers = {"n_ctx": case.positions, "n_embd": case.hidden, "n_layer": case.layers, "n_head": case.heads,
               "text_vocab_size": case.text_vocabulary, "speech_vocab_size": case.speech_vocabulary,
               "start_speech_token": case.start_speech, "stop_speech_token": case.stop_speech,
               "speaker_embed_size": case.speaker, "cond_prompt_length": case.prompt}
    floats = {}
    if case.is_gpt:
        w.add_string("chatterbox.variant", "t3_turbo")
        floats["layer_norm_eps"] = 1e-5
    else:
        w.add_string("chatterbox.variant", "t3_mtl")
        w.add_string("chatterbox.backbone", "llama_520m")
        numbers |= {"context_length": case.positions, "embedding_length": case.hidden, "block_count": case.layers,
                    "attention.head_count": case.heads, "n_kv_head": case.kv_heads or case.heads,
                    "head_dim": case.hidden // case.heads, "intermediate_size": case.feed_forward,
                    "start_text_token": case.start_text, "stop_text_token": case.stop_text,
                    "max_text_tokens": case.max_text, "max_speech_tokens": case.max_speech,
                    "speech_cond_prompt_len": case.prompt, "perceiver_query_tokens": case.queries,
                    "perceiver_query_size": case.hidden, "perceiver_num_heads": 4,
                    "rope.original_max_position": case.original}
        floats |= {"rms_norm_eps": 1e-5, "rope_theta": case.theta, "rope.scaling_factor": case.factor,
                   "rope.low_freq_factor": case.low, "rope.high_freq_factor": case.high}
        w.add_bool("chatterbox.emotion_adv", True)
        w.add_string("chatterbox.rope.scaling_type", "llama3")
    for key, value in numbers.items():
        w.add_uint32(f"chatterbox.{key}", value)
    for key, value in floats.items():
        w.add_float32(f"chatterbox.{key}", value)
    w.add_string("chatterbox.quantization", "f16" if case.half else "f32")
    count = 0
    for name, value in model.state_dict().items():
        found = converted(name, value.detach().float())
        if found is None or case.is_gpt and name == "text_head.weight":
            continue
        new, x = found
        x = np.ascontiguousarray(x.numpy())
        if name == "text_head.weight":
            # Nothing reads it.
            w.add_tensor(new, np.zeros(gguf.quant_shape_to_byte_shape(x.shape, Type.Q8_0) if x.shape[1] % 32 == 0 else x.shape,
                                       np.uint8 if x.shape[1] % 32 == 0 else np.float16),
                         raw_dtype=Type.Q8_0 if x.shape[1] % 32 == 0 else None)
        else:
            w.add_tensor(new, x.astype(np.float16) if case.half and x.ndim > 1 else x)
        count += 1
    w.add_tensor("chatterbox/builtin/speaker_emb", voice["speaker"].numpy().reshape(1, -1))
    w.add_tensor("chatterbox/builtin/cond_prompt_speech_tokens", np.array(voice["prompt"], np.int32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return count + 2
