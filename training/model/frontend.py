"""NeMo's FilterbankFeatures: 16 kHz samples to per-feature normalised log-mel frames, in float32."""

import numpy as np
import torch

SAMPLE_RATE, N_FFT, WINDOW, HOP, PREEMPHASIS = 16000, 512, 400, 160, 0.97
LOG_GUARD = 2.0**-24


def mel_filterbank(mels):
    """Slaney scale and Slaney area normalisation over 0 to 8000 Hz, as librosa.filters.mel makes it: [mels, 257]."""

    def to_mel(hz):
        hz = np.asarray(hz, np.float64)
        log_part = 15.0 + np.log(np.maximum(hz, 1e-10) / 1000.0) / (np.log(6.4) / 27.0)
        return np.where(hz >= 1000.0, log_part, hz / (200.0 / 3))

    def to_hz(mel):
        return np.where(mel >= 15.0, 1000.0 * np.exp((np.log(6.4) / 27.0) * (mel - 15.0)), mel * (200.0 / 3))

    edges = to_hz(np.linspace(to_mel(0.0), to_mel(SAMPLE_RATE / 2), mels + 2))
    bins = np.linspace(0, SAMPLE_RATE / 2, N_FFT // 2 + 1)
    ramps = edges[:, None] - bins[None, :]
    widths = np.diff(edges)
    lower = -ramps[:-2] / widths[:-1, None]
    upper = ramps[2:] / widths[1:, None]
    weights = np.maximum(0, np.minimum(lower, upper))
    return (weights * (2.0 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


class Featurizer(torch.nn.Module):
    """forward: audio [B, S] float, lengths [B] in samples -> ([B, T, mels], valid frames [B]), T = S // 160."""

    def __init__(self, mels):
        super().__init__()
        self.register_buffer("window", torch.hann_window(WINDOW, periodic=False))
        self.register_buffer("fb", torch.from_numpy(mel_filterbank(mels))[None])

    def forward(self, audio, lengths):
        samples = audio.shape[1]
        valid = torch.arange(samples, device=audio.device)[None] < lengths[:, None]
        audio = torch.cat((audio[:, :1], audio[:, 1:] - PREEMPHASIS * audio[:, :-1]), 1) * valid
        spectrum = torch.stft(
            audio, N_FFT, HOP, WINDOW, self.window, center=True, pad_mode="constant", return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()
        mel = torch.log(torch.matmul(self.fb[0], power) + LOG_GUARD)
        frames = lengths // HOP
        mel = mel[:, :, : samples // HOP]
        mask = (torch.arange(mel.shape[2], device=mel.device)[None] < frames[:, None])[:, None].to(mel.dtype)
        count = frames.clamp(min=1)[:, None, None].to(mel.dtype)
        mean = (mel * mask).sum(2, keepdim=True) / count
        variance = ((mel - mean).square() * mask).sum(2, keepdim=True) / (count - 1)
        std = variance.sqrt().nan_to_num(0.0, 0.0, 0.0)
        return ((mel - mean) / (std + 1e-5) * mask).transpose(1, 2), frames
