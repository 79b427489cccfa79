"""Does a class keep the contract? This is found out without memory for its weights.

All raise ValueError; the message names the class and the remedy. Shapes: N prompt tokens, V vocabulary, d model width.
"""

from __future__ import annotations

import inspect
from contextlib import suppress
from functools import cache
from typing import Any

import torch
from torch import Tensor

from rpt.prompts.reparameterization import REPARAMETERIZATIONS, Start
from rpt.prompts.soft_prompt import SoftPrompt

TYPES = (int, float, bool, str)  # of options
VOCABULARY = 32_128
TRIED = 10  # tokens: of more, a recurrent network takes seconds on this device


@cache
def find_options(reparameterization: str) -> dict[str, inspect.Parameter]:
    """The options that its class takes, by name.

    Raises:
        ValueError: the class does not declare them as it has to.
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
        as_it_should = f"`def __init__(self, start: Start, *, {option.name}: int = 1)`"
        if option.kind is not option.KEYWORD_ONLY:
            raise _fault(
                reparameterization, f"option {option.name} is not keyword-only; put a * before it: {as_it_should}"
            )
        if option.annotation not in TYPES or type(option.default) is not option.annotation:
            raise _fault(
                reparameterization,
                f"option {option.name} needs a type (int, float, bool, str) and a default of that type: {as_it_should}",
            )
    return {option.name: option for option in options}


def check_prompt(reparameterization: str, length: int, options: dict[str, Any]) -> None:
    """Build the prompt and take its gradient, on the meta device: nothing is computed.

    Raises:
        ValueError: an option's value is refused, the prompt is not [N, d] in float32, it does not depend on a
            parameter, or nothing is trained.
    """
    _check_prompt(reparameterization, length, tuple(options.items()))


@cache
def _check_prompt(name: str, length: int, options: tuple[tuple[str, Any], ...]) -> None:
    find_options(name)
    prompt = _build(name, length, dict(options))
    if length > TRIED:
        with suppress(ValueError):  # a class that refuses so short a prompt is tried as it is
            prompt, length = _build(name, TRIED, dict(options)), TRIED
    parameters = dict(prompt.named_parameters())
    if not parameters:
        raise _fault(name, "trains nothing; make what is trained an nn.Parameter")
    try:
        with torch.device("meta"):
            computed = prompt.reparameterization()  # there is no autocast on this device
    except Exception as error:  # whatever a class of one's own may raise
        raise _fault(name, f"its forward, called without arguments, fails: {_in_one_line(error)}") from error
    width = _width(length)
    found = f"{list(computed.shape)} in {computed.dtype}" if isinstance(computed, Tensor) else type(computed).__name__
    if found != (wanted := f"{[length, width]} in torch.float32"):
        raise _fault(
            name, f"its forward gives {found} for {length} tokens of width {width}; it must give [N, d]: {wanted}"
        )
    names = [key.removeprefix("reparameterization.") for key in parameters]
    gradients: Any = [None] * len(names)
    if computed.requires_grad:
        gradients = torch.autograd.grad(computed.sum(), list(parameters.values()), allow_unused=True)
    if dead := [key for key, gradient in zip(names, gradients, strict=True) if gradient is None]:
        raise _fault(
            name,
            f"the prompt does not depend on its {', '.join(dead)}; use it in forward, leave it out or make it a buffer",
        )


def _build(name: str, length: int, options: dict[str, Any]) -> SoftPrompt:
    width = _width(length)
    with torch.device("meta"):
        start = Start(torch.empty(length, width), torch.empty(VOCABULARY, width))
        try:
            return SoftPrompt(start, name, **options)
        except ValueError:
            raise
        except Exception as error:  # whatever a class of one's own may raise
            raise _fault(name, f"cannot be built: {_in_one_line(error)}") from error


def _width(length: int) -> int:
    """d in the trial: not N, so that [d, N] is told from [N, d]."""
    return 1024 if length == 768 else 768


def _fault(name: str, what: str) -> ValueError:
    return ValueError(f"class {REPARAMETERIZATIONS[name].__name__}: {what}")


def _in_one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
