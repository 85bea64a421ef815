"""A 64-piece SentencePiece BPE model trained on the sentences below, the way NeMo trains its own (no bos, eos, pad)."""

from pathlib import Path

import sentencepiece

PIECES = 64
SENTENCES = """
The lantern on the harbour wall went out at nine, and nobody lit it again.
Did the baker leave two loaves on the step? He did, and one more for the cat.
Seven small boats came home before the storm; the eighth came home after it.
What a bright morning! The hills stand near, the road is dry, and the bells are ringing.
She wrote the number on her hand, lost the hand of cards, and kept the number.
Turn left at the mill. Then walk until the river tells you to stop.
Nobody asked the old clock for the time, so it never told the truth again.
Is there any tea left? There is water, there is fire, and there is a tin of leaves.
The train to the north leaves late. The train to the south does not leave at all.
He read the letter three times: once for the words, once for the ink, once for her.
Rain on the roof, rain on the road, rain in the bread and in the beds!
When the music ended they were still dancing, and the dog was still asleep.
""".strip().splitlines()


def train(folder: Path) -> None:
    """Write tokenizer.model, tokenizer.vocab and NeMo's vocab.txt into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(SENTENCES) + "\n")
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(folder / "tokenizer"), vocab_size=PIECES, model_type="bpe",
        character_coverage=1.0, bos_id=-1, eos_id=-1, pad_id=-1, unk_id=0, num_threads=1,
        shuffle_input_sentence=False, normalization_rule_name="identity", minloglevel=2)
    corpus.unlink()
    pieces = load_pieces(folder)
    (folder / "vocab.txt").write_text("\n".join(pieces[1:]) + "\n")


def load_pieces(folder: Path) -> list[str]:
    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    return [processor.id_to_piece(i) for i in range(processor.get_piece_size())]
