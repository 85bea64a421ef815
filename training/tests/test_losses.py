"""lattice.cu, compiled for the CPU, against float64 recursions differentiated by autograd; front end and masks too.

    python -m pytest training/tests        (needs torch, numpy and a C++ compiler; no GPU)
"""

import ctypes
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
V, D, SIGMA = 6, 5, 0.05


@pytest.fixture(scope="module")
def lattice(tmp_path_factory):
    out = tmp_path_factory.mktemp("lattice") / "lattice.so"
    source = ROOT / "model/lattice.cu"
    subprocess.run(
        ["c++", "-O1", "-shared", "-fPIC", "-DLATTICE_ON_CPU", "-x", "c++", str(source), "-o", str(out)], check=True
    )
    return ctypes.CDLL(str(out))


def call(lib, name, grid, *args):
    """Runs a kernel for every block of the grid, one thread each."""
    converted = []
    for arg in args:
        if isinstance(arg, np.ndarray):
            converted.append(arg.ctypes.data_as(ctypes.c_void_p))
        elif isinstance(arg, float):
            converted.append(ctypes.c_float(arg))
        elif isinstance(arg, np.int64):
            converted.append(ctypes.c_int64(arg))
        else:
            converted.append(ctypes.c_int(arg))
    for x in range(grid[0]):
        for y in range(grid[1] if len(grid) > 1 else 1):
            getattr(lib, name)(*converted, ctypes.c_int(x), ctypes.c_int(y))


def tdt_reference(logits, targets, frames, count):
    tokens = logits[..., : V + 1].log_softmax(-1) - SIGMA
    jumps = logits[..., V + 1 : V + 1 + D].log_softmax(-1)
    alpha = {(0, 0): torch.zeros((), dtype=torch.float64)}
    for t in range(frames + 1):
        for u in range(count + 1):
            if (t, u) == (0, 0):
                continue
            terms = []
            for d in range(D):
                if d > 0 and (t - d, u) in alpha and t - d < frames:
                    terms.append(alpha[t - d, u] + tokens[t - d, u, V] + jumps[t - d, u, d])
                if t < frames and (t - d, u - 1) in alpha:
                    terms.append(alpha[t - d, u - 1] + tokens[t - d, u - 1, targets[u - 1]] + jumps[t - d, u - 1, d])
            if terms:
                alpha[t, u] = torch.logsumexp(torch.stack(terms), 0)
    return -alpha[frames, count]


@pytest.mark.parametrize("seed", range(4))
def test_tdt_matches_autograd(lattice, seed):
    rng = np.random.default_rng(seed)
    B, T, U = 3, 9, 5
    stride = 16
    logits = (rng.normal(size=(B, T, U + 1, stride)) * 2).astype(np.float32)
    targets = rng.integers(0, V, (B, U)).astype(np.int32)
    frames = np.array([9, 4, 1], np.int32)
    counts = np.array([5, 3, 0], np.int32)
    scale = np.array([1.0, 0.5, 2.0], np.float32)
    reference = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    losses = [tdt_reference(reference[b], targets[b], int(frames[b]), int(counts[b])) for b in range(B)]
    sum(loss * float(s) for loss, s in zip(losses, scale)).backward()

    n = B * T * (U + 1)
    cells = np.zeros((n, 9), np.float32)
    alpha, beta = np.zeros(n, np.float32), np.zeros(n, np.float32)
    loglik = np.zeros(B, np.float32)
    call(lattice, "tdt_cells", (n,), logits, targets, frames, counts, cells, np.int64(n), T, U + 1, stride, V, D, SIGMA)
    call(lattice, "tdt_lattice", (B, 2), cells, frames, counts, alpha, beta, loglik, T, U + 1, D)
    call(lattice, "tdt_gradient", (n,), logits, targets, frames, counts, cells, alpha, beta, loglik, scale, np.int64(n), T,
         U + 1, stride, V, D)
    np.testing.assert_allclose(-loglik, [loss.item() for loss in losses], rtol=1e-5)
    np.testing.assert_allclose(logits, reference.grad.numpy(), atol=2e-5)


@pytest.mark.parametrize("seed", range(4))
def test_ctc_matches_torch(lattice, seed):
    rng = np.random.default_rng(seed)
    B, T, U = 3, 12, 4
    stride = 8
    logits = (rng.normal(size=(B, T, stride)) * 2).astype(np.float32)
    targets = rng.integers(0, 3, (B, U)).astype(np.int32)  # few labels, so that repeats occur
    frames = np.array([12, 10, 3], np.int32)
    counts = np.array([4, 1, 0], np.int32)
    scale = np.array([1.0, 0.5, 2.0], np.float32)
    reference = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    losses = torch.nn.functional.ctc_loss(
        reference[..., : V + 1].log_softmax(-1).transpose(0, 1), torch.tensor(targets), torch.tensor(frames),
        torch.tensor(counts), blank=V, reduction="none",
    )
    (losses * torch.tensor(scale)).sum().backward()
    mask = np.arange(T)[None, :, None] < frames[:, None, None]

    n = B * T
    sums = np.zeros(n, np.float32)
    alpha, beta = np.zeros(n * (2 * U + 1), np.float32), np.zeros(n * (2 * U + 1), np.float32)
    loglik, occupied = np.zeros(B, np.float32), np.zeros((n, stride), np.float32)
    call(lattice, "ctc_frames", (n,), logits, frames, sums, np.int64(n), T, stride, V)
    call(lattice, "ctc_lattice", (B, 2), logits, sums, targets, frames, counts, alpha, beta, loglik, T, U, stride, V)
    call(lattice, "ctc_gradient", (n,), logits, sums, targets, frames, counts, alpha, beta, loglik, scale, occupied, T, U,
         stride, V)
    np.testing.assert_allclose(-loglik, losses.detach().numpy(), rtol=1e-5)
    np.testing.assert_allclose(logits, reference.grad.numpy() * mask, atol=2e-5)


def test_padding_does_not_change_a_row():
    from model.config import Config
    from model.network import HybridModel

    torch.manual_seed(0)
    model = HybridModel(Config(layers=2, d_model=64, ff=128, heads=2, subsampling_channels=16), dropout=0.0).eval()
    audio = torch.randn(1, 16000)
    alone, length = model.encoder(*model.features(audio, torch.tensor([16000])))
    padded = torch.cat((torch.cat((audio, torch.full((1, 8000), 0.7)), 1), torch.randn(1, 24000)), 0)
    batch, lengths = model.encoder(*model.features(padded, torch.tensor([16000, 24000])))
    assert lengths.tolist() == [length.item(), 19]
    torch.testing.assert_close(batch[0, : length.item()], alone[0, : length.item()], atol=2e-4, rtol=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_whole_loss_functions_on_the_gpu():
    """Joint, lattice and gradients in bfloat16 against float64, within what bfloat16 rounding allows."""
    from model.losses import CtcLoss, TdtLoss

    torch.manual_seed(0)
    B, T, U, H = 3, 20, 7, 32
    enc, pred = torch.randn(B, T, H) * 0.5, torch.randn(B, U + 1, H) * 0.5
    weight, bias = torch.randn(V + 1 + D, H) * 0.3, torch.randn(V + 1 + D) * 0.1
    targets = torch.randint(0, V, (B, U), dtype=torch.int32)
    frames, counts = torch.tensor([20, 11, 1], dtype=torch.int32), torch.tensor([7, 4, 0], dtype=torch.int32)
    scale = torch.tensor([1.0, 0.5, 2.0])
    inputs = [x.bfloat16() for x in (enc, pred, weight, bias)]

    def compare(ours, theirs):
        for a, b in zip(ours, theirs):
            error = (a.grad.cpu().double() - b.grad).norm() / b.grad.norm()
            assert error < 2e-2, error

    ours = [x.float().cuda().requires_grad_() for x in inputs]
    theirs = [x.double().requires_grad_() for x in inputs]
    loss = TdtLoss.apply(*ours, targets.cuda(), frames.cuda(), counts.cuda(), scale.cuda(), V, D, SIGMA)
    e, p, w, b = theirs
    logits = torch.relu(e[:, :, None] + p[:, None]) @ w.t() + b
    reference = [tdt_reference(logits[i], targets[i].tolist(), int(frames[i]), int(counts[i])) for i in range(B)]
    torch.testing.assert_close(loss.cpu().double(), torch.stack(reference).detach(), rtol=1e-2, atol=5e-2)
    loss.sum().backward()
    (torch.stack(reference) * scale).sum().backward()
    compare(ours, theirs)

    ours = [x.float().cuda().requires_grad_() for x in (inputs[0], inputs[2][: V + 1], inputs[3][: V + 1])]
    theirs = [x.double().requires_grad_() for x in (inputs[0], inputs[2][: V + 1], inputs[3][: V + 1])]
    loss = CtcLoss.apply(*ours, targets.cuda(), frames.cuda(), counts.cuda(), scale.cuda(), V)
    x, w, b = theirs
    reference = torch.nn.functional.ctc_loss(
        (x @ w.t() + b).log_softmax(-1).transpose(0, 1), targets, frames, counts, blank=V, reduction="none"
    )
    torch.testing.assert_close(loss.cpu().double(), reference.detach(), rtol=1e-2, atol=5e-2)
    loss.sum().backward()
    (reference * scale).sum().backward()
    compare(ours, theirs)
