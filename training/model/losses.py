"""TDT and CTC losses with exact gradients, as autograd functions over the kernels of lattice.cu.

Both run the joint (or the CTC layer) inside: the logits tensor, by far the largest, is overwritten with its own gradient
in the forward pass, so it exists once. Everything is capturable in a CUDA graph: no host synchronisation.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

MAX_DURATIONS = 5
THREADS = 256
_module = None


def _kernel(name):
    global _module
    import cupy

    if _module is None:
        source = (Path(__file__).parent / "lattice.cu").read_text()
        include = [str(p) for p in _cuda_includes()]
        _module = cupy.RawModule(code=source, options=("-std=c++17", *(f"-I{p}" for p in include)))
    return _module.get_function(name)


def _cuda_includes():
    """Folders that may hold cuda_bf16.h: the toolkit's, and the ones inside pip packages."""
    import sysconfig

    site = Path(sysconfig.get_paths()["purelib"])
    candidates = [Path("/usr/local/cuda/include"), *site.glob("nvidia/*/include")]
    return [p for p in candidates if (p / "cuda_bf16.h").exists() or (p / "cuda_fp16.h").exists()]


def _launch(name, grid, *args):
    import cupy

    values = []
    for arg in args:
        if isinstance(arg, torch.Tensor):
            assert arg.is_contiguous()
            values.append(np.uint64(arg.data_ptr()))
        else:
            values.append(arg)
    stream = cupy.cuda.ExternalStream(torch.cuda.current_stream().cuda_stream)
    with stream:
        _kernel(name)(grid, (THREADS,), tuple(values))


def _warps(n):
    return ((n + THREADS // 32 - 1) // (THREADS // 32),)


def _padded(weight, bias):
    """Rows padded to a multiple of 8 outputs with zeros, in bfloat16, for the matrix units."""
    extra = -weight.shape[0] % 8
    return F.pad(weight, (0, 0, 0, extra)).bfloat16(), F.pad(bias, (0, extra)).bfloat16()


class TdtLoss(torch.autograd.Function):
    """(enc [B, T, H], pred [B, U+1, H], weight [V+1+D, H], bias, targets [B, U] int32, frames, counts, sigma) -> [B] nats.

    `scale` [B] must be the gradient that the sum over the returned losses will receive per row.
    """

    @staticmethod
    def forward(ctx, enc, pred, weight, bias, targets, frames, counts, scale, vocab, durations, sigma):
        rows, T, H = enc.shape
        U1 = pred.shape[1]
        w, b = _padded(weight, bias)
        hidden = F.relu(enc.bfloat16()[:, :, None] + pred.bfloat16()[:, None])
        logits = F.linear(hidden, w, b)
        stride, n = logits.shape[-1], rows * T * U1
        cells = torch.zeros(n, 4 + MAX_DURATIONS, device=enc.device)
        alpha, beta = torch.zeros(2, n, device=enc.device)
        loglik = torch.empty(rows, device=enc.device)
        i32, f32 = np.int32, np.float32
        _launch("tdt_cells", _warps(n), logits, targets, frames, counts, cells, np.int64(n), i32(T), i32(U1), i32(stride),
                i32(vocab), i32(durations), f32(sigma))
        _launch("tdt_lattice", (rows, 2), cells, frames, counts, alpha, beta, loglik, i32(T), i32(U1), i32(durations))
        _launch("tdt_gradient", _warps(n), logits, targets, frames, counts, cells, alpha, beta, loglik, scale, np.int64(n),
                i32(T), i32(U1), i32(stride), i32(vocab), i32(durations))
        flat = logits.view(n, stride)
        outputs = weight.shape[0]
        gw = (flat.t() @ hidden.view(n, H))[:outputs].float()
        gb = flat.sum(0, dtype=torch.float32)[:outputs]
        gh = (flat @ w).view(rows, T, U1, H)
        gh.masked_fill_(hidden <= 0, 0)
        ctx.save_for_backward(gh.sum(2, dtype=torch.float32), gh.sum(1, dtype=torch.float32), gw, gb)
        ctx.types = enc.dtype, pred.dtype
        return torch.where(loglik > -1e20, -loglik, 0.0)

    @staticmethod
    def backward(ctx, _grad):
        ge, gp, gw, gb = ctx.saved_tensors
        return ge.to(ctx.types[0]), gp.to(ctx.types[1]), gw, gb, *(None,) * 7


class CtcLoss(torch.autograd.Function):
    """(encoded [B, T, d], weight [V+1, d], bias, targets [B, U] int32, frames, counts, scale [B]) -> [B] nats."""

    @staticmethod
    def forward(ctx, encoded, weight, bias, targets, frames, counts, scale, vocab):
        rows, T, d = encoded.shape
        U = targets.shape[1]
        w, b = _padded(weight, bias)
        x = encoded.bfloat16()
        logits = F.linear(x, w, b)
        stride, n = logits.shape[-1], rows * T
        sums = torch.zeros(n, device=x.device)
        alpha, beta = torch.zeros(2, n * (2 * U + 1), device=x.device)
        occupied = torch.zeros(n, stride, device=x.device)
        loglik = torch.empty(rows, device=x.device)
        i32 = np.int32
        _launch("ctc_frames", _warps(n), logits, frames, sums, np.int64(n), i32(T), i32(stride), i32(vocab))
        _launch("ctc_lattice", (rows, 2), logits, sums, targets, frames, counts, alpha, beta, loglik, i32(T), i32(U),
                i32(stride), i32(vocab))
        _launch("ctc_gradient", (n,), logits, sums, targets, frames, counts, alpha, beta, loglik, scale, occupied, i32(T),
                i32(U), i32(stride), i32(vocab))
        flat = logits.view(n, stride)
        outputs = weight.shape[0]
        gw = (flat.t() @ x.view(n, d))[:outputs].float()
        ctx.save_for_backward((flat @ w).view(rows, T, d), gw, flat.sum(0, dtype=torch.float32)[:outputs])
        ctx.type = encoded.dtype
        return torch.where(loglik > -1e20, -loglik, 0.0)

    @staticmethod
    def backward(ctx, _grad):
        gx, gw, gb = ctx.saved_tensors
        return gx.to(ctx.type), gw, gb, *(None,) * 5
