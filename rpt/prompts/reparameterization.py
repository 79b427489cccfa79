"""What stands between the trained table and the prompt that the backbone sees.

Shapes: N prompt tokens, d model width, m bottleneck.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn

REPARAMETERIZATIONS: dict[str, type[Reparameterization]] = {}


class Reparameterization(nn.Module):
    """A map from the table P [N, d] to the prompt P' [N, d], deterministic in eval mode.

    A subclass is constructed as Cls(length, d_model, **options). Options are keyword-only, of type int,
    float, bool or str, and have defaults; configs/prompt/<registered name>.yaml lists them with the same defaults.

    Attributes:
        batched: whether the networks of several runs may be computed together by torch.func.vmap: yes if it is made
            of differentiable tensor operations without randomness. Otherwise they are computed one after the other.
    """

    batched: ClassVar[bool] = False

    def __init__(self, length: int, d_model: int):
        super().__init__()
        self.length, self.d_model = length, d_model

    def forward(self, table: Tensor) -> Tensor:
        raise NotImplementedError


def register(name: str) -> Callable[[type[Reparameterization]], type[Reparameterization]]:
    """Class decorator: the name under which configurations ask for the class.

    Raises:
        ValueError: the name is taken.
    """

    def enter(cls: type[Reparameterization]) -> type[Reparameterization]:
        if name in REPARAMETERIZATIONS:
            raise ValueError(f"reparameterization {name!r} exists already; give {cls.__name__} another name")
        REPARAMETERIZATIONS[name] = cls
        return cls

    return enter
