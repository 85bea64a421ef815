"""Every number of the shipped model in one place."""

from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Config:
    """Shapes of a FastConformer hybrid TDT-CTC network in NeMo's terms."""

    mels: int = 80
    d_model: int = 192
    layers: int = 8
    heads: int = 4
    ff: int = 768
    conv_kernel: int = 9
    subsampling_channels: int = 192
    vocab: int = 512
    pred_hidden: int = 192
    joint_hidden: int = 256
    durations: tuple = field(default=(0, 1, 2, 3, 4))
    max_symbols: int = 10

    @property
    def blank(self):
        return self.vocab

    @property
    def joint_outputs(self):
        return self.vocab + 1 + len(self.durations)

    def to_dict(self):
        return asdict(self)
