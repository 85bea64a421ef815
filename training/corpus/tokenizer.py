"""Trains the SentencePiece BPE model on the training sentences: OUT.model and OUT.vocab.

    python -m corpus.tokenizer SENTENCES OUT 512
"""

import sys

import sentencepiece


def main(sentences, out, size):
    with open(sentences, encoding="utf-8") as lines:
        texts = [line.rstrip("\n").split("\t", 1)[1] for line in lines if not line.startswith("salad\t")]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_prefix=out, vocab_size=int(size), model_type="bpe", character_coverage=1.0,
        bos_id=-1, eos_id=-1, unk_id=0, pad_id=-1, shuffle_input_sentence=True, num_threads=2, minloglevel=1,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
