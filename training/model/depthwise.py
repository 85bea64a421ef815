"""Depthwise convolutions in channels-last layout as Triton kernels.

cuDNN's and PyTorch's depthwise paths (their weight gradients above all) would take longer than the rest of the network.
Both functions read input frames past each row's length as zeros, which is NeMo's masking before every convolution.
"""

import torch
import triton
import triton.language as tl

POSITIONS = 32
CHANNELS = 64


@triton.jit
def _conv2d_forward(x, w, b, lengths, y, n, T, F, To, Fo, C: tl.constexpr, P: tl.constexpr, K: tl.constexpr):
    p = tl.program_id(0) * P + tl.arange(0, P)
    c = tl.program_id(1) * K + tl.arange(0, K)
    fo, to, row = p % Fo, (p // Fo) % To, p // (Fo * To)
    inside = p < n
    length = tl.load(lengths + row, mask=inside, other=0)
    acc = tl.zeros((P, K), tl.float32) + tl.load(b + c)[None, :]
    for i in tl.static_range(3):
        for j in tl.static_range(3):
            t, f = 2 * to + i - 1, 2 * fo + j - 1
            ok = inside & (t >= 0) & (t < length) & (f >= 0) & (f < F)
            at = ((row * T + t) * F + f).to(tl.int64) * C
            value = tl.load(x + at[:, None] + c[None, :], mask=ok[:, None], other=0.0).to(tl.float32)
            acc += tl.maximum(value, 0.0) * tl.load(w + (i * 3 + j) * C + c)[None, :]
    tl.store(y + p.to(tl.int64)[:, None] * C + c[None, :], acc.to(y.dtype.element_ty), mask=inside[:, None])


@triton.jit
def _conv2d_input_grad(x, w, lengths, gy, gx, n, T, F, To, Fo, C: tl.constexpr, P: tl.constexpr, K: tl.constexpr):
    p = tl.program_id(0) * P + tl.arange(0, P)
    c = tl.program_id(1) * K + tl.arange(0, K)
    f, t, row = p % F, (p // F) % T, p // (F * T)
    inside = p < n
    length = tl.load(lengths + row, mask=inside, other=0)
    acc = tl.zeros((P, K), tl.float32)
    for i in tl.static_range(3):
        for j in tl.static_range(3):
            t2, f2 = t + 1 - i, f + 1 - j
            ok = inside & (t2 >= 0) & (f2 >= 0) & (t2 % 2 == 0) & (f2 % 2 == 0) & (t2 // 2 < To) & (f2 // 2 < Fo)
            at = ((row * To + t2 // 2) * Fo + f2 // 2).to(tl.int64) * C
            grad = tl.load(gy + at[:, None] + c[None, :], mask=ok[:, None], other=0.0).to(tl.float32)
            acc += grad * tl.load(w + (i * 3 + j) * C + c)[None, :]
    at = p.to(tl.int64)[:, None] * C + c[None, :]
    value = tl.load(x + at, mask=inside[:, None], other=0.0)
    keep = (value > 0) & (t < length)[:, None]
    tl.store(gx + at, tl.where(keep, acc, 0.0).to(gx.dtype.element_ty), mask=inside[:, None])


@triton.jit
def _conv2d_weight_grad(x, lengths, gy, gw, n, T, F, To, Fo, loops, C: tl.constexpr, P: tl.constexpr, K: tl.constexpr):
    c = tl.program_id(1) * K + tl.arange(0, K)
    tap = tl.program_id(2)
    i, j = tap // 3, tap % 3
    acc = tl.zeros((P, K), tl.float32)
    for loop in range(loops):
        p = (tl.program_id(0) * loops + loop) * P + tl.arange(0, P)
        fo, to, row = p % Fo, (p // Fo) % To, p // (Fo * To)
        inside = p < n
        length = tl.load(lengths + row, mask=inside, other=0)
        t, f = 2 * to + i - 1, 2 * fo + j - 1
        ok = inside & (t >= 0) & (t < length) & (f >= 0) & (f < F)
        at = ((row * T + t) * F + f).to(tl.int64) * C
        value = tl.load(x + at[:, None] + c[None, :], mask=ok[:, None], other=0.0).to(tl.float32)
        grad = tl.load(gy + p.to(tl.int64)[:, None] * C + c[None, :], mask=ok[:, None], other=0.0).to(tl.float32)
        acc += tl.maximum(value, 0.0) * grad
    tl.atomic_add(gw + tap * C + c, tl.sum(acc, 0))


class DepthwiseConv2d(torch.autograd.Function):
    """relu, then 3x3 stride 2 pad 1 depthwise: x [B, T, F, C], weight [C, 1, 3, 3], bias [C], lengths [B] int32."""

    @staticmethod
    def forward(ctx, x, weight, bias, lengths):
        rows, T, F, C = x.shape
        To, Fo = (T - 1) // 2 + 1, (F - 1) // 2 + 1
        w = weight.float().reshape(C, 9).t().contiguous()
        y = x.new_empty(rows, To, Fo, C)
        n = rows * To * Fo
        grid = (triton.cdiv(n, POSITIONS), C // CHANNELS)
        _conv2d_forward[grid](x, w, bias, lengths, y, n, T, F, To, Fo, C, POSITIONS, CHANNELS)
        ctx.save_for_backward(x, w, lengths)
        return y

    @staticmethod
    def backward(ctx, gy):
        x, w, lengths = ctx.saved_tensors
        gy = gy.contiguous()
        rows, T, F, C = x.shape
        To, Fo = gy.shape[1:3]
        gx = torch.empty_like(x)
        n = rows * T * F
        grid = (triton.cdiv(n, POSITIONS), C // CHANNELS)
        _conv2d_input_grad[grid](x, w, lengths, gy, gx, n, T, F, To, Fo, C, POSITIONS, CHANNELS)
        gw = torch.zeros_like(w)
        n = rows * To * Fo
        loops = max(1, triton.cdiv(n, POSITIONS * 512))
        grid = (triton.cdiv(n, POSITIONS * loops), C // CHANNELS, 9)
        _conv2d_weight_grad[grid](x, lengths, gy, gw, n, T, F, To, Fo, loops, C, POSITIONS, CHANNELS)
        return gx, gw.t().reshape(C, 1, 3, 3), gy.sum((0, 1, 2), dtype=torch.float32), None


@triton.jit
def _conv1d(x, w, b, lengths, y, n, T, flip: tl.constexpr, mask_in: tl.constexpr, taps: tl.constexpr, C: tl.constexpr,
            P: tl.constexpr, K: tl.constexpr):
    p = tl.program_id(0) * P + tl.arange(0, P)
    c = tl.program_id(1) * K + tl.arange(0, K)
    t, row = p % T, p // T
    inside = p < n
    length = tl.load(lengths + row, mask=inside, other=0)
    acc = tl.zeros((P, K), tl.float32)
    limit = length * 0 + T
    if mask_in:
        limit = length
        acc += tl.load(b + c)[None, :]
    for i in tl.static_range(taps):
        s = t + i - taps // 2
        ok = inside & (s >= 0) & (s < limit)
        at = (row * T + s).to(tl.int64) * C
        value = tl.load(x + at[:, None] + c[None, :], mask=ok[:, None], other=0.0).to(tl.float32)
        tap = taps - 1 - i if flip else i
        acc += value * tl.load(w + tap * C + c)[None, :]
    keep = inside[:, None]
    if not mask_in:
        acc = tl.where((t < length)[:, None], acc, 0.0)
    tl.store(y + p.to(tl.int64)[:, None] * C + c[None, :], acc.to(y.dtype.element_ty), mask=keep)


@triton.jit
def _conv1d_weight_grad(x, lengths, gy, gw, n, T, loops, taps: tl.constexpr, C: tl.constexpr, P: tl.constexpr,
                        K: tl.constexpr):
    c = tl.program_id(1) * K + tl.arange(0, K)
    tap = tl.program_id(2)
    acc = tl.zeros((P, K), tl.float32)
    for loop in range(loops):
        p = (tl.program_id(0) * loops + loop) * P + tl.arange(0, P)
        t, row = p % T, p // T
        inside = p < n
        length = tl.load(lengths + row, mask=inside, other=0)
        s = t + tap - taps // 2
        ok = inside & (s >= 0) & (s < length)
        at = (row * T + s).to(tl.int64) * C
        value = tl.load(x + at[:, None] + c[None, :], mask=ok[:, None], other=0.0).to(tl.float32)
        grad = tl.load(gy + p.to(tl.int64)[:, None] * C + c[None, :], mask=ok[:, None], other=0.0).to(tl.float32)
        acc += value * grad
    tl.atomic_add(gw + tap * C + c, tl.sum(acc, 0))


class DepthwiseConv1d(torch.autograd.Function):
    """Odd kernel, same length: x [B, T, C], weight [C, 1, taps], bias [C], lengths [B] int32."""

    @staticmethod
    def forward(ctx, x, weight, bias, lengths):
        rows, T, C = x.shape
        taps = weight.shape[2]
        w = weight.float().reshape(C, taps).t().contiguous()
        y = torch.empty_like(x)
        n = rows * T
        _conv1d[(triton.cdiv(n, POSITIONS), C // CHANNELS)](
            x, w, bias, lengths, y, n, T, False, True, taps, C, POSITIONS, CHANNELS
        )
        ctx.save_for_backward(x, w, bias, lengths)
        return y

    @staticmethod
    def backward(ctx, gy):
        x, w, bias, lengths = ctx.saved_tensors
        gy = gy.contiguous()
        rows, T, C = x.shape
        taps = w.shape[0]
        n = rows * T
        gx = torch.empty_like(x)
        _conv1d[(triton.cdiv(n, POSITIONS), C // CHANNELS)](
            gy, w, bias, lengths, gx, n, T, True, False, taps, C, POSITIONS, CHANNELS
        )
        gw = torch.zeros_like(w)
        loops = max(1, triton.cdiv(n, POSITIONS * 256))
        _conv1d_weight_grad[(triton.cdiv(n, POSITIONS * loops), C // CHANNELS, taps)](
            x, lengths, gy, gw, n, T, loops, taps, C, POSITIONS, CHANNELS
        )
        return gx, gw.t().reshape(C, 1, taps), gy.sum((0, 1), dtype=torch.float32), None
