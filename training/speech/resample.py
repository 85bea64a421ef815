"""Any rate to 16 kHz by a windowed-sinc polyphase filter, with a factor that also shifts pitch and formants."""

from fractions import Fraction

import numpy as np
from scipy.signal import resample_poly

TARGET = 16000


def to_16k(samples, rate, tempo=1.0):
    """int16 in, int16 out; `tempo` > 1 plays faster and higher, as a shorter vocal tract would sound."""
    ratio = Fraction(TARGET / (rate * tempo)).limit_denominator(160)
    if ratio == 1:
        return samples
    out = resample_poly(samples.astype(np.float32), ratio.numerator, ratio.denominator)
    return np.clip(np.rint(out), -32768, 32767).astype(np.int16)
