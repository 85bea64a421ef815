"""Random rooms, equalizers, levels and noises over a batch of clean speech, and SpecAugment, all on the GPU."""

import torch

RATE = 16000
ROOM = 4800


def _uniform(rows, low, high, like):
    return torch.empty(rows, 1, device=like.device).uniform_(low, high)


def _chance(rows, probability, like):
    return torch.rand(rows, 1, device=like.device) < probability


def _rms(x, lengths):
    return (x.square().sum(1, keepdim=True) / lengths[:, None]).sqrt() + 1e-6


def _bumps(rows, bins):
    """A smooth random curve over frequency, in decibels: 10 random heights joined by cosine interpolation."""
    points = 10
    heights = torch.randn(rows, points, device=bins.device) * 4.0
    place = (bins / (RATE / 2) * (points - 1)).clamp(max=points - 1.001)[0]
    left = place.floor().long()
    share = 0.5 - 0.5 * torch.cos(torch.pi * (place - left))
    return heights[:, left] * (1 - share) + heights[:, left + 1] * share


def _fast_length(n):
    """The next length whose only prime factors are 2, 3 and 5."""
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1


def speech(x, lengths):
    """[B, S] float samples in, the same speech in another place out."""
    rows, samples = x.shape
    n = _fast_length(samples + ROOM)
    bins = torch.arange(n // 2 + 1, device=x.device)[None] * (RATE / n)

    decay = torch.arange(ROOM, device=x.device)[None] / RATE * (-6.9 / _uniform(rows, 0.08, 0.5, x))
    room = torch.randn(rows, ROOM, device=x.device) * decay.exp() * _uniform(rows, 0.01, 0.12, x)
    room = room * _chance(rows, 0.3, x)
    room[:, 0] = 1.0
    tilt = (bins / 1000).clamp(min=0.05).pow(_uniform(rows, -0.35, 0.35, x) * _chance(rows, 0.7, x))
    tilt = tilt * 10 ** (_bumps(rows, bins) * _chance(rows, 0.5, x) / 20)
    low = _uniform(rows, 2600, 7600, x) + 1e6 * ~_chance(rows, 0.25, x)
    high = _uniform(rows, 60, 350, x) * _chance(rows, 0.25, x) - 100
    gain = tilt * torch.sigmoid((low - bins) / 150) * torch.sigmoid((bins - high) / 25)
    x = torch.fft.irfft(torch.fft.rfft(x, n) * torch.fft.rfft(room, n) * gain, n)[:, :samples]

    x = x / _rms(x, lengths)
    babble = x.roll(1, 0) + x.roll(7, 0) + x.roll(13, 0)
    babble = babble * 10 ** (-_uniform(rows, 8, 30, x) / 20) * 0.577 * _chance(rows, 0.12, x)
    shape = bins.clamp(min=40).pow(-_uniform(rows, 0, 1, x))
    noise = torch.fft.irfft(torch.fft.rfft(torch.randn(rows, n, device=x.device)) * shape, n)[:, :samples]
    noise = noise / (noise.square().mean(1, keepdim=True).sqrt() + 1e-9)
    snr = torch.where(_chance(rows, 0.55, x), _uniform(rows, 5, 40, x), _uniform(rows, 42, 75, x))
    snr = snr + 200 * _chance(rows, 0.06, x)
    x = (x + babble + noise * 10 ** (-snr / 20)) * 10 ** (_uniform(rows, -36, -12, x) / 20)
    return x.clamp(-1, 1) + 1e-5 * torch.randn_like(x)


def spectrum(mel, frames):
    """SpecAugment: two bands and five stretches of time of each row become zero. mel [B, T, mels]."""
    rows, T, mels = mel.shape
    band = torch.arange(mels, device=mel.device)[None, None]
    time = torch.arange(T, device=mel.device)[None, None]
    width = torch.rand(rows, 2, 1, device=mel.device) * 16
    start = torch.rand(rows, 2, 1, device=mel.device) * (mels - width)
    bands = ((band >= start) & (band < start + width)).any(1)
    width = torch.rand(rows, 5, 1, device=mel.device) * (0.035 * frames[:, None, None]).clamp(max=40)
    start = torch.rand(rows, 5, 1, device=mel.device) * (frames[:, None, None] - width)
    times = ((time >= start) & (time < start + width)).any(1)
    return mel.masked_fill(bands[:, None] | times[:, :, None], 0.0)
