"""espeak-ng and flite through ctypes: text in, int16 samples out, no process and no file per sentence.

PREFIX (environment variable TTS_PREFIX) is the folder that unpack.sh filled. Each engine keeps global state, so one
process speaks one sentence at a time.
"""

import ctypes
import os
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_float, c_int, c_short, c_size_t, c_uint, c_void_p
from pathlib import Path

import numpy as np

LIBRARIES = "usr/lib/x86_64-linux-gnu"


def _load(prefix, name):
    return ctypes.CDLL(str(Path(prefix) / LIBRARIES / name), mode=ctypes.RTLD_GLOBAL)


class Espeak:
    """`say` returns (samples, rate); rate is 22050 Hz for every voice."""

    RATE, PITCH, RANGE = 1, 3, 4
    SYNCHRONOUS, UTF8, POSITION_CHARACTER = 2, 1, 1

    def __init__(self, prefix):
        for name in ("libsonic.so.0", "libpcaudio.so.0"):
            _load(prefix, name)
        self.lib = _load(prefix, "libespeak-ng.so.1")
        data = str(Path(prefix) / LIBRARIES)
        self.rate = self.lib.espeak_Initialize(self.SYNCHRONOUS, 0, data.encode(), 0)
        if self.rate <= 0:
            raise RuntimeError(f"espeak-ng found no data in {data}")
        self.chunks = []
        callback_type = CFUNCTYPE(c_int, POINTER(c_short), c_int, c_void_p)

        def collect(samples, count, _events):
            if samples and count > 0:
                self.chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
            return 0

        self.callback = callback_type(collect)  # kept alive: the library holds only its address
        self.lib.espeak_SetSynthCallback(self.callback)
        self.lib.espeak_Synth.argtypes = [c_char_p, c_size_t, c_uint, c_int, c_uint, c_uint, c_void_p, c_void_p]

    def set_voice(self, voice, words_per_minute=170, pitch=50, pitch_range=50):
        if self.lib.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice!r}")
        for parameter, value in ((self.RATE, words_per_minute), (self.PITCH, pitch), (self.RANGE, pitch_range)):
            self.lib.espeak_SetParameter(parameter, int(value), 0)

    def say(self, text):
        self.chunks.clear()
        raw = text.encode()
        status = self.lib.espeak_Synth(raw, len(raw) + 1, 0, self.POSITION_CHARACTER, 0, self.UTF8, None, None)
        if status != 0:
            raise RuntimeError(f"espeak-ng failed with status {status} on {text!r}")
        samples = np.concatenate(self.chunks) if self.chunks else np.zeros(0, np.int16)
        return samples, self.rate


class _Wave(Structure):
    _fields_ = [
        ("type", c_char_p), ("sample_rate", c_int), ("num_samples", c_int), ("num_channels", c_int),
        ("samples", POINTER(c_short)),
    ]


class _Voice(Structure):
    _fields_ = [("name", c_char_p), ("features", c_void_p)]


class Flite:
    """`say` returns (samples, rate); 16 kHz, but 8 kHz for `kal`."""

    def __init__(self, prefix, voices):
        _load(prefix, "libasound.so.2")
        self.lib = _load(prefix, "libflite.so.1")
        for name in ("libflite_usenglish.so.1", "libflite_cmulex.so.1"):
            _load(prefix, name)
        self.lib.flite_init()
        self.lib.flite_text_to_wave.restype = POINTER(_Wave)
        self.lib.flite_text_to_wave.argtypes = [c_char_p, c_void_p]
        self.lib.delete_wave.argtypes = [c_void_p]
        self.lib.flite_feat_set_float.argtypes = [c_void_p, c_char_p, c_float]
        self.voices = {}
        for voice in voices:
            library = _load(prefix, f"libflite_cmu_us_{voice}.so.1")
            register = getattr(library, f"register_cmu_us_{voice}")
            register.restype = POINTER(_Voice)
            register.argtypes = [c_char_p]
            self.voices[voice] = register(None)
        self.current = None

    def set_voice(self, voice, stretch=1.0, pitch=None):
        """`pitch` is the mean in hertz (`rms` ignores it); it stays until it is set again."""
        self.current = self.voices[voice]
        self.lib.flite_feat_set_float(self.current.contents.features, b"duration_stretch", stretch)
        if pitch is not None:
            self.lib.flite_feat_set_float(self.current.contents.features, b"int_f0_target_mean", pitch)

    def say(self, text):
        wave = self.lib.flite_text_to_wave(text.encode(), self.current)
        if not wave:
            raise RuntimeError(f"flite failed on {text!r}")
        content = wave.contents
        samples = np.ctypeslib.as_array(content.samples, (content.num_samples,)).copy()
        rate = content.sample_rate
        self.lib.delete_wave(wave)
        return samples, rate


def default_prefix():
    return os.environ.get("TTS_PREFIX", "/usr")
