"""Reference ids of Chatterbox's text front ends (writes fixtures/chatterbox/text/).

Small tokenizers of the released ones' structure are trained here: the grapheme BPE of the English and the multilingual
model, and a GPT-2 BPE with Turbo's event tags. What chatterbox's own EnTokenizer, MTLTokenizer and punc_norm functions,
and transformers' GPT-2 tokenizer, make of the sample in fixtures/text/texts.json is written down.

    pip install -r requirements-chatterbox.txt
    python chatterbox_text.py ../fixtures/chatterbox/text
"""

import argparse
import hashlib
import importlib.metadata
import json
import os
import re
import unicodedata
from pathlib import Path
from unittest import mock

os.environ["HF_HUB_OFFLINE"] = "1"

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoTokenizer

from chatterbox import mtl_tts, tts, tts_turbo
from chatterbox.models.tokenizers import tokenizer as reference

SAMPLE = Path(__file__).parent.parent / "fixtures/text/texts.json"
SPECIALS = ["[STOP]", "[UNK]", "[SPACE]", "[PAD]", "[SEP]", "[CLS]", "[MASK]", "[START]"]
TAGS = ["clear throat", "sigh", "shush", "cough", "groan", "sniff", "gasp", "chuckle", "laugh", "angry", "fear"]
LANGUAGES = list(mtl_tts.SUPPORTED_LANGUAGES)
# Glyph and code; two of one code, one glyph twice, one entry of two glyphs, a third column.
CANGJIE = ["我\thqi", "能\tibpp", "吞\thkr", "下\tmy", "玻\tmgdhe", "璃\tmgyub", "而\tmbll", "不\tmf", "伤\tomks", "身\thxh",
           "体\todm", "今\toin", "天\tmk", "气\tomn\tx", "气\tomnn", "很\thoav", "好\tvnd", "日\ta", "曰\ta", "中\tl",
           "日曰\ta", "㒲\ta", "標\tdmwf", "点\tyrf"]  # fmt: skip
MORE = [
    "Oh, that's hilarious! [chuckle] Um anyway, [laugh][sigh] we do have [clear throat] news. [laughing] [Laugh] [ laugh]",
    "wait... what : “this” — or ‘that’ – is ; 3 - 4 , 5 … done", "   leading and trailing   ", "a\x1cb\x1dc\x1ed\x1fe",
    "ßtraße", "ǆungla", "ŉa", "ﬁne", "İstanbul", "ΣΑΣ ΟΔΟΣ", "ʼn", "1st", "ends with dash-", "ends with comma,", "终。",
    "终？", "终！", "终，", "终、", "...", "…", ":", ";", " - ", "–", "—", " ,", "-", "....", "a... b", "a…… b", "a : b ; c",
    "[SPACE] [en] [START] [STOP] [UNK] [cj_a][cj_.] [zz]", "ab_cd ef‿gh i\u200dj k\u20e3", "it’s “so” ‘ok’", "e.g. ⁂ †",
]  # fmt: skip
KANA = ["こんにちは、せかい。", "カタカナ と ひらがな", "ー・「」！？", "ﾊﾝｶｸ ヴ ヵヶ", "ゐゑゝゞヽヾ", "１２３"]


def grapheme(texts, languages, size, alphabet):
    """A tokenizer of the structure of grapheme_mtl_merged_expanded_v1.json and tokenizer.json."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = SPECIALS + [f"[{code}]" for code in languages]
    special += [f"[cj_{letter}]" for letter in "abcdefghijklmnopqrstuvwxyz0123456789."] if languages else []
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=special, limit_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([text.replace(" ", "") if not languages else text for text in texts], trainer)
    return tokenizer


def gpt2(texts, folder):
    """A GPT-2 tokenizer as a folder, in the files of the Turbo checkpoint."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=900, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    vocab = model["vocab"] | {"<|endoftext|>": len(model["vocab"])}
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    added = {f"[{tag}]": len(vocab) + index for index, tag in enumerate(TAGS)}
    folder.mkdir(parents=True, exist_ok=True)
    write = lambda name, text: (folder / name).write_text(text, encoding="utf-8")
    write("vocab.json", json.dumps(vocab, ensure_ascii=False))
    write("merges.txt", "#version: 0.2\n" + "\n".join(merges) + "\n")
    write("added_tokens.json", json.dumps(added, ensure_ascii=False))
    write("tokenizer_config.json", json.dumps({"tokenizer_class": "GPT2Tokenizer", "model_max_length": 10**9}))
    write("special_tokens_map.json", json.dumps({name: "<|endoftext|>" for name in ["bos_token", "eos_token", "unk_token"]}))
    return AutoTokenizer.from_pretrained(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    sample = json.loads(SAMPLE.read_text(encoding="utf-8"))["texts"]
    # The sentences and the hostile ones, and some of those that were mixed from them.
    texts = MORE + sample[:260] + sample[260::5]
    decomposed = [unicodedata.normalize("NFKD", text.lower()) for text in texts]
    dump = lambda name, data: (out / name).write_text(json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")

    (out / "cangjie.json").write_text(json.dumps(CANGJIE, ensure_ascii=False) + "\n", encoding="utf-8")
    multilingual = grapheme(decomposed * 2, LANGUAGES, 900, 330)
    multilingual.save(str(out / "multilingual.json"), pretty=False)
    english = grapheme([text for text in texts if text.isascii()] * 4, [], 260, 90)
    english.save(str(out / "english.json"), pretty=False)

    # No word cutter: what the reference does where pkuseg is missing. It would be loaded from the net.
    without = mock.patch.object(reference.ChineseCangjieConverter, "_init_segmenter", lambda self: None)
    with without, mock.patch.object(reference, "hf_hub_download", return_value=str(out / "cangjie.json")):
        mtl = reference.MTLTokenizer(str(out / "multilingual.json"))
    en = reference.EnTokenizer(str(out / "english.json"))
    turbo = gpt2(texts, out / "turbo")

    cases = []
    plain = [code for code in LANGUAGES if code != "ja"]
    for index, text in enumerate(texts):
        has_han = re.search("[\u4e00-\u9fff]", text)
        code = "zh" if has_han else plain[index % len(plain)]
        cases.append({
            "text": text,
            "norm": [module.punc_norm(text) for module in (tts, mtl_tts, tts_turbo)],
            "language": code,
            "mtl": mtl.encode(text, language_id=code),
            "en": en.encode(text),
            "turbo": turbo(text).input_ids,
        })  # fmt: skip
    for text in KANA:
        cases.append({"text": text, "language": "ja", "mtl": mtl.encode(text, language_id="ja")})
    dump("cases.json", cases)

    (out / "turbo/tokenizer_config.json").unlink()
    (out / "turbo/special_tokens_map.json").unlink()
    files = sorted(path for path in out.rglob("*") if path.is_file() and path.name != "manifest.json")
    names = ["chatterbox-tts", "tokenizers", "transformers", "pykakasi"]
    dump("manifest.json", {
        "script": "oracles/chatterbox_text.py",
        "versions": {name: importlib.metadata.version(name) for name in names},
        "unicode": unicodedata.unidata_version,
        "sha256": {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
    })  # fmt: skip


if __name__ == "__main__":
    main()
