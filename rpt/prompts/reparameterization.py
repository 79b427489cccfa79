"""The base class and `@register`. A reparameterization stands between the trained numbers and the prompt that the
backbone sees.

Shapes: N prompt tokens, V vocabulary, d model width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

REPARAMETERIZATIONS: dict[str, type[Reparameterization]] = {}


@dataclass(frozen=True)
class Start:
    """The initial values of a prompt.

    table: the first values [N, d] that `prompt.init` asks for, float32. A class that trains a table copies it into a
        parameter; one that trains something else may leave it alone.
    embeddings: the backbone's own word embeddings [V, d], frozen, in half precision where the backbone keeps them so;
        all runs over a backbone read the same.
    """

    table: Tensor
    embeddings: Tensor

    @property
    def length(self) -> int:
        """N"""
        return len(self.table)

    @property
    def d_model(self) -> int:
        """d"""
        return self.table.shape[1]


class Reparameterization(nn.Module):
    """Owns the trained parameters; its forward takes no arguments and computes from them the prompt P' [N, d], float32.

    A subclass is constructed as Cls(start, **options). Options are keyword-only, of type int, float, bool or str, and
    have defaults. The prompt must depend on every parameter. Tensors that are not trained are buffers
    (`register_buffer`), except `self.start.embeddings`, which is never counted, copied or trained. In eval mode the
    prompt is deterministic. `rpt.prompts.contract` checks all of this.
    """

    def __init__(self, start: Start):
        super().__init__()
        self.start = start

    def forward(self) -> Tensor:
        raise NotImplementedError


def register(name: str) -> Callable[[type[Reparameterization]], type[Reparameterization]]:
    """Class decorator: register the class under the name that configurations use.

    Raises:
        ValueError: the name is taken.
    """

    def enter(cls: type[Reparameterization]) -> type[Reparameterization]:
        if name in REPARAMETERIZATIONS:
            raise ValueError(f"reparameterization {name!r} exists already; give {cls.__name__} another name")
        REPARAMETERIZATIONS[name] = cls
        return cls

    return enter
