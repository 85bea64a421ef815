"""The Triton depthwise kernels against PyTorch's convolutions, forward and backward.

Run as `TRITON_INTERPRET=1 python -m pytest training/tests/test_depthwise.py` on a machine without a GPU.
"""

import os
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
triton = pytest.importorskip("triton")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu" and not os.environ.get("TRITON_INTERPRET"):
    pytest.skip("needs a GPU or TRITON_INTERPRET=1", allow_module_level=True)


def same(function, reference, *inputs):
    ours = [x.clone().requires_grad_() for x in inputs]
    theirs = [x.clone().requires_grad_() for x in inputs]
    a, b = function(*ours), reference(*theirs)
    torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
    grad = torch.randn_like(b)
    a.backward(grad)
    b.backward(grad)
    for x, y in zip(ours, theirs):
        torch.testing.assert_close(x.grad, y.grad, atol=1e-3, rtol=1e-4)


def test_conv2d():
    from model.depthwise import DepthwiseConv2d

    torch.manual_seed(0)
    lengths = torch.tensor([7, 12, 1], device=DEVICE, dtype=torch.int32)
    x = torch.randn(3, 12, 10, 64, device=DEVICE)
    weight, bias = torch.randn(64, 1, 3, 3, device=DEVICE), torch.randn(64, device=DEVICE)

    def reference(x, weight, bias):
        mask = torch.arange(12, device=DEVICE)[None] < lengths[:, None]
        x = torch.relu(x) * mask[:, :, None, None]
        y = torch.nn.functional.conv2d(x.permute(0, 3, 1, 2), weight, bias, 2, 1, groups=64)
        return y.permute(0, 2, 3, 1)

    same(lambda x, w, b: DepthwiseConv2d.apply(x, w, b, lengths), reference, x, weight, bias)


def test_conv1d():
    from model.depthwise import DepthwiseConv1d

    torch.manual_seed(0)
    lengths = torch.tensor([7, 21, 1], device=DEVICE, dtype=torch.int32)
    x = torch.randn(3, 21, 64, device=DEVICE)
    weight, bias = torch.randn(64, 1, 9, device=DEVICE), torch.randn(64, device=DEVICE)

    def reference(x, weight, bias):
        mask = torch.arange(21, device=DEVICE)[None] < lengths[:, None]
        x = (x * mask[:, :, None]).transpose(1, 2)
        return torch.nn.functional.conv1d(x, weight, bias, padding=4, groups=64).transpose(1, 2)

    same(lambda x, w, b: DepthwiseConv1d.apply(x, w, b, lengths), reference, x, weight, bias)
