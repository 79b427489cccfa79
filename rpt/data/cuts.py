"""How many texts are cut. A prompt leaves less room for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from rpt.data.sequences import TokenSequence
from rpt.data.tokens import Source


@dataclass(frozen=True)
class Cuts:
    """texts: how many there are. cut: how many were cut. median, most: tokens that a cut text lost."""

    texts: int
    cut: int
    median: int = 0
    most: int = 0

    def __str__(self) -> str:
        share = f"{100 * self.cut / self.texts:.1f} %"
        lost = f"{self.median:,} tokens in the median and {self.most:,} at most"
        return f"{self.cut:,} of {self.texts:,} texts ({share}) are cut to fit, by {lost}"


def count_cuts(texts: Iterable[Source | TokenSequence]) -> Cuts:
    """The cuts in texts that `encode_sources` or `encode_decisions` returned."""
    lost = [text.lost for text in texts]
    cut = [tokens for tokens in lost if tokens]
    return Cuts(len(lost), len(cut), int(median(cut)), max(cut)) if cut else Cuts(len(lost), 0)
