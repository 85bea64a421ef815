"""The same weights as a transformers checkpoint folder, and a check that transformers hears what NeMo hears."""

import re
from pathlib import Path

import torch

from .cases import SAMPLE_RATE, Case

# NeMo name -> transformers name, applied in order; a name that none changes is the same in both.
RENAMES = [
    (r"^encoder\.pre_encode\.conv\.", "encoder.subsampling.layers."),
    (r"^encoder\.pre_encode\.out\.", "encoder.subsampling.linear."),
    (r"\.self_attn\.linear_pos\.", ".self_attn.relative_k_proj."),
    (r"\.self_attn\.linear_out\.", ".self_attn.o_proj."),
    (r"\.self_attn\.linear_([qkv])\.", r".self_attn.\1_proj."),
    (r"\.self_attn\.pos_bias_([uv])$", r".self_attn.bias_\1"),
    (r"\.conv\.batch_norm\.", ".conv.norm."),
    (r"^decoder\.decoder_layers\.0\.", "ctc_head."),
    (r"^decoder\.prediction\.embed\.", "decoder.embedding."),
    (r"^decoder\.prediction\.dec_rnn\.lstm\.", "decoder.lstm."),
    (r"^joint\.pred\.", "decoder.decoder_projector."),
    (r"^joint\.enc\.", "encoder_projector."),
    (r"^joint\.joint_net\.2\.", "joint.head."),
]
LEFT_OUT = ("preprocessor.", "spec_augmentation.", "loss.")


def renamed(name: str) -> str:
    for pattern, replacement in RENAMES:
        name = re.sub(pattern, replacement, name)
    return name


def build(case: Case, vocabulary: int):
    import transformers

    encoder = transformers.ParakeetEncoderConfig(
        hidden_size=case.d_model, num_hidden_layers=case.layers, num_attention_heads=case.attention_heads,
        intermediate_size=case.d_model * case.ff_factor, attention_bias=case.bias, convolution_bias=case.bias,
        conv_kernel_size=case.conv_kernel, subsampling_conv_channels=case.conv_channels, num_mel_bins=case.mels,
        scale_input=case.xscaling)
    head = case.heads[0]
    if head == "ctc":
        config = transformers.ParakeetCTCConfig(
            encoder_config=encoder, vocab_size=vocabulary + 1, pad_token_id=vocabulary)
        return transformers.ParakeetForCTC(config)
    options = {"encoder_config": encoder, "vocab_size": vocabulary + 1, "blank_token_id": vocabulary,
               "pad_token_id": 2, "decoder_start_token_id": vocabulary, "decoder_hidden_size": case.pred_hidden,
               "num_decoder_layers": case.lstm_layers, "max_symbols_per_step": case.max_symbols}
    if head == "rnnt":
        return transformers.ParakeetForRNNT(transformers.ParakeetRNNTConfig(**options))
    return transformers.ParakeetForTDT(transformers.ParakeetTDTConfig(durations=list(case.durations), **options))


def save_processor(case: Case, spm: Path, vocabulary: int, folder: Path):
    """tokenizer.json, tokenizer_config.json and the processor's config, as NVIDIA's repositories have them."""
    import transformers
    from transformers.convert_slow_tokenizer import ParakeetConverter

    special = "<pad>" if case.heads[0] == "ctc" else "<blank>"
    fast = ParakeetConverter(str(spm)).converted()
    tokenizer = transformers.ParakeetTokenizer(
        tokenizer_object=fast, unk_token="<unk>", clean_up_tokenization_spaces=False)
    if special == "<pad>":
        tokenizer.add_special_tokens({"pad_token": special})
    else:
        tokenizer.add_tokens([transformers.AddedToken(special, special=True)])
    if tokenizer.convert_tokens_to_ids(special) != vocabulary:
        raise AssertionError(f"{special} is not id {vocabulary}")
    extractor = transformers.ParakeetFeatureExtractor(feature_size=case.mels)
    transformers.ParakeetProcessor(extractor, tokenizer, decoder_type=case.heads[0]).save_pretrained(folder)
    return extractor


def write_folder(model, case: Case, spm: Path, vocabulary: int, folder: Path, audio: dict, runs: dict) -> dict:
    """Save the folder; returns the largest differences from NeMo over the short clips."""
    state = {renamed(name): value for name, value in model.state_dict().items()
             if not name.startswith(LEFT_OUT) and not name.endswith("pos_enc.pe")}
    twin = build(case, vocabulary)
    twin.load_state_dict(state, strict=True)
    twin.eval()
    twin.save_pretrained(folder)
    extractor = save_processor(case, spm, vocabulary, folder)
    differences = {"features": 0.0, "encoder": 0.0}
    if case.heads[0] == "ctc":
        differences["log_probs"] = 0.0

    def note(kind: str, ours: torch.Tensor, theirs: torch.Tensor) -> None:
        differences[kind] = max(differences[kind], float((ours - theirs).abs().max()))

    for clip in ("mod0", "mod1", "mod7", "tenth"):
        inputs = extractor(audio[clip], sampling_rate=SAMPLE_RATE, return_tensors="pt")
        run = runs[clip]
        frames, rows = run.mel.shape[0], run.encoded.shape[0]
        note("features", inputs["input_features"][0, :frames], run.mel)
        with torch.no_grad():
            hidden = twin.encoder(**inputs).last_hidden_state[0, :rows]
            note("encoder", hidden, run.encoded)
            if case.heads[0] == "ctc":
                note("log_probs", torch.log_softmax(twin(**inputs).logits[0, :rows], dim=-1), run.log_probs)
    return differences
