"""Trains the model for a fixed wall-clock time on shards that synthesize.py may still be writing.

    python -m learn.train --shards DIR --sentences train.txt --tokenizer tokenizer.model --out DIR --minutes 24

Each bucket's whole step (augmentation, features, network, both losses, gradients, AdamW, averaging of weights) is captured
once as a CUDA graph and replayed, so that the 14 processes that speak meanwhile do not slow it down. Schedules follow
elapsed time, so the run ends when the machine must go back. OUT/model.pt holds the averaged weights with batch-norm
statistics measured again for them; OUT/train.log the progress.
"""

import argparse
import math
import random
import time
from pathlib import Path

import numpy as np
import sentencepiece
import torch

from learn import augment
from learn.data import BUCKETS, SHORT_ONLY, Batch, Loader
from learn.evaluate import is_heldout_voice, read_manifest, report, score
from model.config import Config
from model.losses import CtcLoss, TdtLoss
from model.network import HybridModel, MaskedBatchNorm
from speech.synthesize import read_sentences

SIGMA, CTC_WEIGHT, CLIP, AVERAGE = 0.02, 0.3, 1.0, 0.999
BETAS, WEIGHT_DECAY = (0.9, 0.98), 1e-2


class Step:
    """Model, optimizer and averaged weights, with one captured graph a bucket."""

    def __init__(self, config, args, device="cuda"):
        self.args, self.device = args, device
        self.model = HybridModel(config, dropout=args.dropout).to(device)
        if args.resume:
            saved = torch.load(args.resume, map_location=device, weights_only=True)["model"]
            self.model.load_state_dict({k: v.float() for k, v in saved.items()})
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        decayed = [p for p in self.parameters if p.ndim >= 2]
        plain = [p for p in self.parameters if p.ndim < 2]
        self.rate = torch.tensor(1e-6, device=device)
        groups = [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": plain, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=self.rate, betas=BETAS, fused=True, capturable=True)
        self.averaged = [p.detach().clone() for p in self.parameters]
        # Sums since the last log line: TDT nats, CTC nats, tokens, seconds, gradient norm, skipped steps.
        self.totals = torch.zeros(6, device=device)
        self.inputs, self.graphs, self.memory = {}, {}, None

    def losses(self, audio, lengths, targets, counts, noisy=True):
        model, config = self.model, self.model.config
        x = audio.float() / 32768
        if noisy:
            x = augment.speech(x, lengths)
        mel, frames = model.features(x, lengths)
        if noisy:
            mel = augment.spectrum(mel, frames)
        with torch.autocast("cuda", torch.bfloat16):
            encoded, frames = model.encoder(mel, frames)
            frames = frames.int()
            start = targets.new_full((len(targets), 1), config.blank)
            predicted, _ = model.decoder["prediction"](torch.cat((start, targets), 1))
            scale = (1.0 / counts.sum().clamp(min=1)).expand(len(counts)).contiguous()
            head, layer = model.joint.joint_net[2], model.ctc_decoder["decoder_layers"][0]
            tdt = TdtLoss.apply(
                model.joint.enc(encoded), model.joint.pred(predicted), head.weight, head.bias, targets, frames, counts, scale,
                config.vocab, len(config.durations), SIGMA,
            )
            ctc = CtcLoss.apply(
                encoded, layer.weight[:, :, 0], layer.bias, targets, frames, counts, scale * CTC_WEIGHT, config.vocab
            )
        return tdt.sum(), ctc.sum()

    def step(self, audio, lengths, targets, counts):
        tdt, ctc = self.losses(audio, lengths, targets, counts)
        (tdt + ctc).backward()
        grads = [p.grad for p in self.parameters]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
        bad = ~torch.isfinite(norm)
        torch._foreach_mul_(grads, (CLIP / (norm + 1e-6)).clamp(max=1.0))
        self.optimizer.found_inf = bad.float()
        self.optimizer.step()
        torch._foreach_lerp_(self.averaged, self.parameters, 1 - AVERAGE)
        with torch.no_grad():
            sums = torch.stack((tdt, ctc, counts.sum(), lengths.sum() / 16000, norm, bad.float()))
            self.totals += sums.float().nan_to_num(0.0, 0.0, 0.0)

    def capture(self, loader):
        """Warms every bucket up on real batches, largest first so that later graphs reuse its memory, then captures it."""
        stream = torch.cuda.Stream()
        for bucket in reversed(range(len(BUCKETS))):
            batch = Batch(bucket, *loader.shapes[bucket])
            loader.fill(batch, random.Random(bucket))
            self.inputs[bucket] = [
                t.to(self.device) for t in (batch.audio, batch.lengths.long(), batch.targets, batch.counts)
            ]
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(3):
                    self.optimizer.zero_grad(set_to_none=True)
                    self.step(*self.inputs[bucket])
                self.optimizer.zero_grad(set_to_none=True)
            torch.cuda.current_stream().wait_stream(stream)
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            if self.args.eager:
                continue
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self.memory, stream=stream):
                self.step(*self.inputs[bucket])
            self.memory = self.memory or graph.pool()
            self.graphs[bucket] = graph
        self.totals.zero_()

    def run(self, batch):
        inputs = self.inputs[batch.bucket]
        for target, source in zip(inputs, (batch.audio, batch.lengths, batch.targets, batch.counts)):
            target.copy_(source, non_blocking=True)
        copied = torch.cuda.Event()
        copied.record()
        if self.args.eager:
            self.optimizer.zero_grad(set_to_none=True)
            self.step(*inputs)
        else:
            self.graphs[batch.bucket].replay()
        return copied

    def averaged_model(self, loader, batches=24):
        """A copy of the model with the averaged weights and batch-norm statistics measured with them, half on clean speech."""
        model = HybridModel(self.model.config, dropout=0.0).to(self.device)
        model.load_state_dict(self.model.state_dict())
        with torch.no_grad():
            for p, a in zip([p for p in model.parameters() if p.requires_grad], self.averaged):
                p.copy_(a)
        norms = [m for m in model.modules() if isinstance(m, MaskedBatchNorm)]
        model.train()
        with torch.no_grad():
            for i in range(batches):
                for norm in norms:
                    norm.momentum = 1.0 / (i + 1)
                batch = loader.next()
                lengths = batch.lengths.long().to(self.device)
                x = batch.audio.to(self.device).float() / 32768
                loader.done(batch)
                if i % 2:
                    x = augment.speech(x, lengths)
                mel, frames = model.features(x, lengths)
                with torch.autocast("cuda", torch.bfloat16):
                    model.encoder(mel, frames)
        return model.eval()


def learning_rate(args, step, progress):
    """Linear warm-up by steps, then a cosine over the wall clock down to 1 % of the peak."""
    decay = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return args.rate * min(1.0, (step + 1) / args.warmup) * decay


def save(model, path):
    part = path.with_suffix(".part")
    torch.save({"config": model.config.to_dict(), "model": {k: v.cpu() for k, v in model.state_dict().items()}}, part)
    part.rename(path)


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shards", required=True)
    parser.add_argument("--sentences", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--eval", help="folder of speech/make_eval.py")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True, help="wall clock of training, capture included")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--warmup", type=int, default=1000)
    parser.add_argument("--batch-seconds", type=float, default=1200)
    parser.add_argument("--dropout", type=float, default=0.05)
    parser.add_argument("--short-steps", type=int, default=1500, help="steps on the two shortest buckets only")
    parser.add_argument("--save-minutes", type=float, default=4)
    parser.add_argument("--resume")
    parser.add_argument("--eager", action="store_true", help="no CUDA graphs")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main():
    args = parse()
    started = time.time()
    args.out.mkdir(parents=True, exist_ok=True)
    log_file = open(args.out / "train.log", "a", buffering=1)

    def log(text):
        line = f"[{time.time() - started:7.1f}] {text}"
        print(line, flush=True)
        log_file.write(line + "\n")

    torch.manual_seed(args.seed)
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    tokenizer = sentencepiece.SentencePieceProcessor(args.tokenizer)
    config = Config(vocab=tokenizer.get_piece_size())
    tokens = [np.array(t, np.int32) for t in tokenizer.encode(read_sentences(args.sentences))]
    loader = Loader(args.shards, tokens, args.batch_seconds, args.seed)
    log(f"{len(tokens)} sentences, {loader.pool.hours:.2f} h spoken so far, {torch.cuda.get_device_name()}")
    trainer = Step(config, args)
    count = sum(p.numel() for p in trainer.model.parameters())
    log(f"{count} parameters, {config}")
    trainer.capture(loader)
    log(f"captured; {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")
    manifest = read_manifest(args.eval) if args.eval and (Path(args.eval) / "manifest.tsv").exists() else []

    step, previous, saved, last = 0, None, time.time(), time.time()
    while (progress := (time.time() - started) / (60 * args.minutes)) < 1:
        loader.shares = SHORT_ONLY if step < args.short_steps and not args.resume else [share for _, share, _ in BUCKETS]
        trainer.rate.fill_(learning_rate(args, step, progress))
        batch = loader.next()
        copied = trainer.run(batch)
        if previous:
            previous[1].synchronize()
            loader.done(previous[0])
        previous = (batch, copied)
        step += 1
        if step % 200 == 0:
            tdt, ctc, count, seconds, norm, bad = trainer.totals.tolist()
            trainer.totals.zero_()
            now = time.time()
            log(
                f"step {step} tdt {tdt / count:.4f} ctc {ctc / count:.4f} norm {norm / 200:.2f} bad {bad:.0f} "
                f"lr {trainer.rate.item():.2e} {(now - last) * 5:.1f} ms/step {seconds / (now - last):.0f}x "
                f"pool {loader.pool.hours:.1f} h queue {loader.ready.qsize()}"
            )
            last = now
        if time.time() - saved > 60 * args.save_minutes:
            model = trainer.averaged_model(loader)
            save(model, args.out / "model.pt")
            if args.eval and not manifest and (Path(args.eval) / "manifest.tsv").exists():
                manifest = read_manifest(args.eval)
            if manifest:
                log(report(score(model, tokenizer, manifest[::8], "cuda"), is_heldout_voice).splitlines()[-2])
            saved = last = time.time()
    model = trainer.averaged_model(loader, 100)
    save(model, args.out / "model.pt")
    log(f"{step} steps, saved")
    if args.eval and (Path(args.eval) / "manifest.tsv").exists():
        log("\n" + report(score(model, tokenizer, read_manifest(args.eval), "cuda"), is_heldout_voice))
    loader.stopped = True
    log("finished")


if __name__ == "__main__":
    main()
