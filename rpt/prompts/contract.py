"""Does a class keep to the contract? This is found out without memory for its weights.

All raise ValueError; the message names the class and the remedy. Shapes: N prompt tokens, V vocabulary, d model width.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import TypeAlias

import torch
from torch import Tensor

from rpt.errors import describe_error
from rpt.prompts.reparameterization import REPARAMETERIZATIONS, Start
from rpt.prompts.soft_prompt import SoftPrompt

Option: TypeAlias = int | float | bool | str
TYPES = (int, float, bool, str)  # of options
VOCABULARY = 2**20  # more than any backbone's: what it lacks is told once it is loaded
BUFFER = "runs that train together would share it: make it a buffer, as in self.register_buffer('first', start.table)"
TRIED = 10  # tokens: with more, a recurrent network takes seconds on the meta device


@cache
def find_options(reparameterization: str) -> dict[str, inspect.Parameter]:
    """The options of its class, by name.

    Raises:
        ValueError: the class does not declare them correctly.
    """
    cls = REPARAMETERIZATIONS[reparameterization]
    try:
        start, *options = inspect.signature(cls, eval_str=True).parameters.values()
    except (ValueError, NameError) as error:
        raise _fault(
            reparameterization, f"its __init__ cannot be read ({error}); write `def __init__(self, start)`"
        ) from error
    if start.kind is not start.POSITIONAL_OR_KEYWORD:
        raise _fault(reparameterization, "its __init__ takes no start; write `def __init__(self, start, *, …)`")
    for option in options:
        example = f"`def __init__(self, start: Start, *, {option.name}: int = 1)`"
        if option.kind is not option.KEYWORD_ONLY:
            raise _fault(reparameterization, f"option {option.name} is not keyword-only; put a * before it: {example}")
        if option.annotation not in TYPES or type(option.default) is not option.annotation:
            raise _fault(
                reparameterization,
                f"option {option.name} needs a type (int, float, bool, str) and a default of that type: {example}",
            )
    return {option.name: option for option in options}


def check_prompt(reparameterization: str, length: int, options: dict[str, Option]) -> None:
    """Build the prompt and take its gradient, on the meta device, which computes no numbers.

    Raises:
        ValueError: the class refuses the value of an option, the prompt is not [N, d] in float32, it does not depend on
            one of its parameters, it has no parameters, or it depends on a tensor that is no buffer.
    """
    _check_prompt(reparameterization, length, tuple(options.items()))


@cache
def _check_prompt(name: str, length: int, options: tuple[tuple[str, Option], ...]) -> None:
    find_options(name)
    prompt = _build(name, length, dict(options))
    if length > TRIED:
        with suppress(ValueError):  # a class that refuses so short a prompt is tried at its full length
            prompt, length = _build(name, TRIED, dict(options)), TRIED
    if not list(prompt.parameters()):
        raise _fault(name, "trains nothing; make what is trained an nn.Parameter")
    modules = prompt.modules()
    if plain := [key for module in modules for key, value in vars(module).items() if isinstance(value, Tensor)]:
        raise _fault(name, f"self.{plain[0]} is a plain tensor; {BUFFER}")
    width = _width(length)
    first = torch.empty(length, width, device="meta", requires_grad=True)
    prompt.reparameterization.start = Start(first, prompt.reparameterization.start.embeddings)
    try:
        with torch.device("meta"):
            computed = prompt.reparameterization()  # the meta device has no autocast
    except Exception as error:  # a plugin may raise anything
        raise _fault(name, f"its forward, called without arguments, fails: {describe_error(error)}") from error
    result = f"{list(computed.shape)} in {computed.dtype}" if isinstance(computed, Tensor) else type(computed).__name__
    if result != (wanted := f"{[length, width]} in torch.float32"):
        raise _fault(
            name, f"its forward gives {result} for {length} tokens of width {width}; it must give [N, d]: {wanted}"
        )
    _check_gradients(name, prompt, computed, first)


def _check_gradients(name: str, prompt: SoftPrompt, computed: Tensor, first: Tensor) -> None:
    """Refuse a prompt that does not depend on each parameter, or that depends on the table of first values."""
    names = [key.removeprefix("reparameterization.") for key, _ in prompt.named_parameters()]
    gradients: Sequence[Tensor | None] = [None] * (len(names) + 1)
    if computed.requires_grad:
        gradients = torch.autograd.grad(computed.sum(), [*prompt.parameters(), first], allow_unused=True)
    if gradients[-1] is not None:
        raise _fault(name, f"its forward reads self.start.table; {BUFFER}")
    if dead := [key for key, gradient in zip(names, gradients, strict=False) if gradient is None]:
        raise _fault(
            name,
            f"the prompt does not depend on its {', '.join(dead)}; use it in forward, leave it out or make it a buffer",
        )


def _build(name: str, length: int, options: dict[str, Option]) -> SoftPrompt:
    width = _width(length)
    with torch.device("meta"):
        start = Start(torch.empty(length, width), torch.empty(VOCABULARY, width))
        try:
            return SoftPrompt(start, name, **options)
        except ValueError:
            raise
        except Exception as error:  # a plugin may raise anything
            raise _fault(name, f"cannot be built: {describe_error(error)}") from error


def _width(length: int) -> int:
    """d in the trial: different from N, to tell [d, N] from [N, d]."""
    return 1024 if length == 768 else 768


def _fault(name: str, what: str) -> ValueError:
    return ValueError(f"class {REPARAMETERIZATIONS[name].__name__}: {what}")
