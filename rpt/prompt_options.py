"""The options of reparameterizations and their defaults. Without torch: rpt.config offers them as keys
(prompt.bottleneck=5), and the classes of rpt.prompts take their defaults from here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NoOptions:
    """Vanilla prompt tuning has no options."""


@dataclass(frozen=True)
class MLPOptions:
    bottleneck: int = 250  # m, width of the hidden layer; follows from the 462K trained parameters of table 3b
    layers: int = 1  # 1 or 2 blocks of down-projection, ReLU, up-projection, LayerNorm
    shared: bool = True  # one network for all prompt tokens; false: one for each (table 6)
    layer_norm: bool = True  # whether a block ends in LayerNorm


@dataclass(frozen=True)
class LSTMOptions:
    dropout: float = 0.05  # between the two LSTM layers, as in the published code


@dataclass(frozen=True)
class PTuningOptions:
    hidden: int = 0  # width of the hidden layers; 0: the backbone's


@dataclass(frozen=True)
class DecomposedOptions:
    bottleneck: int = 10  # b, the rank; the paper's


@dataclass(frozen=True)
class SuperpositionOptions:
    words: int = 128  # m, how many word embeddings are sampled; the paper's


@dataclass(frozen=True)
class LowRankOptions:
    rank: int = 5  # r; the paper is best with 2 to 5


@dataclass(frozen=True)
class HadamardOptions:
    train_shared: bool = True  # false: train only the column and the row


OPTIONS: dict[str, type] = {  # by the registered name of the class; each is a choice of prompt=
    "identity": NoOptions,
    "mlp": MLPOptions,
    "residual": MLPOptions,
    "lstm": LSTMOptions,
    "ptuning": PTuningOptions,
    "decomposed": DecomposedOptions,
    "superposition": SuperpositionOptions,
    "lowrank": LowRankOptions,
    "hadamard": HadamardOptions,
}
