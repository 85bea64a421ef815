"""Reference tokenizations and rendered chats (writes fixtures/text/; templates/ there is written by hand).

Two small vocabularies are trained, one with each of transformers' own tokenizer classes for Qwen (Qwen2Tokenizer and
Qwen3_5Tokenizer: normaliser, pre-split regex, byte level), on a text that this script makes. What these classes make of
a multilingual and hostile sample is written down, as is what transformers' template engine makes of our templates.

    pip install -r requirements-text.txt
    python text.py ../fixtures/text
"""

import argparse
import datetime
import hashlib
import importlib.metadata
import json
import random
import sys
import unicodedata
from pathlib import Path
from unittest import mock

import gguf
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers.models.qwen2.tokenization_qwen2 import Qwen2Tokenizer
from transformers.models.qwen3_5.tokenization_qwen3_5 import Qwen3_5Tokenizer
from transformers.utils import chat_template_utils

SEED = 20260918
MERGES = {"qwen2": 2500, "qwen35": 5000}
CLASSES = {"qwen2": Qwen2Tokenizer, "qwen35": Qwen3_5Tokenizer}
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|image_pad|>", "<|im_end|>x"]
USER_DEFINED = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]
MOMENT = datetime.datetime(2026, 2, 28, 23, 59, 59, tzinfo=datetime.timezone.utc)

SENTENCES = """
The quick brown fox doesn't jump over the lazy dog; it's we who'll see, they've said, I'd rather you're here, I'm not.
Den stora räven hoppar över den lata hunden på ängen, och flickan sjunger för älgen.
Der große Fuchs springt über den faulen Hund, während die Straßenbahn fährt.
Le renard brun s'élance par-dessus le chien paresseux, n'est-ce pas ? C'était l'été à Noël.
El zorro marrón salta sobre el perro perezoso. ¿Cuántos años tienes? ¡Qué mañana tan fría!
Pchnąć w tę łódź jeża lub ośm skrzyń fig; zażółć gęślą jaźń.
Příliš žluťoučký kůň úpěl ďábelské ódy nad řekou.
Pijamalı hasta yağız şoföre çabucak güvendi; İstanbul'da ılık bir gün.
Trời xanh, mây trắng, nắng vàng; người Việt nói tiếng Việt và uống cà phê sữa đá.
Съешь же ещё этих мягких французских булок, да выпей чаю.
Чуєш їх, доцю, га? Кумедна ж ти, прощайся без ґольфів!
Ξεσκεπάζω την ψυχοφθόρα βδελυγμία· ο γρήγορος σκύλος πηδά.
דג סקרן שט לו בים זך אך לפתע פגש חבורה נחמדה שצצה כך.
نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر ومغلف بجلد أزرق.
اَلْعَرَبِيَّةُ لُغَةٌ جَمِيلَةٌ، وَالسَّلَامُ عَلَيْكُمْ.
یک روباه قهوه‌ای سریع از روی سگ تنبل می‌پرد، چه کسی می‌داند؟
ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश करने वाले विष्णुवतार भगवान श्रीराम।
আমি বাংলায় গান গাই, আমি বাংলার গান গাই; এটি একটি পরীক্ষা।
யாமறிந்த மொழிகளிலே தமிழ்மொழி போல் இனிதாவது எங்கும் காணோம்.
เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์เดรัจฉาน ภาษาไทยไม่มีช่องว่าง
ရှေးခေတ်က သူတို့သည် မြန်မာဘာသာ စကားပြောကြသည်။
ភាសាខ្មែរ គឺជាភាសាផ្លូវការរបស់ប្រទេសកម្ពុជា។
ვეპხის ტყაოსანი შოთა რუსთაველი, ქართული ენა.
Այբուբենը ստեղծել է Մեսրոպ Մաշտոցը։
いろはにほへと ちりぬるを。東京は今日も雨でした、カタカナとひらがなを書きます。
我能吞下玻璃而不伤身体。今天天气很好，我们去公园散步吧！
視野無限廣，窗外有藍天；微風迎客，軟語伴茶。
키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다. 오늘 날씨가 좋네요!
ሰማይ አይታረስ ንጉሥ አይከሰስ። አማርኛ ቋንቋ ነው።
fn main() { let x = vec![1, 2, 3]; println!("{:?}", x.iter().map(|n| n * 2).collect::<Vec<_>>()); }
SELECT name, COUNT(*) FROM users WHERE age >= 18 GROUP BY name ORDER BY 2 DESC LIMIT 10;
def f(x):\n    if x is None:\n        return {"a": [1, 2.5e-3, True]}\n\n    return x ** 2  # square
<div class="a b">&nbsp;<a href="https://example.org/?q=1&r=2#top">link</a></div>
E = mc², ∑ᵢ xᵢ ≤ ∞, 3 × 4 ÷ 2 → ½ + ¼, 温度は25℃, №5, ①②③, ⅷ, x₁, 10⁻³, €99.90, £5, ₹100, 50 %.
""".strip().replace("\\n", "\n").splitlines()

HOSTILE = [
    "", " ", "  ", "\n", "\r\n", "\r", "\t", "\0", "a", " a", "a ", " a ", "\n\n", " \n", "\n ", " \n \n ", "\t\t x",
    "a\r\nb\r\n\r\nc", "a \r\n  b", "x\n\n\n  y", "!\n\n!", "...\r\n...", "a\u0085b", "a\u2028b\u2029c", "\ufeffbom",
    "\u00a0nbsp\u00a0\u00a0x", "\u3000全角\u3000空白", "\u200bzero\u200bwidth\u200d\u2060", "soft\u00adhyphen",
    "1234567890", "١٢٣٤٥", "१२३", "３．１４", "1,234.56e-7", "½⅓Ⅷ①²", "\U0001d7d8\U0001d7d9", "x1y2z3", "0x1F600",
    "I'll I'LL i'lL 'll ' ll ''s 's's 'S 'T 'RE 'Ve 'm 'D 'x don't DON'T l'été 'sx 'dx'd", "'\u017f '\u017fa a'\u017f",
    "\u2019s it\u2019s", "'", "''", "'\n", "' ", "'l", "'r", "'v", "'L'L", "\u212a 'K", "'ſt 'ﬆ ﬁ", "ß 'ß 'ẞ",
    "e\u0301", "\u0301", " \u0301", "\u0301\u0301a", "a\u0301\u0302\u0303", "!\u0301", "!\u0301a", "1\u0301", "\n\u0301",
    "\u0344", "\u0958", "\u1e9b\u0323", "\u0323\u0307", "s\u0307\u0323", "Å\u212b\u0041\u030a", "\u1100\u1161\u11a8",
    "가\u11a8", "\u1112\u1161\u11ab글", "ㅎㅏㄴ", "\ufb1d\u05d9\u05b4", "\u0f73\u0f71\u0f72", "\U0001d15e", "\u2126\u03a9",
    "कि\u0301", "नमस्ते", "ក្ក", "ก็ที่นี่", "ำํา", "\u0e33", "லொ", "ೊ", "\u09c7\u09be", "ﷺ", "لا", "ـــ", "ٱلرَّحْمَٰنِ",
    "👨‍👩‍👧‍👦", "👩🏽‍🚀 🏳️‍🌈 🇸🇪🇯🇵", "❤️❤", "🙂🙂🙂", "a👍b", "👍 👍", "☃\ufe0e☃\ufe0f", "1️⃣", "\U000e0067\U000e0062", "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "\x01\x02\x1b[31mred\x1b[0m\x7f", "\x80\x9f", "\ufffd\ufffe\uffff", "\U0010ffff\U000fffff", "\ue000\uf8ff", "\ufdd0",
    "\u202eright\u202c \u2066x\u2069", "\u061c", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘!", "ÃƒÂ© Ã¼", "Ġhello Ċ Ń ġ", "<0xE2>", "▁a",
    "    def f():\n\treturn\t\t1  # x\n\n\n", "a.b(c)[d]{e};", "--flag=value", "$$x^2$$", "C:\\path\\to", "~!@#$%^&*()_+",
    "http://a.b/c?d=e&f=%20", "user@example.com", "foo_bar fooBar FOO-BAR", "日本語とEnglishと한국어 mixed текст", "中文，标点。\n“引号”",
    "<|im_start|>user\nhi<|im_end|>\n", "<|im_end|>", "<|im_end|>x", "<|im_end|>y", "<|im_end|", "<|im_end|<|im_end|>>",
    "a<think>b</think>c", "<think>\n\n</think>\n\n", " <think> ", "<thin<think>k>", "<tool_call>\n{\"a\": 1}\n</tool_call>",
    "<|endoftext|><|endoftext|>", "<|IM_END|>", "<|im_end|>\u0301", "\u0301<think>\u0301", "e<think>\u0301", "'<think>s",
    " <|im_end|>  <|im_start|>\n", "<|im_start|><think></think><|im_end|>x<|im_end|>", "<think", "|im_end|>",
]  # fmt: skip

# Text, and how often it is repeated: [unit, count] pairs joined.
RUNS = [
    [["a", 6000]], [[" ", 6000]], [["\n", 5000]], [["1", 3000]], [["!", 5000]], [["ab", 4000]], [["\u0301", 3000]],
    [["a\u0301", 2000]], [["中", 3000]], [["คำ", 2000]], [["👍", 1500]], [[" ", 3000], ["x", 1]], [["\n ", 2000]],
    [["'s", 2000]], [["'", 3000]], [["<", 3000]], [["<|im_end", 500]], [["\r\n", 2000]], [["\u3000", 2000], ["!", 1]],
    [["가", 2000]], [["\u1100\u1161\u11a8", 1000]], [["\t", 999], ["\n", 1], [" ", 999], ["a", 1]], [["the ", 2000]],
    [["\u0323\u0307", 1000]], [["\0", 2000]],
]  # fmt: skip


def corpus(rng):
    """Sentences, and words of theirs drawn anew and cut anew, so that merges reach beyond the sentences themselves."""
    words = [word for sentence in SENTENCES for word in sentence.split(" ")]
    weights = [1 / (rank + 3) for rank in range(len(words))]
    order = rng.sample(words, len(words))
    for _ in range(4):
        yield from SENTENCES
    for _ in range(3000):
        yield " ".join(rng.choices(order, weights, k=rng.randint(3, 14))) + rng.choice(["", ".", "!\n", "\n\n", " \n  "])
    for _ in range(3000):
        # New words of one script: the beginning of one and the end of another.
        parts = [(word[: (len(word) + 1) // 2], word[len(word) // 2 :]) for word in rng.choice(SENTENCES).split(" ")]
        yield " ".join(rng.choice(parts)[0] + rng.choice(parts)[1] for _ in range(8))
    for _ in range(200):
        yield rng.choice([" ", "\n", "=", "-", "  ", "!", "ab", "a"]) * rng.randint(2, 40)


def sample(rng):
    """Texts to compare: sentences, hostile ones, and mixes of both and of any code points at all."""
    texts = SENTENCES + HOSTILE
    names = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) not in ("Cn", "Cs", "Co")]
    for _ in range(250):
        texts.append("".join(rng.choices(HOSTILE[1:], k=rng.randint(2, 6))))
    for _ in range(250):
        words = [word for sentence in rng.sample(SENTENCES, 3) for word in sentence.split(" ")]
        texts.append("".join(word + rng.choice([" ", "  ", "\n", "", ", ", "\t", "'s "]) for word in rng.choices(words, k=12)))
    for _ in range(300):
        texts.append("".join(rng.choices(names, k=rng.randint(1, 12))))
    for _ in range(150):
        alphabet = rng.choice(["a' \n", "a\u0301 !1", " \r\n\t\u3000x", "'sStTrReE ", "가\u1100\u1161\u11a8", "<|im_end>x"])
        texts.append("".join(rng.choices(alphabet, k=rng.randint(1, 30))))
    return texts


def train(pre, texts):
    """Vocabulary and merges by the class's own pre-split and normaliser."""
    reference = CLASSES[pre](vocab={}, merges=[])._tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=256 + MERGES[pre], show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), min_frequency=2
    )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer, tokenizer.pre_tokenizer = reference.normalizer, reference.pre_tokenizer
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


def tokenizers(pre, vocab, merges):
    """The same vocabulary three times: without special tokens, with all, with all but control tokens not recognised."""
    made = [CLASSES[pre](vocab=dict(vocab), merges=list(merges), unk_token=None, eos_token=None, pad_token=None)._tokenizer for _ in range(3)]
    assert all(tokenizer.get_vocab_size() == len(vocab) for tokenizer in made)
    for tokenizer in made[1:]:
        tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in CONTROL])
        tokenizer.add_tokens([AddedToken(token, normalized=False, special=False) for token in USER_DEFINED])
    made[2].encode_special_tokens = True
    return made


def write_gguf(path, pre, vocab, merges):
    tokens = [token for token, _ in sorted(vocab.items(), key=lambda item: item[1])] + CONTROL + USER_DEFINED
    types = [1] * len(vocab) + [3] * len(CONTROL) + [4] * len(USER_DEFINED)
    tokens += ["[PAD0]", "[PAD1]"]
    types += [5, 5]
    writer = gguf.GGUFWriter(path, "qwen35")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_bos_token_id(tokens.index("<|endoftext|>"))
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_pad_token_id(tokens.index("<|endoftext|>"))
    writer.add_add_bos_token(False)
    writer.add_chat_template((Path(path).parent / "templates/tagged.jinja").read_text("utf-8"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def ranges(pattern):
    """Code points that the reference's regex engine takes for a class, as [first, last] pairs."""
    codes = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    text = "".join(map(chr, codes))
    split = pre_tokenizers.Split(Regex(pattern), behavior="removed", invert=True)
    return [[codes[start], codes[end - 1]] for _, (start, end) in split.pre_tokenize_str(text)]


def encodings(pre, path, texts):
    rng = random.Random(SEED)
    vocab, merges = train(pre, corpus(rng))
    plain, everything, user_defined = tokenizers(pre, vocab, merges)
    write_gguf(path / f"{pre}.gguf", pre, vocab, merges)

    def ids(text):
        of = [tokenizer.encode(text, add_special_tokens=False).ids for tokenizer in (plain, user_defined, everything)]
        for tokenizer, encoded in zip((plain, user_defined, everything), of):
            # The decoder must give back the normal form, whatever was special.
            assert tokenizer.decode(encoded, skip_special_tokens=False) == normal(text, tokenizer is not plain), text
        # A later list that equals the first is written as null.
        return [of[0]] + [None if other == of[0] else other for other in of[1:]]

    def normal(text, special):
        if not special:
            return unicodedata.normalize("NFC", text)
        return everything.decode(everything.encode(text, add_special_tokens=False).ids, skip_special_tokens=False)

    def words(text):
        """Lengths, in code points, of the words that the normal form is split into."""
        normal_form = plain.normalizer.normalize_str(text)
        split = plain.pre_tokenizer[0].pre_tokenize_str(normal_form)
        assert "".join(word for word, _ in split) == normal_form
        return [len(word) for word, _ in split]

    decoder = decoders.ByteLevel()
    broken = []
    for _ in range(60):
        drawn = rng.choices(range(len(vocab)), k=rng.randint(1, 8))
        broken.append([drawn, decoder.decode([plain.id_to_token(token) for token in drawn])])
    return {
        "tokens": len(vocab),
        "merges": len(merges),
        "texts": [ids(text) for text in texts],
        "words": [words(text) for text in texts],
        "runs": [ids("".join(unit * count for unit, count in run)) for run in RUNS],
        "decoded": broken,
    }


TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "description": "Weather of a <town> & \"country\" – now", "parameters": {
        "type": "object", "properties": {"town": {"type": "string"}, "days": {"type": "integer", "default": 1.0, "maximum": 1e16}}, "required": ["town"]}}},
    {"type": "function", "function": {"name": "nothing", "parameters": {"type": "object", "properties": {}}}},
]  # fmt: skip


def call(name, arguments):
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def user(text):
    return {"role": "user", "content": text}


CHATS = {
    "one": [user("Hello there")],
    "turns": [{"role": "system", "content": " Be brief. "}, user("1+1?"), {"role": "assistant", "content": "2"}, user("\n2+2?\n")],
    "thoughts": [
        user("1+1?"), {"role": "assistant", "content": "<think>\nEasy.\n</think>\n\n2"}, user("2+2?"),
        {"role": "assistant", "reasoning_content": "Hm.", "content": "4"}, {"role": "assistant", "content": "<think>\n\n</think>\n\nFour."},
    ],
    "calls": [
        user("Weather?"),
        {"role": "assistant", "content": "I look.", "tool_calls": [
            call("get_weather", {"town": "Umeå", "days": 3, "exact": True, "none": None, "f": 1e-7, "list": [1, "a", {"b": None}], "o": {"x": 1.5}}),
            call("nothing", {})]},
        {"role": "tool", "content": "{\"t\": -3}"}, {"role": "tool", "content": "ok"},
        {"role": "assistant", "content": "Cold.", "reasoning_content": "It is.\n"}, user("Thanks 👍"),
    ],
    "open_calls": [
        {"role": "system", "content": "S"}, user("Weather?"),
        {"role": "assistant", "content": "", "reasoning_content": "I need it.", "tool_calls": [call("get_weather", {"town": "a\nb"})]},
        {"role": "tool", "content": "-3"},
    ],
    "responses": [user("q"), {"role": "assistant", "content": "a"}, user("<tool_response>\nx\n</tool_response>"), {"role": "assistant", "content": "b"}],
    "parts": [{"role": "system", "content": [{"type": "text", "text": "S"}]}, user([{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}, {"type": "image_url", "image_url": {"url": "u"}}])],
    "long": [user("x") if i % 2 == 0 else {"role": "assistant", "content": "y"} for i in range(41)],
}  # fmt: skip

REFUSED = {
    "none": [],
    "no_user": [{"role": "system", "content": "S"}],
    "late_system": [user("a"), {"role": "system", "content": "S"}],
    "role": [user("a"), {"role": "critic", "content": "c"}],
    "part": [user([{"type": "sound"}])],
    "kind": [user(3)],
    "picture": [{"role": "system", "content": [{"type": "image"}]}, user("a")],
}

VALUES = {
    "yes": True, "no": False, "nothing": None, "float": 1.0, "large": 1e22, "small": 1.5e-7, "tiny": 5e-324, "integer": -7,
    "big": 12345678901234567890, "list": [1, "two", 3.5, None, True], "dict": {"b": 1, "a": "x'y", "c": [0.1]},
    "nested": {"a": [], "b": {}, "c": [{"d": "\"q\" \\ / \n\t\u0001é日👍</script>"}], "e": [[1], [2, [3]]]},
    "text": "  Zażółć 👍 \u2028 ",
}  # fmt: skip


def render(template, messages, **options):
    class Fixed(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return MOMENT

    with mock.patch.object(chat_template_utils, "datetime", Fixed):
        rendered, _ = chat_template_utils.render_jinja_template([messages], chat_template=template, **options)
    return rendered[0]


def chats(templates):
    cases = []

    def case(name, chat, messages, **options):
        cases.append({"template": name, "chat": chat, "messages": messages, **options})
        arguments = {"tools": options.get("tools"), "add_generation_prompt": options.get("add_generation_prompt", False)}
        arguments |= options.get("variables", {}) | ({"enable_thinking": options["enable_thinking"]} if "enable_thinking" in options else {})
        try:
            cases[-1]["text"] = render(templates[name], messages, **arguments)
        except Exception as error:  # jinja2.TemplateError
            cases[-1]["refused"] = str(error)

    for name in ("tagged", "hermes"):
        for chat, messages in CHATS.items():
            if name == "hermes" and chat == "parts":
                continue
            case(name, chat, messages)
            case(name, chat, messages, tools=TOOLS, add_generation_prompt=True)
            case(name, chat, messages, add_generation_prompt=True, enable_thinking=False)
            case(name, chat, messages, add_generation_prompt=True, enable_thinking=True, variables={"number_images": True})
    for chat, messages in REFUSED.items():
        case("tagged", chat, messages)
    variables = {"values": VALUES, "bos_token": "<s>", "eos_token": "</s>"}
    case("features", "turns", CHATS["turns"], variables=variables)
    reasons = [{"role": "assistant", "content": "", name: name} for name in ("reasoning_content", "thinking", "reasoning")]
    case("features", "reasons", [user("q"), *reasons, {**reasons[0], **reasons[1]}], variables=variables)
    return cases


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    path = parser.parse_args().folder
    texts = sample(random.Random(SEED))
    written = {
        "texts.json": {"texts": texts, "runs": RUNS},
        **{f"{pre}.json": encodings(pre, path, texts) for pre in CLASSES},
        "classes.json": {name: ranges(pattern) for name, pattern in
                         {"letter": r"\p{L}+", "mark": r"\p{M}+", "number": r"\p{N}+", "space": r"\s+"}.items()},
        "chats.json": chats({file.stem: file.read_text("utf-8") for file in (path / "templates").glob("*.jinja")}),
    }  # fmt: skip
    for name, value in written.items():
        (path / name).write_text(json.dumps(value, ensure_ascii=True, separators=(",", ":")) + "\n")
    files = sorted([*path.glob("*.gguf"), *path.glob("*.json"), *path.glob("templates/*")])
    manifest = {
        "made_by": "oracles/text.py",
        "python": sys.version.split()[0],
        "unicode": unicodedata.unidata_version,
        "packages": {name: importlib.metadata.version(name) for name in ("gguf", "jinja2", "tokenizers", "transformers")},
        "seed": SEED,
        "moment": int(MOMENT.timestamp()),
        "sha256": {
            str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.name != "manifest.json"
        },
    }
    (path / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main()
