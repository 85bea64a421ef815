"""FastConformer hybrid TDT-CTC whose parameter names are NeMo's, so that its state dict is a NeMo checkpoint.

Activations are [batch, time, feature]; masks come from `lengths`. On a GPU the depthwise convolutions run as the Triton
kernels of depthwise.py, elsewhere through PyTorch, with the same meaning.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from model.frontend import Featurizer


def subsampled(lengths):
    for _ in range(3):
        lengths = (lengths - 1).div(2, rounding_mode="floor") + 1
    return lengths


def valid_mask(lengths, frames):
    return torch.arange(frames, device=lengths.device)[None] < lengths[:, None]


class Subsampling(nn.Module):
    """dw_striding by 8: [B, T, mels] -> [B, ceil(T/8), d_model]."""

    def __init__(self, config):
        super().__init__()
        c = config.subsampling_channels
        self.conv = nn.Sequential(
            nn.Conv2d(1, c, 3, 2, 1), nn.ReLU(),
            nn.Conv2d(c, c, 3, 2, 1, groups=c), nn.Conv2d(c, c, 1), nn.ReLU(),
            nn.Conv2d(c, c, 3, 2, 1, groups=c), nn.Conv2d(c, c, 1), nn.ReLU(),
        )
        bands = config.mels
        for _ in range(3):
            bands = (bands - 1) // 2 + 1
        self.out = nn.Linear(c * bands, config.d_model)

    def forward(self, x, lengths):
        x = self._first(x)
        for depthwise, pointwise in ((2, 3), (5, 6)):
            lengths = (lengths - 1).div(2, rounding_mode="floor") + 1
            x = self._depthwise(x, self.conv[depthwise], lengths)
            weight = self.conv[pointwise].weight
            x = F.linear(x, weight[:, :, 0, 0], self.conv[pointwise].bias)
        lengths = (lengths - 1).div(2, rounding_mode="floor") + 1
        x = F.relu(x).transpose(2, 3).flatten(2)  # NeMo's order: channel major
        return self.out(x), lengths

    def _first(self, x):
        """3x3 stride 2 on one channel, as a product over gathered 3x3 patches: [B, T, F] -> [B, T/2, F/2, C]."""
        x = F.pad(x, (1, 1, 1, 1)).unfold(1, 3, 2).unfold(2, 3, 2)
        # 9 taps padded to 16: matrix units want rows of whole 16 bytes.
        return F.linear(F.pad(x.flatten(3), (0, 7)), F.pad(self.conv[0].weight.flatten(1), (0, 7)), self.conv[0].bias)

    @staticmethod
    def _depthwise(x, conv, lengths):
        """relu, mask, then the convolution."""
        if x.is_cuda:
            from model.depthwise import DepthwiseConv2d

            return DepthwiseConv2d.apply(x, conv.weight, conv.bias, lengths.int())
        x = F.relu(x) * valid_mask(lengths, x.shape[1])[:, :, None, None]
        return conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class FeedForward(nn.Module):
    def __init__(self, config, dropout):
        super().__init__()
        self.linear1 = nn.Linear(config.d_model, config.ff)
        self.linear2 = nn.Linear(config.ff, config.d_model)
        self.dropout = dropout

    def forward(self, x):
        return self.linear2(F.dropout(F.silu(self.linear1(x)), self.dropout, self.training))


class RelPosAttention(nn.Module):
    def __init__(self, config, dropout):
        super().__init__()
        d, self.heads = config.d_model, config.heads
        self.linear_q, self.linear_k = nn.Linear(d, d), nn.Linear(d, d)
        self.linear_v, self.linear_out = nn.Linear(d, d), nn.Linear(d, d)
        self.linear_pos = nn.Linear(d, d, bias=False)
        self.pos_bias_u = nn.Parameter(torch.zeros(self.heads, d // self.heads))
        self.pos_bias_v = nn.Parameter(torch.zeros(self.heads, d // self.heads))
        self.dropout = dropout

    def forward(self, x, positions, keys):
        """x [B, T, d], positions [2T-1, d], keys: bool [B, 1, 1, T], true where a key may be seen."""
        rows, frames, d = x.shape

        def split(y):
            return y.view(-1, y.shape[-2], self.heads, d // self.heads).transpose(1, 2)

        q = self.linear_q(x).view(rows, frames, self.heads, -1)
        k, v = split(self.linear_k(x)), split(self.linear_v(x))
        p = split(self.linear_pos(positions))
        content = (q + self.pos_bias_u.to(q.dtype)).transpose(1, 2) @ k.transpose(-1, -2)
        shifted = (q + self.pos_bias_v.to(q.dtype)).transpose(1, 2) @ p.transpose(-1, -2)
        # Entry (i, j) of the shift is column j - i + T - 1: pad one column in front and read the rows one further.
        shifted = F.pad(shifted, (1, 0)).view(rows, self.heads, -1, frames)[:, :, 1:]
        shifted = shifted.reshape(rows, self.heads, frames, -1)[..., :frames]
        scores = (content + shifted) * (1.0 / math.sqrt(d // self.heads))
        weights = scores.masked_fill(~keys, -1e4).softmax(-1, dtype=torch.float32).to(v.dtype)
        weights = F.dropout(weights.masked_fill(~keys, 0.0), self.dropout, self.training)
        return self.linear_out((weights @ v).transpose(1, 2).reshape(rows, frames, d))


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch statistics over valid frames only, which is what a clip without padding sees. x [B, T, d]."""

    def forward(self, x, mask):
        if not self.training:
            scale = self.weight * torch.rsqrt(self.running_var + self.eps)
            return x * scale + (self.bias - self.running_mean * scale)
        x, mask = x.float(), mask[:, :, None].float()
        count = mask.sum()
        mean = (x * mask).sum((0, 1)) / count
        variance = ((x - mean).square() * mask).sum((0, 1)) / count
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        return (x - mean) * (torch.rsqrt(variance + self.eps) * self.weight) + self.bias


class Convolution(nn.Module):
    def __init__(self, config):
        super().__init__()
        d = config.d_model
        self.pointwise_conv1 = nn.Conv1d(d, 2 * d, 1)
        self.depthwise_conv = nn.Conv1d(d, d, config.conv_kernel, padding=config.conv_kernel // 2, groups=d)
        self.batch_norm = MaskedBatchNorm(d)
        self.pointwise_conv2 = nn.Conv1d(d, d, 1)

    def forward(self, x, lengths, mask):
        x = F.glu(F.linear(x, self.pointwise_conv1.weight[:, :, 0], self.pointwise_conv1.bias), -1)
        if x.is_cuda:
            from model.depthwise import DepthwiseConv1d

            x = DepthwiseConv1d.apply(x, self.depthwise_conv.weight, self.depthwise_conv.bias, lengths.int())
        else:
            x = self.depthwise_conv((x * mask[:, :, None]).transpose(1, 2)).transpose(1, 2)
        x = F.silu(self.batch_norm(x, mask))
        return F.linear(x, self.pointwise_conv2.weight[:, :, 0], self.pointwise_conv2.bias)


class ConformerLayer(nn.Module):
    def __init__(self, config, dropout):
        super().__init__()
        d = config.d_model
        self.norm_feed_forward1, self.feed_forward1 = nn.LayerNorm(d), FeedForward(config, dropout)
        self.norm_self_att, self.self_attn = nn.LayerNorm(d), RelPosAttention(config, dropout)
        self.norm_conv, self.conv = nn.LayerNorm(d), Convolution(config)
        self.norm_feed_forward2, self.feed_forward2 = nn.LayerNorm(d), FeedForward(config, dropout)
        self.norm_out = nn.LayerNorm(d)
        self.dropout = dropout

    def forward(self, x, positions, lengths, mask, keys):
        def drop(y):
            return F.dropout(y, self.dropout, self.training)

        x = x + 0.5 * drop(self.feed_forward1(self.norm_feed_forward1(x)))
        x = x + drop(self.self_attn(self.norm_self_att(x), positions, keys))
        x = x + drop(self.conv(self.norm_conv(x), lengths, mask))
        x = x + 0.5 * drop(self.feed_forward2(self.norm_feed_forward2(x)))
        return self.norm_out(x)


class Encoder(nn.Module):
    def __init__(self, config, dropout):
        super().__init__()
        self.d_model = config.d_model
        self.pre_encode = Subsampling(config)
        self.layers = nn.ModuleList(ConformerLayer(config, dropout) for _ in range(config.layers))
        self.dropout = dropout

    def positions(self, frames, device):
        offset = torch.arange(frames - 1, -frames, -1, device=device, dtype=torch.float32)[:, None]
        rate = torch.exp(torch.arange(0, self.d_model, 2, device=device) * -(math.log(10000.0) / self.d_model))
        return torch.stack((torch.sin(offset * rate), torch.cos(offset * rate)), -1).flatten(1)

    def forward(self, features, lengths):
        x, lengths = self.pre_encode(features, lengths)
        x = F.dropout(x, self.dropout, self.training).float()
        mask = valid_mask(lengths, x.shape[1])
        positions = self.positions(x.shape[1], x.device)
        for layer in self.layers:
            x = layer(x, positions, lengths, mask, mask[:, None, None])
        return x, lengths


class Prediction(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.embed = nn.Embedding(config.vocab + 1, config.pred_hidden, padding_idx=config.blank)
        self.dec_rnn = nn.ModuleDict({"lstm": nn.LSTM(config.pred_hidden, config.pred_hidden, batch_first=True)})

    def forward(self, tokens, state=None):
        """tokens [B, U] -> ([B, U, hidden], state); blank embeds to zero."""
        return self.dec_rnn["lstm"](self.embed(tokens), state)


class Joint(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.pred = nn.Linear(config.pred_hidden, config.joint_hidden)
        self.enc = nn.Linear(config.d_model, config.joint_hidden)
        self.joint_net = nn.Sequential(nn.ReLU(), nn.Dropout(0.0), nn.Linear(config.joint_hidden, config.joint_outputs))


class HybridModel(nn.Module):
    def __init__(self, config, dropout=0.1):
        super().__init__()
        self.config = config
        self.preprocessor = nn.ModuleDict({"featurizer": Featurizer(config.mels)})
        self.encoder = Encoder(config, dropout)
        self.decoder = nn.ModuleDict({"prediction": Prediction(config)})
        self.joint = Joint(config)
        self.ctc_decoder = nn.ModuleDict(
            {"decoder_layers": nn.Sequential(nn.Conv1d(config.d_model, config.vocab + 1, 1))}
        )

    def features(self, audio, lengths):
        return self.preprocessor["featurizer"](audio, lengths)

    def ctc_logits(self, encoded):
        layer = self.ctc_decoder["decoder_layers"][0]
        return F.linear(encoded, layer.weight[:, :, 0], layer.bias)
