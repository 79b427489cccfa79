"""Encoded prompts and texts. Shapes: B rows, S tokens of prompt and text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor


@dataclass(frozen=True)
class Encoding:
    """Tensors [B, ...], or tuples of such; a family adds its own.

    mask: [B, S], 1 where something stands.
    """

    mask: Tensor

    def pick(self, rows: list[int] | Tensor) -> Self:
        """Some of the rows."""
        return self._change(lambda part: part[rows])

    def repeat(self, times: int) -> Self:
        """Every row so many times, one after the other."""
        return self._change(lambda part: part.repeat_interleave(times, dim=0))

    def _change(self, change: Callable[[Tensor], Tensor]) -> Self:
        parts: dict[str, Any] = {
            name: tuple(map(change, part)) if isinstance(part, tuple) else change(part)
            for name, part in vars(self).items()
        }
        return type(self)(**parts)
