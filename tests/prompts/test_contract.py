"""Mistakes in a user's class: one line with the mistake and the remedy, before any training."""

import pytest
import torch
from torch import nn

from rpt.prompts import REPARAMETERIZATIONS, Reparameterization, register
from rpt.prompts.contract import check_prompt, find_options


class Mine(Reparameterization):
    """P' = A B."""

    def __init__(self, start, *, rank: int = 4):
        super().__init__(start)
        if rank < 1:
            raise ValueError(f"rank={rank} leaves nothing; give 1 or more")
        self.a = nn.Parameter(torch.randn(start.length, rank))
        self.b = nn.Parameter(torch.randn(rank, start.d_model))

    def forward(self):
        return self.a @ self.b


class Transposed(Mine):
    def forward(self):
        return super().forward().T


class Short(Mine):
    def forward(self):
        return super().forward()[:3]


class Halved(Mine):
    def forward(self):
        return super().forward().half()


class Nothing(Mine):
    def forward(self):
        pass


class Dead(Mine):
    def __init__(self, start):
        super().__init__(start)
        self.unused = nn.Parameter(torch.zeros(3))


class Detached(Mine):
    def forward(self):
        return super().forward().detach()


class Frozen(Mine):
    def __init__(self, start):
        super().__init__(start)
        del self.a, self.b

    def forward(self):
        return self.start.table


class Stray(Mine):
    def __init__(self, start):
        super().__init__(start)
        self.first = start.table.clone()


class Reading(Mine):
    def forward(self):
        return super().forward() + self.start.table


class OldForward(Mine):
    def forward(self, table):
        return table


class Positional(Mine):
    def __init__(self, start, rank: int = 4):
        super().__init__(start, rank=rank)


class Untyped(Mine):
    def __init__(self, start, *, rank=4):
        super().__init__(start, rank=rank)


class WithoutDefault(Mine):
    def __init__(self, start, *, rank: int):
        super().__init__(start, rank=rank)


class OfAnotherType(Mine):
    def __init__(self, start, *, rank: int = 4.0):
        super().__init__(start, rank=4)


class Broken(Mine):
    def __init__(self, start):
        super().__init__(start)
        self.c = nn.Parameter(start.nothing)


class WithoutStart(Mine):
    def __init__(self, *, rank: int = 4):
        pass


@pytest.fixture
def registered(monkeypatch):
    """Register a class for one test only."""
    monkeypatch.setattr("rpt.prompts.contract.REPARAMETERIZATIONS", known := dict(REPARAMETERIZATIONS))
    monkeypatch.setattr("rpt.prompts.soft_prompt.REPARAMETERIZATIONS", known)
    monkeypatch.setattr("rpt.prompts.reparameterization.REPARAMETERIZATIONS", known)

    def enter(cls):
        register(cls.__name__)(cls)
        return cls.__name__

    return enter


def test_a_class_that_keeps_to_it_is_taken(registered):
    name = registered(Mine)
    assert list(find_options(name)) == ["rank"]
    for length in (1, 10, 100, 768):
        check_prompt(name, length, {"rank": 3})


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (Transposed, r"gives \[768, 10\] in torch.float32 for 10 tokens.*; it must give \[N, d\]: \[10, 768\]"),
        (Short, r"gives \[3, 768\]"),
        (Halved, r"in torch.float16 .* must give .* torch.float32"),
        (Nothing, r"gives NoneType for"),
        (Dead, r"does not depend on its unused; use it in forward, leave it out or make it a buffer"),
        (Detached, r"does not depend on its a, b;"),
        (Frozen, r"trains nothing; make what is trained an nn.Parameter"),
        (Stray, r"self.first is a plain tensor; runs that train together would share it: make it a buffer"),
        (Reading, r"its forward reads self.start.table; .* self.register_buffer\('first', start.table\)"),
        (OldForward, r"its forward, called without arguments, fails: TypeError"),
        (Positional, r"option rank is not keyword-only; put a \* before it: `def __init__\(self, .* \*, rank"),
        (Untyped, r"option rank needs a type .* and a default"),
        (WithoutDefault, r"option rank needs a type .* and a default"),
        (OfAnotherType, r"option rank needs a type .* and a default of that type"),
        (Broken, r"cannot be built: AttributeError: .*nothing"),
        (WithoutStart, r"takes no start; write `def __init__\(self, start, \*, …\)`"),
    ],
)  # fmt: skip
def test_what_breaks_it_is_named_in_one_line(registered, cls, message):
    name = registered(cls)
    with pytest.raises(ValueError, match=f"class {cls.__name__}: .*{message}") as refused:
        check_prompt(name, 10, {})
    assert len(str(refused.value).splitlines()) == 1


def test_a_vocabulary_may_be_larger_than_t5_s():
    check_prompt("superposition", 10, {"words": 100_000})


def test_what_a_class_says_of_its_options_is_said(registered):
    with pytest.raises(ValueError, match="rank=0 leaves nothing"):
        check_prompt(registered(Mine), 10, {"rank": 0})


def test_a_class_that_refuses_short_prompts_is_tried_as_it_is(registered):
    class Long(Mine):
        def __init__(self, start):
            super().__init__(start)
            if start.length < 20:
                raise ValueError("give 20 tokens or more")

    name = registered(Long)
    check_prompt(name, 20, {})
    with pytest.raises(ValueError, match="20 tokens or more"):
        check_prompt(name, 19, {})
